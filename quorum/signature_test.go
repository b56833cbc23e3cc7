package quorum

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestASignatureComesBackAsItWas(t *testing.T) {
	for _, s := range []Signature{
		{Phase: Signed, Nonce: "n1", Instance: "i0", Incarnation: "first", Peers: []string{"p1"}, Seen: []string{"p0=i0@1", "-p1=i1@1"}, Config: "3 stores, \"majority\"", Mark: MakeNumber(7, 1), Beat: 9},
		{Phase: Signed, Nonce: "n1", Next: "n2", Instance: "i0", Config: "these stores"},
		{Phase: Pending, Nonce: "n1", Instance: "i0"},
		{Phase: Forgotten, Instance: "i0"},
		{Phase: Moved, Instance: "i0", Config: "other stores"},
	} {
		line := s.String()
		if got, err := ParseSignature(line); err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%s came back as %+v (%v)", line, got, err)
		}
		// Stores look at how a line begins, see [Sign].
		if !strings.HasPrefix(line, string(s.Phase)+" {") || strings.Contains(line, "\n") {
			t.Errorf("the line %q, want the phase and JSON on one line", line)
		}
	}
}

func TestALineThatIsNoSignatureIsTold(t *testing.T) {
	for _, line := range []string{"", "signed", "signed ", "signed {", "Signed {}", "granted {}", "{}", "signed [1]", "signed{}"} {
		if s, err := ParseSignature(line); err == nil {
			t.Errorf("%q is taken for %+v, want an error", line, s)
		}
	}
	g := newGroup(t, 1)
	g.stores[0].book["p9"] = "hello"
	g.turn(0)
	g.happened("somebody wrote into the book", "store.book")
	g.whole(0, true, "what is no signature is nobody's")
}

func TestAJumpIsTheSameProcess(t *testing.T) {
	for incarnation, want := range map[string]string{"run": "run", "run/j1": "run", "run/j12": "run", "": "", "pid 1/start 2": "pid 1/start 2"} {
		if got := process(incarnation); got != want {
			t.Errorf("process(%q) = %q, want %q", incarnation, got, want)
		}
	}
}

func TestTheLatestTraceOfAnIDCounts(t *testing.T) {
	for _, c := range []struct {
		seen []string
		want string
	}{
		{nil, ""},
		{[]string{"p1=i1@x"}, ""},
		{[]string{"p0=i0@x"}, ""},
		{[]string{"p0=lost@x"}, "lost"},
		{[]string{"p0=lost@x", "p0=i0@x"}, "lost"}, // both were there, and what the first granted may live
		{[]string{"p0=lost@x", "-p0=lost@x"}, ""},
		{[]string{"-p0=lost@x", "p0=later@x"}, "later"},
		{[]string{"p0=lost@x", "-p0=lost@x", "p0=i0@x"}, ""},
	} {
		if got := traceOf(c.seen, "p0", "i0"); got != c.want {
			t.Errorf("traceOf(%q) = %q, want %q", c.seen, got, c.want)
		}
	}
}

