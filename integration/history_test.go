package integration

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// A hold is the time in which a client relied on a lock: from when the reply
// came to when its release was sent, or its TTL, counted from before the request
// was sent, had run out. Times are since the start of the torture.
type hold struct {
	client      int
	lock, token string
	shared      bool          // others may hold it as well, if shared too
	fence       int64         // 0: it was not told
	sent        time.Duration // when its request was about to be
	from, to    time.Duration
	end         time.Duration // of its TTL, as it was extended
	release     farewell
}

func (h hold) String() string {
	return fmt.Sprintf("%s by %s (fence %d) from %v to %v", h.lock, h.token, h.fence, h.from, h.to)
}

// A farewell is how a release went. The zero farewell is one whose outcome
// nobody knows.
type farewell struct {
	sent, answered time.Duration
	outcome        farewellOutcome
}

type farewellOutcome int

const (
	unknown  farewellOutcome = iota // no answer, or an error
	released                        // it was held until then
	notHeld                         // it was not held any more
)

// A history is every hold there was, and every request that was not granted.
type history struct {
	lasted time.Duration // known once the torture is over

	mu             sync.Mutex
	holds          []hold // guarded by mu while clients run, as all of these
	late           []hold // that were over before their reply came
	denied, failed int
	lost           []string // holds that ended before their time
	broken         []string // replies that promise what cannot be
	halved         []string // pairs of which only one was held
}

func (h *history) add(one hold) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if one.to > one.from {
		h.holds = append(h.holds, one)
	} else {
		h.late = append(h.late, one)
	}
}

func (h *history) refuse(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == errDenied:
		h.denied++
	case errors.Is(err, errHalf): // one was lost, or never had
		h.halved = append(h.halved, err.Error())
	case errors.Is(err, errPromise):
		h.broken = append(h.broken, err.Error())
	default:
		h.failed++
	}
}

func (h *history) lose(one hold, told string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lost = append(h.lost, fmt.Sprintf("%s by %s (fence %d), asked for at %v: %s", one.lock, one.token, one.fence, one.sent, told))
}

// judge fails the test if anything was promised twice, or taken back. Where
// copies were deleted that several proxies count on, locks can be lost: that is
// only told.
func (h *history) judge(t *testing.T, mayLose bool) {
	say := t.Errorf
	for _, wrong := range h.fencesBack() {
		say("a fencing token did not grow: %s", wrong)
	}
	for _, wrong := range h.broken {
		say("a reply: %s", wrong)
	}
	if mayLose {
		say = t.Logf
	}
	for _, wrong := range h.halved {
		say("a reply: %s", wrong)
	}
	for _, wrong := range h.overlaps() {
		say("two held one lock: %s", wrong)
	}
	for _, wrong := range h.lost {
		say("a holder was told within its TTL that it holds nothing: %s", wrong)
	}
	if !h.enough() {
		t.Errorf("%d holds are too few to tell anything", len(h.holds))
	}
}

// both returns how many holds there were, of those that are shared and of the others.
func (h *history) both() (shared, alone int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, one := range h.holds {
		if one.shared {
			shared++
		}
	}
	return shared, len(h.holds) - shared
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

// overlaps returns every hold that began before an earlier one of its lock was over,
// unless both are shared.
func (h *history) overlaps() (wrong []string) {
	for _, holds := range h.byLock() {
		var last, alone hold // that ended last: of all, and of those that are not shared
		for _, one := range holds {
			before := last
			if one.shared {
				before = alone
			}
			if one.from < before.to {
				wrong = append(wrong, fmt.Sprintf("%v, and %v", before, one))
			}
			if one.to > last.to {
				last = one
			}
			if !one.shared && one.to > alone.to {
				alone = one
			}
		}
	}
	return wrong
}

// fencesBack returns every hold whose fencing token is not above those of all
// holds of its lock that were over when it began. Of two at once it says nothing,
// as that is worse.
func (h *history) fencesBack() (wrong []string) {
	for _, holds := range h.byLock() {
		holds = slices.DeleteFunc(holds, func(one hold) bool { return one.fence == 0 })
		ended := slices.SortedFunc(slices.Values(holds), func(a, b hold) int { return cmp.Compare(a.to, b.to) })
		highest := hold{}
		for _, one := range holds {
			for ; len(ended) > 0 && ended[0].to <= one.from; ended = ended[1:] {
				if ended[0].fence > highest.fence {
					highest = ended[0]
				}
			}
			if one.fence <= highest.fence {
				wrong = append(wrong, fmt.Sprintf("%v, then %v", highest, one))
			}
		}
	}
	return wrong
}

// standstill returns the longest time in which nobody was granted anything.
func (h *history) standstill() time.Duration {
	var grants []time.Duration
	for _, one := range slices.Concat(h.holds, h.late) {
		grants = append(grants, one.from)
	}
	return longestGap(grants, h.lasted)
}

// longestGap returns the longest time without any of the moments, between 0 and
// the end.
func longestGap(moments []time.Duration, end time.Duration) (longest time.Duration) {
	slices.Sort(moments)
	last := time.Duration(0)
	for _, at := range append(moments, end) {
		longest = max(longest, at-last)
		last = at
	}
	return longest
}

// enough reports whether there were enough holds to tell anything.
func (h *history) enough() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.holds) >= 10*tortureLocks
}

