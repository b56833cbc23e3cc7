package quorum

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// ofJournal is a lease of p0 that its journal kept, of the change with this count.
func ofJournal(name, token string, count uint64, ttl time.Duration) Entry {
	l := leaseFor(token, count, ttl)
	l.Name, l.Fence, l.Version = name, MakeNumber(count, 1), MakeNumber(count, 1)
	return Entry{Name: name, Lease: l}
}

func TestASignatureFollowsWhenEveryLeaseIsBack(t *testing.T) {
	past := groupPast(ofJournal("orders", "one", 500, groupTTL), ofJournal("parcels", "two", 501, groupTTL))
	g := openGroup(t, groupConfig(1), past)
	g.connect(0)
	if got := g.core.stores[0].waits; got != "it was not connected to yet" {
		t.Errorf("at first it waits for %q", got)
	}
	if asks := g.chores(0); len(doing(asks, whyBook))+len(doing(asks, whyPutBack)) > 0 {
		t.Fatalf("asked for %v before the book was read, want nothing signed and nothing put back", asks)
	}
	g.land(flight{store: 0, reading: Vote{Verdict: Granted, Book: Book{}}})

	pending := g.send(0)
	if asks := doing(pending.asks, whyBook); len(asks) != 1 || asks[0].Was != "" || asks[0].Only != nil || g.mine(0).Phase != Pending {
		t.Fatalf("asked for %v, want a pending line where there is none", pending.asks)
	}
	if len(doing(pending.asks, whyPutBack)) > 0 {
		t.Error("put back before the pending line stands, which a flush could have taken along")
	}
	g.land(pending)

	back := g.send(0)
	if len(doing(back.asks, whyPutBack)) != 2 || len(doing(back.asks, whyBook)) != 0 {
		t.Fatalf("asked for %v, want both leases put back, and no signature beside them", back.asks)
	}
	g.land(back)
	if got := g.core.stores[0].owing; got != 0 {
		t.Fatalf("%d leases are owed after both were put back, want none", got)
	}

	signed := g.send(0)
	asks := doing(signed.asks, whyBook)
	if len(asks) != 1 || asks[0].Was != pending.asks[len(pending.asks)-1].Line || !slices.Equal(asks[0].Only, []string{"p1", "p2", "p0"}) {
		t.Fatalf("asked for %v, want the signature, only if that very pending line stands and nobody unlisted has signed", signed.asks)
	}
	if s := g.mine(0); s.Phase != Signed || s.Nonce != "n1" || s.Instance != "i0" || s.Incarnation != "first" || s.Config != "these stores" {
		t.Errorf("the book has %v, want the signature of p0", s)
	}
	g.whole(0, false, "nobody read the signature yet")
}

func TestAFlushAtAnyStepOfSigningIsNoticed(t *testing.T) {
	for step := range 7 {
		for _, inside := range []bool{false, true} { // of a batch: before its reading
			what := fmt.Sprintf("flushed in step %d, inside a batch %t", step, inside)
			g := openGroup(t, groupConfig(1), groupPast(ofJournal("orders", "one", 500, groupTTL)))
			g.connect(0)
			flushed := -1
			for turn := range 20 {
				g.sign("p1", 0)
				f := g.carry(0)
				if inside && turn == step {
					g.stores[0].simMemory, flushed = newMemory(), turn
				}
				f.reading = g.stores[0].do(g.now, Request{Action: ReadBook})
				g.land(f)
				if g.core.stores[0].phase == Signed && g.at(0, "orders") != "one" {
					t.Fatalf("%s: in step %d the core counts on a signature, and the lease is not there", what, turn)
				}
				if !inside && turn == step {
					g.stores[0].simMemory, flushed = newMemory(), turn
				}
			}
			if s := g.mine(0); flushed < 0 || s.Phase != Signed || g.at(0, "orders") != "one" || g.core.stores[0].phase != Signed {
				t.Errorf("%s: at the end the book has %v and the lock %q, want it signed over the lease", what, s, g.at(0, "orders"))
			}
		}
	}
}