func TestAStrangerIsNamedAndNothingIsServedUntilItIsGone(t *testing.T) {
	for _, c := range []struct {
		what  string
		alter func(g *group) // of the book of store 0
		want  string
	}{
		{"on nobody's list", func(g *group) { g.stores[0].book["p9"] = g.signature("p9", 0) },
			`proxy "p9" (instance i9, these stores) signed its book and is not among our peers ["p1" "p2"]`},
		{"another configuration", func(g *group) {
			g.stores[0].book["p1"] = g.signature("p1", 0, func(s *Signature) { s.Config = "other stores" })
		}, `peer "p1" has other stores, and we have these stores`},
		{"it does not list us", func(g *group) {
			g.stores[0].book["p1"] = g.signature("p1", 0, func(s *Signature) { s.Peers = []string{"p2"} })
		}, `peer "p1" has the peers ["p2"], and we are "p0" with ["p1" "p2"]`},
		{"it lists one more", func(g *group) {
			g.stores[0].book["p1"] = g.signature("p1", 0, func(s *Signature) { s.Peers = []string{"p0", "p2", "p3"} })
		}, `peer "p1" has the peers ["p0" "p2" "p3"], and we are "p0" with ["p1" "p2"]`},
		{"two peers of one instance", func(g *group) {
			g.stores[0].book["p2"] = g.signature("p2", 0, func(s *Signature) { s.Instance = "i1" })
		}, `proxies "p1" and "p2" are the same instance i1: is a data folder copied?`},
		{"a peer of our instance", func(g *group) {
			g.stores[0].book["p1"] = g.signature("p1", 0, func(s *Signature) { s.Instance = "i0" })
		}, `proxies "p0" and "p1" are the same instance i0: is a data folder copied?`},
		{"we were declared forgotten", func(g *group) {
			g.stores[0].book["p0"] = g.signature("p0", 0, func(s *Signature) { s.Phase = Forgotten })
		}, `an operator declared this proxy, "p0", forgotten: it can come back with --new and an empty data folder`},
		{"a peer that moved", func(g *group) {
			g.stores[0].book["p1"] = g.signature("p1", 0, func(s *Signature) { s.Phase, s.Config = Moved, "other stores" })
		}, `peer "p1" moved to other stores, and we have these stores`},
		{"a peer that came back though forgotten", func(g *group) {
			g.stores[1].book["p1"] = g.signature("p1", 1, func(s *Signature) { s.Phase = Forgotten })
			g.turn(1)
			g.beat(0)
		}, `peer "p1" signed its book and was declared forgotten`},
	} {
		g := newGroup(t, 3)
		g.holds("orders", "token", groupTTL)
		before := Book{}
		for id, line := range g.stores[0].book {
			before[id] = line
		}
		c.alter(g)
		g.core.events = nil
		g.turn(0)
		if len(g.core.events) == 0 || g.core.events[len(g.core.events)-1].Kind != "peer.stranger" {
			t.Errorf("%s: told %v, want a stranger", c.what, g.core.events)
		}
		r := g.ends(g.submit(releasing("orders", "token")), Failed)
		if want := "s0: " + c.want + ": refused to serve"; !errors.Is(r.Err, ErrStranger) || r.Err.Error() != want {
			t.Errorf("%s: error\n got %v\nwant %s", c.what, r.Err, want)
		}
		g.quiet(c.what + ": nothing is served")
		g.rest()
		for i := range g.stores {
			g.whole(i, false, c.what)
			if s := g.mine(i); s.Phase == Signed {
				t.Errorf("%s: the book of store %d still has %v, want our signature withdrawn", c.what, i, s)
			}
		}
		if c.what == "a peer that came back though forgotten" {
			continue // that is settled for good
		}
		g.stores[0].book = before
		g.serves(c.what)
	}
}

// serves wants a lease of before a stranger to be there, and others to be granted.
func (g *group) serves(what string) {
	g.t.Helper()
	for range 10 {
		g.pass(signAgain)
		g.sign("p1", g.each()...) // they had withdrawn theirs too
		g.sign("p2", g.each()...)
		g.turn(g.each()...)
	}
	for i := range g.stores {
		if g.whole(i, true, what+", which is over"); g.at(i, "orders") != "token" {
			g.t.Errorf("%s, which is over: store %d has no copy of the lease of before", what, i)
		}
	}
	g.holds("parcels", "token", time.Second)
}

