package quorum_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/quorum"
)

func TestCloseFlushesReleases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, 3)
		h.fakes[0].Delay(100 * time.Millisecond)
		h.takes(0, acquiring("orders", "token", time.Minute), quorum.Changed)
		pass(100 * time.Millisecond)
		h.takes(0, releasing("orders", "token"), quorum.Changed)
		if err := h.keeper.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		for store := range 3 {
			h.has(store, "orders", "")
		}
		if got := h.journal.history().Entries; len(got) != 0 {
			t.Errorf("the journal has %+v, want no lease", got)
		}
	})
}

func TestCloseWaitsForNoStoreLongerThanItsPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, 3)
		h.fakes[2].Pause()
		h.begin(acquiring("orders", "token", time.Minute))
		synctest.Wait()
		start := time.Now()
		if err := h.keeper.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if took := time.Since(start); took > 250*time.Millisecond {
			t.Errorf("close took %v, want at most 250ms", took)
		}
	})
}

func TestAClosedKeeperTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, 1)
		h.keeper.Close()
		r := h.takes(0, acquiring("orders", "token", time.Minute), quorum.Failed)
		if !errors.Is(r.Err, quorum.ErrClosed) {
			t.Errorf("error %v, want %v", r.Err, quorum.ErrClosed)
		}
	})
}

func TestLeasesSurviveARestartOfTheKeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, 3)
		before := h.takes(0, acquiring("orders", "token", time.Minute), quorum.Changed).Leases[0]
		h.takes(0, acquiring("parcels", "token", time.Minute), quorum.Changed)
		h.takes(0, releasing("parcels", "token"), quorum.Changed)
		h.keeper.Close()
		for _, f := range h.fakes {
			f.Restart() // and the stores lose everything too
		}
		again := openHouse(t, 3, func(g *house, o *quorum.Options) {
			o.Past = h.journal.history()
			g.fakes = h.fakes
			for i := range o.Members {
				o.Members[i].Store = h.fakes[i].Store()
			}
		})
		again.takes(0, acquiring("orders", "other", time.Minute), quorum.Unchanged)
		for store := range 3 {
			again.has(store, "orders", "token")
			again.has(store, "parcels", "")
		}
		if status := again.keeper.Status(); status.Restored != 1 || status.Leases != 1 {
			t.Errorf("status %+v, want one lease, restored", status)
		}
		again.takes(0, releasing("orders", "token"), quorum.Changed)
		after := again.takes(0, acquiring("orders", "other", time.Minute), quorum.Changed).Leases[0]
		if after.Fence <= before.Fence {
			t.Errorf("fence %v after %v, want a higher one", after.Fence, before.Fence)
		}
	})
}

func TestAJournalThatFailsStopsGrantsAndIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := make(chan error, 8)
		h := openHouse(t, 1, func(_ *house, o *quorum.Options) {
			o.Failed = func(err error) { failed <- err }
		})
		h.takes(0, acquiring("kept", "token", time.Minute), quorum.Changed)
		if err := h.keeper.Dead(); err != nil {
			t.Errorf("dead: %v, want nothing wrong", err)
		}
		full := errors.New("no space left on device")
		h.journal.fail(full)
		for _, name := range []string{"orders", "parcels"} {
			r := h.takes(0, acquiring(name, "token", time.Minute), quorum.Failed)
			if !errors.Is(r.Err, quorum.ErrJournal) || !errors.Is(r.Err, full) {
				t.Errorf("%s: %v, want the journal's failure", name, r.Err)
			}
		}
		h.journal.fail(nil) // it is not asked again as if nothing had happened
		h.takes(0, acquiring("letters", "token", time.Minute), quorum.Failed)
		h.takes(0, acquiring("kept", "other", time.Minute), quorum.Unchanged)
		if len(failed) != 1 || !errors.Is(h.keeper.Dead(), full) {
			t.Errorf("told %d times, dead: %v, want once and why", len(failed), h.keeper.Dead())
		}
	})
}

func TestALeaseEndsOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, 0)
		h.takes(0, acquiring("orders", "token", time.Second), quorum.Changed)
		pass(time.Second + quorum.Drift(time.Second) - 1)
		h.takes(0, acquiring("orders", "other", time.Second), quorum.Unchanged)
		all := func(string) bool { return true }
		if got := h.keeper.Leases(all, 0); len(got) != 1 || h.keeper.Status().Leases != 1 {
			t.Errorf("leases %v, counted %d, want one", got, h.keeper.Status().Leases)
		}
		pass(1)
		if got := h.keeper.Leases(all, 0); len(got) != 0 || h.keeper.Status().Leases != 0 {
			t.Errorf("leases %v, counted %d, want none", got, h.keeper.Status().Leases)
		}
		h.takes(0, acquiring("orders", "other", time.Second), quorum.Changed)
	})
}

func TestLeasesAreFoundByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, 0)
		for _, name := range []string{"a1", "a2", "a3", "b1"} {
			h.takes(0, acquiring(name, "token", time.Minute), quorum.Changed)
		}
		isA := func(name string) bool { return name[0] == 'a' }
		for most, want := range map[int]int{0: 3, 2: 2, 5: 3} {
			if got := h.keeper.Leases(isA, most); len(got) != want {
				t.Errorf("at most %d: %d leases, want %d", most, len(got), want)
			}
		}
	})
}

func TestTooManyStoresAreRefused(t *testing.T) {
	if k, err := quorum.Open(quorum.Options{Members: make([]quorum.Member, 33)}); err == nil {
		k.Close()
		t.Error("33 stores are taken, want at most 32")
	}
}

func TestAnOpThatThinksForLongHoldsUpItsLockOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, 1)
		started := make(chan *quorum.View, 1)
		op := acquiring("orders", "token", time.Minute)
		op.Start = func(v *quorum.View) { started <- v }
		done := h.begin(op)
		view := <-started
		behind := h.begin(acquiring("orders", "other", time.Minute))
		h.takes(0, acquiring("parcels", "token", time.Minute), quorum.Changed)
		pass(time.Second)
		if len(done)+len(behind) > 0 {
			t.Error("an op is over before the first has decided, want both to wait")
		}
		h.keeper.Resume(op, op.Decide(view))
		if r := <-done; r.Outcome != quorum.Changed || r.Validity != quorum.Validity(time.Minute, 0) {
			t.Errorf("%v (%v), validity %v, want it granted from when it was asked", r.Outcome, r.Err, r.Validity)
		}
		if r := <-behind; r.Outcome != quorum.Unchanged {
			t.Errorf("behind it: %v (%v), want it denied", r.Outcome, r.Err)
		}
	})
}

func TestAClientThatHungUpIsGivenNothingByTheKeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, 3)
		h.journal.slow(100 * time.Millisecond)
		op := acquiring("orders", "token", time.Minute)
		done := h.begin(op)
		synctest.Wait()
		h.keeper.Cancel(op)
		if r := <-done; r.Outcome != quorum.Unchanged {
			t.Errorf("%v (%v), want it undone", r.Outcome, r.Err)
		}
		synctest.Wait()
		for store := range 3 {
			h.has(store, "orders", "")
		}
	})
}

func TestTheBootClockNeverGoesBack(t *testing.T) {
	var clock quorum.BootClock
	last := clock.Now()
	for range 1000 {
		now := clock.Now()
		if now < last || now <= 0 {
			t.Fatalf("%v after %v, want it later than the boot and never back", now, last)
		}
		last = now
	}
	one, err := quorum.BootID()
	if two, _ := quorum.BootID(); err != nil || one == "" || one != two {
		t.Errorf("boot id %q, then %q (%v), want the same one twice", one, two, err)
	}
}

func TestCloseAnswersWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, 1)
		h.fakes[0].Pause()
		first, behind := make(chan quorum.Result, 1), make(chan quorum.Result, 1)
		for _, done := range []chan quorum.Result{first, behind} {
			op := acquiring("orders", "token", time.Minute)
			op.Done = func(r quorum.Result) { done <- r }
			h.keeper.Submit(op)
		}
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- h.keeper.Close() }()
		for _, done := range []chan quorum.Result{first, behind} {
			if r := <-done; !errors.Is(r.Err, quorum.ErrClosed) && !errors.Is(r.Err, quorum.ErrNoQuorum) {
				t.Errorf("an op under way ended with %v (%v), want that the keeper was closed, or no quorum", r.Outcome, r.Err)
			}
		}
		<-closed
	})
}