func TestALostAnswerToASignatureIsNoHarm(t *testing.T) {
	for lost := range 5 {
		g := openGroup(t, groupConfig(1), groupPast(ofJournal("orders", "one", 500, groupTTL)))
		g.connect(0)
		for turn := range 10 {
			f := g.send(0)
			if turn != lost {
				g.land(f)
			} else {
				g.lose(f)
				g.connect(0)
			}
			g.pass(signAgain)
		}
		if g.core.stores[0].phase != Signed || g.mine(0).Phase != Signed || g.at(0, "orders") != "one" {
			t.Errorf("the answers of batch %d were lost: the book has %v, the core believes %q", lost, g.mine(0), g.core.stores[0].phase)
		}
	}
}

func TestWhatAnOlderEpochSaidSaysNothing(t *testing.T) {
	g := newGroup(t, 3)
	g.pass(beatEvery)
	op := g.submit(acquiring("token", time.Second, "orders"))
	late := g.send(0)
	if len(doing(late.asks, whyVote)) != 1 || late.votes[0].Verdict != Granted || len(doing(late.asks, whyBook)) != 1 {
		t.Fatalf("store 0 was asked %v, want a vote and a beat", late.asks)
	}
	g.core.Vanished(g.now, 0, "") // somebody says that it was flushed
	g.happened("flushed", "store.flushed")
	g.land(late)
	g.turn(1)
	g.waits(op, "one store granted, and one in an epoch that is over")
	if w := &g.core.stores[0]; w.phase != "" || w.whole {
		t.Errorf("store 0 is %q, whole %t by a late reading, want it unsigned", w.phase, w.whole)
	}
	g.land(g.send(2))
	g.ends(op, Changed)
}

func TestALateAnswerDoesNotEndTheNextWriting(t *testing.T) {
	g := newGroup(t, 1)
	g.pass(beatEvery)
	late := doing(g.chores(0), whyBook)[0]
	g.core.Vanished(g.now, 0, "")
	g.land(flight{store: 0, reading: Vote{Verdict: Granted, Book: g.stores[0].book}})
	next := doing(g.chores(0), whyBook)
	if len(next) != 1 || next[0].Line == late.Line {
		t.Fatalf("asked for %v, want a line of the new epoch", next)
	}
	g.core.Voted(g.now, late, Vote{Verdict: Granted})
	if !g.core.stores[0].writing {
		t.Error("the answer to a line of an older epoch was taken for that of the one under way")
	}
}

func TestAVoteNeedsAReadingOfTheBook(t *testing.T) {
	g := newGroup(t, 1)
	op := g.submit(acquiring("token", time.Second, "orders"))
	f := g.send(0)
	f.reading = Vote{Err: errLost}
	g.land(f)
	if r := g.ends(op, Failed); !strings.Contains(r.Err.Error(), "its book could not be read: "+errLost.Error()) {
		t.Errorf("error %v, want the book to blame", r.Err)
	}
}

func TestAVoteCountsOnlyWhileTheStoreIsWhole(t *testing.T) {
	for what, spoil := range map[string]func(g *group){
		"our nonce is not there":          func(g *group) { delete(g.stores[0].book, "p0") },
		"a stranger has signed":           func(g *group) { g.stores[0].book["p9"] = g.signature("p9", 0) },
		"a peer's signature is not there": func(g *group) { delete(g.stores[0].book, "p1") },
		"a peer's signature is pending": func(g *group) {
			g.stores[0].book["p1"] = g.signature("p1", 0, func(s *Signature) { s.Phase = Pending })
		},
	} {
		g := newGroup(t, 1) // the same batch brings the vote and the reading
		op := g.submit(acquiring("token", time.Second, "orders"))
		f := g.carry(0)
		spoil(g)
		f.reading = g.stores[0].do(g.now, Request{Action: ReadBook})
		g.sync()
		g.land(f)
		if r, over := g.over(op); over && r.Outcome == Changed {
			t.Errorf("%s when its batch ends, and the vote counts", what)
		}

		g = newGroup(t, 3) // a later batch brings the reading
		op = g.submit(acquiring("token", time.Second, "orders"))
		g.sync()
		g.land(g.send(0))
		spoil(g)
		g.land(g.send(0))
		g.land(g.send(1))
		if r, over := g.over(op); over && r.Outcome == Changed {
			t.Errorf("%s before votes are counted, and the vote counts", what)
		}
	}
}

