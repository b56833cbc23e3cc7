package commands

import "sync"

// workers call functions, a few at a time, on goroutines that stay: Lua needs a
// deep stack, and growing one anew for each script costs as much as the script.
// The zero value calls nothing; most must be set.
type workers struct {
	most    int // at a time
	running sync.WaitGroup

	mu      sync.Mutex
	work    *sync.Cond // guarded by mu: there is something in queue, or closed
	queue   []func()   // guarded by mu
	started int        // guarded by mu
	idle    int        // guarded by mu: waiting for work, and not called yet
	closed  bool       // guarded by mu
}

// run has f called when it is its turn. It does not wait.
func (w *workers) run(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.work == nil {
		w.work = sync.NewCond(&w.mu)
	}
	w.queue = append(w.queue, f)
	switch {
	case w.idle > 0:
		w.idle-- // at once, or the next function would count on the same one
		w.work.Signal()
	case w.started < w.most:
		w.started++
		w.running.Go(w.loop)
	}
}

func (w *workers) loop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		for len(w.queue) == 0 {
			if w.closed {
				return
			}
			w.idle++
			w.work.Wait()
		}
		f := w.queue[0]
		w.queue[0] = nil
		w.queue = w.queue[1:]
		w.mu.Unlock()
		f()
		w.mu.Lock()
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
