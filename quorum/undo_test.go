package quorum

import (
	"errors"
	"testing"
	"time"
)

// lost returns a desk with three stores that must all agree and a hand-over that
// store 1 refuses; store 0 does what vote says.
func lost(t *testing.T, vote func(d *desk)) (d *desk, before *Lease, op *Op) {
	cfg := deskConfig(3)
	cfg.Need = 3
	d = openDesk(t, cfg, History{Birth: deskBirth, Limit: deskBirth})
	d.core.Reserve()
	d.sync()
	before = d.hold("orders", "one", 10*time.Second)
	d.pass(4 * time.Second)
	op = d.submit(handingOver("orders", "one", "two", 20*time.Second))
	d.asked[2] = nil
	vote(d)
	if _, over := d.over(op); !over && len(d.asked[1]) > 0 {
		d.refuse(foreignCopy("other"), 1)
	}
	return d, before, op
}

func TestAnUndoLeavesEachStoreWhatItHad(t *testing.T) {
	for _, c := range []struct {
		what string
		vote func(d *desk)
		want bool
	}{
		{"granted", func(d *desk) { d.grant(0) }, true},
		{"silent, sent", func(d *desk) { d.mute(0) }, true},
		{"silent, never sent", func(d *desk) { d.answer(0, Vote{Err: errLost, Unsent: true}) }, false},
		{"refused", func(d *desk) { d.refuse(foreignCopy("other"), 0) }, false},
	} {
		d, before, op := lost(t, c.vote)
		d.sync()
		d.result(op)
		if !c.want {
			if len(d.asked[0]) > 0 {
				t.Errorf("%s: store 0 is asked %s, want nothing", c.what, showAsk(d.asked[0][0]))
			}
			continue
		}
		ask := d.next(0)
		if ask.Prev == nil || string(ask.Prev.Value) != "two" || ask.OrNone {
			t.Errorf("%s: store 0 is asked %s, want this very attempt's copy replaced", c.what, showAsk(ask))
		}
		if !ask.Next.Equal(before.Copy()) || ask.TTL != 6*time.Second {
			t.Errorf("%s: store 0 is asked %s, want what it had with the 6s that are left", c.what, showAsk(ask))
		}
	}
}

func TestAVoteStillOutIsUndoneToo(t *testing.T) {
	d := newDesk(t, 3)
	op := d.submit(acquiring("token", 10*time.Second, "orders"))
	vote := d.next(0) // under way
	d.refuse(foreignCopy("other"), 1, 2)
	d.ends(op, Held)
	if ask := d.next(0); !ask.Prev.Equal(vote.Next) || ask.Next != nil {
		t.Errorf("store 0 is asked %s, want the copy that it may get taken out", showAsk(ask))
	}
	d.core.Voted(d.now, vote, Vote{Verdict: Granted}) // and now its vote comes in
	if len(d.core.leases) != 0 {
		t.Error("a vote that came after the decision made a lease")
	}
}

func TestAForeignLeaseIsPutBackAsItWas(t *testing.T) {
	d := newDesk(t, 3)
	takeover := &Op{Names: []string{"orders"}, Reads: true, Decide: func(v *View) Plan {
		lease, _ := v.Lease("orders")
		return Plan{Parts: []Part{{Prev: lease, Name: "orders", Value: []byte("theirs"), TTL: 20 * time.Second, Renew: true}}}
	}}
	d.submit(takeover)
	for store := range 3 {
		d.answer(store, Vote{Verdict: Granted, Found: foreignCopy("theirs"), FoundLeft: 10 * time.Second})
	}
	d.pass(100 * time.Millisecond)
	if ask := d.asked[0][0]; !ask.Prev.Equal(foreignCopy("theirs")) || ask.OrNone {
		t.Errorf("store 0 is asked %s, want exactly the foreign copy replaced", showAsk(ask))
	}
	d.grant(0)
	d.refuse(nil, 1, 2)
	d.ends(takeover, Held)
	ask := d.next(0)
	if !ask.Next.Equal(foreignCopy("theirs")) || ask.TTL != 9900*time.Millisecond {
		t.Errorf("store 0 is asked %s, want the foreign copy back for the 9.9s that are left", showAsk(ask))
	}
}

func TestAnErrorWaitsUntilTheLeaseBeforeIsOnDiskAgain(t *testing.T) {
	d, before, op := lost(t, func(d *desk) { d.grant(0) })
	d.waits(op, "the pending record is not undone")
	last := d.written[len(d.written)-1]
	if !last.sync || last.Entries[0].Lease.Version != before.Version || last.Entries[0].Pending {
		t.Errorf("the journal is asked for %+v, want the lease before, for sure and synced", last)
	}
	d.sync()
	d.ends(op, Held)
	d.ends(d.submit(releasing("orders", "one")), Changed)
}

func TestADenialWaitsForNoDiskWhereNothingWasReplaced(t *testing.T) {
	d := newDesk(t, 3)
	op := d.submit(acquiring("token", 10*time.Second, "orders"))
	d.refuse(foreignCopy("other"), 0, 1)
	d.ends(op, Held)
	if last := d.written[len(d.written)-1]; last.sync || last.want != nil || last.Entries[0].Lease != nil {
		t.Errorf("the journal is asked for %+v, want the lock free, unsynced", last)
	}
}

func TestALockIsNotDecidedOnWhileItsUndoIsNotOnDisk(t *testing.T) {
	d, _, op := lost(t, func(d *desk) { d.grant(0) })
	behind := d.submit(releasing("orders", "one"))
	d.waits(behind, "the lock's last change is not undone on disk")
	d.sync()
	d.ends(op, Held)
	d.ends(behind, Changed)
}

