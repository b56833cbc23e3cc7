package commands

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"holdfast/quorum"
)

// A tracker hears of all that happens to locks, and tells whoever wants to know:
// sessions that track what they have read (CLIENT TRACKING), sessions that watch
// (WATCH), and subscribers (keyspace notifications).
//
// What was read is told of once, as soon as it is so no more: never before the
// reply that it was read by, and never not at all. So a read is noted when it is
// decided, and counts from then on; what happens before its reply is given waits
// for that. The mutex is held while the reply is given, and while pushes are.
//
// Changes that go through this proxy are told of by the keeper. What others may
// change without it, directly in the stores or as peers, is read again when a
// store says that something happened to it, and every so often in any case.
type tracker struct {
	engine    *Engine
	elsewhere bool // locks can change without us; known once started, as is what follows
	peers     bool // so can those that we gave

	listening struct {
		sync.Mutex // taken before the keeper's
		who        int
	}
	events atomic.Uint32 // which keyspace notifications are sent, see notify.go; changed with listening's mutex held

	mu       sync.Mutex                       // taken behind the keeper's and the hub's, and before a session's
	readers  map[string][]*interest           // guarded by mu; by the lock's name, none is empty
	watchers map[string][]*watching           // guarded by mu; likewise
	prefixes map[string]map[*Session]struct{} // guarded by mu; of who is told of all that begins so
	rumours  map[string]struct{}              // guarded by mu; locks to be read again soon

	nudge   chan struct{} // there are rumours, or somebody who tracks
	stop    chan struct{}
	started sync.Once
	ended   sync.Once // closes stop
	running sync.WaitGroup
}

// An interest is what a session has read and wants to be told of. It belongs to a
// call until that is answered, and then to the session.
type interest struct {
	session *Session
	name    string
	told    uint64        // what had been told when it was read, see [quorum.News]
	lease   *quorum.Lease // as it was read
	op      *quorum.Op    // of the call; nil once that is answered
	stale   bool          // it was changed since; the call is to tell
	again   bool          // it may change without our knowing
}

// cost is what an interest counts for.
func (i *interest) cost() int { return len(i.name) + interestCost }

// Limits on what is tracked.
const (
	interestCost = 192     // bytes of an interest beside its name
	maxInterests = 4 << 20 // bytes of those of one session: above it, one is told of for another
	lookEvery    = 100 * time.Millisecond
	lookMost     = 256 // locks that are read again at a time
	maxRumours   = 4096
)