// A peer that moves to other stores waits for those who have leases out here. If it
// could not see them, both would serve.
func TestWhoRefusesToServeStaysInABookThatForgot(t *testing.T) {
	moved := func(g *group) {
		g.stores[0].book["p1"] = g.signature("p1", 0, func(s *Signature) { s.Phase, s.Config = Moved, "other stores" })
	}
	g := newGroup(t, 1)
	lease := g.holds("orders", "token", groupTTL)
	moved(g)
	g.rest()
	g.stores[0].simMemory = newMemory()
	moved(g)
	for range 4 {
		g.turn(0)
		g.pass(signAgain)
	}
	if s := g.mine(0); s.Phase != Pending || s.Mark < lease.Version || s.Instance != "i0" {
		t.Errorf("the book has %v, want a line that is no signature, with the numbers that we used", s)
	}
	g = openGroup(t, groupConfig(1), History{Birth: MakeNumber(1000, 1), Limit: MakeNumber(1000, 1)})
	moved(g)
	g.connect(0)
	for range 4 {
		g.turn(0)
		g.pass(signAgain)
	}
	if s := g.mine(0); s.Phase != "" {
		t.Errorf("the book has %v, want nothing of a proxy that never signed one", s)
	}
}

// Who refuses to serve shows itself in a book that lost its line. That is no leave to
// put its leases over what a stranger has there.
func TestWhoRefusesToServeOverrulesNobody(t *testing.T) {
	g := newGroup(t, 3)
	g.holds("orders", "token", groupTTL/2)
	stranger := g.signature("p9", 0)
	g.stores[0].book["p9"] = stranger
	g.rest()
	if s := g.mine(0); g.core.refused == nil || s.Phase != Pending {
		t.Fatalf("refused %v, the book has %v, want ours withdrawn", g.core.refused, s)
	}
	g.stores[0].simMemory = newMemory()
	g.stores[0].book["p9"] = stranger
	theirs := &Copy{Value: []byte("theirs"), Fence: MakeNumber(7, 9), Version: MakeNumber(7, 9)}
	g.place("orders", theirs, time.Hour, 0)
	for range 6 {
		g.pass(auditEvery)
		g.rest()
	}
	if got := g.at(0, "orders"); got != "theirs" {
		t.Errorf("store 0 has %q, want what the stranger put there", got)
	}
}

func TestAPeerThatChangedAnOldBookIsNoStranger(t *testing.T) {
	for what, alter := range map[string]func(*Signature){
		"pending":               func(s *Signature) { s.Phase, s.Config = Pending, "other stores" },
		"of an old life":        func(s *Signature) { s.Incarnation, s.Config = "before", "other stores" },
		"forgotten":             func(s *Signature) { s.Phase, s.Config = Forgotten, "other stores" },
		"moved to where we are": func(s *Signature) { s.Phase = Moved },
	} {
		g := newGroup(t, 1)
		g.stores[0].book["p1"] = g.signature("p1", 0, alter)
		g.turn(0)
		if g.core.refused != nil {
			t.Errorf("a line that is %s: %v, want it to be nobody's signature", what, g.core.refused)
		}
	}
}

func TestAloneEverySignatureIsAStrangers(t *testing.T) {
	cfg := groupConfig(1)
	cfg.Peers, cfg.Author = nil, 0
	g := openGroup(t, cfg, History{Birth: deskBirth, Limit: deskBirth})
	g.connect(0)
	g.rest()
	if op := g.submit(acquiring("token", time.Second, "orders")); len(g.asked[0]) != 1 || g.mine(0).Phase != Signed {
		t.Fatalf("alone, %q asks %d stores with %v in the book, want it signed and asked", op.Names, len(g.asked[0]), g.mine(0))
	}
	g.rest()
	g.sign("p1", 0)
	g.turn(0)
	if r := g.ends(g.submit(acquiring("token", time.Second, "parcels")), Failed); !errors.Is(r.Err, ErrStranger) {
		t.Errorf("error %v, want a stranger", r.Err)
	}
	delete(g.stores[0].book, "p1")
	g.rest()
	g.pass(beatEvery)
	g.rest()
	op := g.submit(acquiring("token", time.Second, "letters"))
	g.rest()
	g.ends(op, Changed)
}

