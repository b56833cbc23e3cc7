package quorum

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// owing returns a group that has signed all of three stores but 0, which wants
// the copy of "orders" first.
func owing(t *testing.T) (g *group, lease *Lease) {
	g = newGroup(t, 3)
	lease = g.holds("orders", "token", groupTTL/2)
	g.restart(0, "second", newMemory())
	g.turn(0)
	g.pass(signAgain) // for the line that it had, which is not there
	g.turn(0)
	if w := &g.core.stores[0]; w.phase != Pending || w.owing != 1 {
		t.Fatalf("store 0 is %q and owed %d leases, want it pending for one", w.phase, w.owing)
	}
	g.core.events = nil
	return g, lease
}

func TestALeaseGrantedWhileWeSignHoldsNothingUp(t *testing.T) {
	g, _ := owing(t)
	op := g.submit(acquiring("other", time.Second, "parcels"))
	g.sync()
	g.land(g.send(1))
	g.land(g.send(2))
	g.ends(op, Changed)
	g.place("parcels", foreignCopy("direct"), time.Second, 0) // which is in its way
	g.turn(0)
	g.turn(0)
	if s := g.mine(0); s.Phase != Signed || g.at(0, "orders") != "token" || g.at(0, "parcels") != "direct" {
		t.Errorf("the book has %v, want it signed with what was owed, whatever came since", s)
	}
}

func TestALeaseThatWasChangedWhileWeSignIsOwedNoMore(t *testing.T) {
	g, _ := owing(t)
	g.place("orders", foreignCopy("direct"), time.Hour, 0)
	op := g.submit(extending("orders", "token", groupTTL))
	g.sync()
	g.land(g.send(1))
	g.land(g.send(2))
	g.ends(op, Changed)
	g.turn(0)
	g.turn(0)
	if s := g.mine(0); s.Phase != Signed {
		t.Errorf("the book has %v, want it signed: the extension has a quorum without this store", s)
	}
}

func TestWhatIsInTheWayOfASignature(t *testing.T) {
	for _, c := range []struct {
		what  string
		there func(l *Lease) *Copy
		wants bool // ours in its place
		whole bool // it is signed with ours, and not without
	}{
		{"nothing", func(*Lease) *Copy { return nil }, true, true},
		{"an older version", func(l *Lease) *Copy {
			return &Copy{Value: []byte("old"), Fence: l.Fence, Version: MakeNumber(l.Version.Count()-1, 2)}
		}, true, true},
		{"an older lease, which must have ended", func(l *Lease) *Copy { return peersLease("old", 1) }, true, true},
		{"the same copy", (*Lease).Copy, true, true},
		{"a later version", func(l *Lease) *Copy {
			return &Copy{Value: []byte("new"), Fence: l.Fence, Version: MakeNumber(l.Version.Count()+9, 2)}
		}, false, false},
		{"a newer lease", func(l *Lease) *Copy { return peersLease("theirs", l.Version.Count()+9) }, false, false},
		{"somebody's who locks directly", func(*Lease) *Copy { return foreignCopy("direct") }, false, false},
	} {
		g, lease := owing(t)
		there := c.there(lease)
		if there != nil {
			g.place("orders", there, time.Second, 0)
		}
		g.turn(0)
		g.turn(0)
		g.turn(0)
		now := g.stores[0].get(g.now, "orders")
		if ours := now.Equal(lease.Copy()); ours != c.wants {
			t.Errorf("%s is in the way: the store has %s, want ours in its place %t", c.what, showCopy(now), c.wants)
		}
		if c.wants && g.stores[0].copies["orders"].until < lease.Until {
			t.Errorf("%s: the copy ends before the lease does", c.what)
		}
		if s := g.mine(0); s.Phase != Signed || slices.Equal(s.Owed, []int{Bucket("orders")}) == c.whole {
			t.Errorf("%s is in the way: the book has %v, want it signed, with ours %t", c.what, s, c.whole)
		}
		if c.whole {
			continue
		}
		g.pass(2 * time.Second) // and now that has ended
		for range 4 {
			g.turn(0)
		}
		if s := g.mine(0); s.Phase != Signed || len(s.Owed) > 0 || g.at(0, "orders") != "token" {
			t.Errorf("%s was in the way: the book has %v, want ours there once that is gone", c.what, s)
		}
	}
}

