package redis

import (
	"context"
	"errors"
	"fmt"
)

// Watch tells gone of every name whose copy, left or found there by Do, was deleted,
// evicted, expired or overwritten by anybody else, and of "" when everything was flushed or when
// something may have been missed: first of all, as soon as nothing is missed any
// more. It returns once ctx is done or the watch fails, with the reason, and may
// then be called again. One Watch at a time; Connect, Do and Close may go on
// meanwhile. gone is called by the caller's goroutine and must not block.
//
// What is told is a reason to look and no fact: the server reports names without
// their database, so an act in another one looks the same, and copies that run
// out at their TTL are told too. What is not told: SWAPDB, and a TTL that
// somebody changed within a moment of our own write. More than 10,000 names a
// second of others end the watch.
//
// The watching connection looks at each such copy a moment later, and the server
// tells of what it has looked at. Locks that are held for less than that moment
// cost nothing, nor does what others write under other names. Where votes rest on
// copies, see [Store.KeepTwice], the watch is broad: the server reports every
// write, so that a proxy hears of its peers too. So is the one after a watch that
// ended for too much: a server that can't remember all that was looked at tells of
// that as if it were gone, without end.
//
// Of a broad watch the server could leave out what the connection of the batches
// writes (NOLOOP, and REDIRECT to the watching one), were it not for scripts: what
// they write is reported all the same. [own] tells ours apart.
//
// Source: the Redis manual, "Client-side caching in Redis"; what it does with scripts and with SWAPDB was tried out on Redis 7.0.15.
func (s *Store) Watch(ctx context.Context, gone func(name string)) error {
	if err := s.watch(ctx, gone); err != nil {
		return fmt.Errorf("watch redis %s: %w", s.target.addr, err)
	}
	return nil
}

func (s *Store) watch(ctx context.Context, gone func(string)) error {
	opening, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	w, err := openWatcher(opening, s.target, s.pace.clock, gone)
	if err != nil {
		return err
	}
	defer w.cut()
	w.broad = s.twice || s.flooded
	if s.twice {
		w.pace = roundEverySoon
	}
	if err := s.station(w); err != nil {
		return err
	}
	defer s.dismiss(w)
	if err := s.begin(opening, w); err != nil {
		return err
	}
	err = w.run(ctx)
	s.flooded = s.flooded || errors.Is(err, errFlood)
	return err
}

// station makes w the watcher that hears from Do, unless the store is closed.
func (s *Store) station(w *watcher) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	s.watcher = w
	return nil
}

func (s *Store) dismiss(w *watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watcher == w {
		s.watcher = nil
	}
}

// rouse ends the watch that is under way, if there is one.
func (s *Store) rouse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watcher != nil {
		s.watcher.cut()
	}
}

// begin has the server report to w from now on.
func (s *Store) begin(ctx context.Context, w *watcher) error {
	defer context.AfterFunc(ctx, w.cut)()
	if err := w.login(s.target); err != nil {
		return w.explain(ctx, err)
	}
	// A batch that was sent before w was there to note it must be through: what it
	// writes would be taken for others' acts.
	select {
	case s.turn <- struct{}{}:
		<-s.turn
	case <-ctx.Done():
		return fmt.Errorf("wait for the batch under way: %w", context.Cause(ctx))
	}
	return w.explain(ctx, w.track())
}