func TestAnotherLifeUnderOurIDIsToldByItsBeat(t *testing.T) {
	g := openGroup(t, groupConfig(1), groupPast())
	twin := func(beat uint64) {
		g.stores[0].book["p0"] = g.signature("p0", 0, func(s *Signature) { s.Instance, s.Beat = "other", beat })
	}
	g.connect(0)
	twin(1)
	g.turn(0)
	if g.core.refused != nil {
		t.Fatalf("refused: %v, want what is left of a lost journal to be none", g.core.refused)
	}
	twin(2)
	g.turn(0)
	if r := g.ends(g.submit(acquiring("token", time.Second, "orders")), Failed); !strings.Contains(r.Err.Error(), `another proxy, instance other, lives under our id "p0"`) {
		t.Errorf("error %v, want the other named", r.Err)
	}
}

func TestACopiedDataFolderIsToldOnceItKeepsHappening(t *testing.T) {
	g := newGroup(t, 1)
	for i := range 10 {
		g.stores[0].book["p0"] = g.signature("p0", 0, func(s *Signature) { s.Nonce += "copied" })
		g.turn(0)
		if (g.core.refused != nil) != (i >= lapsesMost-1) {
			t.Fatalf("refused %v after it signed %d times, want that from the %dth on: once is a crash's late signature", g.core.refused, i+1, lapsesMost)
		}
		if g.core.refused != nil {
			if !strings.Contains(g.core.refused.Error(), "somebody signs its book as instance i0 too, again and again: is a data folder copied?") {
				t.Errorf("error %v, want the copied folder named", g.core.refused)
			}
			return
		}
		for range 3 {
			g.pass(signAgain)
			g.turn(0)
		}
	}
}

// A flush may have taken every word of us from the books while our journal was
// lost: a peer that has not signed again yet still knows.
func TestANewProxyHearsEveryPeerBeforeItSigns(t *testing.T) {
	g := openGroup(t, groupConfig(3), History{Birth: MakeNumber(1000, 1), Limit: MakeNumber(1000, 1)})
	g.connect(0, 1, 2)
	turns := func() {
		for range 3 {
			g.turn(0, 1, 2)
			g.pass(signAgain)
		}
	}
	turns()
	g.stores[1].book["p1"] = g.signature("p1", 1)
	turns()
	if got := g.mine(0).Phase; got != Pending {
		t.Errorf("with p2 not heard yet our line is %q, want it pending", got)
	}
	g.stores[1].book["p2"] = g.signature("p2", 1)
	turns()
	if got := g.mine(0).Phase; got != Signed {
		t.Errorf("with all heard our line is %q, want it signed", got)
	}
}

// The store that told of it was flushed: it is no less true for that.
func TestAnEmptyJournalStaysKnownWhereABookIsBlankAgain(t *testing.T) {
	g := openGroup(t, groupConfig(1), History{Birth: MakeNumber(1000, 1), Limit: MakeNumber(1000, 1)})
	g.sign("p2", 0)
	g.stores[0].book["p1"] = g.signature("p1", 0, func(s *Signature) { s.Seen = seenAs(groupConfig(0), "p0=lost") })
	g.connect(0)
	g.turn(0)
	g.stores[0].simMemory = newMemory()
	for range 4 {
		g.turn(0)
		g.pass(signAgain)
	}
	if s := g.mine(0); s.Phase != "" {
		t.Errorf("the book has %v, want none of ours before all that may have been granted is over", s)
	}
}

