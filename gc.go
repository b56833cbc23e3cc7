package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How much garbage there may be before it is collected. By Go's own rule, as much
// as is alive: that is next to nothing when there are few leases, so that it is
// collected hundreds of times a second, and too much when there are a million.
const (
	// With half as much a thousand connections are slower, by what is alive of theirs; with
	// four times as much everybody is, by what no cache holds any more.
	garbageLeast = 32 << 20
	garbageShare = 4 // one part of what is alive, beside that

	heapLeast = 4 << 20 // at GOGC=100 Go lets a heap grow to this, however little is alive; at others in proportion
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
	garbage := garbageLeast + live/garbageShare
	return int(garbage * 100 / max(live, heapLeast))
}

// giveBack gives memory back to the system, until ctx is done, each time that
// nothing much is asked for after something was: garbage, and the stacks that
// goroutines needed which wait now. By itself Go does that within some minutes.
func giveBack(ctx context.Context) {
	const every = time.Second
	tick := time.NewTicker(every)
	defer tick.Stop()
	var idle idleness
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		made := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
		metrics.Read(made)
		if idle.begins(made[0].Value.Uint64()) {
			debug.FreeOSMemory()
		}
	}
}

// An idleness knows from what was ever allocated, looked at now and then, when a
// program that had something to do has no more.
type idleness struct {
	last uint64 // looked at
	from uint64 // when memory was last given back
}

const (
	idleMost  = 4 << 20  // allocated between two looks by who is idle,
	idleAfter = 16 << 20 // and since the last time by who had something to do
)

func (i *idleness) begins(allocated uint64) bool {
	quiet := allocated-i.last < idleMost
	i.last = allocated
	if !quiet || allocated-i.from < idleAfter {
		return false
	}
	i.from = allocated
	return true
}
