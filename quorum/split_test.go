package quorum

import (
	"errors"
	"strings"
	"testing"
)

func TestAVoteThatWasSplitIsNoOutage(t *testing.T) {
	for what, c := range map[string]struct {
		gaveUp bool
		want   Outcome
	}{
		"the peer may have it": {false, Unchanged}, // who sees a holder asks for nothing
		"the peer gave it up":  {true, Changed},
	} {
		g := newGroup(t, 3)
		op := g.submit(acquiring("token", groupTTL/2, "orders"))
		g.land(g.send(0))
		g.place("orders", peersLease("theirs", 5000), groupTTL/2, 1)
		g.mute(2)
		g.turn(1)
		g.waits(op, what+": each of two has one store, and two answer")
		if c.gaveUp {
			delete(g.stores[1].copies, "orders")
		}
		for range 4 {
			g.turn(0, 1)
			if len(g.asked[2]) > 0 {
				g.mute(2)
			}
		}
		g.ends(op, c.want)
		if want := map[bool]string{true: "token", false: "theirs"}[c.gaveUp]; g.at(1, "orders") != want {
			t.Errorf("%s: store 1 has %q, want %q", what, g.at(1, "orders"), want)
		}
	}
}

// Of a list of holders that two peers change at once, each may get a store.
func TestAChangeThatWasSplitIsMadeAnew(t *testing.T) {
	for what, gaveUp := range map[string]bool{"the peer's was granted": false, "the peer's was undone": true} {
		g := newGroup(t, 3)
		list := g.peerHolds("ann", groupTTL)
		joins := &Op{Names: []string{"orders"}, Decide: func(v *View) Plan {
			lease, _ := v.Lease("orders")
			return Plan{Parts: []Part{{Name: "orders", Prev: lease, Value: []byte(string(lease.Value) + " cat"), TTL: groupTTL}}}
		}}
		op := g.submit(seeing(joins))
		g.turn(0, 1)
		g.unreached(2) // the look
		g.sync()
		change := g.send(0)
		rival := peersLease("ann bob", 5000)
		g.stores[1].do(g.now, Request{Name: "orders", Prev: list, Next: rival, TTL: groupTTL, Mark: true})
		g.land(change)
		g.unreached(2)
		g.turn(1)
		g.sync()
		g.waits(op, what+": each of two has one store, and two answer")
		if gaveUp {
			g.place("orders", list, groupTTL, 1)
		} else {
			g.turn(0) // the undo
			g.stores[0].do(g.now, Request{Name: "orders", Prev: list, Next: rival, TTL: groupTTL, Mark: true})
		}
		for range 6 {
			g.turn(0, 1)
			for len(g.asked[2]) > 0 {
				g.unreached(2)
			}
		}
		g.ends(op, Changed)
		if want := map[bool]string{true: "ann cat", false: "ann bob cat"}[gaveUp]; g.at(1, "orders") != want {
			t.Errorf("%s: store 1 has %q, want %q", what, g.at(1, "orders"), want)
		}
	}
}

// As often as a rival is there anew; then it is told that the votes do not suffice.
func TestAVoteThatIsSplitEachTimeIsTold(t *testing.T) {
	g := newGroup(t, 3)
	g.peerHolds("ann", groupTTL)
	op := g.submit(seeing(handingOver("orders", "ann", "cat", groupTTL)))
	looks := 0
	for over := false; !over; _, over = g.over(op) {
		g.sync()
		for _, ask := range g.asked[0] {
			if ask.why == whyVote {
				g.place("orders", peersLease("bob", 5001), groupTTL, 1)
			} else if looks++; looks > 5*fewTries {
				t.Fatalf("store 0 was asked %d times", looks)
			} else if ask.why == whyRead {
				g.place("orders", peersLease("ann", 5000), groupTTL, 1)
			}
		}
		g.turn(0, 1)
		for len(g.asked[2]) > 0 {
			g.unreached(2)
		}
	}
	if looks < fewTries {
		t.Errorf("it was told after %d looks, want some more", looks)
	}
	if r := g.ends(op, Failed); !errors.Is(r.Err, ErrNoQuorum) || !strings.Contains(r.Err.Error(), "1 of 3 stores granted, 1 refused, 1 silent") {
		t.Errorf("error %v, want how the votes stood", r.Err)
	}
}

