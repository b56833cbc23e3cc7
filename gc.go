package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// How much garbage there may be before it is collected. By Go's own rule, as much
// as is alive: that is next to nothing when there are few leases, so that it is
// collected hundreds of times a second, and too much when there are a million.
const (
	garbageLeast = 32 << 20
	garbageShare = 4 // one part of what is alive, beside that
)

// paceGC sets how much garbage there may be, now and after each collection. An
// operator who says GOGC knows better.
func paceGC() {
	if os.Getenv("GOGC") == "" {
		adjustGC()
	}
}

func adjustGC() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	debug.SetGCPercent(garbagePercent(live[0].Value.Uint64()))
	// What nobody refers to is finalized by the next collection.
	runtime.SetFinalizer(new([16]byte), func(*[16]byte) { adjustGC() })
}

// garbagePercent returns the GOGC for a heap of which so many bytes are alive.
func garbagePercent(live uint64) int {
	live = max(live, 1<<20)
	return int((garbageLeast + live/garbageShare) * 100 / live)
}
