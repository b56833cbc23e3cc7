package memcached

import (
	"context"
	"fmt"
	"strconv"
)

// evictions are the statistics that count what was dropped to make room. All but
// the first are of some versions and some builds only.
//
// Pages of memory are moved between sizes of items under -M as well; what finds
// no other place then, or is read all the time, goes. A page is counted once all
// of it has moved, so that may be noticed a poll late. What nobody counts is
// the item that was to be replaced when there was no room for the new one.
//
// Source: doc/protocol.txt on general-purpose statistics, and slab_rebalance_move
// in slabs.c of memcached 1.6.
var evictions = []string{
	"evictions",                     // the least recently used
	"slab_reassign_evictions_nomem", // had no other place
	"slab_reassign_busy_deletes",    // were read all the time
	"extstore_objects_evicted",      // were kept on a disk that is full
}

// Evicted returns how many items the server has dropped to make room since it
// was started. It asks on a connection of its own, which stays open until that
// fails.
func (s *Store) Evicted(ctx context.Context) (count uint64, err error) {
	c, err := s.counting(ctx)
	if err != nil {
		return 0, fmt.Errorf("evictions: %w", err)
	}
	stats, err := c.askStats(ctx, "stats")
	if err == nil {
		count, err = evicted(stats)
	}
	if err != nil {
		s.miscount()
		return 0, fmt.Errorf("evictions: %w", err)
	}
	return count, nil
}

// evicted adds up the statistics.
func evicted(stats map[string]string) (sum uint64, err error) {
	for i, name := range evictions {
		text, ok := stats[name]
		if !ok && i > 0 {
			continue
		}
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("stats: no %s: %w", name, err)
		}
		sum += n
	}
	return sum, nil
}

// counting returns the connection to ask on, opened if there is none.
func (s *Store) counting(ctx context.Context) (*conn, error) {
	s.mu.Lock()
	c := s.counter
	s.mu.Unlock()
	if c != nil {
		return c, nil
	}
	c, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.close()
		return nil, errClosed
	}
	s.counter = c
	return c, nil
}

// miscount closes that connection.
func (s *Store) miscount() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counter != nil {
		s.counter.close()
		s.counter = nil
	}
}
