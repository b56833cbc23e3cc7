package quorum

import (
	"fmt"
	"math"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// BootClock reads CLOCK_BOOTTIME: unlike Go's monotonic clock it counts the time
// that the machine was suspended, during which leases run out too.
type BootClock struct{}

// Now returns the time since the machine was booted.
func (BootClock) Now() Time { return awake.now(time.Since(began)) }

var (
	began = time.Now() // Go's monotonic clock is counted from here
	awake = newBootOffset(readBoot)
)

// readBoot reads CLOCK_BOOTTIME, and the monotonic clock before and after.
func readBoot() (boot, before, after time.Duration) {
	var ts unix.Timespec
	before = time.Since(began)
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(fmt.Sprintf("read CLOCK_BOOTTIME: %v", err)) // Linux has had it since 2.6.39
	}
	return time.Duration(ts.Nano()), before, time.Since(began)
}

// A bootOffset is how far CLOCK_BOOTTIME is ahead of the monotonic clock. The two run
// alike but for suspends, and only the second is read without a system call, so the
// first is looked at a thousand times a second at most. That a suspend is noticed a
// millisecond late is as if it had come a millisecond later: whoever has read a clock
// can be suspended before acting by it, all the same.
type bootOffset struct {
	read   func() (boot, before, after time.Duration)
	offset atomic.Int64 // ns
	due    atomic.Int64 // when to look again, by the monotonic clock, in ns
}

const (
	awakeEvery   = time.Millisecond
	suspendLeast = time.Millisecond      // for less no machine is suspended
	bootReadMost = 20 * time.Microsecond // for which both clocks are read, else they don't tell of one moment
)

func newBootOffset(read func() (boot, before, after time.Duration)) *bootOffset {
	b := &bootOffset{read: read}
	shortest := time.Duration(math.MaxInt64)
	for range 100 {
		boot, before, after := read()
		if took := after - before; took < shortest {
			shortest = took
			b.offset.Store(int64(boot - after))
		}
		if shortest < bootReadMost/10 {
			break
		}
	}
	return b
}

// now returns what CLOCK_BOOTTIME shows while the monotonic clock shows mono.
func (b *bootOffset) now(mono time.Duration) Time {
	if int64(mono) >= b.due.Load() {
		boot, before, after := b.read()
		if mono = after; after-before <= bootReadMost {
			b.due.Store(int64(after + awakeEvery))
		}
		// It is at least this. Otherwise it stays as it is: time does not go back.
		if was := b.offset.Load(); int64(boot-after) > was+int64(suspendLeast) {
			b.offset.CompareAndSwap(was, int64(boot-after))
		}
	}
	return Time(int64(mono) + b.offset.Load())
}

// BootID returns a name for this boot, and for the time namespace if it is not
// the machine's own: readings of [BootClock] with the same one can be compared.
func BootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the boot id: %w", err)
	}
	id := strings.TrimSpace(string(b))
	// A time namespace has an offset of its own, and readings with another one
	// can't be compared. Kernels before 5.6 have no such file and no such thing.
	if offsets, err := os.ReadFile("/proc/self/timens_offsets"); err == nil {
		for line := range strings.Lines(string(offsets)) {
			if f := strings.Fields(line); len(f) == 3 && f[0] == "boottime" && (f[1] != "0" || f[2] != "0") {
				id += "+" + f[1] + "." + f[2]
			}
		}
	}
	return id, nil
}
