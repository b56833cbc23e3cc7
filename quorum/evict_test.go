package quorum_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/quorum"
)

// A dropper is a store that counts what it drops.
type dropper struct {
	quorum.Store
	count atomic.Uint64
	polls atomic.Uint64
	fails atomic.Bool
	hangs atomic.Bool
}

func (s *dropper) Evicted(ctx context.Context) (uint64, error) {
	s.polls.Add(1)
	switch {
	case s.hangs.Load():
		<-ctx.Done()
		return 0, ctx.Err()
	case s.fails.Load():
		return 0, errRefused
	}
	return s.count.Load(), nil
}

// openDropper returns a house of one store that counts what it drops, and what
// is counted of that.
func openDropper(t *testing.T) (*house, *dropper, *gauge) {
	s, seen := &dropper{}, &gauge{}
	h := openHouse(t, 1, func(_ *house, o *quorum.Options) {
		s.Store = o.Members[0].Store
		o.Members[0].Store = s
		o.Observer = seen
	})
	return h, s, seen
}

// A gauge counts the events about evictions.
type gauge struct{ evicted int }

func (*gauge) Voted(string, quorum.Verdict, time.Duration) {}
func (*gauge) Ended(quorum.Result)                         {}
func (s *gauge) Happened(e quorum.Event, _ string) {
	kind := e.Kind
	if kind == "store.evicted" {
		s.evicted++
	}
}

// holdMany has so many leases held that an audit takes a minute for them.
func (h *house) holdMany() {
	h.t.Helper()
	for i := range 3000 {
		h.takes(0, acquiring(fmt.Sprint("lock", i), "token", time.Hour), quorum.Changed)
	}
}

// drop makes the store lose every hundredth of them, and returns how many.
func (h *house) drop() (lost uint64) {
	for i := 0; i < 3000; i += 100 {
		h.fakes[0].Remove(fmt.Sprint("lock", i))
		lost++
	}
	return lost
}

// lacks is how many are not in the store.
func (h *house) lacks() int { return 3000 - len(h.fakes[0].Copies()) }

func TestWhatAStoreDroppedIsPutBackSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s, _ := openDropper(t)
		h.holdMany()
		pass(3 * time.Second)
		h.drop() // and it is not counted
		pass(3 * time.Second)
		if h.lacks() == 0 {
			t.Fatal("copies are put back within 3s though nobody tells that they are gone: this test shows nothing")
		}
		s.count.Add(h.drop())
		pass(2100 * time.Millisecond)
		if got := h.lacks(); got != 0 {
			t.Errorf("%d copies are still gone 2.1s after the store counted that it dropped them", got)
		}
		const want = "why=\"30 items were dropped to make room; every copy is looked at\""
		if log := h.log.String(); !strings.Contains(log, "msg=store.evicted store=s0 "+want) {
			t.Errorf("log\n%s\nwant store.evicted with %s", log, want)
		}
		if e := h.keeper.Status().Stores[0]; e.Event != "store.evicted" {
			t.Errorf("the store's last event is %q, want store.evicted", e.Event)
		}
	})
}

func TestEvictionsAreToldNowAndThenAndCountedEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s, seen := openDropper(t)
		s.count.Store(1000) // before we came
		pass(3 * time.Second)
		for i := range 11 { // told at once, after 10s and after 20s
			s.count.Add(uint64(i + 1))
			pass(2 * time.Second)
		}
		pass(time.Minute)
		s.count.Add(5)
		pass(2 * time.Second)
		var told []string
		for line := range strings.Lines(h.log.String()) {
			if _, what, ok := strings.Cut(line, "store.evicted store=s0 why=\""); ok {
				n, _, _ := strings.Cut(what, " items")
				told = append(told, n)
			}
		}
		if got, want := strings.Join(told, " "), "1 20 45 5"; got != want {
			t.Errorf("told of %s, want %s", got, want)
		}
		if seen.evicted != 12 {
			t.Errorf("counted %d times, want 12", seen.evicted)
		}
	})
}

func TestAnotherIncarnationCountsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s, seen := openDropper(t)
		s.count.Store(10)
		h.holdMany()
		pass(2500 * time.Millisecond)
		h.fakes[0].Restart() // noticed within a second, before the next poll
		s.count.Store(50)
		pass(3 * time.Second)
		h.drop()
		s.count.Store(3) // the one that was counted died before we saw the next
		pass(3 * time.Second)
		if seen.evicted != 0 {
			t.Errorf("told %d times of what other processes dropped", seen.evicted)
		}
		if got := h.lacks(); got != 0 {
			t.Errorf("%d copies are gone, want all looked at: nobody saw what it dropped at first", got)
		}
	})
}

func TestAStoreThatNeverDroppedAnythingIsLeftInPeace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s, _ := openDropper(t)
		h.holdMany()
		h.drop() // by hand
		pass(3 * time.Second)
		if polls := s.polls.Load(); polls == 0 || h.lacks() == 0 {
			t.Errorf("after %d polls %d copies are gone, want only an audit to look for them", polls, h.lacks())
		}
	})
}

func TestAPollThatFailsCostsNothingElse(t *testing.T) {
	for what, fail := range map[string]func(*dropper){
		"it is refused": func(s *dropper) { s.fails.Store(true) },
		"it hangs":      func(s *dropper) { s.hangs.Store(true) },
	} {
		synctest.Test(t, func(t *testing.T) {
			h, s, _ := openDropper(t)
			fail(s)
			for i := range 30 {
				h.takes(0, acquiring(fmt.Sprint("lock", i), "token", time.Hour), quorum.Changed)
				pass(time.Second)
			}
			status := h.keeper.Status().Stores[0]
			if polls := s.polls.Load(); !status.Up || status.Silent > 0 || polls < 10 {
				t.Errorf("%s: up %t, %d votes silent after %d polls, want it up and none silent", what, status.Up, status.Silent, polls)
			}
			if log := h.log.String(); strings.Count(log, "level=WARN") != 1 || !strings.Contains(log, "store.uncounted") {
				t.Errorf("%s: log\n%s\nwant one warning", what, log)
			}
			s.fails.Store(false)
			s.hangs.Store(false)
			pass(5 * time.Second)
			s.count.Add(1)
			pass(5 * time.Second)
			if log := h.log.String(); !strings.Contains(log, "store.evicted") {
				t.Errorf("%s no more: log\n%s\nwant an eviction told", what, log)
			}
		})
	}
}

func TestAStoreThatIsDownIsNotPolled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s, _ := openDropper(t)
		h.fakes[0].Refuse(errRefused)
		h.fakes[0].Restart()
		pass(5 * time.Second)
		before := s.polls.Load()
		s.fails.Store(true)
		pass(time.Minute)
		if polls := s.polls.Load() - before; polls != 0 || strings.Contains(h.log.String(), "store.uncounted") {
			t.Errorf("%d polls of a store that is down, log\n%s\nwant none", polls, h.log)
		}
	})
}

func TestCloseDoesNotWaitForAPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s, _ := openDropper(t)
		s.hangs.Store(true)
		pass(2 * time.Second)
		start := time.Now()
		err := h.keeper.Close()
		if took, polls := time.Since(start), s.polls.Load(); err != nil || took > 0 || polls != 1 {
			t.Errorf("closed with %v after %v and %d polls, want it at once while the first hangs", err, took, polls)
		}
	})
}
