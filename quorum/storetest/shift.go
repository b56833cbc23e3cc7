package storetest

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// shiftSource is loaded into a server before the C library. It adds nanoseconds,
// read anew each time from a file that is mapped into memory, to what the wall
// clock shows. The kernel is asked directly: to look for the C library's own
// function is to allocate, and allocators ask for the time themselves.
const shiftSource = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *shift;

__attribute__((constructor)) static void open_shift(void) {
	const char *path = getenv("STORETEST_SHIFT");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0) abort();
	void *at = mmap(0, sizeof *shift, PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED) abort();
	shift = at;
	close(fd);
}

static int64_t wall(void) {
	struct timespec ts;
	syscall(SYS_clock_gettime, CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec + (shift ? *shift : 0);
}

int clock_gettime(clockid_t id, struct timespec *ts) {
	if (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE) return syscall(SYS_clock_gettime, id, ts);
	int64_t now = wall();
	ts->tv_sec = now / 1000000000LL;
	ts->tv_nsec = now % 1000000000LL;
	return 0;
}

int gettimeofday(struct timeval *restrict tv, void *restrict tz) {
	int64_t now = wall();
	tv->tv_sec = now / 1000000000LL;
	tv->tv_usec = now % 1000000000LL / 1000;
	return 0;
}

time_t time(time_t *at) {
	time_t now = wall() / 1000000000LL;
	if (at) *at = now;
	return now;
}
`

// StartShiftedRedis starts a redis-server like [StartRedis] does, and returns what
// moves its wall clock, from one moment to the next, by so much more than before.
// A restart leaves the clock as it is.
func StartShiftedRedis(t testing.TB, args ...string) (s *Server, shift func(time.Duration)) {
	t.Helper()
	dir := t.TempDir()
	source, library, path := filepath.Join(dir, "shift.c"), filepath.Join(dir, "shift.so"), filepath.Join(dir, "shift")
	if _, err := exec.LookPath("cc"); err != nil {
		t.Fatal("apt-get install gcc")
	}
	if err := os.WriteFile(source, []byte(shiftSource), 0o600); err != nil {
		t.Fatalf("shift a clock: %v", err)
	}
	if out, err := exec.Command("cc", "-O", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, source).CombinedOutput(); err != nil {
		t.Fatalf("shift a clock: cc: %v\n%s", err, out)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatalf("shift a clock: %v", err)
	}
	t.Cleanup(func() { file.Close() })
	var by time.Duration
	shift = func(d time.Duration) {
		t.Helper()
		by += d
		if _, err := file.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(by)), 0); err != nil {
			t.Fatalf("shift a clock by %v: %v", d, err)
		}
	}
	shift(0) // the file has to be as long as what is mapped of it
	k := redisKind()
	k.env = []string{"LD_PRELOAD=" + library, "STORETEST_SHIFT=" + path}
	return start(t, k, args), shift
}
