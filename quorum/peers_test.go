package quorum

import (
	"errors"
	"testing"
	"time"
)

func TestALeaseIsAskedForAsPeersNeedIt(t *testing.T) {
	g := newGroup(t, 3)
	op := g.submit(acquiring("token", 10*time.Second, "orders"))
	if len(g.written) != 1 || !g.written[0].sync || !g.written[0].Entries[0].Pending {
		t.Errorf("the journal is asked for %+v beside the votes, want one pending lease, synced", g.written)
	}
	for i := range 3 {
		// By a fast clock of the store it must last for the whole TTL: nobody's table denies beyond it.
		if ask := g.asked[i][0]; ask.TTL != 10*time.Second+Drift(10*time.Second) || ask.OrNone || !ask.Mark || ask.Next.Version.Author() != 1 {
			t.Errorf("store %d is asked %s, mark %t, want a strict swap for the TTL and the drift", i, showAsk(ask), ask.Mark)
		}
	}
	g.turn(0, 1)
	g.ends(op, Changed)
}

func TestTheJournalIsFirstWhereALeaseIsReplaced(t *testing.T) {
	for what, c := range map[string]struct {
		held func(g *group)
		op   *Op
	}{
		"an extension of ours":     {func(g *group) { g.holds("orders", "token", groupTTL/2) }, extending("orders", "token", groupTTL)},
		"a hand-over of ours":      {func(g *group) { g.holds("orders", "token", groupTTL/2) }, handingOver("orders", "token", "next", groupTTL)},
		"an extension of a peer's": {func(g *group) { g.peerHolds("token", groupTTL/2) }, seeing(extending("orders", "token", groupTTL))},
		"a hand-over of a peer's":  {func(g *group) { g.peerHolds("token", groupTTL/2) }, seeing(handingOver("orders", "token", "next", groupTTL))},
	} {
		g := newGroup(t, 3)
		c.held(g)
		g.submit(c.op)
		for i := range g.stores { // those of peers are looked for first
			g.land(g.send(i))
		}
		g.waits(c.op, what)
		g.quiet(what + ", and the journal does not know")
		if len(g.written) == 0 {
			t.Fatalf("%s: the journal is asked for nothing", what)
		}
		last := g.written[len(g.written)-1]
		if e := last.Entries[0]; !last.sync || !e.Pending || e.Replaced == nil || string(e.Replaced.Value) != "token" || e.Replaced.Foreign {
			t.Errorf("%s: the journal is asked for %+v, want a pending lease and what it replaces, synced", what, e)
		}
		g.sync()
		if vote := g.asked[0][0]; len(g.asked[0]) != 1 || !vote.Mark || vote.OrNone || string(vote.Prev.Value) != "token" {
			t.Errorf("%s: store 0 is asked %s once the journal knows, want exactly what was read replaced", what, showAsk(vote))
		}
		g.rest()
		g.ends(c.op, Changed)
	}
}

func TestAFailedChangeOfAPeersLeaseMakesItOursToLookAfter(t *testing.T) {
	for _, touched := range []bool{true, false} {
		g := newGroup(t, 1)
		g.peerHolds("token", groupTTL/2)
		op := g.submit(seeing(handingOver("orders", "token", "next", groupTTL)))
		g.turn(0) // the look
		vote := g.next(0)
		if touched {
			g.stores[0].do(g.now, vote.Request)
		}
		g.core.Voted(g.now, vote, Vote{Err: errLost, Unsent: !touched})
		if touched {
			g.waits(op, "the journal does not know that it failed")
			last := g.written[len(g.written)-1]
			if e := last.Entries[0]; !last.sync || !e.Pending || e.Lease == nil || string(e.Lease.Value) != "token" || e.Lease.Foreign {
				t.Errorf("the journal is asked for %+v, want the peer's lease as one of ours, in doubt, synced", e)
			}
		}
		g.sync()
		g.ends(op, Failed)
		s := g.core.slots["orders"]
		if adopted := s != nil && s.lease != nil; adopted != touched {
			t.Fatalf("a store may have acted %t: the table has the peer's lease %t", touched, adopted)
		}
		g.rest()
		if touched && (!s.unsure || string(s.lease.Value) != "token" || s.lease.Foreign || s.lease.Until < g.now.Add(groupTTL/2-time.Second)) {
			t.Errorf("the table has %+v, unsure %t, want the peer's lease, until its last copy is over", s.lease, s.unsure)
		}
		for i := range g.stores {
			if g.at(i, "orders") != "token" {
				t.Errorf("store %d has %q, want the peer's copy", i, g.at(i, "orders"))
			}
		}
	}
}

