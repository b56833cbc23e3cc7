package quorum

import (
	"strings"
	"testing"
	"time"
)

// show returns one store's answer: a or b are leases of peers, A a later version
// of a, d and e tokens of those who lock directly, ? something opaque, g a lease
// that ended as a notice says, . none, s silence and _ no answer yet.
func show(letter rune, when Time) answer {
	a := peersLease("a", 2000)
	copies := map[rune]*Copy{
		'a': a, 'A': {Value: a.Value, Fence: a.Fence, Version: MakeNumber(2010, 3)}, 'b': peersLease("b", 2020),
		'd': foreignCopy("d"), 'e': foreignCopy("e"), '?': {Opaque: true}, 'g': peersLease("g", 1900),
	}
	switch letter {
	case '_':
		return answer{}
	case 's':
		return answer{in: true, err: errLost}
	}
	shown := answer{in: true, copy: copies[letter], left: 10 * time.Second, when: when}
	if letter == 'g' {
		shown.gone = showGone
	}
	return shown
}

const showGone = Number(1900<<authorBits | 2) // the notice of g

func showAll(letters string, when Time) (answers []answer) {
	for _, letter := range letters {
		answers = append(answers, show(letter, when))
	}
	return answers
}

// shownText says what the stores show: a version, "free", "changing" or "error".
func shownText(lease *Lease, plain bool, err error) string {
	switch {
	case err != nil:
		return "error"
	case !plain:
		return "changing"
	case lease == nil:
		return "free"
	case lease.Opaque:
		return "?"
	case lease.Version.Author() == 3:
		return "A"
	}
	return string(lease.Value)
}

func TestWhatTheStoresShow(t *testing.T) {
	for _, c := range []struct{ answers, want string }{
		{"...", "free"},
		{"..s", "free"},
		{".ss", "error"},
		{"sss", "error"},
		{"ass", "error"}, // they may have another lease of which nothing is to be seen
		{"aaa", "a"},
		{"aa.", "a"},
		{"a.s", "a"}, // silence may have it
		{"a..", "free"},
		{"ab.", "changing"}, // some of it may be put back for a lease that has a quorum
		{"abs", "changing"},
		{"aab", "a"},
		{"aas", "a"},
		{"aaA", "a"}, // one lease: an extension under way, or undone
		{"aAA", "A"},
		{"aA.", "A"},
		{"A.s", "A"},
		{"ggg", "free"}, // a notice says that it ended
		{"gg.", "free"},
		{"agg", "free"},
		{"ags", "a"},
		{"gss", "error"},
		{"dd.", "d"},
		{"d.s", "d"},
		{"d..", "free"},
		{"de.", "free"}, // those who lock directly undo by themselves
		{"des", "changing"},
		{"ad.", "free"},
		{"aad", "a"},
		{"??.", "?"},
		{"aabb.", "changing"},
		{"aab..", "changing"},
		{"aa...", "free"},
		{"ab...", "free"},
		{"ab..s", "changing"},
		{"aas..", "a"},
		{"aabss", "changing"},
		{"a.ss.", "a"},
		{"aAb..", "changing"},
		{"aAA..", "A"},
		{"aAd..", "free"},
		{"...ss", "free"},
		{"..sss", "error"},
		{"a", "a"},
		{".", "free"},
		{"s", "error"},
	} {
		g := openGroup(t, groupConfig(len(c.answers)), groupPast())
		if got := shownText(g.core.shown(g.now, "orders", showGone, showAll(c.answers, g.now))); got != c.want {
			t.Errorf("the stores answer %s: %s, want %s", c.answers, got, c.want)
		}
	}
}

func TestAReadingEndsWhenNoAnswerMatters(t *testing.T) {
	for answers, want := range map[string]bool{
		"___": false, "a__": false, "aa_": true, "aA_": false, "ab_": false, "a._": false, ".__": false, ".._": true,
		"s._": false, "sa_": false, "aab": true, "abs": true, "sss": true,
		"..___": false, "...__": true, "aa___": false, "aaa__": true, "aaA__": false, "a.b._": false,
	} {
		g := openGroup(t, groupConfig(len(answers)), groupPast())
		if got := g.core.settled(showAll(answers, g.now)); got != want {
			t.Errorf("the answers %s say it all: %t, want %t", answers, got, want)
		}
	}
}

