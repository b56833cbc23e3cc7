package redis

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"holdfast/quorum"
)

// A flow is how batches go when one goroutine sends and another one waits for the
// answers: Send and Receive, which make Store a [quorum.Pipe].
type flow struct {
	room flowing // for the batch under way

	writing sync.Mutex // held while Send writes: the answers may come before that returns

	mu          sync.Mutex
	batch       *flowing // guarded by mu; under way, or nil
	interrupted bool     // guarded by mu; whoever waits for nothing is to return
}

// A flowing is a batch under way.
type flowing struct {
	link     *link
	own      *own
	sent     sent
	requests []quorum.Request
	votes    []quorum.Vote
	start    time.Time
	deadline time.Time
	rest     []byte // what Receive has to write; guarded by the flow's mu
	err      error  // why nothing was sent
}

// sendMost is how much Send writes: with nothing under way, so much always finds
// room in the socket's buffer, and writing it does not wait.
const sendMost = 16 << 10

// longAgo is a deadline that wakes whoever reads.
var longAgo = time.Unix(1, 0)

// Send implements quorum.Pipe.
func (s *Store) Send(requests []quorum.Request, votes []quorum.Vote, patience time.Duration) {
	s.turn <- struct{}{}
	f := &s.flow
	b := &f.room
	start := time.Now()
	*b = flowing{requests: requests, votes: votes, start: start, deadline: start.Add(patience)}
	b.link, b.own, b.err = s.current()
	if b.err != nil {
		f.mu.Lock()
		f.batch = b
		f.mu.Unlock()
		return // Receive knows, or will
	}
	if b.own != nil {
		b.own.begin(requests)
	}
	l := b.link
	b.sent = l.begin(l.queue(requests, votes, false))
	raw := l.rawConn()
	now := raw != nil && len(b.sent.pipe.out) <= sendMost
	f.writing.Lock()
	defer f.writing.Unlock()
	f.mu.Lock()
	f.batch = b
	if now {
		l.conn.SetReadDeadline(b.deadline)
	} else {
		b.rest = b.sent.pipe.out
		l.conn.SetReadDeadline(longAgo)
	}
	f.mu.Unlock()
	if now && !l.writeNow(raw, b.sent.pipe.out) {
		l.cut()
	}
}

// rawConn returns what Send writes to, nil if that is encrypted.
func (l *link) rawConn() syscall.RawConn {
	p, ok := l.conn.(*plain)
	if !ok {
		return nil
	}
	raw, err := p.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// writeNow writes b if that can be done without waiting, and reports whether it was.
func (l *link) writeNow(raw syscall.RawConn, b []byte) bool {
	l.wire.wrote.Store(true) // before: the answer may be there first
	n := 0
	err := raw.Write(func(fd uintptr) bool {
		n, _ = syscall.Write(int(fd), b)
		return true
	})
	if n <= 0 {
		l.wire.wrote.Store(false)
	}
	return err == nil && n == len(b)
}

// Receive implements quorum.Pipe.
func (s *Store) Receive(until time.Time) (answered bool, err error) {
	l, _, err := s.current()
	if err != nil {
		return s.failed(err)
	}
	f := &s.flow
	for {
		f.mu.Lock()
		b, interrupted := f.batch, f.interrupted
		f.interrupted = f.interrupted && b != nil
		if b == nil {
			l.conn.SetReadDeadline(until)
		}
		f.mu.Unlock()
		switch {
		case b == nil && interrupted:
			return false, nil
		case b != nil && b.rest != nil:
			err = s.writeRest(b)
		}
		if err == nil {
			_, err = l.in.Peek(1)
		}
		f.mu.Lock()
		b = f.batch
		late := b != nil && !time.Now().Before(b.deadline)
		unwritten := b != nil && b.rest != nil
		if b != nil && !late && !unwritten && isTimeout(err) {
			l.conn.SetReadDeadline(b.deadline) // it was the deadline of before
		}
		f.mu.Unlock()
		switch {
		case b == nil && isTimeout(err):
			return false, nil
		case b == nil && err == nil:
			return s.failed(void{errTooMuch})
		case b == nil:
			return s.failed(explain(context.Background(), err))
		case isTimeout(err) && !late:
			err = nil
			continue
		}
		return true, s.settle(b)
	}
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// failed is for a connection that failed while nothing was asked, or while Send
// could not ask.
func (s *Store) failed(err error) (answered bool, _ error) {
	f := &s.flow
	f.mu.Lock()
	b := f.batch
	f.mu.Unlock()
	s.drop()
	if b == nil {
		return false, s.asking(err)
	}
	if b.link == nil {
		b.err = err
	} // else it may have been sent before the connection went
	return true, s.settle(b)
}

// writeRest writes what Send has left.
func (s *Store) writeRest(b *flowing) error {
	s.flow.mu.Lock()
	rest := b.rest
	b.rest = nil
	b.link.conn.SetDeadline(b.deadline)
	s.flow.mu.Unlock()
	_, err := b.link.conn.Write(rest)
	b.link.conn.SetWriteDeadline(time.Time{}) // Send has none
	return err
}

// settle fills in the votes of a batch whose answers begin to come, or never will,
// and ends it.
func (s *Store) settle(b *flowing) error {
	s.flow.writing.Lock() // what it writes is of the next batch soon
	err := b.err
	s.flow.writing.Unlock()
	if err != nil {
		silence(b.votes, err, true)
	} else {
		err = b.link.end(b.deadline, b.sent, b.requests, b.votes)
	}
	err = s.conclude(b.votes, time.Since(b.start), err)
	if b.own != nil {
		b.own.end(b.requests, b.votes)
	}
	s.flow.mu.Lock()
	s.flow.batch = nil
	s.flow.mu.Unlock()
	*b = flowing{}
	<-s.turn
	return err
}

// Interrupt implements quorum.Pipe.
func (s *Store) Interrupt() {
	l, _, err := s.current()
	f := &s.flow
	f.mu.Lock()
	defer f.mu.Unlock()
	f.interrupted = true
	if err == nil && f.batch == nil {
		l.conn.SetReadDeadline(longAgo)
	}
}
