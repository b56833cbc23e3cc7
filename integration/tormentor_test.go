package integration

import (
	"math/rand/v2"
	"testing"
	"time"
)

// A tormentor makes stores, and the program if there is one, suffer.
type tormentor struct {
	*rand.Rand
	stores []*store
	proxy  *program // may be nil
}

// dice returns dice for somebody else to throw.
func (x tormentor) dice() *rand.Rand { return rand.New(rand.NewPCG(x.Uint64(), x.Uint64())) }

// run inflicts one fault after the other until it is over, and leaves everything
// running. Which ones depends on the dice alone.
func (x tormentor) run(t *testing.T, over func() bool) {
	for !over() {
		breath := time.Duration(50+x.IntN(250)) * time.Millisecond
		switch one, other := x.pair(); x.IntN(6) {
		case 0:
			one.Restart()
		case 1: // a majority forgets
			one.Kill()
			other.Kill()
			pause(t.Context(), breath)
			one.Start()
			other.Start()
		case 2: // no quorum, but nothing is forgotten
			one.Pause()
			other.Pause()
			pause(t.Context(), breath)
			one.Resume()
			other.Resume()
		case 3:
			one.Pause()
			pause(t.Context(), 2*breath)
			one.Resume()
		case 4:
			one.flush()
			other.flush()
		case 5:
			if x.proxy != nil {
				x.proxy.restart()
			}
		}
		pause(t.Context(), breath)
	}
}

// pair returns two of the stores.
func (x tormentor) pair() (one, other *store) {
	order := x.Perm(len(x.stores))
	return x.stores[order[0]], x.stores[order[1]]
}
