package commands

import "sync"

// workers call functions, a few at a time, on goroutines that stay: Lua needs a
// deep stack, and growing one anew for each script costs as much as the script.
// Who hands in much waits for itself: of each line one function is called at a
// time, and the lines take turns. The zero value calls nothing; most must be set.
type workers struct {
	most    int // at a time
	running sync.WaitGroup

	mu      sync.Mutex
	work    *sync.Cond // guarded by mu: there is something in turns, or closed
	turns   []*line    // guarded by mu: lines whose next function is to be called
	left    line       // of all who left: together they have the turn of one
	waiting int        // guarded by mu: functions in all lines
	started int        // guarded by mu
	idle    int        // guarded by mu: waiting for work, and not called yet
	closed  bool       // guarded by mu
}

// A line is what one owner wants called, in that order.
type line struct {
	queue []func() // guarded by workers.mu
	busy  bool     // guarded by workers.mu: in turns, or its function is being called
	gone  bool     // guarded by workers.mu: its owner left
}

// Limits on what waits: in one line as much as one connection may have under way.
const (
	maxLine    = 1024
	maxWaiting = 8192
)

// run has f called when it is its turn. It does not wait. It returns "", or why f
// will not be called.
func (w *workers) run(l *line, f func()) (refused string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if l.gone {
		l = &w.left
	}
	switch {
	case w.closed:
		return errClosing
	case w.waiting >= maxWaiting, len(l.queue) >= maxLine && l != &w.left:
		return errScripts
	}
	l.queue = append(l.queue, f)
	w.waiting++
	w.offer(l)
	return ""
}

// offer lets a line take its turn, and finds somebody to call its function.
func (w *workers) offer(l *line) {
	if l.busy || len(l.queue) == 0 {
		return
	}
	if w.work == nil {
		w.work = sync.NewCond(&w.mu)
	}
	l.busy = true
	w.turns = append(w.turns, l)
	switch {
	case w.idle > 0:
		w.idle-- // at once, or the next function would count on the same one
		w.work.Signal()
	case w.started < w.most:
		w.started++
		w.running.Go(w.loop)
	}
}

// leave says that the owner of a line is gone. What waits in it is still called,
// but the lines of all who left have only one turn.
func (w *workers) leave(l *line) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l.gone = true
	w.left.queue = append(w.left.queue, l.queue...)
	l.queue = nil
	w.offer(&w.left)
}

func (w *workers) loop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		for len(w.turns) == 0 {
			if w.closed {
				return
			}
			w.idle++
			w.work.Wait()
		}
		var l *line
		l, w.turns = shift(w.turns)
		if f := w.next(l); f != nil {
			w.mu.Unlock()
			f()
			w.mu.Lock()
		}
		w.again(l)
	}
}

// next takes the first function out of a line, nil if its owner left meanwhile.
func (w *workers) next(l *line) (f func()) {
	if len(l.queue) > 0 {
		f, l.queue = shift(l.queue)
		w.waiting--
	}
	return f
}

// shift takes the first of a queue out, and leaves its room to the next if that
// was all.
func shift[T any](queue []T) (first T, rest []T) {
	var none T
	first, queue[0] = queue[0], none
	if len(queue) == 1 {
		return first, queue[:0]
	}
	return first, queue[1:]
}

// again puts a line behind the others, if there is more in it. Its worker is
// there to take the next turn, whosever that is.
func (w *workers) again(l *line) {
	if l.busy = len(l.queue) > 0; l.busy {
		w.turns = append(w.turns, l)
	}
}

// close waits until all that was to be called has been.
func (w *workers) close() {
	w.mu.Lock()
	w.closed = true
	if w.work != nil {
		w.work.Broadcast()
	}
	w.mu.Unlock()
	w.running.Wait()
}
