package quorum

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// connect says that a store is there, and lets its first audit pass.
func (d *desk) connect(incarnation string, stores ...int) {
	for _, store := range stores {
		d.core.Up(d.now, store, incarnation)
		for _, ask := range d.chores(store) {
			d.core.Voted(d.now, ask, Vote{Verdict: Granted})
		}
	}
	d.core.events = nil
}

func (d *desk) chores(store int) []*Ask { return d.core.Chores(d.now, store, 1000) }

// due wants that a store has a chore to do now, or has none.
func (d *desk) due(store int, want bool, what string) {
	d.t.Helper()
	if got := d.core.Due(d.now, store) <= d.now; got != want {
		d.t.Errorf("%s: store %d has chores %t, want %t", what, store, got, want)
	}
}

// happened wants exactly these events since it was last asked.
func (d *desk) happened(what string, kinds ...string) {
	d.t.Helper()
	var got []string
	for _, e := range d.core.events {
		got = append(got, e.Kind)
	}
	if d.core.events = nil; strings.Join(got, " ") != strings.Join(kinds, " ") {
		d.t.Errorf("%s: told %q, want %q", what, got, kinds)
	}
}

// heldBy grants a lock with the votes of some stores; the others stay silent.
func (d *desk) heldBy(name string, ttl time.Duration, stores ...int) *Lease {
	d.t.Helper()
	op := d.submit(acquiring("token", ttl, name))
	d.grant(stores...)
	d.sync()
	for store := range d.asked {
		if len(d.asked[store]) > 0 {
			d.mute(store)
		}
	}
	return d.ends(op, Changed).Leases[0]
}

func TestAStoreThatWasSilentGetsTheCopy(t *testing.T) {
	d := newDesk(t, 3)
	d.connect("first", 0, 1, 2)
	lease := d.heldBy("orders", 10*time.Second, 0, 1)
	d.pass(500 * time.Millisecond)
	d.due(0, false, "it granted")
	d.due(2, true, "it was silent")
	asks := d.chores(2)
	if len(asks) != 1 || !asks[0].Next.Equal(lease.Copy()) || asks[0].Prev != nil || asks[0].OrNone || asks[0].TTL != 9500*time.Millisecond {
		t.Fatalf("store 2 has the chores %v, want one put-back where there is none", asks)
	}
	d.due(2, false, "it is being put back")
	d.core.Voted(d.now, asks[0], Vote{Err: errLost})
	d.due(2, false, "it was silent again: no hurry until it is back")
	d.core.Up(d.now, 2, "first")
	d.due(2, true, "it is back")
	d.core.Voted(d.now, d.chores(2)[0], Vote{Verdict: Granted})
	d.due(2, false, "it has the copy")
}

func TestALateGrantIsNotPutBackAgain(t *testing.T) {
	d := newDesk(t, 3)
	d.connect("first", 0, 1, 2)
	op := d.submit(acquiring("token", 10*time.Second, "orders"))
	d.sync()
	d.grant(0, 1)
	d.ends(op, Changed)
	d.due(2, true, "its vote is still out")
	d.grant(2)
	if asks := d.chores(2); len(asks) != 0 {
		t.Errorf("store 2, which granted late, is asked %s, want nothing", showAsk(asks[0]))
	}
}

func TestOnlyAStoreThatForgotIsFilledAgain(t *testing.T) {
	for _, c := range []struct {
		incarnation, event string
		want               int
	}{
		{"first", "store.up", 0},
		{"second", "store.restarted", 2},
	} {
		d := newDesk(t, 3)
		d.connect("first", 0, 1, 2)
		d.hold("orders", "token", 10*time.Second)
		d.hold("parcels", "token", 10*time.Second)
		d.core.Down(0, errLost)
		d.core.Down(0, errLost)
		d.happened("went down", "store.down")
		d.core.Up(d.now, 0, c.incarnation)
		d.happened("came up as "+c.incarnation, c.event)
		planted := map[string]bool{}
		for _, ask := range d.chores(0) {
			if ask.why == whyPutBack {
				planted[ask.Name] = true
			}
		}
		if len(planted) != c.want {
			t.Errorf("came up as %s: %d leases put back, want %d", c.incarnation, len(planted), c.want)
		}
		d.due(1, false, "another store came up")
	}
}

