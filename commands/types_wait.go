package commands

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"sync"
	"time"

	"holdfast/quorum"
)

// BLPOP and BRPOP: what waits for an element of a list.

// A room is where clients wait for elements, first come, first served on each list.
// Who is first tries to take one: as any other command, so that a wait which is
// over is one change of one list, or none.
type room struct {
	mu     sync.Mutex
	queues map[string][]*waiter // guarded by mu; by the lock's name, none empty
	dirty  map[string]bool      // guarded by mu: lists that may have an element now
	awake  bool                 // guarded by mu: somebody is about to look at them
	ticks  *time.Timer          // guarded by mu; nil while nobody waits
	inside int                  // guarded by mu; how many wait
}

// A waiter is a client that waits.
type waiter struct {
	call   *call // holds what comes behind it
	keys   [][]byte
	names  []string // of the keys
	trying bool     // guarded by room.mu: its try is under way
	again  bool     // guarded by room.mu: there may be an element since that began
	tried  bool     // guarded by room.mu: it looked at all its lists once
	over   bool     // guarded by room.mu: it is not to try any more
}

// How often lists are looked at that nobody said to have changed: with peers,
// others may have pushed something; alone, only what came to us by chance.
const (
	tickAmongPeers = 100 * time.Millisecond
	tickAlone      = time.Second
)

// waitFor is a command that has the room of all who wait for lists.
const waitFor = "blpop"

func newRoom() *room { return &room{queues: map[string][]*waiter{}, dirty: map[string]bool{}} }

// popNow is BLPOP and BRPOP for who does not wait.
func popNow(left bool) func(tx *Tx, args [][]byte) Reply {
	return func(tx *Tx, args [][]byte) Reply { return tx.popFirst(args[1:len(args)-1], nil, true, left) }
}

// popFirst takes the first element there is, of the first list that has one, with its
// key; else it is null. Of those lists that others wait for it takes none. A value of
// another type is an error to who looks for the first time; later it is nothing to a
// client that waits for a list.
func (tx *Tx) popFirst(keys [][]byte, others []bool, first, left bool) Reply {
	for i, key := range keys {
		s, items, ok := tx.list(key)
		switch {
		case !ok && first:
			return sayFailure(errWrongType)
		case !ok, !s.held, others != nil && others[i]:
			continue
		}
		taken, bad := tx.take(s, items, 1, left)
		if bad != nil {
			return *bad
		}
		return sayArray(sayBytes(key), sayBytes(taken[0].key))
	}
	return Reply{kind: nullArray}
}

// start begins a wait.
func (m *room) start(s *Session, cmd *command, r request) {
	proto := s.protocol()
	timeout, wrong := parseTimeout(r.args[len(r.args)-1])
	if wrong != "" {
		r.answer(sayFailure(wrong), proto)
		return
	}
	if n := len(r.args) - 2; n > quorum.MaxNames {
		r.answer(sayFailure(fmt.Sprintf("ERR %s names %d locks, above %d", cmd.name, n, quorum.MaxNames)), proto)
		return
	}
	w := &waiter{call: &call{session: s, cmd: cmd, request: r, proto: proto, db: s.db, holds: true}}
	for _, key := range r.args[1 : len(r.args)-1] {
		name, err := lockName(s.db, key)
		if err != nil {
			r.answer(sayFailure(errorLine(err)), proto)
			return
		}
		if !slices.Contains(w.names, name) {
			w.keys, w.names = append(w.keys, key), append(w.names, name)
		}
	}
	w.call.alarm.ring = func() { m.give(w) }
	s.add(w.call)
	m.enter(w)
	m.try(w) // before its time can be over: what is there by now is its own
	w.call.alarm.set(timeout)
	if s.sendsNoMore() { // and who says so may not have seen the call
		w.call.alarm.stop(nil)
	}
}

// parseTimeout reads seconds; none are for ever.
func parseTimeout(b []byte) (d time.Duration, wrong string) {
	seconds, ok := parseLong(b)
	if !ok || seconds.IsInf() {
		return 0, "ERR timeout is not a float or out of range"
	}
	if seconds.Sign() < 0 {
		return 0, "ERR timeout is negative"
	}
	millis, _ := new(big.Float).Mul(seconds, big.NewFloat(1000)).Float64()
	switch {
	case millis > math.MaxInt64:
		return 0, "ERR timeout is out of range"
	case millis == 0 || millis > math.MaxInt64/1e6:
		return math.MaxInt64, ""
	}
	return time.Duration(math.Ceil(millis)) * time.Millisecond, ""
}

// enter puts a waiter at the end of its queues.
func (m *room) enter(w *waiter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inside++
	for _, name := range w.names {
		m.queues[name] = append(m.queues[name], w)
	}
	if m.ticks == nil {
		m.ticks = time.AfterFunc(m.interval(w), func() { m.tick(w) })
	}
}

// count returns how many wait.
func (m *room) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.inside
}

// interval is how long until the lists are looked at again.
func (m *room) interval(w *waiter) time.Duration {
	if len(w.call.session.engine.keeper.Status().Peers) > 0 {
		return tickAmongPeers
	}
	return tickAlone
}