// What was only tried on the strength of one store's copy does not take the place of
// the lease that we know was granted.
func TestAFailedChangeOfWhatWasSeenLeavesOurLease(t *testing.T) {
	g := newGroup(t, 3)
	ours := g.holds("orders", "one", groupTTL/2)
	seen := &Copy{Value: []byte("two"), Fence: ours.Fence, Version: MakeNumber(ours.Version.Count()+10, 2)}
	g.place("orders", seen, groupTTL/2, 0)
	op := g.submit(extending("orders", "two", groupTTL))
	g.turn(0, 2)
	g.mute(1) // the look
	g.sync()
	g.turn(0, 2)
	if g.stores[0].get(g.now, "orders").Equal(seen) {
		t.Fatal("store 0 still has what was seen, want the change")
	}
	g.mute(1)
	g.sync()
	g.turn(0, 2)
	g.ends(op, Failed)
	if s := g.core.slots["orders"]; s.lease.Version != ours.Version || s.unsure {
		t.Errorf("the table has %v, unsure %t, want %v for sure", s.lease.Version, s.unsure, ours.Version)
	}
	if !g.stores[0].get(g.now, "orders").Equal(seen) {
		t.Error("store 0 has not what it had")
	}
}

// Its holder counts on the whole TTL, and no table but its own proxy's denies by it.
func TestAPeersLeaseIsPutBackForAsLongAsItWasThere(t *testing.T) {
	g := newGroup(t, 3)
	g.peerHolds("token", groupTTL/2)
	_, ends := g.stores[0].find(g.now, "orders")
	op := g.submit(seeing(handingOver("orders", "token", "next", groupTTL)))
	g.turn(g.each()...) // the look
	lost := func(stores ...int) {
		for _, i := range stores {
			ask := g.next(i)
			g.stores[i].do(g.now, ask.Request)
			g.core.Voted(g.now, ask, Vote{Err: errLost})
		}
	}
	lost(0, 1, 2)
	g.sync()
	g.ends(op, Failed)
	g.core.Voted(g.now, g.next(2), Vote{Err: errLost}) // the undo never arrives there
	g.turn(0, 1)
	g.now = g.now.Add(time.Second)
	g.rest()
	for i := range g.stores {
		if _, until := g.stores[i].find(g.now, "orders"); g.at(i, "orders") != "token" || until < ends.Add(-time.Millisecond) {
			t.Errorf("store %d has %q for another %v, want the peer's copy for %v as before", i, g.at(i, "orders"), until.Sub(g.now), ends.Sub(g.now))
		}
	}
}

func TestWhatWasReadAndNotChangedIsCheckedToo(t *testing.T) {
	g := newGroup(t, 3)
	g.holds("guard", "token", groupTTL/2)
	guarded := func(name string) *Op {
		return seeing(&Op{Names: []string{"guard", name, "unread"}, Decide: func(v *View) Plan {
			if guard, _ := v.Lease("guard"); guard == nil {
				return Plan{}
			}
			prev, _ := v.Lease(name)
			return Plan{Parts: []Part{{Prev: prev, Name: name, Value: []byte("mine"), TTL: time.Second}}}
		}})
	}
	op := g.submit(guarded("orders"))
	g.turn(0, 1, 2) // the look
	g.sync()
	asks := g.asked[0]
	if len(asks) != 2 || asks[1].Action != Check || asks[1].Name != "guard" || string(asks[1].Prev.Value) != "token" {
		t.Fatalf("store 0 is asked %v, want the change and a check of what was read besides", asks)
	}
	g.rest()
	if r := g.ends(op, Changed); len(r.Leases) != 1 {
		t.Errorf("%d leases, want the one that was asked for", len(r.Leases))
	}
	if string(g.core.slots["guard"].lease.Value) != "token" {
		t.Error("a check changed what it checked")
	}

	op = g.submit(guarded("parcels"))
	g.turn(0, 1, 2)
	for i := range 3 { // and before the votes are in, a peer's client lets the guard go
		g.stores[i].do(g.now, Request{Name: "guard", Prev: g.stores[i].get(g.now, "guard"), Gone: groupTTL})
	}
	g.rest()
	g.ends(op, Unchanged)

	op = g.submit(seeing(&Op{Names: []string{"guard", "letters"}, Decide: func(v *View) Plan {
		if guard, _ := v.Lease("guard"); guard != nil {
			return Plan{}
		}
		return Plan{Parts: []Part{{Name: "letters", Value: []byte("mine"), TTL: time.Second}}}
	}}))
	g.turn(0, 1, 2)
	g.place("guard", peersLease("theirs", 6000), groupTTL/2, 0, 1, 2) // and before the votes are in, it is taken
	g.rest()
	g.ends(op, Unchanged) // the lock that it asked for is free: that is not held
}