// What stands in the way of it is what it was shown: to look again would not help.
func TestAVoteThatIsSplitByWhatWasSeenIsTold(t *testing.T) {
	g := newGroup(t, 3)
	list := g.peerHolds("ann", groupTTL)
	g.place("orders", &Copy{Value: []byte("ann bob"), Fence: list.Fence, Version: MakeNumber(list.Version.Count()+1, 2)}, groupTTL, 1)
	op := g.submit(seeing(handingOver("orders", "ann", "cat", groupTTL)))
	g.turn(0, 1)
	g.unreached(2) // the look
	g.sync()
	g.turn(0, 1)
	g.unreached(2)
	g.sync()
	if r := g.ends(op, Failed); !errors.Is(r.Err, ErrNoQuorum) {
		t.Errorf("error %v, want no quorum", r.Err)
	}
}

// A silent store may have made it the lease, and others may have ended that by now.
func TestASplitChangeThatASilentStoreMayHaveMadeIsTold(t *testing.T) {
	g := newGroup(t, 3)
	g.peerHolds("ann", groupTTL)
	op := g.submit(seeing(handingOver("orders", "ann", "cat", groupTTL)))
	g.turn(0, 1, 2) // the look
	g.sync()
	g.place("orders", peersLease("bob", 5001), groupTTL, 1)
	g.turn(0, 1)
	g.mute(2)
	g.sync()
	if r := g.ends(op, Failed); !errors.Is(r.Err, ErrNoQuorum) {
		t.Errorf("error %v, want no quorum", r.Err)
	}
}

// Each store that it reached has its notice: the lease has ended, and the next one may
// be somebody else's by the same token.
func TestAReleaseIsNotMadeAnewForARival(t *testing.T) {
	g := newGroup(t, 3)
	lease := g.holds("orders", "1", groupTTL)
	op := g.submit(releasing("orders", "1"))
	g.place("orders", &Copy{Value: []byte("1"), Fence: lease.Fence, Version: MakeNumber(5001, 2)}, groupTTL, 1)
	g.turn(0, 1)
	g.place("orders", peersLease("1", 5002), groupTTL, 0, 1) // the rival gave up, and the next one has the lock
	g.unreached(2)
	g.sync()
	for range 6 {
		g.turn(0, 1)
		for len(g.asked[2]) > 0 {
			g.unreached(2)
		}
	}
	if r := g.ends(op, Failed); !errors.Is(r.Err, ErrNoQuorum) {
		t.Errorf("error %v, want no quorum", r.Err)
	}
	if g.at(0, "orders") != "1" || g.at(1, "orders") != "1" {
		t.Error("one release ended two leases")
	}
}

// Whoever asked for it has let go, though nobody is there to hear what came of it.
func TestAReleaseThatWasOutrunIsLetGoIfTheClientHangsUp(t *testing.T) {
	g := newGroup(t, 3)
	lease := g.holds("orders", "token", groupTTL)
	op := g.submit(releasing("orders", "token"))
	g.core.Cancel(op)
	g.place("orders", &Copy{Value: []byte("token"), Fence: lease.Fence, Version: MakeNumber(5001, 2)}, groupTTL, 0, 1)
	g.turn(0, 1, 2)
	g.sync()
	g.ends(op, Held)
	if s := g.core.slots["orders"]; s != nil && s.lease != nil {
		t.Errorf("the table has %+v, and its holder has let go", s.lease)
	}
}

// The first time a store that was just lost took all the patience there is for one vote.
func TestASecondSplitIsNotToldForThePatienceOfTheFirst(t *testing.T) {
	g := newGroup(t, 3)
	op := g.submit(acquiring("token", groupTTL/2, "orders"))
	g.land(g.send(0))
	g.place("orders", peersLease("theirs", 5000), groupTTL/2, 1)
	g.turn(1)
	g.asked[2] = nil // which never answers
	g.pass(g.core.cfg.Timeout)
	g.sync()
	g.core.Down(2, errLost)
	for again := range 3 {
		delete(g.stores[1].copies, "orders") // the rival gives up
		for len(doing(g.asked[1], whyVote)) == 0 {
			g.turn(0, 1)
			for len(g.asked[2]) > 0 {
				g.unreached(2)
			}
		}
		g.land(g.send(0))
		g.place("orders", peersLease("theirs", 5001+uint64(again)), groupTTL/2, 1) // and is as quick again
		g.turn(1)
		for len(g.asked[2]) > 0 {
			g.unreached(2)
		}
		g.sync()
		g.waits(op, "a rival is all that stands in its way")
	}
}