func TestAPeersLeaseIsShownForTheTimeThatAQuorumGuarantees(t *testing.T) {
	g := openGroup(t, groupConfig(3), groupPast())
	answers := showAll("aaa", g.now)
	for i, left := range []time.Duration{30 * time.Second, 10 * time.Second, 20 * time.Second} {
		answers[i].left = left
	}
	g.now = g.now.Add(time.Second)
	lease, _, _ := g.core.shown(g.now, "orders", 0, answers)
	sure, last := 19*time.Second, 29*time.Second
	sure, last = undrifted(sure), undrifted(last) // the rest the stores were given on top
	if lease.TTL != sure || lease.Ends() != g.now.Add(sure) || Until(g.now, sure) > g.now.Add(19*time.Second) || Until(g.now, sure) < g.now.Add(19*time.Second-10) || !lease.Foreign {
		t.Errorf("shown %+v, want %v", lease, sure)
	}
	if want := Until(g.now, last+Drift(last)); lease.latest() != want {
		t.Errorf("its last copy is over after %v, want %v", lease.latest().Sub(g.now), want.Sub(g.now))
	}
}

func TestWhatIsFoundBesideALeaseOfOurs(t *testing.T) {
	for _, c := range []struct {
		what    string
		answers string // o is ours, x a later version of it
		gone    bool   // a notice says that ours ended
		want    string
		told    string
	}{
		{"as it should be", "ooo", false, "ours", ""},
		{"its copies vanished", "...", false, "ours", ""},
		{"nobody can tell", "sss", false, "error", ""},
		{"a minority of another", "ob.", false, "ours", ""},
		{"a change of it that may be won or lost", "obs", false, "ours", ""},
		{"a newer one has a quorum", "bb.", false, "b", "lease.lost"},
		{"a newer one may have one, and ours does not", "b.s", false, "b", "lease.lost"},
		{"a newer one may have one, and so may ours", "bos", false, "ours", ""},
		{"an older one", "aa.", false, "ours", ""},
		{"a peer's extension that may not be granted", "oxs", false, "ours", ""},
		{"a peer's extension that was granted", "xx.", false, "extended", ""},
		{"released through a peer", "...", true, "free", ""},
		{"released through a peer, or extended while it was read", "oo.", true, "changing", ""},
		{"released through a peer, and taken", "bbo", true, "b", ""},
	} {
		g := newGroup(t, 3)
		g.core.count = 2010 // a is older than ours, and b newer
		op := g.submit(acquiring("ours", groupTTL/2, "orders"))
		g.rest()
		ours := g.ends(op, Changed).Leases[0]
		answers := showAll(strings.NewReplacer("o", ".", "x", ".").Replace(c.answers), g.now)
		for i, letter := range c.answers {
			switch letter {
			case 'o':
				answers[i].copy = ours.Copy()
			case 'x':
				answers[i].copy = &Copy{Value: []byte("extended"), Fence: ours.Fence, Version: MakeNumber(5000, 2)}
			}
		}
		gone := Number(0)
		if c.gone {
			gone = ours.Version
		}
		g.core.events = nil
		if got := shownText(g.core.found(g.now, "orders", gone, answers)); got != c.want {
			t.Errorf("%s: found %s, want %s", c.what, got, c.want)
		}
		if len(g.core.events) > 0 != (c.told != "") || c.told != "" && g.core.events[0].Kind != c.told {
			t.Errorf("%s: told %v, want %q", c.what, g.core.events, c.told)
		}
		if s := g.core.slots["orders"]; (s != nil && s.lease != nil) == c.gone {
			t.Errorf("%s: in the table %t, want %t", c.what, !c.gone, c.gone)
		}
	}
}

