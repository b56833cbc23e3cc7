package quorum

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestADenialLooksIntoTheStoresFirst(t *testing.T) {
	g := newGroup(t, 3)
	lease := g.holds("orders", "token", groupTTL/2)
	op := g.submit(acquiring("other", time.Second, "orders"))
	for i := range 3 {
		if asks := g.asked[i]; len(asks) != 1 || asks[0].Action != Read || !asks[0].Heed {
			t.Fatalf("store %d is asked %v before our table denies, want a look for the copy and its notice", i, asks)
		}
	}
	g.waits(op, "no store has answered")
	g.rest()
	g.ends(op, Unchanged)

	// A peer's client releases it: the notices, and then the copies.
	for i := range 3 {
		g.stores[i].do(g.now, Request{Name: "orders", Prev: lease.Copy(), OrNone: true, Gone: groupTTL})
	}
	op = g.submit(acquiring("other", time.Second, "orders"))
	g.rest()
	if got := g.ends(op, Changed).Leases[0]; got.Fence <= lease.Fence {
		t.Errorf("fence %v, want one above %v", got.Fence, lease.Fence)
	}
}

func TestAFreeLockIsAskedForWithoutALook(t *testing.T) {
	g := newGroup(t, 3)
	g.submit(acquiring("token", time.Second, "orders"))
	if ask := g.asked[0][0]; ask.Action != Swap || ask.Prev != nil || ask.OrNone || !ask.Mark {
		t.Errorf("store 0 is asked %s, want the lock taken if it is free there, under a new number", showAsk(ask))
	}
}

func TestALookIsTakenAnewWhileALockIsChanging(t *testing.T) {
	g := newGroup(t, 3)
	g.place("orders", peersLease("a", 5000), time.Minute, 0)
	g.place("orders", peersLease("b", 5001), time.Minute, 1)
	var got *Lease
	op := g.submit(looking("orders", func(l *Lease) { got = l }))
	g.turn(0, 1, 2)
	g.waits(op, "neither has a quorum, and together they do")
	g.place("orders", peersLease("a", 5000), time.Minute, 1)
	g.rest()
	g.ends(op, Unchanged)
	if got == nil || string(got.Value) != "a" || !got.Foreign {
		t.Errorf("shown %+v, want the lease of the peer", got)
	}

	g.place("parcels", peersLease("a", 5000), time.Minute, 0)
	g.place("parcels", peersLease("b", 5001), time.Minute, 1)
	op = g.submit(looking("parcels", func(*Lease) {}))
	for range 50 {
		g.pass(g.core.cfg.Timeout / 100)
		g.turn(0, 1, 2)
	}
	g.waits(op, "half the time is over that a vote may take")
	for range 51 {
		g.pass(g.core.cfg.Timeout / 100)
		g.turn(0, 1, 2)
	}
	if r := g.ends(op, Failed); !errors.Is(r.Err, ErrStale) {
		t.Errorf("error %v, want it given up as changing", r.Err)
	}
}

func TestALookIsTakenAnewIfALeaseMayHaveGoneOnMeanwhile(t *testing.T) {
	g := newGroup(t, 3)
	old := peersLease("a", 5000)
	next := &Copy{Value: old.Value, Fence: old.Fence, Version: MakeNumber(5010, 3)}
	g.place("orders", old, time.Minute, 0, 1)
	var got *Lease
	op := g.submit(looking("orders", func(l *Lease) { got = l }))
	g.turn(2) // which has nothing
	g.pass(time.Millisecond)
	g.place("orders", next, time.Minute, 0, 2)
	g.stores[1].do(g.now, Request{Name: "orders", Prev: old, Gone: groupTTL})
	g.turn(1) // which has nothing any more
	g.rest()
	g.ends(op, Unchanged)
	if got == nil || got.Version != next.Version {
		t.Errorf("shown %+v, want the lease as it goes on in stores 0 and 2", got)
	}
}

func TestALookAtALockThatWasReleasedEnds(t *testing.T) {
	g := newGroup(t, 3)
	old := peersLease("a", 5000)
	g.place("orders", old, time.Minute, 1)
	g.stores[1].do(g.now, Request{Name: "orders", Prev: old, Gone: groupTTL})
	op := g.submit(looking("orders", func(l *Lease) {
		if l != nil {
			t.Errorf("shown %+v, want none", l)
		}
	}))
	for range 3 {
		g.turn(2)
		g.pass(time.Millisecond)
		g.turn(1)
	}
	g.ends(op, Unchanged)
}