func TestACopyThatVanishedBringsThemAllBack(t *testing.T) {
	d := newDesk(t, 1)
	d.connect("first", 0)
	d.hold("orders", "token", 10*time.Second)
	d.hold("parcels", "token", 10*time.Second)
	d.pass(auditEvery)
	audits := d.chores(0)
	if len(audits) != 2 {
		t.Fatalf("%d audits, want one for each lease", len(audits))
	}
	d.core.Voted(d.now, audits[0], Vote{Verdict: Refused, Found: audits[0].Next})
	d.happened("the first copy is there")
	d.due(0, false, "the first copy is there")
	d.core.Voted(d.now, audits[1], Vote{Verdict: Granted})
	d.happened("the second was not", "store.copy_vanished")
	asks := d.chores(0)
	if len(asks) != 1 || asks[0].Name != audits[0].Name {
		t.Errorf("chores %v, want %q put back too, and what the audit put back left alone", asks, audits[0].Name)
	}
}

func TestASingleCopyThatVanishedIsNoFlush(t *testing.T) {
	d := newDesk(t, 1)
	d.connect("first", 0)
	for i := range 100 {
		d.hold(fmt.Sprint("lock", i), "token", time.Hour)
	}
	for round, lost := range []int{1, 8, 9} { // of the 64 that an audit looks at
		d.pass(auditEvery)
		events := []string{}
		for i, ask := range d.chores(0) {
			if i < lost {
				d.core.Voted(d.now, ask, Vote{Verdict: Granted})
				events = append(events, "store.copy_vanished")
			} else {
				d.core.Voted(d.now, ask, Vote{Verdict: Refused, Found: ask.Next})
			}
		}
		d.happened(fmt.Sprint(lost, " of 64 were gone"), events...)
		if all := d.core.Missing(0) > 0; all != (lost > 8) {
			t.Errorf("round %d: %d of 64 copies were gone: all are put back: %t, want %t", round, lost, all, lost > 8)
		}
	}
}

func TestAnIdleStoreIsAskedWhetherItIsThere(t *testing.T) {
	d := newDesk(t, 1)
	d.connect("first", 0)
	d.due(0, false, "just looked")
	d.pass(auditEvery)
	asks := d.chores(0)
	if len(asks) != 1 || asks[0].Action != Read {
		t.Fatalf("chores %v, want one read", asks)
	}
	d.core.Voted(d.now, asks[0], Vote{Verdict: Granted})
	d.due(0, false, "it answered")
}

func TestNothingOfAnEndedLeaseIsPutBack(t *testing.T) {
	for what, end := range map[string]func(d *desk){
		"released":      func(d *desk) { d.submit(releasing("orders", "token")) },
		"over":          func(d *desk) { d.pass(11 * time.Second) },
		"all but over":  func(d *desk) { d.pass(10*time.Second - Drift(10*time.Second)) },
		"over, by Tick": func(d *desk) { d.pass(10 * time.Second); d.pass(time.Second) },
	} {
		d := newDesk(t, 3)
		d.connect("first", 0, 1, 2)
		d.heldBy("orders", 10*time.Second, 0, 1)
		end(d)
		for _, ask := range d.chores(2) {
			if ask.Next != nil {
				t.Errorf("%s: store 2 is asked %s, want no put-back", what, showAsk(ask))
			}
		}
	}
}