// A change through a peer that a quorum granted, and of which one store knows
// nothing yet and another can't tell: whoever holds now is not told otherwise. It
// may be a hand-over, or one who shares the lock came in: then the lease is the
// same, and its value another.
func TestWhoeverMayHoldIsNotTurnedAwayForASilentStore(t *testing.T) {
	for what, c := range map[string]struct {
		taken, shared bool
		want          Outcome
	}{
		"a hand-over was granted":                 {taken: true, want: Changed},
		"it was not":                              {want: Unchanged},
		"one more of those who share was granted": {taken: true, shared: true, want: Changed},
		"one more was not":                        {shared: true, want: Unchanged},
	} {
		g := newGroup(t, 3)
		lease := g.holds("orders", "old", groupTTL/2)
		number := MakeNumber(lease.Version.Count()+100, 2)
		next := &Copy{Value: []byte("new"), Fence: number, Version: number}
		if c.shared {
			next.Fence = lease.Fence
		}
		g.place("orders", next, groupTTL/2, 1)
		op := g.submit(extending("orders", "new", groupTTL/2))
		g.turn(0, 1)
		f := g.send(2) // it acts, and its answer is lost
		g.lose(f)
		if c.taken {
			g.place("orders", next, groupTTL/2, 0, 2)
		} else {
			g.place("orders", lease.Copy(), groupTTL/2, 1)
		}
		g.connect(2)
		g.rest()
		if r := g.result(op); r.Outcome != c.want {
			t.Errorf("%s: who holds by it and extends is told %v (%v), want %v", what, r.Outcome, r.Err, c.want)
		}
	}
}

// The other way round: what was found is the newer one, and may be undone.
func TestWhoeverMayStillHoldIsNotTurnedAwayForAChangeUnderWay(t *testing.T) {
	g := newGroup(t, 3)
	before := peersLease("both", 5000)
	after := &Copy{Value: []byte("one"), Fence: before.Fence, Version: MakeNumber(5001, 2)}
	g.place("orders", before, time.Minute, 0, 1, 2)
	g.place("orders", after, time.Minute, 0)
	op := g.submit(extending("orders", "both", groupTTL/2))
	g.turn(0, 1)
	g.lose(g.send(2))
	g.place("orders", before, time.Minute, 0) // it is undone
	g.connect(2)
	g.rest()
	if r := g.result(op); r.Outcome != Changed {
		t.Errorf("who holds and extends is told %v (%v), want it extended", r.Outcome, r.Err)
	}
}

func TestAPutBackHeedsTheNotice(t *testing.T) {
	g := newGroup(t, 3)
	lease := g.holds("orders", "token", groupTTL/2)
	for i := range 3 {
		g.stores[i].do(g.now, Request{Name: "orders", Prev: lease.Copy(), Gone: groupTTL})
	}
	g.core.Vanished(g.now, 0, "orders") // the store tells of it
	f := g.send(0)
	back := doing(f.asks, whyRestore)
	if len(back) != 1 || !back[0].Heed || g.at(0, "orders") != "" {
		t.Fatalf("store 0 was asked %v, and has %q, want a put-back that heeds the notice", f.asks, g.at(0, "orders"))
	}
	g.land(f)
	if s := g.core.slots["orders"]; s != nil {
		t.Errorf("the table has %+v, want it dropped: a peer's client let it go", s.lease)
	}
	g.sync()
	if e := g.onDisk("orders"); e.Lease != nil {
		t.Errorf("the journal has %+v, want the lock free", e.Lease)
	}
	g.turn(1, 2)
	g.rest()
	if g.at(0, "orders")+g.at(1, "orders")+g.at(2, "orders") != "" {
		t.Error("what was let go is back in a store")
	}
}

func TestANewerCopySomewhereDoesNotEndALease(t *testing.T) {
	g := newGroup(t, 3)
	lease := g.holds("orders", "token", groupTTL/2)
	g.place("orders", peersLease("other", lease.Version.Count()+100), groupTTL, 0) // of a change that was not granted
	g.pass(auditEvery)
	g.rest()
	op := g.submit(looking("orders", func(l *Lease) {
		if l != lease {
			t.Errorf("shown %+v, want our lease", l)
		}
	}))
	g.rest()
	g.ends(op, Unchanged)
	if s := g.core.slots["orders"]; s == nil || s.lease != lease {
		t.Error("the lease left the table by the word of one store, and nobody looks after it")
	}
}

