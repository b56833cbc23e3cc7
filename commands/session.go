package commands

import (
	"sync"
	"sync/atomic"
	"time"
)

// A Session is one connection. Begin is called for one command after the other,
// and does not wait for what it begins.
type Session struct {
	engine *Engine
	conn   Conn

	// What follows is changed only by the commands of the session, of which one
	// at a time is being begun, and then with mu held: others look, in CLIENT LIST.
	mu            sync.Mutex
	proto, db     int
	authenticated bool
	name          string
	library       [2]string // name and version, from CLIENT SETINFO
	doing         *command  // the last one begun
	active        time.Time // when

	under    *call     // guarded by mu; the calls under way, linked
	waiting  []request // guarded by mu; behind a barrier, in order
	draining bool      // guarded by mu; somebody is beginning what waited
	held     bool      // guarded by mu; a command is under way that those behind it wait for
	noMore   bool      // guarded by mu; the client sends no more, and may be gone
	closed   bool      // guarded by mu; once true, always true

	runs       line        // of its scripts
	monitoring atomic.Bool // changed with the monitors' mutex held

	transaction   // the commands' own, as what is at the top
	tracking      // guarded by the tracker, but for what it says
	subscriptions // guarded by the hub, but for its counts
}

// A request is a command that has not begun yet.
type request struct {
	args   [][]byte
	reply  func(b []byte, last bool)
	begun  time.Time
	script *script // that it calls, if that was looked for and is kept
}

// Begin begins the command that args, at least one, are. They are the session's
// from now on, and must not be altered. reply is called exactly once, from any
// goroutine and possibly before Begin returns, with RESP, not to be altered, in the protocol that
// the session spoke when the command began; if last, the connection is to be
// closed once that is written. Calls of Begin must not overlap.
//
// Replies come when they are ready: putting them in the order of the commands
// is the caller's.
func (s *Session) Begin(args [][]byte, reply func(b []byte, last bool)) {
	r := request{args: args, reply: reply}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		r.answer(sayFailure(errHungUp), 2)
		return
	}
	if s.draining || s.held || len(s.waiting) > 0 {
		s.waiting = append(s.waiting, r)
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	c, p := s.engine.lookup(args)
	if p == noProblem && s.waits(c, &r) && s.park(r) {
		return
	}
	s.perform(c, p, r)
}

// park makes a barrier wait if anything is under way.
func (s *Session) park(r request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.under == nil {
		return false
	}
	s.waiting = append(s.waiting, r)
	return true
}

// drain begins what waited behind a barrier, once nothing is under way, until
// it comes to another barrier that must wait. What Begin is asked for meanwhile
// queues up behind, so commands still begin one after the other.
func (s *Session) drain() {
	for {
		s.mu.Lock()
		if s.held && !s.closed {
			s.draining = false
			s.mu.Unlock()
			return
		}
		if len(s.waiting) == 0 {
			s.waiting, s.draining = nil, false
			s.mu.Unlock()
			return
		}
		r := s.waiting[0]
		c, p := s.engine.lookup(r.args)
		if p == noProblem && s.under != nil && !s.closed && s.waits(c, &r) {
			s.draining = false
			s.mu.Unlock()
			return
		}
		s.waiting[0] = request{}
		s.waiting = s.waiting[1:]
		closed := s.closed
		s.mu.Unlock()
		if closed {
			r.answer(sayFailure(errHungUp), 2)
			continue
		}
		s.perform(c, p, r)
	}
}