func TestTheJudgeOfTheTortureSeesWhatIsWrong(t *testing.T) {
	t.Parallel()
	at := func(lock string, fence int64, from, to time.Duration) hold {
		return hold{lock: lock, fence: fence, from: from, to: to}
	}
	reading := func(one hold) hold {
		one.shared = true
		return one
	}
	for what, c := range map[string]struct {
		holds           []hold
		overlaps, fence int
		standstill      time.Duration
	}{
		"one after the other":                 {[]hold{at("a", 1, 0, 5), at("a", 2, 5, 9)}, 0, 0, 5},
		"told in another order":               {[]hold{at("a", 2, 5, 9), at("a", 1, 0, 5)}, 0, 0, 5},
		"of two locks":                        {[]hold{at("a", 2, 0, 5), at("b", 1, 3, 9)}, 0, 0, 7},
		"one too early":                       {[]hold{at("a", 1, 0, 5), at("a", 2, 4, 9)}, 1, 0, 6},
		"two within a long one":               {[]hold{at("a", 1, 0, 9), at("a", 2, 1, 2), at("a", 3, 4, 5)}, 2, 0, 6},
		"a fence that repeats":                {[]hold{at("a", 7, 0, 5), at("a", 0, 6, 7), at("a", 7, 8, 9)}, 0, 1, 6},
		"a fence that falls":                  {[]hold{at("a", 7, 0, 5), at("a", 6, 6, 7), at("a", 8, 8, 9)}, 0, 1, 6},
		"a fence that repeats between others": {[]hold{at("a", 7, 0, 5), at("a", 9, 5, 6), at("a", 8, 6, 7), at("a", 10, 8, 9)}, 0, 1, 5},
		"a fence that falls in an overlap":    {[]hold{at("a", 7, 0, 5), at("a", 6, 4, 9)}, 1, 0, 6},
		"over before it began":                {[]hold{at("a", 1, 0, 5), at("a", 2, 4, 4)}, 0, 0, 6},
		"late to begin":                       {[]hold{at("a", 1, 9, 10)}, 0, 0, 9},
		"readers beside each other":           {[]hold{reading(at("a", 0, 0, 5)), reading(at("a", 0, 1, 7)), reading(at("a", 0, 6, 9))}, 0, 0, 5},
		"a writer behind readers":             {[]hold{reading(at("a", 0, 0, 5)), reading(at("a", 0, 1, 4)), at("a", 0, 5, 9)}, 0, 0, 5},
		"a writer beside the first reader":    {[]hold{reading(at("a", 0, 0, 5)), reading(at("a", 0, 1, 2)), at("a", 0, 3, 9)}, 1, 0, 7},
		"a reader beside a writer":            {[]hold{at("a", 0, 0, 5), reading(at("a", 0, 4, 9))}, 1, 0, 6},
		"readers beside a writer":             {[]hold{at("a", 0, 0, 5), reading(at("a", 0, 1, 9)), reading(at("a", 0, 2, 9))}, 2, 0, 8},
	} {
		h := &history{lasted: 10}
		for _, one := range c.holds {
			h.add(one)
		}
		if got := h.overlaps(); len(got) != c.overlaps {
			t.Errorf("%s: overlaps %q, want %d", what, got, c.overlaps)
		}
		if got := h.fencesBack(); len(got) != c.fence {
			t.Errorf("%s: fences back %q, want %d", what, got, c.fence)
		}
		if got := h.standstill(); got != c.standstill {
			t.Errorf("%s: standstill %d, want %d", what, got, c.standstill)
		}
	}
}
