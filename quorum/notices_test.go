package quorum

import (
	"testing"
	"time"
)

// An acquisition may come late to a store, behind the release of what it acquired; and
// one whose number is older than what has ended gets a newer one.
func TestAnAcquisitionHeedsTheNoticeOfALaterEnd(t *testing.T) {
	g := newGroup(t, 3)
	later := MakeNumber(1<<20, 2)
	for _, s := range g.stores {
		s.gone["orders"] = simGone{later, g.now.Add(time.Minute)}
	}
	op := g.submit(acquiring("token", groupTTL/2, "orders"))
	first := g.asked[0][0]
	g.rest()
	lease := g.ends(op, Changed).Leases[0]
	if first.Next.Version >= later || !first.Heed || lease.Fence <= later {
		t.Errorf("first asked with number %v, heed %t, then granted with %v; want it refused by the notice of %v, and a newer one granted",
			first.Next.Version, first.Heed, lease.Fence, later)
	}
}

// A store may still have what a notice elsewhere says has ended.
func TestWhatHasEndedIsNotInTheWay(t *testing.T) {
	g := newGroup(t, 3)
	old := peersLease("old", 500)
	g.place("orders", old, groupTTL, 1)
	for _, i := range []int{0, 2} {
		g.stores[i].gone["orders"] = simGone{old.Version, g.now.Add(time.Minute)}
	}
	op := g.submit(seeing(acquiring("token", groupTTL/2, "orders")))
	g.rest()
	g.ends(op, Changed)
	if g.at(1, "orders") != "token" {
		t.Errorf("store 1 has %q, want the new lease", g.at(1, "orders"))
	}
}

// But it is where something is to be replaced: that store never had what is made anew,
// and whoever made that is told so by it.
func TestWhatHasEndedIsInTheWayOfAChange(t *testing.T) {
	g := newGroup(t, 3)
	old := peersLease("old", 500)
	g.place("orders", old, groupTTL, 1)
	g.stores[0].gone["orders"] = simGone{old.Version, g.now.Add(time.Minute)}
	g.place("orders", peersLease("token", 5000), groupTTL/2, 0, 2)
	op := g.submit(seeing(extending("orders", "token", groupTTL/2)))
	g.rest()
	g.ends(op, Changed)
	if g.at(1, "orders") != "old" {
		t.Errorf("store 1 has %q, want what it had", g.at(1, "orders"))
	}
}

// What a failed attempt of ours left is no lease, though it hides one.
func TestWhatIsBeingUndoneIsNotShown(t *testing.T) {
	g := newGroup(t, 3)
	g.core.count += 100
	mine := MakeNumber(g.core.count-10, 1)
	g.place("orders", &Copy{Value: []byte("tried"), Fence: MakeNumber(900, 2), Version: mine}, groupTTL, 0)
	var shown *Lease
	op := g.submit(looking("orders", func(l *Lease) { shown = l }))
	for range undoLooks + 1 {
		g.turn(0, 1)
		g.mute(2)
	}
	r := g.result(op)
	if shown != nil || r.Outcome != Failed {
		t.Errorf("shown %+v, %v (%v), want nothing shown: two stores can't tell", shown, r.Outcome, r.Err)
	}
}

// Some stores tell of any notice there is.
func TestANoticeOfWhatIsOlderForbidsNothing(t *testing.T) {
	g := newGroup(t, 3)
	op := g.submit(acquiring("token", groupTTL/2, "orders"))
	for i := range g.stores {
		g.answer(i, Vote{Verdict: Refused, Found: peersLease("theirs", 5000), Gone: MakeNumber(10, 2)})
	}
	g.sync()
	g.ends(op, Held)
}

// A peer's extension that was not granted, and that we took for the lease because a
// change of ours that was made of it failed.
func TestWhatWeOnlyTookForTheLeaseIsNotPutBack(t *testing.T) {
	g := newGroup(t, 3)
	held := peersLease("token", 5000)
	tried := &Copy{Value: held.Value, Fence: held.Fence, Version: MakeNumber(5001, 2)}
	g.place("orders", held, groupTTL/2, 1, 2)
	g.place("orders", tried, groupTTL/2, 0) // and is undone late
	op := g.submit(seeing(extending("orders", "token", groupTTL/2)))
	for range 2 {
		g.turn(0, 1)
		g.mute(2)
		g.sync()
	}
	g.pass(g.core.cfg.Timeout)
	g.turn(0, 1)
	g.sync()
	g.ends(op, Failed)
	if s := g.core.slots["orders"]; s == nil || s.lease.Version != tried.Version {
		t.Fatalf("the table has %+v, want what the peer tried", s)
	}
	for _, s := range g.stores { // a peer releases what is held
		s.do(g.now, Request{Name: "orders", Prev: held, OrNone: true, Gone: groupTTL})
	}
	for range 20 {
		g.pass(auditEvery)
		g.rest()
		g.beat(g.each()...)
	}
	for _, i := range []int{1, 2} {
		if g.at(i, "orders") != "" {
			t.Errorf("store %d has %q, want what was released to stay so", i, g.at(i, "orders"))
		}
	}
}
