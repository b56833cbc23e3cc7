package quorum

import (
	"testing"
	"time"
)

// An op that extends a peer's lease and acquires another lock gets its numbers while
// a store's word on the first does not count. The store forgets its marks before the
// change is sent, and has no word on the first again: it must not be asked for the
// second either, since a number that passed ours meanwhile would not be noticed.
func TestAStoreThatForgotItsMarksIsNotAskedThoughItLeavesOutAnotherPart(t *testing.T) {
	g := newGroup(t, 3)
	g.peerHolds("token", groupTTL/2)
	g.stores[0].book["p1"] = g.signature("p1", 0, leavesOut("orders"))
	g.rest()
	op := g.submit(&Op{Names: []string{"orders", "parcels"}, Reads: true, Decide: func(v *View) Plan {
		orders, _ := v.Lease("orders")
		parcels, _ := v.Lease("parcels")
		if orders == nil || parcels != nil {
			return Plan{}
		}
		return Plan{Parts: []Part{
			{Prev: orders, Name: "orders", Value: []byte("token"), TTL: groupTTL, Renew: true},
			{Name: "parcels", Value: []byte("ours"), TTL: time.Second},
		}}
	}})
	for _, i := range g.each() { // the look; the change has its numbers then, and waits for the disk
		g.land(g.send(i))
	}
	if len(g.written) == 0 || len(g.asked[1]) > 0 {
		t.Fatalf("written %d, asked %d: want the change to wait for the disk", len(g.written), len(g.asked[1]))
	}
	// A peer acquires parcels in stores 0 and 2, and lets it go.
	theirs := MakeNumber(g.core.count+100, 2)
	g.stores[0].marks[Bucket("parcels")] = theirs
	g.stores[2].marks[Bucket("parcels")] = theirs
	// Store 0 forgets, and all sign it anew.
	g.restart(0, "second", newMemory())
	g.land(g.send(0))
	g.pass(signAgain)
	g.land(g.send(0))
	g.stores[0].book["p1"] = g.signature("p1", 0, leavesOut("orders"))
	g.sign("p2", 0)
	for range 4 {
		g.land(g.send(0))
		g.beat(0)
		g.pass(time.Millisecond)
	}
	g.whole(0, true, "all have signed")
	g.sync()
	for _, ask := range g.asked[0] {
		if ask.Name == "parcels" {
			t.Errorf("store 0 is asked %s: it forgot its marks since that number was given out", showAsk(ask))
		}
	}
	g.rest()
	if r, over := g.over(op); over && r.Outcome == Changed {
		if f := r.Leases[1].Fence; f < theirs {
			t.Errorf("the fencing token of parcels went back: a peer had %v, and now it is %v", theirs, f)
		}
	}
}

// A change of ours that was granted, and told, just before a crash was in stores 0 and
// 1; store 0 forgets it, and its signature leaves the lock out. Store 2 has what a peer
// tried to make of the lease. Somebody would rather have that, and fails for want of a
// quorum: store 0 must have no word on the lock all the same, nor may our table forget
// what was granted once the peer's is over.
func TestAFailedChangeOfAnotherThanOursInDoubtGivesNoWordBack(t *testing.T) {
	for _, peers := range []*Copy{
		{Value: []byte("one two"), Fence: MakeNumber(900, 2), Version: MakeNumber(950, 2)},
		{Value: []byte("one two"), Fence: MakeNumber(900, 2), Version: MakeNumber(900, 2)}, // what it was at first
	} {
		failedChangeOfARival(t, peers)
	}
}

func failedChangeOfARival(t *testing.T, peers *Copy) {
	one, three := leaseFor("one", 900, 20*time.Second), leaseFor("one three", 980, 40*time.Second)
	one.Fence, one.Version, three.Fence = peers.Fence, MakeNumber(940, 1), peers.Fence
	g := openGroup(t, groupConfig(3), groupPast(Entry{Name: "orders", Lease: three, Replaced: one, Pending: true}))
	g.place("orders", three.Copy(), 41*time.Second, 1)
	g.place("orders", peers, 10*time.Second, 2)
	g.sign("p0", 1, 2) // before the crash
	g.gather()
	if s := g.mine(0); len(s.Owed) == 0 {
		t.Fatalf("store 0 has the book %v, want orders left out", s)
	}
	op := g.submit(seeing(extending("orders", "one two", 10*time.Second)))
	g.rest()
	g.ends(op, Failed)
	if len(g.mine(0).Owed) == 0 {
		t.Errorf("%s: store 0's signature speaks of the lock again, and it has forgotten what was granted there", showCopy(peers))
	}
	if c := g.stores[0].get(g.now, "orders"); c.Equal(peers) {
		t.Errorf("%s was put into store 0, and has a quorum now, which it never had", showCopy(peers))
	}
	for range 12 {
		g.pass(time.Second)
		g.beat(g.each()...)
		g.rest()
	}
	op = g.submit(acquiring("other", time.Second, "orders"))
	g.rest()
	if r := g.result(op); r.Outcome == Changed {
		t.Errorf("%s: granted to another in stores 0 and 2; ours was granted in 0 and 1 until %v from now", showCopy(peers), three.Until.Sub(g.now))
	}
}

// Who refuses to serve shows itself in a book that lost its line. That is no leave to
// put its leases over what a stranger has there.
func TestWhoRefusesToServeOverrulesNobody(t *testing.T) {
	g := newGroup(t, 3)
	lease := g.holds("orders", "token", groupTTL/2)
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
	t.Logf("ours %v, the book has %v", lease.Version, g.mine(0).Phase)
	if got := g.at(0, "orders"); got != "theirs" {
		t.Errorf("store 0 has %q, want what the stranger put there", got)
	}
}