func TestAStoreHasNoWordOnWhatItsSignatureLeavesOut(t *testing.T) {
	g, lease := owing(t)
	g.place("orders", foreignCopy("direct"), time.Hour, 0)
	for range 3 {
		g.turn(0)
	}
	g.sign("p1", 0)
	g.sign("p2", 0)
	for range 3 {
		g.turn(0)
		g.beat(0)
	}
	g.turn(0)
	g.whole(0, true, "all have signed")
	if want := `it forgot, and has no word on 1 of our locks ("orders")`; g.core.stores[0].gaps() != want {
		t.Errorf("told %q, want %q", g.core.stores[0].gaps(), want)
	}
	look := g.submit(looking("orders", func(*Lease) {}))
	if len(g.asked[0]) > 0 {
		t.Error("it was asked for the lock")
	}
	g.rest()
	g.ends(look, Unchanged)
	other := g.submit(acquiring("other", time.Second, "parcels"))
	if len(g.asked[0]) != 1 {
		t.Error("it was not asked for another lock")
	}
	g.rest()
	g.ends(other, Changed)
	g.pass(lease.Until.Sub(g.now) - 1)
	g.sign("p1", 0)
	g.sign("p2", 0)
	g.turn(0)
	if s := g.mine(0); !slices.Equal(s.Owed, []int{Bucket("orders")}) {
		t.Errorf("the book has %v while our lease lives, want it to leave that out", s)
	}
	g.pass(1)
	if due := g.core.Due(g.now, 0); due > g.now {
		t.Errorf("the book is to be written in %v after the end of our lease, want now: others wait for that", due.Sub(g.now))
	}
	g.turn(0)
	if s := g.mine(0); s.Phase != Signed || len(s.Owed) > 0 {
		t.Errorf("the book has %v after our lease, want nothing left out", s)
	}
}

// leavesOut has a peer's signature say nothing of a lock.
func leavesOut(names ...string) func(*Signature) {
	return func(s *Signature) {
		for _, name := range names {
			s.Owed = append(s.Owed, Bucket(name))
		}
	}
}

func TestAPeersWordOnWhatAStoreForgotIsHeeded(t *testing.T) {
	g := newGroup(t, 3)
	op := g.submit(acquiring("token", time.Second, "orders"))
	g.sync()
	g.land(g.send(0)) // granted
	late := g.send(1)
	for _, i := range []int{0, 1} {
		g.stores[i].book["p1"] = g.signature("p1", i, leavesOut("orders"))
	}
	g.turn(0)
	late.reading = g.stores[1].do(g.now, Request{Action: ReadBook})
	g.land(late)
	g.turn(2)
	if r, over := g.over(op); over && r.Outcome == Changed {
		t.Error("granted by votes of stores that have no word on the lock")
	}
	g.rest()
	if r := g.ends(op, Failed); !strings.Contains(r.Err.Error(), "peer p1 does not know who holds that") {
		t.Errorf("error %v, want that p1 does not know", r.Err)
	}
	for i := range g.stores {
		g.whole(i, true, "it has a word on others")
	}
	if want := "it forgot, and has no word for peers on 1 of 1024 buckets of locks"; g.core.stores[0].gaps() != want {
		t.Errorf("told %q, want %q", g.core.stores[0].gaps(), want)
	}
	g.ends(g.submit(acquiring("token", time.Second, "orders")), Failed) // at once
	other := g.submit(acquiring("token", time.Second, "parcels"))
	g.rest()
	g.ends(other, Changed)
	for _, i := range []int{0, 1} {
		g.stores[i].book["p1"] = g.signature("p1", i)
	}
	g.rest()
	op = g.submit(acquiring("token", time.Second, "orders"))
	g.rest()
	g.ends(op, Changed)
}

