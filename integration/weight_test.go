package integration

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	manyLeases = 1_000_000
	manyIdle   = 10_000
)

// weighLeases fills a program with leases, and starts it again with them.
func weighLeases(b *testing.B) []result {
	p := startHoldfast(b)
	empty := settledRSS(b, p)
	fill(b, p.addr, 0, manyLeases)
	perLease := func() float64 { return float64(settledRSS(b, p)-empty) / manyLeases }
	filled := perLease()
	var took []time.Duration
	for i := range 3 {
		p.kill()
		start := time.Now()
		p.start()
		mustAcquire(b, strict(b, p.addr), fmt.Sprint("first:", i), time.Minute)
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return []result{
		alone(target{what: "1,000,000 live leases: resident memory per lease", unit: "B", least: 400, aim: 250, below: true}, filled),
		alone(target{what: "… after a restart", unit: "B"}, perLease()),
		{target{what: "… from start to the first grant", unit: "s", least: 3, aim: 1, below: true}, took[1].Seconds(), took[0].Seconds(), took[2].Seconds()},
	}
}

// fill has the locks from one number up to another taken, for an hour, by a few
// clients that send many requests at a time.
func fill(b testing.TB, addr string, low, high int) {
	b.Helper()
	const clients, atOnce = 4, 1000
	c := connect(b, redis.Options{Addr: addr, MaxRetries: -1, ReadTimeout: time.Minute})
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for from := low + i*atOnce; from < high; from += clients * atOnce {
				_, err := c.Pipelined(context.Background(), func(p redis.Pipeliner) error {
					for n := from; n < min(from+atOnce, high); n++ {
						p.Do(context.Background(), "SET", fmt.Sprintf("live:%09d", n), newToken(), "NX", "PX", 3_600_000)
					}
					return nil
				})
				if err != nil {
					b.Errorf("fill: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	if b.Failed() {
		b.FailNow()
	}
}

// weighIdle connects many clients that lock once and then are quiet.
func weighIdle(b *testing.B) []result {
	p := startHoldfast(b, "--max-clients", strconv.Itoa(manyIdle+10))
	mustAcquire(b, strict(b, p.addr), "first", time.Minute)
	before := settledRSS(b, p)
	for i := range manyIdle {
		w := dialRaw(b, p.addr)
		name := fmt.Sprint("idle:", i)
		w.send("SET "+name+" token NX PX 60000", "DELIFEQ "+name+" token")
		if got := w.must() + w.must(); got != "+OK:1" {
			b.Fatalf("connection %d: %q, want +OK and :1", i, got)
		}
	}
	each := float64(settledRSS(b, p)-before) / manyIdle / 1024
	return []result{alone(target{what: "10,000 idle connections: resident memory of each", unit: "KiB", least: 12, aim: 8, below: true}, each)}
}

// settledRSS returns the resident memory in bytes once it does not shrink any
// more: the runtime gives back what it does not need by and by.
func settledRSS(b *testing.B, p *program) int {
	b.Helper()
	const still = 5 * time.Second
	least := rssOf(b, p.cmd.Process.Pid)
	for since := time.Now(); time.Since(since) < still; {
		pause(context.Background(), 100*time.Millisecond)
		if now := rssOf(b, p.cmd.Process.Pid); now < least-least/100 {
			least, since = now, time.Now()
		}
	}
	return least
}

// rssOf returns the resident memory of a process, in bytes.
//
// Source: proc(5), on /proc/pid/statm.
func rssOf(b testing.TB, pid int) int {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		b.Fatalf("resident memory: %v", err)
	}
	var size, resident int
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		b.Fatalf("resident memory: %q: %v", text, err)
	}
	return resident * os.Getpagesize()
}

// cpuOf returns the processor time that a process has had.
//
// Source: proc(5), on /proc/pid/stat: utime and stime are the 14th and 15th
// field, in hundredths of a second on every Linux that Go runs on; the name, the
// second, stands in parentheses.
func cpuOf(b testing.TB, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatalf("processor time: %v", err)
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	ticks := 0
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(string(field))
		if err != nil {
			b.Fatalf("processor time: %q", text)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// cpuOfRedis returns the processor time that a redis says it has had.
func cpuOfRedis(b testing.TB, s *store) (total time.Duration) {
	b.Helper()
	text, err := s.db.Info(context.Background(), "cpu").Result()
	if err != nil {
		b.Fatalf("processor time of %s: %v", s.url(), err)
	}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if key == "used_cpu_user" || key == "used_cpu_sys" {
			seconds, err := strconv.ParseFloat(value, 64)
			if err != nil {
				b.Fatalf("processor time of %s: %q", s.url(), line)
			}
			total += time.Duration(seconds * float64(time.Second))
		}
	}
	return total
}

// syncTime returns how long the disk takes to keep a little more of a file, in
// the median.
func syncTime(b testing.TB) time.Duration {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "file"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var took []time.Duration
	for range 200 {
		start := time.Now()
		if _, err := f.Write(make([]byte, 512)); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return took[len(took)/2]
}
