package commands

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func TestNoMoreWorkThanAllowedIsDoneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := workers{most: 3}
		lines := make([]line, 10)
		var now, most, done atomic.Int64
		for range 5 { // later rounds find idle workers
			gate := make(chan struct{})
			var all sync.WaitGroup
			for i := range lines {
				all.Add(1)
				w.run(&lines[i], func() {
					defer all.Done()
					most.Store(max(most.Load(), now.Add(1)))
					<-gate
					now.Add(-1)
					done.Add(1)
				})
			}
			synctest.Wait()
			if n := now.Load(); n != 3 {
				t.Errorf("%d under way, want 3: no worker idles while there is work", n)
			}
			close(gate)
			all.Wait()
			synctest.Wait()
		}
		w.close()
		if most.Load() != 3 || done.Load() != 50 {
			t.Errorf("%d at a time and %d in all, want 3 and 50", most.Load(), done.Load())
		}
	})
}

// A ledger notes what is called, in order, and lets nothing end before its gate
// is open.
type ledger struct {
	gate  chan struct{}
	mu    sync.Mutex
	calls []string
}

func (l *ledger) work(name string) func() {
	return func() {
		<-l.gate
		l.mu.Lock()
		defer l.mu.Unlock()
		l.calls = append(l.calls, name)
	}
}

func TestLinesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := workers{most: 1}
		l := ledger{gate: make(chan struct{})}
		var a, b, c line
		for _, next := range []struct {
			line *line
			name string
		}{{&a, "a"}, {&a, "a"}, {&a, "a"}, {&b, "b"}, {&b, "b"}, {&c, "c"}} {
			w.run(next.line, l.work(next.name))
		}
		close(l.gate)
		w.close()
		if got, want := strings.Join(l.calls, " "), "a b c a b a"; got != want {
			t.Errorf("called %s, want %s", got, want)
		}
	})
}

func TestOneLineNeverOccupiesTwoWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := workers{most: 4}
		var a, b line
		l := ledger{gate: make(chan struct{})}
		for range 10 {
			w.run(&a, l.work("a"))
		}
		synctest.Wait()
		free := ledger{gate: make(chan struct{})}
		close(free.gate)
		w.run(&b, free.work("b"))
		synctest.Wait()
		if len(free.calls) != 1 {
			t.Error("one line with much work kept another line's from being called")
		}
		close(l.gate)
		w.close()
		if len(l.calls) != 10 {
			t.Errorf("%d calls, want all 10", len(l.calls))
		}
	})
}

func TestThoseWhoLeftHaveOneTurnTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := workers{most: 1}
		var first, a, b, c line
		l := ledger{gate: make(chan struct{})}
		w.run(&first, l.work("first")) // the others wait for it
		synctest.Wait()
		for range 2 {
			w.run(&a, l.work("a"))
			w.run(&b, l.work("b"))
			w.run(&c, l.work("c"))
		}
		w.leave(&a)
		w.leave(&b)
		w.run(&a, l.work("late")) // what waited for something else until now
		close(l.gate)
		w.close()
		if got, want := strings.Join(l.calls, " "), "first c a c a b b late"; got != want {
			t.Errorf("called %s, want %s", got, want)
		}
	})
}

func TestWhatWaitsIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := workers{most: 1}
		l := ledger{gate: make(chan struct{})}
		lines := make([]line, maxWaiting/maxLine+2)
		w.run(&lines[0], l.work("first"))
		synctest.Wait()
		taken, full := 1, 0
		for i := range lines {
			for range maxLine {
				if w.run(&lines[i], l.work("more")) == "" {
					taken++
				}
			}
			if got := w.run(&lines[i], l.work("too many")); got != errScripts {
				t.Errorf("line %d with %d waiting: %q, want %q", i, maxLine, got, errScripts)
			} else {
				full++
			}
		}
		if taken != maxWaiting+1 || full != len(lines) {
			t.Errorf("%d functions taken, want %d waiting and one under way", taken, maxWaiting)
		}
		close(l.gate)
		w.close()
		if len(l.calls) != taken {
			t.Errorf("%d called, want each of the %d taken", len(l.calls), taken)
		}
		if got := w.run(&lines[0], func() {}); got != errClosing {
			t.Errorf("after close: %q, want %q", got, errClosing)
		}
	})
}
