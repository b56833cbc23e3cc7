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

// BootID returns the kernel's name for this boot: readings of [BootClock] with
// the same one can be compared.
func BootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the boot id: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}