// perform does what the command says, or starts it.
func (s *Session) perform(c *command, p problem, r request) {
	s.engine.served.Add(1)
	s.mu.Lock()
	s.active = s.engine.wall()
	r.begun = s.active
	if p == noProblem {
		s.doing = c
	}
	proto, db, authenticated := s.proto, s.db, s.authenticated
	s.mu.Unlock()
	defer s.spendCaching(c)
	switch {
	case p != noProblem:
		r.answer(s.abort(c, p.words(c, r.args)), proto)
	case !authenticated && c.flags&noauth == 0:
		s.spoil()
		r.answer(sayFailure(errNoAuth), proto)
	case proto == 2 && c.flags&attending == 0 && s.subscribed():
		r.answer(sayFailure("ERR Can't execute '"+c.name+"': "+errSubscribed), proto)
	case s.open && c.flags&unqueued == 0:
		r.answer(s.enqueue(c, r.args), proto)
	default:
		s.engine.monitors.show(s, db, c, r)
		s.carryOut(c, r, proto, db)
	}
}

// carryOut does what the command says, or starts it, now that it may.
func (s *Session) carryOut(c *command, r request, proto, db int) {
	switch {
	case c.start != nil:
		c.start(s, c, r)
	case c.flags&settles != 0:
		s.settle(c, r)
	case c.serve != nil:
		reply := c.serve(s, r.args).bounded()
		s.engine.slow.look(s, c, r)
		r.answer(reply, s.protocol())
	default:
		s.submit(c, r, proto, db)
	}
}

// settle is for what decides which messages the client gets, or in which protocol.
// Nobody can send it one between that and the answer, which says from where on
// it holds: neither what is published, nor what somebody else has it told of, by
// CLIENT TRACKING REDIRECT.
func (s *Session) settle(c *command, r request) {
	h, t := s.engine.hub, s.engine.tracker
	h.mu.Lock()
	defer h.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	reply := c.serve(s, r.args)
	r.answer(reply, s.protocol())
}

func (r request) answer(reply Reply, proto int) { r.reply(reply.encode(proto), reply.last) }

func (s *Session) protocol() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proto
}

// Authenticated reports whether the client has said the password, or needs none.
func (s *Session) Authenticated() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.authenticated
}

// Close ends the session: what is under way is cancelled, which undoes what it
// had begun, and everything is still answered. It is on the list of clients until
// that is done.
func (s *Session) Close() {
	defer s.engine.forget(s)
	s.mu.Lock()
	s.closed = true
	var under []*call
	for c := s.under; c != nil; c = c.next {
		under = append(under, c)
	}
	mine := !s.draining
	s.draining = true
	s.mu.Unlock()
	s.engine.hub.forget(s)
	s.engine.tracker.forget(s)
	s.engine.monitors.remove(s)
	for _, c := range under {
		if op := c.op.Load(); op != nil {
			s.engine.keeper.Cancel(op)
		}
		c.alarm.stop(nil)
	}
	s.engine.scripts.workers.leave(&s.runs)
	if mine {
		s.drain()
	}
}

// NoMore says that the client sends no more, and may be gone. Begin may still be called
// for what it had sent. All of that is carried out and answered; but who waits for an
// element of a list would take it from others, and is answered now. It may be called
// at any time, also while Begin is.
func (s *Session) NoMore() {
	s.mu.Lock()
	s.noMore = true
	c := s.waitsInRoom()
	s.mu.Unlock()
	if c != nil {
		c.alarm.stop(nil)
	}
}

// sendsNoMore reports whether nothing is to wait for what may never come.
func (s *Session) sendsNoMore() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.noMore || s.closed
}

// add notes that a call is under way.
func (s *Session) add(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addLocked(c)
}

func (s *Session) addLocked(c *call) {
	s.held = s.held || c.holds
	c.next = s.under
	if c.next != nil {
		c.next.prev = c
	}
	s.under = c
}

// remove notes that a call is over, and goes on with what waited for that.
func (s *Session) remove(c *call) {
	s.mu.Lock()
	if c.prev == nil {
		s.under = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	if c.holds {
		s.held = false
	}
	ready := c.releaseLocked()
	mine := (s.under == nil || c.holds) && !s.held && len(s.waiting) > 0 && !s.draining
	s.draining = s.draining || mine
	s.mu.Unlock()
	for _, heir := range ready {
		heir.takeTurn()
	}
	if mine {
		s.drain()
	}
}

func (s *Session) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}
