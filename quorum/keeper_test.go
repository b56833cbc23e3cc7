package quorum_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/quorum"
)

func TestValidityCountsTheWaitForVotes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, 3, func(_ *house, o *quorum.Options) { o.Timeout = 5 * time.Second })
		h.fakes[0].Delay(1 * time.Second)
		h.fakes[1].Delay(3 * time.Second)
		h.fakes[2].Pause()
		r := h.takes(3*time.Second, acquiring("orders", "token", 10*time.Second), quorum.Changed)
		// The deciding vote came in at 3s; drift takes 1% of the TTL and 2ms.
		if want := 6898 * time.Millisecond; r.Validity != want {
			t.Errorf("validity = %v, want %v", r.Validity, want)
		}
		h.fakes[0].Delay(0)
		h.fakes[1].Delay(0)
	})
}

func TestOneStoreThatNeverAnswersDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, 3)
		h.fakes[1].Pause()
		for i := range 20 {
			name := fmt.Sprint("lock", i)
			h.takes(0, acquiring(name, "token", time.Minute), quorum.Changed)
			h.takes(0, releasing(name, "token"), quorum.Changed)
			pass(100 * time.Millisecond)
		}
	})
}

func TestAJournalThatIsSlowDelaysTheReplyAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, 3)
		h.takes(0, acquiring("held", "token", time.Minute), quorum.Changed)
		h.journal.slow(300 * time.Millisecond)
		start := time.Now()
		granted := h.begin(acquiring("orders", "token", time.Minute))
		synctest.Wait()
		for store := range 3 { // the stores were asked at the same moment
			h.has(store, "orders", "token")
		}
		h.takes(0, acquiring("held", "other", time.Minute), quorum.Unchanged)
		h.takes(0, releasing("held", "token"), quorum.Changed)
		r := <-granted
		if took := time.Since(start); r.Outcome != quorum.Changed || took != 300*time.Millisecond {
			t.Errorf("%v (%v) after %v, want it granted after 300ms", r.Outcome, r.Err, took)
		}
		if want := quorum.Validity(time.Minute, 300*time.Millisecond); r.Validity != want {
			t.Errorf("validity = %v, want %v", r.Validity, want)
		}
	})
}

func TestWhatQueuesWhileTheJournalWritesIsWrittenTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, 0)
		h.journal.slow(100 * time.Millisecond)
		first := h.begin(acquiring("first", "token", time.Minute))
		synctest.Wait()
		var rest []<-chan quorum.Result
		for i := range 100 {
			rest = append(rest, h.begin(acquiring(fmt.Sprint("lock", i), "token", time.Minute)))
		}
		start := time.Now()
		<-first
		for _, done := range rest {
			<-done
		}
		if took := time.Since(start); took != 200*time.Millisecond {
			t.Errorf("101 grants took %v, want two writes of 100ms", took)
		}
	})
}

func TestAStoreThatIsDownIsSilentAtOnceAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, 3)
		h.fakes[1].Refuse(errRefused)
		h.fakes[2].Refuse(errRefused)
		h.fakes[1].Restart()
		h.fakes[2].Restart()
		pass(3 * time.Second) // it is noticed, and tried again
		r := h.takes(0, acquiring("orders", "token", time.Minute), quorum.Failed)
		want := `change "orders": 0 of 3 stores granted, 0 refused, 2 silent, need 2: no quorum: ` +
			`s1: it is down: connect to fake s1: connection refused; s2: it is down: connect to fake s2: connection refused`
		if !errors.Is(r.Err, quorum.ErrNoQuorum) || r.Err.Error() != want {
			t.Errorf("error\n got %v\nwant %s", r.Err, want)
		}
		status := h.keeper.Status()
		if !status.Stores[0].Up || status.Stores[1].Up || !errors.Is(status.Stores[1].Err, errRefused) || status.Tolerates != 1 {
			t.Errorf("status %+v, want the first store up, the others refused", status)
		}
		h.has(0, "orders", "") // what it had granted is undone

		h.fakes[1].Refuse(nil)
		pass(time.Second)
		h.takes(0, acquiring("orders", "token", time.Minute), quorum.Changed)
	})
}

func TestAStoreThatWasDownGetsTheLeasesThatItMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, 3)
		h.takes(0, acquiring("before", "one", time.Minute), quorum.Changed)
		h.takes(0, acquiring("short", "two", 2*time.Second), quorum.Changed)
		h.takes(0, acquiring("released", "three", time.Minute), quorum.Changed)
		h.fakes[2].Refuse(errRefused)
		h.fakes[2].Restart()
		pass(3 * time.Second)
		h.takes(0, acquiring("meanwhile", "four", time.Minute), quorum.Changed)
		h.takes(0, releasing("released", "three"), quorum.Changed)
		if got := len(h.fakes[2].Copies()); got != 0 {
			t.Errorf("a store that is down has %d copies", got)
		}
		h.fakes[2].Refuse(nil)
		pass(time.Second)
		for name, want := range map[string]string{"before": "one", "meanwhile": "four", "short": "", "released": ""} {
			h.has(2, name, want)
		}
		_, left, _ := h.fakes[2].Fetch("before")
		if left > 57*time.Second || left < 56*time.Second-time.Second {
			t.Errorf("the store keeps it for %v, want what is left of the minute after 3 to 4s", left)
		}
		if log := h.log.String(); !strings.Contains(log, "store.restarted") || !strings.Contains(log, "store=s2") {
			t.Errorf("log\n%s\nwant that s2 was restarted", log)
		}
	})
}

func TestACopyThatVanishesIsPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, 3)
		h.takes(0, acquiring("orders", "token", time.Minute), quorum.Changed)
		h.fakes[0].Flush()
		h.fakes[1].Remove("orders")
		pass(2 * time.Second)
		h.has(0, "orders", "token")
		h.has(1, "orders", "token")
		if log := h.log.String(); strings.Count(log, "store.copy_vanished") != 2 || !strings.Contains(log, "lock=orders") {
			t.Errorf("log\n%s\nwant two copies vanished", log)
		}
	})
}

func TestAnAnswerThatIsLostIsUndoneOrPutRight(t *testing.T) {
	for what, lose := range map[string]func(h *house){
		"the replies":  func(h *house) { h.fakes[0].LoseReplies(1); h.fakes[1].LoseReplies(1) },
		"the requests": func(h *house) { h.fakes[0].LoseRequests(1); h.fakes[1].LoseRequests(1) },
	} {
		synctest.Test(t, func(t *testing.T) {
			h := openHouse(t, 3)
			lose(h)
			r := h.takes(0, acquiring("orders", "token", time.Minute), quorum.Failed)
			if !errors.Is(r.Err, quorum.ErrNoQuorum) {
				t.Errorf("%s: %v, want no quorum", what, r.Err)
			}
			pass(time.Second)
			for store := range 3 {
				h.has(store, "orders", "")
			}
			h.takes(0, acquiring("orders", "next", time.Minute), quorum.Changed)
		})
	}
}

func TestAReleaseThatIsLostIsMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, 3)
		h.takes(0, acquiring("orders", "token", time.Hour), quorum.Changed)
		h.fakes[0].LoseRequests(1)
		h.fakes[1].LoseReplies(1)
		h.takes(0, releasing("orders", "token"), quorum.Changed)
		pass(2 * time.Second)
		for store := range 3 {
			h.has(store, "orders", "")
		}
	})
}

func TestSomebodyWhoLocksDirectlyKeepsUsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, 3)
		h.fakes[0].Plant("orders", []byte("theirs"), 10*time.Second)
		h.fakes[2].Plant("orders", []byte("theirs"), 10*time.Second)
		h.takes(0, acquiring("orders", "token", time.Minute), quorum.Held)
		pass(time.Second)
		h.has(0, "orders", "theirs")
		h.has(1, "orders", "")
		var seen *quorum.Lease
		h.takes(0, &quorum.Op{Names: []string{"orders"}, Reads: true, Decide: func(v *quorum.View) quorum.Plan {
			seen, _ = v.Lease("orders")
			return quorum.Plan{}
		}}, quorum.Unchanged)
		if seen == nil || !seen.Foreign || seen.Left(h.keeper.Now()) != 9*time.Second {
			t.Errorf("shown %+v, want their lease with 9s left", seen)
		}
		pass(9 * time.Second)
		h.takes(0, acquiring("orders", "token", time.Minute), quorum.Changed)
	})
}

// A tap is a store that notes what each batch asks for, and the bytes of the
// values in the heaviest.
type tap struct {
	quorum.Store
	mu       sync.Mutex
	batches  [][]string // guarded by mu
	heaviest int        // guarded by mu
}

// seen returns the batches so far, and the bytes of the heaviest.
func (s *tap) seen() ([][]string, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.batches), s.heaviest
}

func (s *tap) Do(ctx context.Context, requests []quorum.Request, votes []quorum.Vote) error {
	var names []string
	bytes := 0
	for _, r := range requests {
		if r.Action == quorum.Swap {
			names = append(names, r.Name)
		}
		if r.Next != nil {
			bytes += len(r.Next.Value)
		}
	}
	s.mu.Lock()
	s.heaviest = max(s.heaviest, bytes)
	if len(names) > 0 {
		s.batches = append(s.batches, names)
	}
	s.mu.Unlock()
	return s.Store.Do(ctx, requests, votes)
}

func TestWhatQueuesWhileAStoreAnswersGoesOutTogetherInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *tap
		h := openHouse(t, 1, func(_ *house, o *quorum.Options) {
			s = &tap{Store: o.Members[0].Store}
			o.Members[0].Store = s
		})
		h.fakes[0].Delay(100 * time.Millisecond)
		h.begin(acquiring("first", "token", time.Minute))
		synctest.Wait()
		var want []string
		for i := range 200 {
			want = append(want, fmt.Sprint("lock", i))
			h.begin(acquiring(want[i], "token", time.Minute))
		}
		pass(200 * time.Millisecond)
		if batches, _ := s.seen(); len(batches) != 2 || len(batches[0]) != 1 || strings.Join(batches[1], " ") != strings.Join(want, " ") {
			t.Errorf("batches %q, want one of the first lock and one of all others, in order", batches)
		}
	})
}

func TestAStoreThatHangsCostsABoundedQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, 1, func(_ *house, o *quorum.Options) { o.Timeout = time.Hour })
		h.fakes[0].Pause()
		h.begin(acquiring("first", "token", time.Hour))
		synctest.Wait() // it is under way, and never answered
		const many = 70_000
		refused, filling := 0, true
		for i := range many {
			op := acquiring(fmt.Sprint("lock", i), "token", time.Hour)
			op.Done = func(r quorum.Result) {
				if !filling {
					return
				}
				if refused++; r.Outcome != quorum.Failed || !strings.Contains(r.Err.Error(), "too many requests queued") {
					t.Errorf("%v (%v), want too many queued", r.Outcome, r.Err)
				}
			}
			h.keeper.Submit(op)
		}
		filling = false
		queued := h.keeper.Status().Stores[0].Queued
		if queued > 1<<16 || queued+refused != many {
			t.Errorf("%d queued and %d refused of %d, want at most %d queued", queued, refused, many, 1<<16)
		}
		h.fakes[0].Refuse(errRefused)
		h.fakes[0].Restart() // it dies for good
	})
}