func TestALeaseThatEndsDuringAFailedChangeIsNotBroughtBack(t *testing.T) {
	d := newDesk(t, 3)
	d.hold("orders", "one", 300*time.Millisecond)
	d.pass(200 * time.Millisecond)
	op := d.submit(handingOver("orders", "one", "two", 10*time.Second))
	d.grant(0)
	d.sync()
	d.pass(250 * time.Millisecond)
	if r := d.ends(op, Failed); !errors.Is(r.Err, ErrNoQuorum) {
		t.Errorf("error %v, want no quorum", r.Err)
	}
	if ask := d.next(0); ask.Next != nil || string(ask.Prev.Value) != "two" {
		t.Errorf("store 0 is asked %s, want the attempt's copy taken out", showAsk(ask))
	}
	d.sync()
	if e := d.onDisk("orders"); e.Lease != nil {
		t.Errorf("the journal has %+v, want the lock free", e.Lease)
	}
}

// Somebody who locks in the stores would take the lock where there is no copy.
func TestWhatIsUndoneLaterLeavesTheLeaseInItsPlace(t *testing.T) {
	d := newDesk(t, 3)
	lease := d.hold("orders", "token", 10*time.Second)
	op := d.submit(extending("orders", "token", 20*time.Second))
	tried := d.asked[0][0].Next
	d.mute(0, 1, 2) // they act, and their answers are lost
	d.sync()
	d.ends(op, Failed)
	d.core.Voted(d.now, d.next(0), Vote{Unsent: true, Err: errLost}) // the undo: the store is down
	d.core.Up(d.now, 0, "first")
	if asks := doing(d.core.Chores(d.now, 0, 10), whyTakeOut); len(asks) != 1 || !asks[0].Prev.Equal(tried) || !asks[0].Next.Equal(lease.Copy()) {
		t.Errorf("asked %v, want the lease in the place of what was tried", asks)
	}
}

// leftBehind returns a desk where store 0 has the copy of an attempt that failed.
func leftBehind(t *testing.T) (*desk, *Copy) {
	d := newDesk(t, 3)
	d.submit(acquiring("first", 10*time.Second, "orders"))
	left := d.answer(0, Vote{Verdict: Granted}).Next
	d.refuse(foreignCopy("other"), 1, 2)
	d.sync()
	d.next(0) // the undo is lost
	return d, left
}

func TestALeftoverOfOursIsSweptAndAskedAgainOnce(t *testing.T) {
	d, left := leftBehind(t)
	op := d.submit(acquiring("second", 10*time.Second, "orders"))
	d.sync()
	first := d.answer(0, Vote{Verdict: Refused, Found: left})
	again := d.next(0)
	if !again.Prev.Equal(left) || !again.OrNone || !again.Next.Equal(first.Next) || again.Deadline != first.Deadline {
		t.Errorf("store 0 is asked %s, want exactly the leftover replaced", showAsk(again))
	}
	d.grant(1)
	d.waits(op, "the second question is not answered")
	d.core.Voted(d.now, again, Vote{Verdict: Refused, Found: left})
	if len(d.asked[0]) > 0 {
		t.Errorf("store 0 is asked a third time: %s", showAsk(d.asked[0][0]))
	}
	d.refuse(foreignCopy("other"), 2)
	d.ends(op, Held)
}

func TestASweptLeftoverIsAVote(t *testing.T) {
	d, left := leftBehind(t)
	op := d.submit(acquiring("second", 10*time.Second, "orders"))
	d.sync()
	d.answer(0, Vote{Verdict: Refused, Found: left})
	d.grant(0, 1)
	d.ends(op, Changed)
	if len(d.core.events) == 0 || d.core.events[0].Kind != "store.leftover" {
		t.Errorf("events %v, want a leftover told", d.core.events)
	}
}

func TestOnlyLeftoversOfOursAreSwept(t *testing.T) {
	for _, c := range []struct {
		what  string
		found *Copy
		want  bool
	}{
		{"a number of ours", &Copy{Version: MakeNumber(1001, 0), Value: []byte("a")}, true},
		{"nothing", nil, false},
		{"a foreign value", foreignCopy("other"), false},
		{"something opaque", &Copy{Opaque: true}, false},
		{"another author's number", &Copy{Version: MakeNumber(1001, 1)}, false},
		{"a number of another journal", &Copy{Version: MakeNumber(999, 0)}, false},
		{"a number not given out yet", &Copy{Version: MakeNumber(5000, 0)}, false},
	} {
		d := newDesk(t, 3)
		d.hold("other", "token", 10*time.Second) // change 1001 is another lock's
		op := d.submit(acquiring("token", 10*time.Second, "orders"))
		d.refuse(c.found, 0)
		if got := len(d.asked[0]) > 0; got != c.want {
			t.Errorf("%s in the way: asked again %t, want %t", c.what, got, c.want)
		}
		d.waits(op, c.what)
	}
}

func TestTheCopyOfALiveLeaseIsNoLeftover(t *testing.T) {
	d := newDesk(t, 3)
	lease := d.hold("orders", "token", 10*time.Second)
	if d.core.leftover("orders", lease.Copy()) {
		t.Error("the copy of a live lease is a leftover, want it to stay")
	}
	if !d.core.leftover("parcels", lease.Copy()) {
		t.Error("the same number under another name is none, want it to be a leftover")
	}
	d.submit(extending("orders", "token", 20*time.Second))
	pending := d.asked[0][0].Next
	if d.core.leftover("orders", pending) {
		t.Error("the copy of a change under way is a leftover, want it to stay")
	}
	d.settle()
	if d.core.leftover("orders", pending) || !d.core.leftover("orders", lease.Copy()) {
		t.Error("after an extension the new copy must stay, and the old one go")
	}
}
