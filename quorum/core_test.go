package quorum

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestAStoreThatIsDownCostsNoMemoryForEndedLeases(t *testing.T) {
	d := newDesk(t, 3)
	for i := range 5000 {
		name := fmt.Sprint("lock", i%10)
		op := d.submit(acquiring("token", 10*time.Second, name))
		d.grant(0, 1)
		d.answer(2, Vote{Err: errLost, Unsent: true})
		d.sync()
		d.ends(op, Changed)
		d.submit(releasing(name, "token"))
		d.grant(0, 1)
		d.answer(2, Vote{Err: errLost, Unsent: true})
	}
	if got := len(d.core.stores[2].missing); len(d.core.leases) > 0 || got > 100 {
		t.Errorf("%d leases, and %d of them missing in the store that is down; want few of few", len(d.core.leases), got)
	}
}

func TestASilentVoteOfALateStoreIsLookedIntoAgain(t *testing.T) {
	cfg := deskConfig(1)
	cfg.Stores[0].Late = true
	d := openDesk(t, cfg, History{Birth: deskBirth, Limit: deskBirth})
	d.core.Reserve()
	d.sync()
	d.connect("first", 0)
	d.submit(acquiring("token", 24*time.Hour, "orders"))
	d.mute(0)        // it may still come
	d.refuse(nil, 0) // the undo finds nothing yet
	looks := 0
	for range 10 {
		d.pass(time.Second)
		for _, ask := range d.chores(0) {
			if ask.why == whyTakeOut {
				looks++
			}
			d.core.Voted(d.now, ask, Vote{Verdict: Refused})
		}
	}
	if looks == 0 {
		t.Error("a request that may arrive after its undo is never looked for")
	}
}

func TestAnUndoThatIsDoneLaterPutsTheForeignLeaseBackToo(t *testing.T) {
	d := newDesk(t, 3)
	d.submit(&Op{Names: []string{"orders"}, Reads: true, Decide: func(v *View) Plan {
		lease, _ := v.Lease("orders")
		return Plan{Parts: []Part{{Prev: lease, Name: "orders", Value: []byte("theirs"), TTL: 20 * time.Second, Renew: true}}}
	}})
	for store := range 3 {
		d.answer(store, Vote{Verdict: Granted, Found: foreignCopy("theirs"), FoundLeft: 10 * time.Second})
	}
	d.grant(0)
	d.refuse(nil, 1, 2)
	d.mute(0) // the undo
	for _, ask := range d.chores(0) {
		if ask.why == whyTakeOut && !ask.Next.Equal(foreignCopy("theirs")) {
			t.Errorf("store 0 is asked %s, want their copy put back: they may still hold the lock", showAsk(ask))
		}
	}
}

func TestTheHolderInDoubtMayExtendWhateverTheStoresHave(t *testing.T) {
	lease, replaced := leaseFor("two", 1500, 10*time.Second), leaseFor("one", 1400, 10*time.Second)
	for _, there := range []*Lease{lease, replaced} {
		d := restart(t, 1, Entry{Lease: lease, Replaced: replaced, Pending: true})
		op := d.submit(extending("orders", "two", time.Minute))
		d.sync()
		for len(d.asked[0]) > 0 { // the store grants what names the copy that it has
			vote := Vote{Verdict: Refused, Found: there.Copy()}
			if d.asked[0][0].Prev.Equal(there.Copy()) {
				vote = Vote{Verdict: Granted, Found: there.Copy()}
			}
			d.answer(0, vote)
		}
		d.sync()
		if r := d.result(op); r.Outcome != Changed {
			t.Errorf("it extends, the store has the copy of %s: %v (%v), want changed", there.Value, r.Outcome, r.Err)
		}
	}
}

func TestAChangeThatTheJournalFailedIsTakenOutOfTheStores(t *testing.T) {
	d := newDesk(t, 1)
	op := d.submit(acquiring("token", 24*time.Hour, "orders"))
	d.grant(0)
	d.breakDisk()
	d.ends(op, Failed)
	if len(d.asked[0]) == 0 {
		t.Error("the client was refused, and its copy keeps everybody out for 24h")
	}
}

func TestADenialWhoseUndoIsNotOnDiskIsNoDenial(t *testing.T) {
	d, _, op := lost(t, func(d *desk) { d.grant(0) })
	d.breakDisk()
	if r := d.result(op); r.Outcome != Failed || !errors.Is(r.Err, errDisk) {
		t.Errorf("%v (%v), want the journal's error: after a restart it may have been granted", r.Outcome, r.Err)
	}
}

