package commands

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func TestNoMoreWorkThanAllowedIsDoneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := workers{most: 3}
		var now, most, done atomic.Int64
		for range 5 { // later rounds find idle workers
			gate := make(chan struct{})
			var all sync.WaitGroup
			for range 10 {
				all.Add(1)
				w.run(func() {
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