func TestALeaseThatIsBeingChangedIsPutBackAfterwards(t *testing.T) {
	d := newDesk(t, 3)
	d.connect("first", 0, 1, 2)
	d.heldBy("orders", 10*time.Second, 0, 1)
	op := d.submit(extending("orders", "token", 20*time.Second))
	if asks := d.chores(2); len(asks) != 0 {
		t.Errorf("store 2 is asked %s while the lease is changed, want nothing", showAsk(asks[0]))
	}
	d.grant(0, 1)
	d.sync()
	after := d.ends(op, Changed).Leases[0]
	d.mute(2)
	if asks := d.chores(2); len(asks) != 1 || !asks[0].Next.Equal(after.Copy()) {
		t.Errorf("store 2 has the chores %v, want the new copy put back", asks)
	}
}

func TestAPutBackThatOutlivesItsLeaseIsTakenOut(t *testing.T) {
	for _, c := range []struct {
		what string
		vote Vote
		want bool
	}{
		{"granted", Vote{Verdict: Granted}, true},
		{"silent", Vote{Err: errLost}, true},
		{"refused", Vote{Verdict: Refused, Found: foreignCopy("other")}, false},
	} {
		d := newDesk(t, 3)
		d.connect("first", 0, 1, 2)
		d.heldBy("orders", 10*time.Second, 0, 1)
		plant := d.chores(2)[0] // under way
		d.submit(releasing("orders", "token"))
		d.asked = make([][]*Ask, 3)
		d.core.Voted(d.now, plant, c.vote)
		if got := len(d.asked[2]) == 1 && d.asked[2][0].Prev.Equal(plant.Next); got != c.want {
			t.Errorf("%s: taken out %t, want %t", c.what, got, c.want)
		}
	}
}

func TestWhatIsInTheWayOfAPutBack(t *testing.T) {
	d := newDesk(t, 3)
	d.connect("first", 0, 1, 2)
	old := d.hold("orders", "token", time.Second)
	d.submit(releasing("orders", "token"))
	d.settle()
	lease := d.heldBy("orders", 10*time.Second, 0, 1)
	d.core.events = nil

	d.core.Voted(d.now, d.chores(2)[0], Vote{Verdict: Refused, Found: old.Copy()})
	again := d.next(2)
	if !again.Prev.Equal(old.Copy()) || !again.OrNone || !again.Next.Equal(lease.Copy()) {
		t.Errorf("a leftover is in the way: store 2 is asked %s, want exactly that replaced", showAsk(again))
	}
	d.core.Voted(d.now, again, Vote{Verdict: Refused, Found: foreignCopy("other")})
	d.quiet("somebody else's copy is in the way")
	d.due(2, false, "somebody else's copy is in the way")

	d.pass(auditEvery)
	d.happened("nothing was tried")
	audit := d.chores(2)[0]
	d.core.Voted(d.now, audit, Vote{Verdict: Refused, Found: foreignCopy("other")})
	d.happened("the audit met it again", "store.foreign_value")
	d.pass(auditEvery)
	d.core.Voted(d.now, d.chores(2)[0], Vote{Verdict: Granted})
	d.happened("it went away")
	if d.core.slots["orders"].has != 7 {
		t.Errorf("stores %03b are known to have the copy, want all three", d.core.slots["orders"].has)
	}
}

func TestACopyIsTakenOutOnceTheStoreCanBeReached(t *testing.T) {
	d := newDesk(t, 1)
	d.connect("first", 0)
	lease := d.hold("orders", "token", 10*time.Second)
	d.submit(releasing("orders", "token"))
	d.answer(0, Vote{Err: errLost, Unsent: true})
	d.pass(retryAfter)
	d.due(0, true, "the copy must still go")
	asks := d.chores(0)
	if len(asks) != 1 || !asks[0].Prev.Equal(lease.Copy()) || asks[0].Next != nil {
		t.Fatalf("chores %v, want the copy taken out", asks)
	}
	d.core.Voted(d.now, asks[0], Vote{Err: errLost})
	d.due(0, false, "it was silent again: not at once")
	d.pass(retryAfter)
	d.due(0, true, "it was silent again")
	d.core.Voted(d.now, d.chores(0)[0], Vote{Verdict: Refused})
	d.due(0, false, "the store answered")
}