func TestAStoreThatForgotDuringAVoteGetsTheCopy(t *testing.T) {
	d := newDesk(t, 3)
	d.connect("first", 0, 1, 2)
	op := d.submit(acquiring("token", 10*time.Second, "orders"))
	d.grant(0)
	d.core.Up(d.now, 0, "second") // and has lost what it granted
	d.grant(1, 2)
	d.sync()
	d.ends(op, Changed)
	for _, ask := range d.chores(0) {
		if ask.why == whyPutBack {
			return
		}
	}
	t.Error("store 0 restarted empty after it granted, and is not given the copy")
}

func TestACopyToTakeOutIsForgottenHoweverOftenTheStoreIsSilent(t *testing.T) {
	d := newDesk(t, 1)
	d.connect("first", 0)
	d.hold("orders", "token", time.Second)
	d.submit(releasing("orders", "token"))
	d.mute(0)
	for range 100 {
		d.pass(time.Second)
		for _, ask := range d.chores(0) {
			d.core.Voted(d.now, ask, Vote{Err: errLost})
		}
	}
	if got := len(d.core.stores[0].debts); got > 0 {
		t.Errorf("%d copies to take out 99s after the lease was over, want none", got)
	}
}

func TestAForeignCopyIsNeverALeftover(t *testing.T) {
	d := openDesk(t, deskConfig(1), History{})
	if d.core.leftover("orders", foreignCopy("theirs")) {
		t.Error("with a journal that has no first number yet, somebody else's copy would be swept")
	}
}

func TestAPlanThatNamesALockTwiceIsRefused(t *testing.T) {
	d := newDesk(t, 0)
	part := Part{Name: "orders", Value: []byte("token"), TTL: time.Second}
	op := d.submit(&Op{Names: []string{"orders"}, Decide: func(*View) Plan { return Plan{Parts: []Part{part, part}} }})
	d.settle()
	if r := d.result(op); r.Outcome != Failed {
		t.Errorf("%v, with %d leases of one lock, want it refused", r.Outcome, len(r.Leases))
	}
}

func TestAPutBackUnderWayIsNotMadeTwice(t *testing.T) {
	d := newDesk(t, 3)
	d.connect("first", 0, 1, 2)
	d.heldBy("orders", 10*time.Second, 0, 1)
	d.pass(auditEvery)
	plants := 0
	for _, ask := range d.chores(2) {
		if ask.why != whyBeat {
			plants++
		}
	}
	if plants != 1 {
		t.Errorf("store 2 is asked %d times for one copy, want once", plants)
	}
}

func TestALeaseThatEndedDuringAReadIsNotShown(t *testing.T) {
	d := newDesk(t, 1)
	d.hold("orders", "token", 100*time.Millisecond)
	op := &Op{Names: []string{"orders", "parcels"}, Reads: true, Decide: func(v *View) Plan {
		if l, _ := v.Lease("orders"); l != nil && !l.Live(v.Now) {
			t.Errorf("shown a lease that ended %v ago", v.Now.Sub(l.Until))
		}
		return Plan{}
	}}
	d.submit(op)
	d.pass(200 * time.Millisecond)
	d.settle()
	d.ends(op, Unchanged)
}

func TestAReleaseHasNoValidity(t *testing.T) {
	d := newDesk(t, 1)
	op := releasing("orders", "theirs")
	op.Reads = true
	d.submit(op)
	d.shows("t")
	d.settle()
	if r := d.ends(op, Changed); r.Validity != 0 {
		t.Errorf("validity %v of nothing, want 0", r.Validity)
	}
}

func TestAStoreThatNeverCameUpIsTold(t *testing.T) {
	d := newDesk(t, 1)
	d.core.Down(0, errLost)
	d.core.Down(0, errLost)
	d.happened("it was never there", "store.down")
}

// It would be gone through by each collection of garbage.
func TestWhatIsOverIsLetGoBeforeItsTime(t *testing.T) {
	d := newDesk(t, 3)
	for range 100 {
		d.hold("orders", "token", time.Minute)
		d.submit(releasing("orders", "token"))
		d.submit(looking("orders", func(*Lease) {}))
		d.settle()
	}
	if n := len(d.core.timed); n > 2 {
		t.Errorf("%d attempts and looks are kept until their deadline, want those of the last turn", n)
	}
}