// The first of a list of holders may have joined by the word of a store that was not
// heard. Who joined behind it shows that it did: to join again would count it twice.
func TestACreationThatAPeerWentOnFromIsNotMadeTwice(t *testing.T) {
	for what, again := range map[string]bool{"a peer joined behind it": true, "nobody has seen it": false} {
		g := newGroup(t, 3)
		op := g.submit(&Op{Names: []string{"orders"}, Reads: true, Decide: func(v *View) Plan {
			lease, _ := v.Lease("orders")
			list := "ann"
			if lease != nil {
				list = string(lease.Value) + " ann"
			}
			return Plan{Parts: []Part{{Name: "orders", Prev: lease, Value: []byte(list), TTL: groupTTL / 2}}}
		}})
		g.turn(0, 1) // the look
		g.sync()
		made := doing(g.asked[0], whyVote)[0].Next
		g.place("orders", peersLease("theirs", 5000), groupTTL/2, 1)
		unheard := g.send(2)
		g.turn(0, 1)
		for _, ask := range unheard.asks {
			g.core.Voted(g.now, ask, Vote{Err: errLost})
		}
		g.sync()
		g.waits(op, what+": each of two has one store, and two answer")
		delete(g.stores[1].copies, "orders") // the rival gave up
		if again {
			g.place("orders", &Copy{Value: []byte("ann bob"), Fence: made.Fence, Version: MakeNumber(5001, 2)}, groupTTL/2, 0, 1, 2)
		}
		for range 6 {
			g.turn(0, 1, 2)
		}
		if !again {
			g.ends(op, Changed)
			if got := g.at(0, "orders"); got != "ann" {
				t.Errorf("%s: store 0 has %q, want \"ann\"", what, got)
			}
		} else if r := g.ends(op, Failed); !errors.Is(r.Err, ErrStale) || g.at(0, "orders") != "ann bob" {
			t.Errorf("%s: error %v and store 0 has %q, want that it changed meanwhile", what, r.Err, g.at(0, "orders"))
		}
	}
}

// Of two lists one is refused, and the other has what was to be put there, until that is
// undone: a peer that is quicker goes on from it.
func TestOfTwoLocksOneIsNotChangedTwiceForTheOther(t *testing.T) {
	for _, c := range []struct{ anew, first, orders bool }{ // of the op; there was one before
		{true, false, false}, {false, true, false}, {true, true, false},
		{true, false, true}, {false, true, true}, {true, true, true},
	} {
		g := newGroup(t, 3)
		there := func(name, list string, fence, version uint64) {
			g.place(name, &Copy{Value: []byte(list), Fence: MakeNumber(fence, 2), Version: MakeNumber(version, 2)}, groupTTL/2, 0, 1, 2)
		}
		list := "ann"
		if c.first {
			there("first", "x", 4001, 4001)
		}
		if c.orders {
			there("orders", "amy", 4000, 4000)
			list = "amy ann"
		}
		op := g.submit(&Op{Names: []string{"first", "orders"}, Reads: true, Decide: func(v *View) Plan {
			plan := Plan{Anew: c.anew}
			for _, name := range []string{"first", "orders"} {
				lease, _ := v.Lease(name)
				part := Part{Prev: lease, Renew: lease != nil, Name: name, Value: []byte("ann"), TTL: groupTTL / 2}
				if lease != nil {
					part.Value = []byte(string(lease.Value) + " ann")
				}
				plan.Parts = append(plan.Parts, part)
			}
			return plan
		}})
		g.turn(0, 1) // the look
		g.sync()
		made := doing(g.asked[0], whyVote)[1].Next
		if there("first", "theirs", 5000, 5000); c.first {
			there("first", "x theirs", 4001, 5000)
		}
		for i := range g.stores {
			g.land(g.send(i))
		}
		if got := g.at(0, "orders"); got != list {
			t.Fatalf("%+v: store 0 has %q, want %q for a while", c, got, list)
		}
		g.place("orders", &Copy{Value: []byte(list + " bob"), Fence: made.Fence, Version: MakeNumber(5001, 2)}, groupTTL/2, 0, 1, 2)
		for range 8 {
			g.turn(0, 1, 2)
		}
		if r := g.ends(op, Failed); !errors.Is(r.Err, ErrStale) || g.at(0, "orders") != list+" bob" {
			t.Errorf("%+v: error %v and store 0 has %q, want that it changed meanwhile", c, r.Err, g.at(0, "orders"))
		}
	}
}
