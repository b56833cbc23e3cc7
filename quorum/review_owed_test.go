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
