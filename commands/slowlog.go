package commands

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// A slowlog keeps the commands that took longest to be answered, waiting for locks
// and stores included: that is what their clients waited for.
type slowlog struct {
	above atomic.Int64 // µs; less than none: nothing is kept
	most  atomic.Int64 // entries; changed with mu held

	mu      sync.Mutex
	entries []slowEntry // guarded by mu; the last one last
	next    int64       // guarded by mu; number
}

type slowEntry struct {
	number       int64
	when         time.Time
	took         time.Duration
	args         []Reply
	remote, name string
}

// Limits on what is kept: as Redis has them, but for the last.
const (
	slowAbove   = 10_000 // µs
	slowKept    = 128
	slowArgs    = 32
	slowArgSize = 128
	maxSlow     = 4096
)

func newSlowlog() *slowlog {
	l := &slowlog{}
	l.above.Store(slowAbove)
	l.most.Store(slowKept)
	return l
}

// look keeps a command that is about to be answered, if it was slow: who has the answer
// finds it here.
func (l *slowlog) look(s *Session, c *command, r request) {
	above := l.above.Load()
	if above < 0 || r.begun.IsZero() || c.name == "auth" || c.name == "hello" {
		return
	}
	now := s.engine.wall()
	took := now.Sub(r.begun)
	if took.Microseconds() < above || took <= 0 && above > 0 {
		return
	}
	e := slowEntry{when: r.begun, took: took, remote: s.conn.Remote}
	s.mu.Lock()
	e.name = s.name
	s.mu.Unlock()
	for i, arg := range r.args {
		if i == slowArgs-1 && len(r.args) > slowArgs {
			e.args = append(e.args, sayText(fmt.Sprintf("... (%d more arguments)", len(r.args)-i)))
			break
		}
		text := string(head(arg, slowArgSize))
		if more := len(arg) - slowArgSize; more > 0 {
			text += fmt.Sprintf("... (%d more bytes)", more)
		}
		e.args = append(e.args, sayText(text))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e.number = l.next
	l.next++
	l.entries = append(l.entries, e)
	l.cutLocked()
}

func (l *slowlog) cutLocked() {
	if over := len(l.entries) - int(l.most.Load()); over > 0 {
		l.entries = append([]slowEntry(nil), l.entries[over:]...)
	}
}

func (l *slowlog) setMost(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.most.Store(n)
	l.cutLocked()
}

// slowlogGet is SLOWLOG GET [count]: the latest first, 10 of them, or all for -1.
func slowlogGet(s *Session, args [][]byte) Reply {
	count := int64(10)
	if len(args) > 2 {
		n, ok := parseInt(args[2])
		if len(args) > 3 {
			return sayFailure(fmt.Sprintf("ERR unknown subcommand or wrong number of arguments for '%s'. Try SLOWLOG HELP.", head(args[1], 128)))
		}
		if !ok || n < -1 {
			return sayFailure("ERR count should be greater than or equal to -1")
		}
		count = n
	}
	l := s.engine.slow
	l.mu.Lock()
	defer l.mu.Unlock()
	if count < 0 || count > int64(len(l.entries)) {
		count = int64(len(l.entries))
	}
	items := make([]Reply, count)
	for i := range items {
		e := &l.entries[len(l.entries)-1-i]
		items[i] = sayArray(sayInt(e.number), sayInt(e.when.Unix()), sayInt(e.took.Microseconds()),
			sayArray(e.args...), sayText(e.remote), sayText(e.name))
	}
	return sayArray(items...)
}

func slowlogLen(s *Session, _ [][]byte) Reply {
	s.engine.slow.mu.Lock()
	defer s.engine.slow.mu.Unlock()
	return sayInt(int64(len(s.engine.slow.entries)))
}

func slowlogReset(s *Session, _ [][]byte) Reply {
	s.engine.slow.mu.Lock()
	defer s.engine.slow.mu.Unlock()
	s.engine.slow.entries = nil
	return sayOK()
}