// Each line is read behind each batch.
func TestASignatureThatLeftOutTooMuchWaits(t *testing.T) {
	for _, n := range []int{maxOwed, maxOwed + 1} {
		var entries []Entry
		for i := range n {
			entries = append(entries, ofJournal(fmt.Sprint("lock", i), "token", uint64(500+i), groupTTL))
		}
		g := openGroup(t, groupConfig(1), groupPast(entries...))
		for _, e := range entries {
			g.place(e.Name, foreignCopy("direct"), time.Hour, 0)
		}
		g.connect(0)
		for range 12 {
			g.turn(0)
			g.pass(signAgain)
		}
		want := Signed
		if n > maxOwed {
			want = Pending
		}
		if s := g.mine(0); s.Phase != want {
			t.Errorf("%d leases can't be put back: the book has %v, want it %s", n, s, want)
		}
	}
}

// What such a store has after a restart of ours is not what came of it: it had forgotten.
func TestWhatOurOldSignatureLeftOutStaysSo(t *testing.T) {
	for _, out := range []bool{true, false} {
		g, _, replaced := inDoubt(t, "one three")
		for i := range g.stores {
			g.stores[i].book["p0"] = g.signature("p0", i, func(s *Signature) {
				if out {
					leavesOut("orders")(s)
				}
			})
		}
		g.place("orders", replaced, 20*time.Second, 0)
		g.connect(g.each()...)
		for range 2 { // read, and told that we are back
			g.turn(g.each()...)
		}
		for range 4 {
			for i := range g.stores {
				if s := g.mine(i); s.Phase != Signed || (len(s.Owed) > 0) != out {
					t.Errorf("store %d was left out of %t: the book has %v, want that to stay", i, out, s)
				}
			}
			g.turn(g.each()...)
		}
		g.pass(20*time.Second + Drift(20*time.Second))
		g.rest()
		for i := range g.stores {
			if s := g.mine(i); s.Phase != Signed || s.Next != "" || len(s.Owed) > 0 {
				t.Errorf("store %d: the book has %v once the doubt is over, want it signed", i, s)
			}
		}
	}
}

func TestAfterItIsSignedNothingGivesWay(t *testing.T) {
	for what, there := range map[string]func(l *Lease) *Copy{
		"an older version": func(l *Lease) *Copy {
			return &Copy{Value: []byte("theirs"), Fence: l.Fence, Version: MakeNumber(l.Version.Count()-1, 2)}
		},
		"a later lease": func(l *Lease) *Copy {
			n := MakeNumber(l.Version.Count()+1, 2)
			return &Copy{Value: []byte("theirs"), Fence: n, Version: n}
		},
		"no lease": func(*Lease) *Copy { return foreignCopy("theirs") },
	} {
		g := newGroup(t, 1)
		lease := g.holds("orders", "token", groupTTL/2)
		g.place("orders", there(lease), groupTTL, 0)
		g.pass(auditEvery)
		g.rest()
		if g.at(0, "orders") != "theirs" {
			t.Errorf("%s gave way after the signature: somebody may be counting its vote", what)
		}
		g.happened("an audit met "+what, "store.foreign_value")
		g.core.events = nil
	}
}

