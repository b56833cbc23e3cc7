package integration

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"
)

// tortureVariable says how long the torture goes on.
const tortureVariable = "TORTURE_TIME"

const (
	tortureClients = 16
	tortureLocks   = 3
)

// TestTortureLetsNoTwoHoldOneLock has many clients contend for few locks while
// stores and proxy are killed, paused and flushed, and looks whether any two
// ever held one lock at once. Redsync, straight at as many stores that suffer
// the same, is the control: what it lets overlap shows that the faults bite and
// that the judge can see it.
func TestTortureLetsNoTwoHoldOneLock(t *testing.T) {
	lasts := 5 * time.Second
	if s := os.Getenv(tortureVariable); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatalf("%s: %v", tortureVariable, err)
		}
		lasts = d
	}
	seed := rand.Uint64() // of the faults of both
	ours, control := &history{}, &history{}
	// In a group, so that both suffer at the same time and are through behind it.
	t.Run("worlds", func(t *testing.T) {
		t.Run("holdfast", func(t *testing.T) {
			t.Parallel()
			all := startStores(t, "redis", "redis", "redis")
			p := startHoldfast(t, flags(all)...)
			torture(t, ours, lasts, tormentor{rand.New(rand.NewPCG(seed, 0)), all, p}, func(client int) contender {
				return proxied{strict(t, p.addr), client%2 == 0}
			})
			judge(t, ours)
		})
		t.Run("redsync", func(t *testing.T) {
			t.Parallel()
			all := startStores(t, "redis", "redis", "redis")
			torture(t, control, lasts, tormentor{rand.New(rand.NewPCG(seed, 0)), all, nil}, func(int) contender {
				return newDirect(t, all)
			})
		})
	})
	t.Logf("holdfast: %v", ours)
	t.Logf("redsync straight at the stores: %v", control)
}

// judge fails the test if anything was promised twice, or taken back.
func judge(t *testing.T, h *history) {
	for _, wrong := range h.overlaps() {
		t.Errorf("two held one lock: %s", wrong)
	}
	for _, wrong := range h.fencesBack() {
		t.Errorf("a fencing token did not grow: %s", wrong)
	}
	for _, wrong := range h.lost {
		t.Errorf("a holder was told within its TTL that it holds nothing: %s", wrong)
	}
	if !h.enough() {
		t.Errorf("%d holds are too few to tell anything", len(h.holds))
	}
}

// torture has clients contend until the tormentor has had its time.
func torture(t *testing.T, h *history, lasts time.Duration, faults tormentor, client func(int) contender) {
	start := time.Now()
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	defer clients.Wait()
	defer stop()
	for i := range tortureClients {
		c := contending{client(i), h, start, faults.dice()}
		clients.Go(func() { c.run(ctx) })
	}
	// On a busy machine it takes longer until there is enough to judge by.
	const patience = 12
	faults.run(t, func() bool {
		past := time.Since(start)
		return past >= lasts && (h.enough() || past >= patience*lasts)
	})
}

// A hold is the time in which a client relied on a lock: from when the reply
// came to when its release was sent, or its TTL, counted from before the request
// was sent, had run out. Times are since the start of the torture.
type hold struct {
	lock, token string
	fence       int64 // 0: it was not told
	from, to    time.Duration
}

func (h hold) String() string {
	return fmt.Sprintf("%s by %s (fence %d) from %v to %v", h.lock, h.token, h.fence, h.from, h.to)
}

// A history is every hold there was, and every request that was not granted.
type history struct {
	mu             sync.Mutex
	holds          []hold // guarded by mu while clients run, as all of these
	denied, failed int
	lost           []string // holds that ended before their time
}

func (h *history) String() string {
	return fmt.Sprintf("%d holds, %d denied, %d failed, %d lost, %d overlaps",
		len(h.holds), h.denied, h.failed, len(h.lost), len(h.overlaps()))
}

func (h *history) add(one hold) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if one.to > one.from { // else it had run out before the reply came
		h.holds = append(h.holds, one)
	}
}

func (h *history) refuse(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == errDenied {
		h.denied++
	} else {
		h.failed++
	}
}

func (h *history) lose(name, token string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lost = append(h.lost, name+" by "+token)
}

// byLock returns the holds of each lock in the order in which they began.
func (h *history) byLock() map[string][]hold {
	locks := map[string][]hold{}
	for _, one := range h.holds {
		locks[one.lock] = append(locks[one.lock], one)
	}
	for _, holds := range locks {
		slices.SortFunc(holds, func(a, b hold) int { return cmp.Compare(a.from, b.from) })
	}
	return locks
}

// overlaps returns every hold that began before an earlier one of its lock was over.
func (h *history) overlaps() (wrong []string) {
	for _, holds := range h.byLock() {
		last := hold{}
		for _, one := range holds {
			if one.from < last.to {
				wrong = append(wrong, fmt.Sprintf("%v, and %v", last, one))
			}
			if one.to > last.to {
				last = one
			}
		}
	}
	return wrong
}

// fencesBack returns every hold whose fencing token is not above all earlier
// ones of its lock.
func (h *history) fencesBack() (wrong []string) {
	for _, holds := range h.byLock() {
		last := hold{}
		for _, one := range holds {
			switch {
			case one.fence == 0:
			case one.fence <= last.fence:
				wrong = append(wrong, fmt.Sprintf("%v, then %v", last, one))
			default:
				last = one
			}
		}
	}
	return wrong
}

// enough reports whether there were enough holds to tell anything.
func (h *history) enough() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.holds) >= 15*tortureLocks
}

func TestTheJudgeOfTheTortureSeesWhatIsWrong(t *testing.T) {
	t.Parallel()
	at := func(lock string, fence int64, from, to time.Duration) hold {
		return hold{lock: lock, fence: fence, from: from, to: to}
	}
	for what, c := range map[string]struct {
		holds           []hold
		overlaps, fence int
	}{
		"one after the other":   {[]hold{at("a", 1, 0, 5), at("a", 2, 5, 9)}, 0, 0},
		"told in another order": {[]hold{at("a", 2, 5, 9), at("a", 1, 0, 5)}, 0, 0},
		"of two locks":          {[]hold{at("a", 2, 0, 5), at("b", 1, 3, 9)}, 0, 0},
		"one too early":         {[]hold{at("a", 1, 0, 5), at("a", 2, 4, 9)}, 1, 0},
		"two within a long one": {[]hold{at("a", 1, 0, 9), at("a", 2, 1, 2), at("a", 3, 4, 5)}, 2, 0},
		"a fence that repeats":  {[]hold{at("a", 7, 0, 5), at("a", 0, 6, 7), at("a", 7, 8, 9)}, 0, 1},
		"a fence that falls":    {[]hold{at("a", 7, 0, 5), at("a", 6, 6, 7), at("a", 8, 8, 9)}, 0, 1},
		"over before it began":  {[]hold{at("a", 1, 0, 5), at("a", 2, 4, 4)}, 0, 0},
	} {
		h := &history{}
		for _, one := range c.holds {
			h.add(one)
		}
		if got := h.overlaps(); len(got) != c.overlaps {
			t.Errorf("%s: overlaps %q, want %d", what, got, c.overlaps)
		}
		if got := h.fencesBack(); len(got) != c.fence {
			t.Errorf("%s: fences back %q, want %d", what, got, c.fence)
		}
	}
}