func TestAVoteOnItsWayDoesNotCountOnceAStrangerWasSeen(t *testing.T) {
	g := newGroup(t, 3)
	op := g.submit(acquiring("token", time.Second, "orders"))
	g.sync()
	g.stores[0].book["p9"] = g.signature("p9", 0)
	under := []flight{g.send(1), g.send(2)}
	g.land(g.send(0))
	g.land(under[0])
	g.land(under[1])
	if r, over := g.over(op); over && r.Outcome == Changed {
		t.Error("granted after a stranger was seen")
	}
}

func TestAVoteAskedForBeforeAStoreCeasedToBeWholeDoesNotCount(t *testing.T) {
	g := newGroup(t, 1)
	op := g.submit(acquiring("token", time.Second, "orders"))
	g.sync()
	late := g.send(0)
	delete(g.stores[0].book, "p1")
	g.turn(0)
	g.whole(0, false, "p1's signature is gone")
	g.sign("p1", 0)
	g.turn(0)
	g.whole(0, true, "p1 signed again")
	late.reading = g.stores[0].do(g.now, Request{Action: ReadBook})
	g.land(late)
	if r, over := g.over(op); over && r.Outcome == Changed {
		t.Error("granted by a vote of before p1 put its leases back")
	}
}

func TestAStoreThatIsNotWholeIsNotAsked(t *testing.T) {
	g := newGroup(t, 3)
	delete(g.stores[2].book, "p1")
	g.turn(2)
	g.whole(2, false, "p1's signature is gone")
	op := g.submit(acquiring("token", time.Second, "orders"))
	if len(g.asked[0]) != 1 || len(g.asked[1]) != 1 || len(g.asked[2]) != 0 {
		t.Errorf("asked %d, %d and %d, want only the first two", len(g.asked[0]), len(g.asked[1]), len(g.asked[2]))
	}
	g.rest()
	g.ends(op, Changed)

	delete(g.stores[1].book, "p1")
	g.turn(1)
	op = g.submit(acquiring("token", time.Second, "parcels"))
	if r := g.ends(op, Failed); !strings.Contains(r.Err.Error(), "s1: its vote does not count: peer p1 has not signed") {
		t.Errorf("error %v, want it to say why the vote of s1 does not count", r.Err)
	}
}

func TestWhatAStoreWaitsFor(t *testing.T) {
	for _, c := range []struct {
		what  string
		alter func(g *group) // before the last reading, with p0 signed and p1, p2 believed
		want  string
	}{
		{what: "all signed", want: ""},
		{what: "p1 is not there", alter: func(g *group) { delete(g.stores[0].book, "p1") },
			want: "peer p1 has not signed; if it is dead, its last lease ends in 1m1s"},
		{what: "p2 is only pending", alter: func(g *group) {
			g.stores[0].book["p2"] = g.signature("p2", 0, func(s *Signature) { s.Phase = Pending })
		}, want: "peer p2 has not signed; if it is dead, its last lease ends in 1m1s"},
		{what: "p2 signed in an earlier incarnation", alter: func(g *group) {
			g.stores[0].book["p2"] = g.signature("p2", 0, func(s *Signature) { s.Incarnation = "before" })
		}, want: "peer p2 has not signed; if it is dead, its last lease ends in 1m1s"},
		{what: "p2 noticed a jump that we did not", alter: func(g *group) {
			g.stores[0].book["p2"] = g.signature("p2", 0, func(s *Signature) { s.Incarnation = "first/j3" })
		}, want: ""},
		{what: "our line is gone", alter: func(g *group) { delete(g.stores[0].book, "p0") }, want: "our signature is not there yet"},
		{what: "a stranger", alter: func(g *group) { g.stores[0].book["p9"] = g.signature("p9", 0) }, want: "a stranger signed a book"},
		{what: "p1 was declared forgotten", alter: func(g *group) {
			g.stores[0].book["p1"] = g.signature("p1", 0, func(s *Signature) { s.Phase = Forgotten })
		}, want: ""},
	} {
		g := newGroup(t, 1)
		if c.alter != nil {
			c.alter(g)
		}
		g.turn(0)
		if w := &g.core.stores[0]; w.waits != c.want || w.whole != (c.want == "") {
			t.Errorf("%s: whole %t, waits for %q, want %q", c.what, w.whole, w.waits, c.want)
		}
	}
}