// A store may be one of the quorum that granted a lease, or all of it: where a
// change of that which failed is taken back later, it never has no copy at all.
func TestWhatIsTakenBackLaterLeavesTheLeaseInItsPlace(t *testing.T) {
	g := newGroup(t, 1)
	lease := g.holds("orders", "token", groupTTL/2)
	op := g.submit(extending("orders", "token", groupTTL/2))
	g.sync()
	g.lose(g.send(0)) // it acts, and its answer is lost
	g.sync()
	for _, ask := range g.asked[0] { // to undo it can't be sent: the store is down
		g.core.Voted(g.now, ask, Vote{Unsent: true, Err: errLost})
	}
	g.asked[0] = nil
	if r := g.ends(op, Failed); !errors.Is(r.Err, ErrNoQuorum) {
		t.Fatalf("extended: %v, want no quorum", r.Err)
	}
	if c := g.stores[0].get(g.now, "orders"); c == nil || c.Version == lease.Version {
		t.Fatalf("the store has %v, want the change that failed", c)
	}
	g.connect(0)
	for g.stores[0].get(g.now, "orders").Version != lease.Version {
		f := g.send(0)
		for _, ask := range f.asks {
			if ask.Name == "orders" && ask.Action == Swap && ask.Next == nil {
				t.Fatalf("asked %s: a peer may take what is held before it is put back", showAsk(ask))
			}
		}
		g.land(f)
		g.pass(retryAfter)
	}
}

// A store that forgot knows no more what had ended there. Whoever has a lease that is
// newer for sure says so when it puts that back.
func TestWhoPutsALeaseBackTellsThatTheOnesBeforeItEnded(t *testing.T) {
	for what, there := range map[string]*Copy{"nothing": nil, "an older lease": peersLease("old", 1)} {
		g, lease := owing(t)
		if there != nil {
			g.place("orders", there, time.Hour, 0)
		}
		g.turn(0)
		g.turn(0)
		if gone := g.stores[0].ended(lease.Until-1, "orders"); gone >= lease.Fence || gone < MakeNumber(1, 2) {
			t.Errorf("%s was there: the notice is of %v until our lease ends, want it of what was before %v", what, gone, lease.Fence)
		}
		if g.at(0, "orders") != "token" {
			t.Errorf("%s was there: the store has %q, want our lease", what, g.at(0, "orders"))
		}
	}
}

func TestWhoMissedTheEndOfItsLeaseSignsWithoutIt(t *testing.T) {
	g, lease := owing(t)
	g.place("orders", peersLease("theirs", lease.Version.Count()+9), time.Hour, 0)
	g.stores[0].gone["orders"] = simGone{lease.Version, g.now.Add(time.Hour)}
	g.turn(0)
	g.turn(0)
	if s := g.mine(0); s.Phase != Signed || g.at(0, "orders") != "theirs" || g.core.slots["orders"] != nil {
		t.Errorf("the book has %v, the store %q and the table %v, want it signed, with the peer's lease and without ours",
			s, g.at(0, "orders"), g.core.slots["orders"])
	}
}

// It may be none. If it is one, the peer has it in its journal, and signs once it is back.
func TestAPeersLeaseThatWeTriedToChangeHoldsNoSignatureUp(t *testing.T) {
	g := newGroup(t, 3)
	g.peerHolds("token", groupTTL/2)
	op := g.submit(seeing(extending("orders", "token", groupTTL)))
	g.turn(0, 1, 2) // the look
	g.sync()
	g.turn(0)
	for _, i := range []int{1, 2} {
		g.core.Voted(g.now, g.next(i), Vote{Err: errLost, Unsent: true})
	}
	g.sync()
	g.ends(op, Failed)
	if s := g.core.slots["orders"]; s == nil || !s.adopted {
		t.Fatalf("the table has %+v, want the peer's lease", s)
	}
	for _, restarted := range []bool{false, true} {
		if restarted {
			past := groupPast(g.onDisk("orders"))
			past.Entries[0].Name = "orders"
			g = openGroup(t, groupConfig(3), past)
			g.gather()
		}
		g.restart(0, "second", newMemory())
		for range 3 {
			g.turn(0)
		}
		if s := g.mine(0); s.Phase != Signed || !g.core.slots["orders"].adopted {
			t.Errorf("after a restart of ours %t: the book has %v, want it signed at once", restarted, s)
		}
	}
}

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