func TestAStoreThatIsNotWholeSaysNothingOfALock(t *testing.T) {
	g := newGroup(t, 3)
	g.core.Vanished(g.now, 0, "")
	g.core.Vanished(g.now, 1, "")
	op := g.submit(looking("orders", func(*Lease) {}))
	g.rest()
	if r := g.ends(op, Failed); !errors.Is(r.Err, ErrNoQuorum) ||
		!strings.Contains(r.Err.Error(), "s0: its word does not count: our signature is not there yet; s1: its word") {
		t.Errorf("error %v, want no quorum, and why for each store", r.Err)
	}

	g = newGroup(t, 3) // nor if it forgot while the answer was on its way
	g.place("orders", peersLease("a", 5000), time.Minute, 0, 1, 2)
	op = g.submit(looking("orders", func(*Lease) {}))
	g.stores[0].simMemory, g.stores[1].simMemory = newMemory(), newMemory()
	g.turn(0, 1, 2)
	if r := g.ends(op, Failed); !errors.Is(r.Err, ErrNoQuorum) {
		t.Errorf("error %v, want no quorum: two stores have no copy, and no signature of ours", r.Err)
	}
}

// Whoever released it leaves the notice, and takes the copy out in a second step.
func TestALookWaitsForWhatIsBeingTakenOut(t *testing.T) {
	for what, stores := range map[string]struct{ told, has []int }{
		"one store has the notice, another one the copy": {[]int{0}, []int{1}},
		"a store has both": {[]int{0, 1}, []int{1}},
	} {
		for _, crashed := range []bool{false, true} {
			g := newGroup(t, 3)
			old := peersLease("a", 5000)
			for _, i := range stores.told {
				g.stores[i].do(g.now, Request{Name: "orders", Prev: old, OrNone: true, Gone: groupTTL})
			}
			g.place("orders", old, time.Minute, stores.has...)
			op := g.submit(seeing(acquiring("token", groupTTL/2, "orders")))
			g.turn(0, 1, 2)
			if got := doing(g.asked[1], whyVote); len(got) > 0 {
				t.Fatalf("%s: store 1 is asked %s, want the end of the lease waited for", what, showAsk(got[0]))
			}
			if !crashed {
				g.stores[1].do(g.now, Request{Name: "orders", Prev: old, OrNone: true, Gone: groupTTL})
				g.turn(0, 1, 2)
			} else {
				g.pass(g.core.cfg.Timeout / 16)
				g.turn(0, 1, 2)
				if got := doing(g.asked[1], whyVote); len(got) > 0 {
					t.Errorf("%s: store 1 is asked %s, want the end of the lease waited for", what, showAsk(got[0]))
				}
				g.pass(g.core.cfg.Timeout / 16)
				g.turn(0, 1, 2)
			}
			if got := doing(g.asked[1], whyVote); len(got) == 0 {
				t.Errorf("%s, crashed %t: store 1 is not asked for the lock", what, crashed)
			}
			g.rest()
			g.ends(op, Changed)
		}
	}
}

// endsHalf has the notice of a peer's lease in stores 0 and 1, and the copy still in 1.
func (g *group) endsHalf(name string, count uint64) {
	old := peersLease("a", count)
	for _, i := range []int{0, 1} {
		g.stores[i].do(g.now, Request{Name: name, Prev: old, OrNone: true, Gone: groupTTL})
	}
	g.place(name, old, time.Minute, 1)
}

func TestWhatIsBeingTakenOutIsWaitedForOnce(t *testing.T) {
	g := newGroup(t, 3)
	g.endsHalf("orders", 5000)
	g.endsHalf("parcels", 5010)
	op := g.submit(seeing(acquiring("token", groupTTL/2, "orders", "parcels")))
	start := g.now
	for len(doing(g.asked[1], whyVote)) == 0 {
		g.pass(time.Millisecond)
		g.turn(0, 1, 2)
		if g.now > start.Add(g.core.cfg.Timeout/4) {
			t.Fatalf("no store is asked for the locks after %v", g.now.Sub(start))
		}
	}
	if op.tries > 0 {
		t.Errorf("%d tries are spent on that, want none", op.tries)
	}
	g.rest()
	g.ends(op, Changed)
}

func TestWhoOnlyLooksWaitsForNothingToBeTakenOut(t *testing.T) {
	g := newGroup(t, 3)
	g.endsHalf("orders", 5000)
	op := g.submit(looking("orders", func(l *Lease) {
		if l != nil {
			t.Errorf("shown %+v, want none", l)
		}
	}))
	g.turn(0, 1, 2)
	g.ends(op, Unchanged)
}