func TestAProxyWithAnEmptyJournalIsNewOnlyIfNobodyKnowsIt(t *testing.T) {
	blank := func(*group) {}
	lost := func(s *Signature) { s.Instance = "lost" }
	ofPeer := func(seen ...string) func(g *group) {
		return func(g *group) {
			g.stores[1].book["p1"] = g.signature("p1", 1, func(s *Signature) { s.Seen = seenAs(groupConfig(0), seen...) })
		}
	}
	for _, c := range []struct {
		what   string
		alter  func(g *group)
		stores []int // that can be read, of three
		isNew  bool  // an operator says so
		waits  string
	}{
		{what: "all books are blank", alter: blank, stores: []int{0, 1, 2}},
		{what: "enough books are blank", alter: blank, stores: []int{0, 1}},
		{what: "one book is blank", alter: blank, stores: []int{0},
			waits: "the journal is new, and 1 of 3 books could be read, need 2 to tell whether the id is"},
		{what: "our id in one book", alter: func(g *group) { g.stores[1].book["p0"] = g.signature("p0", 1, lost) }, stores: []int{0, 1},
			waits: `the journal is new, but the book of s1 knows "p0" as instance lost: what that granted ends within 1m1s; say --new if its journal is lost and nobody holds by it`},
		{what: "in a peer's memory", alter: ofPeer("p1=i1", "p0=lost"), stores: []int{0, 1},
			waits: `the journal is new, but peer p1 knows "p0" as instance lost: what that granted ends within 1m1s; say --new if its journal is lost and nobody holds by it`},
		{what: "a peer knows us as we are", alter: ofPeer("p0=i0"), stores: []int{0, 1}},
		{what: "a peer knows that it was forgotten", alter: ofPeer("p0=lost", "-p0=lost"), stores: []int{0, 1}},
		{what: "declared forgotten", alter: func(g *group) {
			g.stores[1].book["p0"] = g.signature("p0", 1, lost, func(s *Signature) { s.Phase = Forgotten })
		}, stores: []int{0, 1}},
		{what: "an operator says new", alter: func(g *group) { g.stores[1].book["p0"] = g.signature("p0", 1, lost) }, stores: []int{0, 1}, isNew: true},
		{what: "an operator says new, of one book", alter: blank, stores: []int{0}, isNew: true},
	} {
		cfg := groupConfig(3)
		cfg.New = c.isNew
		g := openGroup(t, cfg, History{Birth: MakeNumber(1000, 1), Limit: MakeNumber(1000, 1)})
		for _, id := range []string{"p1", "p2"} { // both are there, and about to sign
			g.stores[0].book[id] = g.signature(id, 0, func(s *Signature) { s.Phase = Pending })
		}
		c.alter(g)
		g.connect(c.stores...)
		for range 4 {
			g.turn(c.stores...)
			g.pass(signAgain)
		}
		if got := g.core.stores[2].waits; c.waits != "" && got != c.waits {
			t.Errorf("%s: waits for\n got %s\nwant %s", c.what, got, c.waits)
		}
		if got := g.mine(0).Phase == Signed; got != (c.waits == "") {
			t.Errorf("%s: signed %t, want %t", c.what, got, c.waits == "")
		}
		if c.waits == "" {
			if seen := g.disk[len(g.disk)-1].Seen; !strings.HasPrefix(seen, "p0=i0@") && !strings.HasPrefix(seen, "p1=i1@") {
				t.Errorf("%s: the journal has %+v at last, want that we signed", c.what, g.disk)
			}
			continue
		}
		g.now = g.core.started.Add(g.core.outwait())
		g.turn(c.stores...)
		if g.mine(0).Phase == Signed || g.mine(0).Instance == "i0" {
			t.Errorf("%s: signed before all that may have been granted is over", c.what)
		}
		for range 3 {
			g.pass(signAgain)
			g.turn(c.stores...)
		}
		if g.mine(0).Phase != Signed {
			t.Errorf("%s: not signed once all that may have been granted is over: %v", c.what, g.mine(0))
		}
	}
}

