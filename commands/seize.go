package commands

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"holdfast/quorum"
)

// A command that says no token (DEL, GETDEL, and SET where it may) ends a lease
// whoever has it, as in Redis. It may be the holder's own way to release it. If it
// is not the connection that acquired it, holder and operator should be able to
// find out why a lock was lost.

const takenOutKind = "lock.taken_out"

// seize notes that the lease of a lock is about to end without its token being
// said. What a script or a transaction does is guarded by what it read.
func (tx *Tx) seize(s *slot) {
	if !tx.script && s.prev != nil && s.prev.Live(tx.view.Now) {
		tx.seized = append(tx.seized, s.prev)
	}
}

// seizures see to it that the log is not full of what some libraries do all day.
type seizures struct {
	mu     sync.Mutex
	logged time.Time // guarded by mu; zero: never
	since  int       // guarded by mu; not logged since then
}

// seizureEvery is how often one is logged. Each is counted, and told to who
// subscribes.
const seizureEvery = time.Second

// tellSeized tells of leases that were taken from other connections.
func (c *call) tellSeized() {
	s := c.session
	for _, l := range c.tx.seized {
		if l.By == s.conn.ID {
			continue
		}
		from := fmt.Sprintf("that connection %d acquired", l.By)
		switch {
		case l.Foreign:
			from = "that was acquired through somebody else"
		case l.By == 0:
			from = "that was acquired before the last start"
		}
		s.mu.Lock()
		who := s.conn.Remote
		if s.name != "" {
			who += " (" + s.name + ")"
		}
		s.mu.Unlock()
		why := fmt.Sprintf("connection %d from %s ended by %s a lease %s", s.conn.ID, who, c.cmd.name, from)
		s.engine.takenOut(quorum.Event{Kind: takenOutKind, Store: -1, Name: l.Name, Text: why})
	}
}

func (e *Engine) takenOut(ev quorum.Event) {
	e.happened(ev.Kind)
	e.Tell(ev, "")
	q := &e.seizures
	q.mu.Lock()
	defer q.mu.Unlock()
	now := e.wall()
	if passed := now.Sub(q.logged); passed >= 0 && passed < seizureEvery {
		q.since++
		return
	}
	e.log.Info(ev.Kind, slog.String("lock", ev.Name), slog.String("why", ev.Text), slog.Int("before", q.since))
	q.logged, q.since = now, 0
}
