package main

import "testing"

// Garbage is collected seldom while little is alive, and costs little memory when
// much is.
func TestGarbageIsBounded(t *testing.T) {
	for _, c := range []struct{ live, most uint64 }{
		{0, 36 << 20}, {1 << 20, 36 << 20}, {32 << 20, 48 << 20}, {256 << 20, 112 << 20}, {4 << 30, 1100 << 20},
	} {
		garbage := max(c.live, 1<<20) / 100 * uint64(garbagePercent(c.live))
		if garbage > c.most || garbage < garbageLeast*9/10 {
			t.Errorf("with %d bytes alive there may be %d of garbage, want %d to %d", c.live, garbage, garbageLeast, c.most)
		}
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
