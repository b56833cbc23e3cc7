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