func TestAVoteInDoubtIsAskedForAgain(t *testing.T) {
	for what, deleted := range map[string]bool{"deleted": true, "still there": false} {
		g := newGroup(t, 3)
		op := g.submit(acquiring("token", groupTTL/2, "orders"))
		g.land(g.send(0))
		if deleted {
			delete(g.stores[0].copies, "orders")
		}
		g.core.Vanished(g.now, 0, "orders")
		g.sync()
		g.turn(1)
		g.waits(op, what+": a store's vote is in doubt, and one is no quorum")
		ask := g.asked[0][0]
		if ask.Action != Check || string(ask.Prev.Value) != "token" {
			t.Errorf("%s: store 0 is asked %s, want whether the copy is there", what, showAsk(ask))
		}
		g.turn(0)
		if _, over := g.over(op); over == deleted {
			t.Errorf("%s: decided %t", what, over)
		}
		g.mute(2)
		if want := map[bool]Outcome{true: Failed, false: Changed}[deleted]; g.ends(op, want).Outcome == Failed &&
			!errors.Is(g.result(op).Err, ErrNoQuorum) {
			t.Errorf("%s: error %v, want no quorum", what, g.result(op).Err)
		}
	}
}

func TestALockThatSomebodyTookMeanwhileIsHeld(t *testing.T) {
	g := newGroup(t, 3)
	op := g.submit(acquiring("token", time.Second, "orders"))
	g.peerHolds("theirs", groupTTL/2)
	g.rest()
	g.ends(op, Held)
	op = g.submit(seeing(handingOver("orders", "theirs", "next", groupTTL/2)))
	g.turn(0, 1, 2)
	g.place("orders", peersLease("later", 6000), groupTTL/2, 0, 1, 2)
	g.rest()
	g.ends(op, Unchanged) // it looked again, and is not the holder
	for i := range g.stores {
		if g.at(i, "orders") != "later" {
			t.Errorf("store %d has %q, want the copy of whoever holds it", i, g.at(i, "orders"))
		}
	}
}

func TestAnOpThatWasRefusedLooksIntoTheStoresBeforeItTriesAgain(t *testing.T) {
	for what, op := range map[string]*Op{
		"an extension": extending("orders", "token", groupTTL/2),
		"a release":    releasing("orders", "token"),
	} {
		g := newGroup(t, 3)
		before := g.holds("orders", "token", groupTTL/2).Copy()
		for _, s := range g.stores { // a client has it handed over through a peer
			s.do(g.now, Request{Name: "orders", Prev: before, Next: peersLease("next", 5000), TTL: groupTTL / 2, Mark: true})
			s.do(g.now, Request{Name: "orders", Prev: before, OrNone: true, Gone: groupTTL})
		}
		g.submit(op)
		for range 4 {
			g.turn(0, 1, 2)
		}
		g.ends(op, Unchanged) // the token is not its holder's any more
		for i := range g.stores {
			if g.at(i, "orders") != "next" {
				t.Errorf("%s: store %d has %q, want the copy of the next holder", what, i, g.at(i, "orders"))
			}
		}
	}
}

func TestOnlyTheVeryLeftoverThatWasSeenIsReplaced(t *testing.T) {
	g := newGroup(t, 3)
	left := &Copy{Value: []byte("left"), Fence: MakeNumber(1000, 1), Version: MakeNumber(1000, 1)}
	g.core.births = left.Version
	g.place("orders", left, groupTTL, 0)
	op := g.submit(acquiring("token", time.Second, "orders"))
	g.land(g.send(0))
	again := doing(g.asked[0], whyVote)
	if len(again) != 1 || !again[0].Prev.Equal(left) || again[0].OrNone || !again[0].Mark {
		t.Fatalf("store 0 is asked %v, want what was left there replaced, and nothing else", g.asked[0])
	}
	g.rest()
	g.ends(op, Changed)
}

// What is left of a change that failed may be in the place of a lease that a peer
// holds: the store's vote was for that.
func TestALeftoverThatMayHideAPeersLeaseStays(t *testing.T) {
	g := newGroup(t, 3)
	g.holds("parcels", "token", groupTTL/2) // a number to leave behind
	left := &Copy{Value: []byte("left"), Fence: peersLease("", 900).Fence, Version: MakeNumber(g.core.count, 1)}
	g.place("orders", left, groupTTL/2, 0, 1)
	for _, op := range []*Op{acquiring("token", time.Second, "orders"), seeing(acquiring("token", time.Second, "orders"))} {
		g.submit(op)
		g.rest()
		if r := g.result(op); r.Outcome == Changed {
			t.Errorf("it was granted, though a peer's lease may have had that quorum")
		}
		for i := range 2 {
			if got := g.at(i, "orders"); got != "left" {
				t.Errorf("store %d has %q, want that the leftover stays", i, got)
			}
		}
	}
}

