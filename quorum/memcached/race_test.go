package memcached

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"holdfast/quorum"
)

// Several stores of one server take one lock with numbers that they drew before,
// and give it back at once, so that a copy comes and goes between any two steps
// of another. Whoever holds it notes its number: one holder comes after the
// other, so their notes are in the order in which they were granted it.
func TestNumbersGrowHoweverTheyRace(t *testing.T) {
	s := startServer(t)
	var drawn atomic.Uint64
	var mu sync.Mutex
	var granted []uint64 // guarded by mu
	var wg sync.WaitGroup
	for range 4 {
		store := s.open()
		wg.Go(func() {
			for range 300 {
				number := drawn.Add(1)
				c := ours("a", number)
				if v := vote(t, store, marked(swap("lock", nil, c))); v.Verdict != quorum.Granted {
					continue
				}
				mu.Lock()
				granted = append(granted, number)
				mu.Unlock()
				if v := vote(t, store, swap("lock", c, nil)); v.Verdict != quorum.Granted {
					t.Errorf("number %d was granted and is not there: found %s, error %v", number, show(v.Found), v.Err)
				}
			}
		})
	}
	wg.Wait()
	if len(granted) < 20 || !slices.IsSorted(granted) {
		t.Errorf("%d numbers were granted, in this order: %d; want some, growing", len(granted), granted)
	}
}

func TestPutBacksRaceWithReleases(t *testing.T) {
	s := startServer(t)
	one, other := s.open(), s.open()
	for i := range 300 {
		name, c := fmt.Sprint("lock", i), ours("a", uint64(i+1))
		if i%2 == 0 {
			do(t, one, swap(name, nil, c))
		}
		var wg sync.WaitGroup
		wg.Go(func() { vote(t, one, leaving(swap(name, c, nil))) })
		wg.Go(func() { vote(t, other, heeding(swap(name, nil, c))) })
		wg.Wait()
		if v := do(t, one, heeding(read(name)))[0]; v.Found != nil || v.Gone != c.Version {
			t.Fatalf("round %d: %s is there with notice %v, want nothing with notice %v", i, show(v.Found), v.Gone, c.Version)
		}
	}
}

// vote is do for any goroutine.
func vote(t *testing.T, store *Store, r quorum.Request) quorum.Vote {
	votes := make([]quorum.Vote, 1)
	if err := store.Do(t.Context(), []quorum.Request{r}, votes); err != nil {
		t.Errorf("do: %v", err)
	}
	return votes[0]
}