// newTracker returns a tracker, which must be closed.
func newTracker(e *Engine) *tracker {
	t := &tracker{
		engine: e, readers: map[string][]*interest{}, watchers: map[string][]*watching{},
		prefixes: map[string]map[*Session]struct{}{}, rumours: map[string]struct{}{},
		nudge: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	return t
}

// start begins to look for what nobody tells of, once somebody tracks.
func (t *tracker) start() {
	t.started.Do(func() {
		status := t.engine.keeper.Status()
		t.elsewhere, t.peers = len(status.Stores) > 0, len(status.Peers) > 0
		if t.elsewhere {
			t.running.Go(t.look)
		}
	})
}

func (t *tracker) close() {
	t.ended.Do(func() { close(t.stop) })
	t.running.Wait()
}

// listen says that so many more want to hear what the keeper tells: before anybody can
// see that they do, and end it, or others would hear of nothing in between.
func (t *tracker) listen(more int) {
	t.listening.Lock()
	defer t.listening.Unlock()
	t.listenLocked(more)
}

func (t *tracker) listenLocked(more int) {
	l := &t.listening
	before := l.who
	l.who += more
	switch {
	case before == 0 && l.who > 0:
		t.engine.keeper.Listen(t.hear)
	case before > 0 && l.who == 0:
		t.engine.keeper.Listen(nil)
	}
}

// hear is told by the keeper.
func (t *tracker) hear(n quorum.News) {
	if n.Why == quorum.ByHearsay {
		t.doubt(n.Name)
		return
	}
	t.notify(n)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range t.watchers[n.Name] {
		if n.At > w.names[n.Name].told {
			w.broken = true
		}
	}
	t.spreadLocked(n)
	t.broadcastLocked(n)
}

// spreadLocked tells those who have read a lock that it has changed.
func (t *tracker) spreadLocked(n quorum.News) {
	var l invalidation
	var over []*interest
	for _, i := range t.readers[n.Name] {
		switch {
		case n.At <= i.told:
		case i.op != nil:
			i.stale = i.stale || i.op != n.Op // of its own change the call knows
		default:
			over = append(over, i)
		}
	}
	for _, i := range over {
		t.dropLocked(i)
		t.tellLocked(&l, i.session, n)
	}
}

// broadcastLocked tells those who want to know of all locks that begin so.
func (t *tracker) broadcastLocked(n quorum.News) {
	_, key := split(n.Name)
	var l invalidation
	for prefix, sessions := range t.prefixes {
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		for s := range sessions {
			t.tellLocked(&l, s, n)
		}
	}
}

// tellLocked tells a session of a change. If it made the change itself, that comes
// behind the reply to it, or not at all.
func (t *tracker) tellLocked(l *invalidation, s *Session, n quorum.News) {
	switch c := s.began(n.Op); {
	case c == nil:
		l.send(t, s, n.Name)
	case !s.noLoop && !slices.Contains(c.owed, n.Name):
		c.owed = append(c.owed, n.Name)
	}
}

// began returns the call of the session that an op is of, nil if it is another's.
func (s *Session) began(op *quorum.Op) *call {
	if op == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := s.under; c != nil; c = c.next {
		if c.op.Load() == op {
			return c
		}
	}
	return nil
}

// addLocked makes an interest known.
func (t *tracker) addLocked(i *interest) { t.readers[i.name] = append(t.readers[i.name], i) }

// dropLocked takes an interest out.
func (t *tracker) dropLocked(i *interest) {
	left := slices.DeleteFunc(t.readers[i.name], func(other *interest) bool { return other == i })
	if t.readers[i.name] = left; len(left) == 0 {
		delete(t.readers, i.name)
	}
	if i.session.read[i.name] == i {
		delete(i.session.read, i.name)
		i.session.readBytes -= i.cost()
		i.session.conn.Keep(-i.cost())
	}
}

// keepLocked makes an interest the session's own, in the place of an older one.
func (t *tracker) keepLocked(i *interest) {
	s := i.session
	i.op = nil
	if before := s.read[i.name]; before != nil {
		t.dropLocked(before)
	}
	for _, other := range s.read {
		if s.readBytes+i.cost() <= maxInterests {
			break
		}
		t.dropLocked(other) // what is not kept in mind must not be relied on
		new(invalidation).send(t, s, other.name)
	}
	s.read[i.name] = i
	s.readBytes += i.cost()
	s.conn.Keep(i.cost())
}

// forget ends all that is about a session.
func (t *tracker) forget(s *Session) {
	s.mu.Lock()
	w := s.watching
	s.mu.Unlock()
	t.unwatch(w)
	t.mu.Lock()
	was := t.offLocked(s)
	t.mu.Unlock()
	if was {
		t.listen(-1)
	}
}

// offLocked ends tracking for a session, and reports whether there was any.
func (t *tracker) offLocked(s *Session) bool {
	for _, i := range s.read {
		t.dropLocked(i)
	}
	for _, prefix := range s.prefixes {
		delete(t.prefixes[prefix], s)
		if len(t.prefixes[prefix]) == 0 {
			delete(t.prefixes, prefix)
		}
	}
	s.read, s.trackingMode = nil, trackingMode{}
	return s.tracks.Swap(false)
}

// An invalidation is the news that a lock is not as it was read any more. It is
// put into words at most once for each protocol.
type invalidation struct{ push, message letter }

// send tells a session, or the one that it has told instead: that is how a client
// which speaks RESP2, and has no pushes, can be told at all. The mutex is held.
//
// Source: Redis, sendTrackingMessage.
func (l *invalidation) send(t *tracker, s *Session, name string) {
	to := s
	if s.redirect != 0 {
		if to = t.engine.session(s.redirect); to == nil {
			s.broken = true
			if s.protocol() == 3 {
				gone := letter{content: sayPush(sayText("tracking-redir-broken"), sayInt(int64(s.redirect)))}
				gone.sendTo(s)
			}
			return
		}
	}
	_, key := split(name)
	switch {
	case to.protocol() == 3:
		l.push.content = sayPush(sayText("invalidate"), sayArray(sayText(key)))
		l.push.sendTo(to)
	case to != s && to.subscribed():
		l.message.content = sayArray(sayText("message"), sayText("__redis__:invalidate"), sayArray(sayText(key)))
		l.message.sendTo(to)
	}
}

// session returns the session of a connection, nil if it is gone.
func (e *Engine) session(id uint64) *Session {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sessions[id]
}