func TestACopyThatIsOverAnywayIsForgotten(t *testing.T) {
	d := newDesk(t, 1)
	d.connect("first", 0)
	d.hold("orders", "token", 10*time.Second)
	d.submit(releasing("orders", "token"))
	d.mute(0)
	d.pass(time.Minute)
	for _, ask := range d.chores(0) {
		if ask.why == whyTakeOut {
			t.Errorf("store 0 is asked %s long after the lease, want nothing", showAsk(ask))
		}
	}
}

func TestAStoreThatMayActLateIsLookedIntoAgain(t *testing.T) {
	for _, late := range []bool{false, true} {
		cfg := deskConfig(1)
		cfg.Stores[0].Late = late
		d := openDesk(t, cfg, History{Birth: deskBirth, Limit: deskBirth})
		d.core.Reserve()
		d.sync()
		d.connect("first", 0)
		d.submit(acquiring("token", 24*time.Hour, "orders"))
		d.mute(0) // it may come late
		d.mute(0) // so may its undo
		looks := 0
		for range 60 {
			for _, ask := range d.chores(0) {
				if ask.why == whyTakeOut {
					looks++
				}
				d.core.Voted(d.now, ask, Vote{Verdict: Refused})
			}
			d.pass(time.Second)
		}
		if again := looks > 1; again != late || looks == 0 || looks > lateLooks {
			t.Errorf("late %t: looked %d times, want more than once only if it may act late", late, looks)
		}
	}
}

func TestACoarseStoreIsToldWhenALeaseEnds(t *testing.T) {
	cfg := deskConfig(2)
	cfg.Stores[1].Coarse = true
	d := openDesk(t, cfg, History{Birth: deskBirth, Limit: deskBirth})
	d.core.Reserve()
	d.sync()
	lease := d.hold("orders", "token", time.Second)
	d.pass(time.Second + Drift(time.Second) - 1)
	d.quiet("the lease is live")
	d.pass(1)
	if ask := d.next(1); !ask.Prev.Equal(lease.Copy()) || ask.Next != nil {
		t.Errorf("store 1 is asked %s, want the copy of the ended lease taken out", showAsk(ask))
	}
	d.quiet("the other store keeps milliseconds")
	d.sync()
	if e := d.onDisk("orders"); e.Lease != nil {
		t.Errorf("the journal has %+v, want the lock free", e.Lease)
	}
}

func TestEachStoreOwesABoundedNumberOfCopies(t *testing.T) {
	d := newDesk(t, 1)
	ask := &Ask{why: whyTakeOut, until: d.now.Add(time.Hour), Request: Request{Name: "orders", Prev: foreignCopy("a")}}
	for range maxDebts + 1000 {
		d.core.Voted(d.now, ask, Vote{Err: errLost})
	}
	if got := len(d.core.stores[0].debts); got != maxDebts {
		t.Errorf("%d copies to take out, want %d", got, maxDebts)
	}
	d.pass(retryAfter)
	d.pass(retryAfter)
	if got := len(d.core.Chores(d.now, 0, 100)); got < 100 || got > 101 {
		t.Errorf("%d chores at once, want about 100", got)
	}
}

func TestTheClockIsCheckpointedWhileThereAreLeases(t *testing.T) {
	d := newDesk(t, 0)
	checkpoints := func() (n int) {
		for _, r := range d.disk {
			if r.Now != 0 {
				n++
			}
		}
		return n
	}
	live := func(seconds int) {
		for range seconds * 4 {
			d.pass(250 * time.Millisecond)
			d.sync()
		}
	}
	if live(5); checkpoints() != 0 {
		t.Errorf("%d checkpoints without a lease, want none", checkpoints())
	}
	d.hold("orders", "token", time.Minute)
	if live(10); checkpoints() < 9 || checkpoints() > 11 {
		t.Errorf("%d checkpoints in 10s, want about one a second", checkpoints())
	}
}

