package quorum

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// BootClock reads CLOCK_BOOTTIME: unlike Go's monotonic clock it counts the time
// that the machine was suspended, during which leases run out too.
type BootClock struct{}

// Now returns the time since the machine was booted.
func (BootClock) Now() Time {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(fmt.Sprintf("read CLOCK_BOOTTIME: %v", err)) // Linux has had it since 2.6.39
	}
	return Time(ts.Nano())
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
