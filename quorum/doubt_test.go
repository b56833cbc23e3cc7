package quorum

import (
	"errors"
	"slices"
	"testing"
)

// Others' attempts stand where two copies were: the release was refused there, and
// has done what it was to do all the same.
func TestAReleaseAmongOthersAttemptsIsOne(t *testing.T) {
	g := newGroup(t, 3)
	g.holds("orders", "token", groupTTL/2)
	for _, i := range []int{1, 2} {
		delete(g.stores[i].copies, "orders")
		g.place("orders", peersLease("attempt", 1<<30+uint64(i)), groupTTL/2, i)
	}
	op := g.submit(releasing("orders", "token"))
	for range 3 {
		g.turn(0, 1, 2)
	}
	g.ends(op, Changed)
	if got := g.at(0, "orders"); got != "" {
		t.Errorf("store 0 still has %q", got)
	}
}

// Its notice ended the lease before its request reached the others, and a peer took
// the lock on that: whoever released it is not told that it was not his.
func TestAReleaseThatAPeerWasFasterToBelieveIsNoRefusal(t *testing.T) {
	g := newGroup(t, 3)
	g.holds("orders", "token", groupTTL/2)
	op := g.submit(releasing("orders", "token"))
	g.land(g.send(0))
	g.place("orders", peersLease("next", 1<<30), groupTTL/2, g.each()...)
	for range 4 {
		g.turn(0, 1, 2)
	}
	if r := g.ends(op, Failed); !errors.Is(r.Err, ErrStale) {
		t.Errorf("error %v, want that it changed meanwhile", r.Err)
	}
	for i := range g.stores {
		if got := g.at(i, "orders"); got != "next" {
			t.Errorf("store %d has %q, want the copy of the next holder", i, got)
		}
	}
}

// Its first attempt ended the lease in one store, its second one did something to
// another that had been made of it: neither is forgotten for the other.
func TestWhatAnEarlierAttemptDidIsNotForgotten(t *testing.T) {
	g := newGroup(t, 3)
	lease := g.holds("orders", "me", groupTTL/2)
	op := g.submit(&Op{Names: []string{"orders"}, Reads: true, Decide: func(v *View) Plan {
		switch l, _ := v.Lease("orders"); {
		case l == nil:
			return Plan{}
		case string(l.Value) == "me":
			return Plan{Parts: []Part{{Prev: l, Name: "orders", Drop: true}}}
		case string(l.Value) == "me you":
			return Plan{Parts: []Part{{Prev: l, Name: "orders", Value: []byte("you"), TTL: groupTTL / 2}}}
		}
		return Plan{}
	}})
	g.land(g.send(0))
	if g.at(0, "orders") != "" {
		t.Fatal("store 0 has it still")
	}
	both := &Copy{Value: []byte("me you"), Fence: lease.Fence, Version: MakeNumber(g.core.count+100, 2)}
	g.place("orders", both, groupTTL/2, 1, 2)
	changes := func() bool {
		votes := doing(g.asked[1], whyVote)
		return len(votes) > 0 && votes[0].Next != nil
	}
	for range 6 {
		if !changes() {
			g.turn(1, 2, 0)
		}
	}
	if !changes() {
		t.Fatalf("store 1 is asked %v, want what is left of the list put there", g.asked[1])
	}
	g.place("orders", peersLease("next", 1<<30), groupTTL/2, 0, 1, 2)
	g.core.Voted(g.now, g.next(2), Vote{Err: errLost})
	for range 6 {
		g.turn(0, 1, 2)
	}
	if r := g.ends(op, Failed); !errors.Is(r.Err, ErrStale) {
		t.Errorf("error %v, want that it changed meanwhile", r.Err)
	}
}

// Store 1 was asked before its version was replaced, which store 2 has the notice of;
// store 0 is silent. The one that both may have by now is not to be seen: what store 2
// has was tried and refused.
func TestALeaseIsNotReadByAVersionThatWasOnlyTried(t *testing.T) {
	g := newGroup(t, 3)
	version := func(value string, count uint64) *Copy {
		return &Copy{Value: []byte(value), Fence: MakeNumber(5000, 2), Version: MakeNumber(count, 2)}
	}
	g.place("orders", version("me", 5001), groupTTL/2, 1)
	g.place("orders", version("you", 5005), groupTTL/2, 2)
	g.stores[2].gone["orders"] = simGone{version("me", 5001).Version, g.now.Add(groupTTL)}
	shown := []string{}
	op := g.submit(looking("orders", func(l *Lease) { shown = append(shown, string(l.Value)) }))
	look := func() {
		g.land(g.send(1))
		g.land(g.send(2))
		g.core.Voted(g.now, g.next(0), Vote{Err: errLost})
		g.sync()
	}
	look()
	g.waits(op, "what is the lease is not to be seen")
	g.place("orders", version("you and me", 5003), groupTTL/2, 1)
	look()
	g.ends(op, Unchanged)
	if !slices.Contains(shown, "you and me") {
		t.Errorf("shown %q, want what store 1 has by now too", shown)
	}
}