func TestTickSaysWhenItIsNeededNext(t *testing.T) {
	d := newDesk(t, 1)
	if next := d.core.Tick(d.now); next != d.now.Add(time.Hour) {
		t.Errorf("idle: again in %v, want in an hour", next.Sub(d.now))
	}
	d.hold("orders", "token", 100*time.Millisecond)
	if next, want := d.core.Tick(d.now), Until(d.now, 100*time.Millisecond); next != want {
		t.Errorf("with a lease: again in %v, want when it ends in %v", next.Sub(d.now), want.Sub(d.now))
	}
	d.pass(50 * time.Millisecond)
	d.submit(acquiring("token", time.Second, "parcels"))
	d.pass(200 * time.Millisecond)
	if next := d.core.Tick(d.now); next != d.now.Add(50*time.Millisecond) {
		t.Errorf("with a vote out: again in %v, want when its patience ends in 50ms", next.Sub(d.now))
	}
}

func TestAMillionEndsLetOthersInBetween(t *testing.T) {
	d := newDesk(t, 0)
	for i := range 2500 {
		d.submit(acquiring("token", time.Second, strings.Repeat("x", i+1)))
	}
	d.sync()
	d.now = d.now.Add(2 * time.Second)
	for want := 1500; want >= 0; want -= 1000 {
		if next := d.core.Tick(d.now); next > d.now || len(d.core.leases) != want {
			t.Errorf("%d leases left, again in %v, want %d and at once", len(d.core.leases), next.Sub(d.now), want)
		}
	}
	if d.core.Tick(d.now); len(d.core.leases) != 0 || len(d.core.slots) != 0 {
		t.Errorf("%d leases of %d names left, want none", len(d.core.leases), len(d.core.slots))
	}
}

func TestACopySaidToBeGoneIsPutBackAtOnce(t *testing.T) {
	d := newDesk(t, 3)
	d.connect("first", 0, 1, 2)
	lease := d.heldBy("orders", 10*time.Second, 0, 1, 2)
	d.core.Vanished(d.now, 1, "orders")
	d.due(1, true, "its copy is said to be gone")
	asks := d.chores(1)
	if len(asks) != 1 || !asks[0].Next.Equal(lease.Copy()) || asks[0].Prev != nil || asks[0].OrNone {
		t.Fatalf("store 1 has the chores %v, want one put-back where there is none", asks)
	}
	d.core.Voted(d.now, asks[0], Vote{Verdict: Granted})
	d.happened("the copy was gone", "store.copy_vanished")
	d.due(0, false, "only store 1 lost it")

	d.core.Vanished(d.now, 1, "orders")
	d.core.Voted(d.now, d.chores(1)[0], Vote{Verdict: Refused, Found: lease.Copy()})
	d.happened("the copy was there")
	if d.core.slots["orders"].has != 7 {
		t.Errorf("stores %03b are known to have the copy, want all three", d.core.slots["orders"].has)
	}
}

func TestWordOfACopyThatNobodyHoldsByIsIgnored(t *testing.T) {
	d := newDesk(t, 1)
	d.connect("first", 0)
	d.core.Vanished(d.now, 0, "never-heard-of")
	d.hold("orders", "token", time.Second)
	d.pass(time.Second) // its end by the TTL: that is what the store tells of
	d.core.Vanished(d.now, 0, "orders")
	if n := d.core.Missing(0); n > 0 {
		t.Errorf("%d copies to put back, want none", n)
	}
}

func TestAFlushPutsEverythingBackAndVoidsWhatWasGranted(t *testing.T) {
	d := newDesk(t, 3)
	d.connect("first", 0, 1, 2)
	d.heldBy("orders", 10*time.Second, 0, 1, 2)
	op := d.submit(acquiring("token", 10*time.Second, "parcels"))
	d.grant(0)
	d.core.Vanished(d.now, 0, "")
	d.grant(1)
	d.sync()
	d.refuse(nil, 2)
	d.ends(op, Failed)
	d.due(0, true, "it was flushed")
	d.happened("store 0 was flushed", "store.flushed")
}