func TestAReleaseLeavesTheNoticeFirstAndNeedsAQuorum(t *testing.T) {
	g := newGroup(t, 3)
	lease := g.holds("orders", "token", groupTTL/2)
	g.pass(10 * time.Second)
	op := g.submit(releasing("orders", "token"))
	for i := range 3 {
		ask := g.asked[i][0]
		if !ask.Prev.Equal(lease.Copy()) || ask.Next != nil || !ask.OrNone || ask.Gone != lease.Until.Sub(g.now) {
			t.Errorf("store %d is asked %s with a notice for %v, want one for as long as any copy may be there, %v", i, showAsk(ask), ask.Gone, lease.Until.Sub(g.now))
		}
	}
	g.turn(0)
	g.waits(op, "one of three stores knows")
	if e := g.onDisk("orders"); e.Lease == nil {
		t.Error("the journal has let it go before a quorum has")
	}
	g.turn(1)
	if r := g.ends(op, Changed); r.Leases[0] != nil || r.Validity != 0 {
		t.Errorf("a release leaves %+v", r)
	}
	g.sync()
	if e := g.onDisk("orders"); e.Lease != nil {
		t.Errorf("the journal has %+v, want the lock free", e.Lease)
	}
	for i := range 2 {
		if g.at(i, "orders") != "" || g.stores[i].ended(g.now, "orders") != lease.Version {
			t.Errorf("store %d has the copy %q and the notice %v, want the notice only", i, g.at(i, "orders"), g.stores[i].ended(g.now, "orders"))
		}
	}
}

func TestAReleaseThatNoQuorumConfirmedIsLetGoAllTheSame(t *testing.T) {
	g := newGroup(t, 3)
	lease := g.holds("orders", "token", groupTTL/2)
	op := g.submit(releasing("orders", "token"))
	g.turn(0)
	g.mute(1, 2)
	g.ends(op, Failed)
	if s := g.core.slots["orders"]; s != nil && s.lease != nil {
		t.Errorf("the table has %+v, and its holder has let go", s.lease)
	}
	g.sync()
	if e := g.onDisk("orders"); e.Lease != nil {
		t.Errorf("the journal has %+v, want the lock free", e.Lease)
	}
	for i := 1; i < 3; i++ {
		if ask := g.asked[i][0]; !ask.Prev.Equal(lease.Copy()) || ask.Next != nil || ask.Gone == 0 {
			t.Errorf("store %d is asked %s, want the notice and the copy taken out", i, showAsk(ask))
		}
	}
	g.mute(1, 2) // again: it is a debt from now on, with its notice
	g.pass(retryAfter)
	g.rest()
	for i := range 3 {
		if g.at(i, "orders") != "" || g.stores[i].ended(g.now, "orders") != lease.Version {
			t.Errorf("store %d has the copy %q and the notice %v, want the notice only", i, g.at(i, "orders"), g.stores[i].ended(g.now, "orders"))
		}
	}
}

func TestWhatEndsALeaseIsAnnounced(t *testing.T) {
	ours := func(g *group) { g.holds("orders", "token", groupTTL/2) }
	theirs := func(g *group) { g.peerHolds("token", groupTTL/2) }
	for _, c := range []struct {
		what string
		held func(g *group)
		op   *Op
		want bool
	}{
		{"a hand-over for less", ours, handingOver("orders", "token", "next", time.Second), true},
		{"a hand-over for longer", ours, handingOver("orders", "token", "next", groupTTL), true},
		{"an extension", ours, extending("orders", "token", groupTTL), false},
		{"a shortening", ours, extending("orders", "token", time.Second), true},
		{"a hand-over of a peer's", theirs, seeing(handingOver("orders", "token", "next", groupTTL)), true},
		{"an extension of a peer's, who may not know of it", theirs, seeing(extending("orders", "token", groupTTL)), true},
	} {
		g := newGroup(t, 3)
		c.held(g)
		before := g.stores[0].get(g.now, "orders")
		g.submit(c.op)
		g.rest()
		after := g.ends(c.op, Changed).Leases[0]
		for i := range g.stores {
			if got := g.stores[i].ended(g.now, "orders"); got != 0 != c.want || c.want && got != before.Version {
				t.Errorf("%s: store %d has the notice %v, want %t", c.what, i, got, c.want)
			}
			if now := g.stores[i].get(g.now, "orders"); !now.Equal(after.Copy()) {
				t.Errorf("%s: store %d has %s, want what took its place", c.what, i, showCopy(now))
			}
		}
	}
}