func TestALeftoverThatIsOlderThanOurLeaseGoes(t *testing.T) {
	g := newGroup(t, 3)
	g.holds("orders", "token", groupTTL/2)
	extend := func() *Lease {
		op := g.submit(extending("orders", "token", groupTTL/2))
		g.rest()
		return g.ends(op, Changed).Leases[0]
	}
	older := extend()
	extend()
	g.place("orders", older.Copy(), groupTTL/2, 0)
	want := extend().Version
	for i := range g.stores {
		if c := g.stores[i].get(g.now, "orders"); c == nil || c.Version != want {
			t.Errorf("store %d has %v, want the extension %v", i, c, want)
		}
	}
}

// What is left of an attempt is newer than what a peer made of the lease meanwhile:
// a release of the lease says nothing of either.
func TestAReleaseThatMeetsALeftoverEndsItsLeaseOnly(t *testing.T) {
	g := newGroup(t, 3)
	lease := g.holds("orders", "token", groupTTL/2)
	g.holds("parcels", "token", groupTTL/2) // a number to leave behind
	number := MakeNumber(g.core.count, 1)
	left := &Copy{Value: []byte("left"), Fence: number, Version: number}
	g.place("orders", left, groupTTL/2, 0)
	op := g.submit(releasing("orders", "token"))
	g.rest()
	g.ends(op, Changed)
	for i := range g.stores {
		if gone := g.stores[i].ended(g.now, "orders"); gone != lease.Version || g.at(i, "orders") != "" {
			t.Errorf("store %d has the notice %v and %q, want that %v ended, and nothing", i, gone, g.at(i, "orders"), lease.Version)
		}
	}
}

func TestAnExtensionThatFindsNoCopyHasItPutBackFirst(t *testing.T) {
	g := newGroup(t, 3)
	g.holds("orders", "token", groupTTL/2)
	for i := range 2 { // nobody tells of it
		delete(g.stores[i].copies, "orders")
	}
	op := g.submit(extending("orders", "token", groupTTL))
	for range 4 {
		g.turn(0, 1, 2)
	}
	g.rest()
	g.ends(op, Changed)
}

// A peer has put somebody else on the list beside the one whom p0 knows, in two
// stores: the lock is theirs, and not released by taking out the copy of before.
func TestAReleaseOfWhatAPeerHasChangedLooksAnew(t *testing.T) {
	g := newGroup(t, 3)
	before := g.holds("orders", "one", groupTTL/2)
	both := &Copy{Value: []byte("one two"), Fence: before.Fence, Version: MakeNumber(1<<30, 2)}
	g.place("orders", both, groupTTL/2, 1, 2)
	op := g.submit(asHolder("orders", "one", Part{Drop: true}))
	for range 4 {
		g.turn(0, 1, 2)
	}
	g.ends(op, Unchanged) // this one only knows how to release a list of one
	for _, i := range []int{1, 2} {
		if got := g.at(i, "orders"); got != "one two" {
			t.Errorf("store %d has %q, want both of them on the list", i, got)
		}
	}
}

// Where a silent store makes the difference between our lease and a later one of
// somebody else, an op that could do nothing by the one is tried by the other.
func TestALaterLeaseThatMayHaveAQuorumIsTriedToo(t *testing.T) {
	for what, op := range map[string]*Op{
		"an extension": extending("orders", "theirs", groupTTL/2),
		"a release":    releasing("orders", "theirs"),
	} {
		g := newGroup(t, 3)
		g.holds("orders", "ours", groupTTL/2)
		g.peerHolds("theirs", groupTTL/2)
		g.place("orders", g.core.slots["orders"].lease.Copy(), groupTTL/2, 0)
		g.core.learn(g.now, MakeNumber(1<<30, 2))
		g.place("orders", peersLease("theirs", 1<<30), groupTTL/2, 1, 2)
		g.submit(op)
		g.turn(0, 1)
		g.mute(2) // the look
		for range 4 {
			g.turn(0, 1, 2)
		}
		if r, over := g.over(op); !over || r.Outcome != Changed {
			t.Errorf("%s ended as %v (%v), over %t; want it done", what, r.Outcome, r.Err, over)
		}
	}
}
