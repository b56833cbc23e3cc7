package quorum

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"
)

// deafJournal writes nothing, and says that all is on disk.
type deafJournal struct{}

func (deafJournal) Commit([]Record, bool) error { return nil }

type handClock struct {
	mu  sync.Mutex
	now Time
}

func (c *handClock) Now() Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func openAlone(t *testing.T) (*Keeper, *handClock) {
	t.Helper()
	clock := &handClock{now: Time(time.Hour)}
	first := FirstNumber(time.Unix(1_700_000_000, 0), 0)
	k, err := Open(Options{Timeout: time.Second, MaxTTL: time.Hour, Journal: deafJournal{}, Past: History{Birth: first, Limit: first},
		Clock: clock, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return k, clock
}

// became makes a lock's lease one of value, or none for "", and returns what it was
// shown.
func became(t *testing.T, k *Keeper, name, value string) (view View) {
	t.Helper()
	r := k.Do(&Op{Names: []string{name}, Decide: func(v *View) (plan Plan) {
		view = *v
		lease, _ := v.Lease(name)
		part := Part{Name: name, Prev: lease, Drop: value == "", Value: []byte(value), TTL: 10 * time.Second}
		if lease != nil || !part.Drop {
			plan.Parts = append(plan.Parts, part)
		}
		return plan
	}})
	if r.Outcome == Failed {
		t.Fatalf("%s = %q: %v", name, value, r.Err)
	}
	return view
}

func TestNewsAreToldInOrderAndBeforeTheOpIsDone(t *testing.T) {
	k, clock := openAlone(t)
	var told []string // no mutex: news come one after the other, and before Done
	var last uint64
	became(t, k, "k", "unheard")
	k.Listen(func(n News) {
		value := "none"
		if n.Lease != nil {
			value = string(n.Lease.Value)
		}
		if n.At <= last {
			t.Errorf("news %d after %d", n.At, last)
		}
		last = n.At
		told = append(told, fmt.Sprintf("%s %v by op %t: %s", n.Name, n.Why, n.Op != nil, value))
	})
	hears := func(want ...string) {
		t.Helper()
		if !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
		told = nil
	}
	became(t, k, "k", "a")
	hears("k 0 by op true: a")
	became(t, k, "k", "")
	hears("k 0 by op true: none")
	became(t, k, "k", "")
	hears()
	became(t, k, "k", "b")
	told = nil
	clock.pass(11 * time.Second)
	view := became(t, k, "k", "c")
	hears("k 1 by op false: none", "k 0 by op true: c")
	if view.Told != last-1 {
		t.Errorf("the view has %d news in it, want %d: the end of the lease, and not the op's own change", view.Told, last-1)
	}
	k.Listen(nil)
	became(t, k, "k", "d")
	hears()
}

func TestNobodyIsAnsweredBeforeHisNewsAreTold(t *testing.T) {
	k, _ := openAlone(t)
	var mu sync.Mutex
	heard := map[string]int{}
	k.Listen(func(n News) {
		mu.Lock()
		defer mu.Unlock()
		heard[n.Name]++
	})
	var wg sync.WaitGroup
	for i := range 8 {
		name := fmt.Sprint("k", i)
		wg.Go(func() {
			for n := 1; n <= 100; n++ {
				became(t, k, name, fmt.Sprint(n))
				mu.Lock()
				got := heard[name]
				mu.Unlock()
				if got != n {
					t.Errorf("%s: %d changes and %d news", name, n, got)
					return
				}
			}
		})
	}
	wg.Wait()
}