// tick looks at all lists that somebody waits for.
func (m *room) tick(w *waiter) {
	m.mu.Lock()
	if len(m.queues) == 0 {
		m.ticks = nil
		m.mu.Unlock()
		return
	}
	for name := range m.queues {
		m.dirty[name] = true
	}
	m.mu.Unlock()
	m.serve()
	next := m.interval(w)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ticks.Reset(next)
}

// wake says that a list may have an element once what is being decided is done. The
// keeper calls it, with its mutex held.
func (m *room) wake(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.queues[name]) == 0 {
		return
	}
	m.dirty[name] = true
	if !m.awake {
		m.awake = true
		time.AfterFunc(0, m.serve)
	}
}

// serve has the first of each list that may have an element try.
func (m *room) serve() {
	m.mu.Lock()
	m.awake = false
	var first []*waiter
	for name := range m.dirty {
		if queue := m.queues[name]; len(queue) > 0 && !slices.Contains(first, queue[0]) {
			first = append(first, queue[0])
		}
	}
	clear(m.dirty)
	m.mu.Unlock()
	for _, w := range first {
		m.try(w)
	}
}

// try has a waiter take an element of those lists on which it is the first. What
// was decided of them before is done by then: changes of one lock queue up. For the
// first time it looks at all of them.
func (m *room) try(w *waiter) {
	m.mu.Lock()
	if w.trying || w.over {
		w.again = true
		m.mu.Unlock()
		return
	}
	args, others := [][]byte{w.call.request.args[0]}, []bool{}
	for i, name := range w.names {
		if mine := m.queues[name][0] == w; mine || !w.tried {
			args, others = append(args, w.keys[i]), append(others, !mine)
		}
	}
	first := !w.tried
	w.trying, w.again = len(args) > 1, false
	m.mu.Unlock()
	if len(args) == 1 {
		return
	}
	args = append(args, []byte("0"))
	c := w.call
	pop := *c.cmd
	pop.run = func(tx *Tx, args [][]byte) Reply {
		return tx.popFirst(args[1:len(args)-1], others, first, c.cmd.name == "blpop")
	}
	c.session.submit(&pop, request{args: args, reply: func(b []byte, _ bool) {
		// Later, since whoever answers may hold what is taken behind it: see call.reply.
		time.AfterFunc(0, func() { m.heard(w, b) })
	}}, c.proto, c.db)
}

// heard is told what a try came to.
func (m *room) heard(w *waiter, reply []byte) {
	none := string(reply) == nothing(nullArray, w.call.proto)
	m.mu.Lock()
	w.trying, w.tried = false, true
	if none && !w.over {
		again := w.again
		m.mu.Unlock()
		if again {
			m.try(w)
		}
		return
	}
	w.over = true // before anybody may have it try again, and take a second element
	m.mu.Unlock()
	if none {
		reply = w.nothing()
	}
	m.leave(w, reply)
}

// give is what time or the end of a connection has a waiter do, unless a try is
// under way: that may have taken an element, which is the client's.
func (m *room) give(w *waiter) {
	m.mu.Lock()
	idle := !w.trying && !w.over
	w.over = true
	m.mu.Unlock()
	if idle {
		m.leave(w, w.nothing())
	}
}

// nothing is the reply to a wait that came to nothing.
func (w *waiter) nothing() []byte {
	if w.call.unblocked.Load() {
		return []byte("-" + errUnblocked + "\r\n")
	}
	return []byte(nothing(nullArray, w.call.proto))
}

// waitsInRoom returns the call of a session that waits, nil if none does. s.mu is held.
func (s *Session) waitsInRoom() *call {
	for c := s.under; c != nil; c = c.next {
		if c.cmd.room != nil && c.holds {
			return c
		}
	}
	return nil
}

// clientUnblock is CLIENT UNBLOCK id [TIMEOUT | ERROR]: it ends another's wait.
func clientUnblock(s *Session, args [][]byte) Reply {
	failing := len(args) == 4 && is(args[3], "error")
	if len(args) > 4 || len(args) == 4 && !failing && !is(args[3], "timeout") {
		return sayFailure("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
	}
	id, ok := parseInt(args[2])
	if !ok {
		return sayFailure(errNotInteger)
	}
	other := s.engine.session(uint64(id))
	if other == nil {
		return sayInt(0)
	}
	other.mu.Lock()
	c := other.waitsInRoom()
	other.mu.Unlock()
	if c == nil {
		return sayInt(0)
	}
	if !c.alarm.stop(func() { c.unblocked.Store(failing) }) {
		return sayInt(0)
	}
	return sayInt(1) // even if it gets an element yet, of a try that is under way
}

// leave answers a waiter that is over, and lets those behind it try.
func (m *room) leave(w *waiter, reply []byte) {
	m.mu.Lock()
	m.inside--
	for _, name := range w.names {
		queue := slices.DeleteFunc(m.queues[name], func(other *waiter) bool { return other == w })
		if len(queue) == 0 {
			delete(m.queues, name)
		} else {
			m.queues[name] = queue
			m.dirty[name] = true
		}
	}
	more := len(m.dirty) > 0 && !m.awake
	m.awake = m.awake || more
	m.mu.Unlock()
	w.call.alarm.cancel()
	w.call.request.reply(reply, false)
	w.call.session.remove(w.call)
	if more {
		time.AfterFunc(0, m.serve)
	}
}
