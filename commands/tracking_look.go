package commands

import (
	"sync"
	"time"

	"holdfast/quorum"
)

// What others may change without us is read again: at once when a store says that
// something happened to it, as Redis does, and every so often in any case, since
// not every store can say so and some of what is said is lost. Locks that nobody
// tracks cost nothing.

// doubt has a lock read again soon, if somebody has read it.
func (t *tracker) doubt(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if name == "" || len(t.readers[name]) == 0 || len(t.rumours) >= maxRumours {
		return // the next round gets to it
	}
	t.rumours[name] = struct{}{}
	t.rouse()
}

func (t *tracker) rouse() {
	select {
	case t.nudge <- struct{}{}:
	default: // it will look anyway
	}
}

// look reads again until the tracker is closed. Its timer runs only while there is something.
func (t *tracker) look() {
	timer := time.NewTimer(lookEvery)
	defer timer.Stop()
	due, armed := false, true
	for {
		select {
		case <-t.stop:
			return
		case <-t.nudge:
		case <-timer.C:
			due, armed = true, false
		}
		names := t.toLook(due)
		if due = false; len(names) > 0 {
			t.readAgain(names)
		}
		if !armed && t.looksOn() {
			timer.Reset(lookEvery)
			armed = true
		}
	}
}

// looksOn reports whether there is anything to be read again every so often.
func (t *tracker) looksOn() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.readers) > 0
}

// toLook returns the locks to be read again: those of rumours and, if it is time,
// some of the others, in no order, so that all have their turn.
func (t *tracker) toLook(due bool) (names []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name := range t.rumours {
		names = append(names, name)
	}
	clear(t.rumours)
	if !due {
		return names
	}
	for name, all := range t.readers {
		if len(names) >= lookMost {
			break
		}
		for _, i := range all {
			if i.again && i.op == nil {
				names = append(names, name)
				break
			}
		}
	}
	return names
}

// readAgain reads locks, and tells of those that are not as they were read.
func (t *tracker) readAgain(names []string) {
	var under sync.WaitGroup
	defer under.Wait()
	for _, name := range names {
		var lease *quorum.Lease
		shown := false
		under.Add(1)
		t.engine.keeper.Submit(&quorum.Op{
			Names: []string{name},
			Reads: true,
			Decide: func(view *quorum.View) quorum.Plan {
				lease, shown = view.Lease(name)
				return quorum.Plan{}
			},
			Done: func(r quorum.Result) {
				defer under.Done()
				if shown && r.Outcome == quorum.Unchanged {
					t.compare(name, lease)
				}
			},
		})
	}
}

// compare tells those who have read something else. An interest that is newer than
// the look, which is possible, is told of without need.
func (t *tracker) compare(name string, lease *quorum.Lease) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var over []*interest
	for _, i := range t.readers[name] {
		if i.op == nil && !sameLease(i.lease, lease) {
			over = append(over, i)
		}
	}
	var l invalidation
	for _, i := range over {
		t.dropLocked(i)
		l.send(t, i.session, i.name)
	}
	if len(over) > 0 {
		t.broadcastLocked(quorum.News{Name: name})
	}
}