// A store was restarted, and the peers were there again before us: what they signed
// says nothing of what its clock did until we came.
func TestAPeerThatSignedARestartedStoreBeforeWeCameMustMoveTwice(t *testing.T) {
	g := newGroup(t, 1)
	g.core.Down(0, errLost)
	g.pass(time.Second)
	g.lives[0], g.stores[0].simMemory = "second", newMemory()
	g.sign("p1", 0)
	g.sign("p2", 0)
	g.connect(0)
	for range 5 {
		g.turn(0)
		g.pass(signAgain)
	}
	g.whole(0, false, "their signatures are new to us, and older than our connection")
	g.beat(0)
	g.turn(0)
	g.beat(0)
	g.turn(0)
	g.whole(0, true, "two beats")
}

func TestAPeerThatSignedBeforeWeCameMustMoveTwice(t *testing.T) {
	g := openGroup(t, groupConfig(1), groupPast())
	g.sign("p1", 0)
	g.sign("p2", 0)
	g.connect(0)
	for range 5 {
		g.turn(0)
	}
	f := g.send(0)
	g.pass(time.Hour) // which proves nothing of the living, if that was said before
	g.land(f)
	if w := &g.core.stores[0]; w.phase != Signed || w.waits != "peer p1 signed before we came: its beat must move; if it is dead, its last lease ends in 0s" {
		t.Fatalf("%q, waits for %q, want p1's beat waited for", w.phase, w.waits)
	}
	g.beat(0)
	g.turn(0)
	g.whole(0, false, "one beat may have been on its way")
	g.beat(0)
	g.turn(0)
	g.whole(0, true, "two beats")

	g = openGroup(t, groupConfig(1), groupPast())
	g.sign("p1", 0)
	g.sign("p2", 0)
	g.connect(0)
	for range 5 {
		g.turn(0)
	}
	g.now++
	g.sign("p1", 0)
	g.sign("p2", 0)
	g.turn(0)
	g.whole(0, true, "they signed anew, while we looked")
}

func TestAJumpOfTheClockTearsTheBook(t *testing.T) {
	g := newGroup(t, 1)
	g.holds("orders", "token", groupTTL)
	before := g.mine(0).Nonce
	g.lives[0] = "first/j1"
	g.connect(0)
	g.happened("a jump", "store.clock_jump")
	g.whole(0, false, "its copies may have run out early")
	lost := g.send(0)
	if asks := doing(lost.asks, whyBook); len(asks) != 1 || asks[0].Action != Tear || len(g.stores[0].book) != 0 {
		t.Fatalf("asked for %v, want the whole book torn", lost.asks)
	}
	g.lose(lost)
	g.sign("p1", 0) // who may not have noticed yet
	g.connect(0)
	g.pass(signAgain)
	g.turn(0)
	if len(g.stores[0].book) != 0 {
		t.Errorf("the book has %v after an answer was lost, want it torn again", g.stores[0].book)
	}
	g.pass(signAgain)
	for range 4 {
		g.turn(0)
	}
	if s := g.mine(0); s.Phase != Signed || s.Nonce == before || s.Incarnation != "first" {
		t.Errorf("the book has %v, want it signed anew, for the same process", s)
	}
	g.sign("p1", 0)
	g.sign("p2", 0)
	g.turn(0)
	g.whole(0, true, "all have signed the new book")
}
