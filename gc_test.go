package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

// Garbage is collected seldom while little is alive, and costs little memory when
// much is.
func TestGarbageIsBounded(t *testing.T) {
	for _, c := range []struct{ live, most uint64 }{
		{0, 34 << 20}, {1 << 20, 34 << 20}, {4 << 20, 36 << 20}, {32 << 20, 48 << 20}, {256 << 20, 112 << 20}, {4 << 30, 1100 << 20},
	} {
		percent := uint64(garbagePercent(c.live))
		goal := max(c.live+c.live/100*percent, heapLeast/100*percent) // what Go makes of it
		garbage := goal - c.live
		if garbage > c.most || garbage < garbageLeast*9/10 {
			t.Errorf("with %d bytes alive there may be %d of garbage, want %d to %d", c.live, garbage, garbageLeast, c.most)
		}
	}
}

func TestGoMakesOfItWhatIsMeant(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(garbagePercent(0)))
	runtime.GC()
	goal := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
	metrics.Read(goal)
	if got := goal[0].Value.Uint64(); got < garbageLeast || got > 2*garbageLeast {
		t.Errorf("the heap may grow to %d bytes while next to nothing is alive, want %d and little more", got, garbageLeast)
	}
}

func TestMemoryIsGivenBackOnceAfterSomethingWasDone(t *testing.T) {
	const mb = 1 << 20
	var idle idleness
	for i, c := range []struct {
		allocated uint64
		want      bool
	}{
		{2 * mb, false},                    // it starts
		{3 * mb, false},                    // and does nothing
		{50 * mb, false}, {90 * mb, false}, // it is busy
		{92 * mb, true}, {93 * mb, false}, // and no more: once
		{97 * mb, false}, {101 * mb, false}, // a little by and by is no reason,
		{104 * mb, false}, {107 * mb, false}, // until it
		{110 * mb, true}, // comes to much
	} {
		if got := idle.begins(c.allocated); got != c.want {
			t.Errorf("look %d, %d MB: memory is given back: %t, want %t", i, c.allocated/mb, got, c.want)
		}
	}
}
