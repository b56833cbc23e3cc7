package commands

import (
	"bytes"
	"slices"

	"holdfast/quorum"
)

// A watching is what one session watches until its next EXEC.
//
// A lock has changed if its lease is another one than WATCH was shown: a version
// never comes twice. A lock that was free, was taken and is free again shows
// nothing, so what happens meanwhile is listened to as well.
type watching struct {
	names  map[string]watched // guarded by tracker.mu, as is what follows
	broken bool               // one has changed, or could not be looked at
	over   bool
}

// watched is one lock that is watched.
type watched struct {
	was  *quorum.Lease
	told uint64 // what had been told when it was shown, see [quorum.News]
	by   *call  // the first WATCH that named it
}

// watchMore returns what the session watches, to be added to.
func (s *Session) watchMore() *watching {
	if s.watching != nil {
		return s.watching
	}
	w := &watching{names: map[string]watched{}}
	s.engine.tracker.listen(1) // before anybody can end it
	s.change(func() { s.watching = w })
	if s.isClosed() { // and who closed it may not have seen this
		s.engine.tracker.unwatch(w)
	}
	return w
}

// watch remembers what WATCH is shown. It may be shown something else later.
func (t *tracker) watch(c *call, view *quorum.View) {
	w := c.watch
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range c.op.Load().Names {
		before, again := w.names[name]
		lease, ok := view.Lease(name)
		if !ok || w.over || again && before.by != c {
			continue
		}
		if !again {
			t.watchers[name] = append(t.watchers[name], w)
		}
		w.names[name] = watched{lease, view.Told, c}
	}
}

// miss is for a WATCH that failed: EXEC must not go on as if nothing had changed.
func (t *tracker) miss(w *watching) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w.broken = true
}

// unwatch ends a watching, which may be nil.
func (t *tracker) unwatch(w *watching) {
	if w == nil {
		return
	}
	t.mu.Lock()
	over := w.over
	w.over = true
	for name := range w.names {
		left := slices.DeleteFunc(t.watchers[name], func(other *watching) bool { return other == w })
		if t.watchers[name] = left; len(left) == 0 {
			delete(t.watchers, name)
		}
	}
	t.mu.Unlock()
	if !over {
		t.listen(-1)
	}
}

// watchedNames returns the names that are watched.
func (t *tracker) watchedNames(w *watching) (names []string) {
	if w == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for name := range w.names {
		names = append(names, name)
	}
	return names
}

// asWatched reports whether all that is watched is as it was.
func (t *tracker) asWatched(w *watching, view *quorum.View) bool {
	if w == nil {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	same := !w.broken
	for name, then := range w.names {
		now, _ := view.Lease(name) // every one, so that all are a condition of the change
		same = same && sameLease(then.was, now)
	}
	return same
}

// sameLease reports whether two leases of a lock are the same, unchanged. What others
// hold directly in the stores has no version, but their token.
func sameLease(a, b *quorum.Lease) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Version == b.Version && (a.Version != 0 || bytes.Equal(a.Value, b.Value))
}