func TestAForgottenPeerIsWaitedForByNobody(t *testing.T) {
	g := newGroup(t, 3)
	for i := range 3 {
		g.stores[i].book["p2"] = g.signature("p2", i, func(s *Signature) { s.Phase = Forgotten })
	}
	g.rest()
	g.happened("p2 was declared forgotten, in three books", "peer.forgotten")
	if seen := g.disk[len(g.disk)-1].Seen; seen != seenAs(groupConfig(0), "-p2=i2")[0] {
		t.Errorf("the journal has %q at last, want p2 forgotten", seen)
	}
	for i := range g.stores {
		g.whole(i, true, "p2 holds nothing")
	}
	// p1 may have been started without it by now, and it may come back as another.
	for _, peers := range [][]string{{"p0"}, {"p0", "p2"}} {
		g.stores[0].book["p1"] = g.signature("p1", 0, func(s *Signature) { s.Peers = peers })
		if g.turn(0); g.core.refused != nil {
			t.Errorf("p1 has the peers %q: %v, want it served with p2 and without", peers, g.core.refused)
		}
	}
	g.stores[0].book["p2"] = g.signature("p2", 0, func(s *Signature) { s.Instance = "another" })
	g.turn(0)
	if p := g.core.peers[1]; g.core.refused != nil || p.forgotten || p.instance != "another" {
		t.Errorf("p2 came back as another instance: %v, %+v, want it known as that", g.core.refused, p)
	}
}

func TestAnOutdatedLineOfAStrangerIsStruck(t *testing.T) {
	g := openGroup(t, groupConfig(1), groupPast())
	g.stores[0].book["p9"] = g.signature("p9", 0, func(s *Signature) { s.Incarnation = "before" })
	line := g.stores[0].book["p9"]
	g.connect(0)
	g.turn(0)
	g.turn(0)
	struck := g.send(0)
	if asks := doing(struck.asks, whyBook); len(asks) != 1 || asks[0].Name != "p9" || asks[0].Was != line || asks[0].Line != "" {
		t.Fatalf("asked for %v, want the line of p9 struck, if that still stands", struck.asks)
	}
	g.land(struck)
	g.turn(0)
	if g.turn(0); g.core.stores[0].phase != Signed || len(g.stores[0].book) != 1 {
		t.Errorf("the book has %v, want it signed by us alone", g.stores[0].book)
	}
}

func TestAStoreIsLeftOnceNobodyIsThereByTheOldList(t *testing.T) {
	moved := Signature{Phase: Moved, Instance: "i0", Config: "other stores"}
	line := func(phase Phase, config string) string {
		return Signature{Phase: phase, Nonce: "n", Instance: "i1", Config: config}.String()
	}
	for _, c := range []struct {
		what string
		book Book
		want bool
	}{
		{"our word alone", Book{"p0": moved.String()}, true},
		{"no word", Book{}, false},
		{"the word of another instance", Book{"p0": line(Moved, "other stores")}, false},
		{"that we moved elsewhere", Book{"p0": Signature{Phase: Moved, Instance: "i0", Config: "yet others"}.String()}, false},
		{"still our signature", Book{"p0": Signature{Phase: Signed, Instance: "i0", Config: "other stores"}.String()}, false},
		{"a peer is still there", Book{"p0": moved.String(), "p1": line(Signed, "these stores")}, false},
		{"a peer withdrew its signature, and may have leases out", Book{"p0": moved.String(), "p1": line(Pending, "these stores")}, false},
		{"a peer moved too", Book{"p0": moved.String(), "p1": line(Moved, "other stores")}, true},
		{"a peer signs by the new list", Book{"p0": moved.String(), "p1": line(Signed, "other stores")}, true},
		{"a peer was declared forgotten", Book{"p0": moved.String(), "p1": line(Forgotten, "these stores")}, true},
		{"somebody's scribble", Book{"p0": moved.String(), "p1": "hello"}, true},
	} {
		if got := Left(c.book, "p0", moved); got != c.want {
			t.Errorf("%s: left %t, want %t", c.what, got, c.want)
		}
	}
	for _, c := range []struct {
		left, stores, need int
		want               bool
	}{{0, 0, 0, true}, {0, 1, 1, false}, {1, 1, 1, true}, {1, 3, 2, false}, {2, 3, 2, true}, {1, 3, 3, true}, {2, 5, 3, false}, {3, 5, 3, true}} {
		if got := MayMove(c.left, c.stores, c.need); got != c.want {
			t.Errorf("%d of %d stores left, %d are a quorum: may move %t, want %t", c.left, c.stores, c.need, got, c.want)
		}
	}
}
