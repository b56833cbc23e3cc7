package integration

import (
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"testing"
	"time"

	"golang.org/x/sys/unix"

	"holdfast/quorum/storetest"
)

var speedTime = flag.Duration("speed.time", 5*time.Second, "how long BenchmarkSpeed measures each side of a comparison")

const tooLittle = "TOO LITTLE"

// A target is one line of the comparison that must be reached.
type target struct {
	what       string
	unit       string // of the numbers; "" for a ratio
	least, aim float64
	below      bool // less is better
}

// A result is a target and what was measured: the median, with how far the
// rounds are apart.
type result struct {
	target
	value        float64
	lowest, most float64 // 0: there was one round
}

func ratio(t target, q *quotient) result { return result{t, q.Median, q.Least, q.Most} }

func alone(t target, value float64) result { return result{target: t, value: value} }

// verdict is "" for what is only reported.
func (r result) verdict() string {
	reached := func(bound float64) bool { return r.value >= bound && !r.below || r.value <= bound && r.below }
	switch {
	case r.least == 0:
		return ""
	case reached(r.aim):
		return "aim reached"
	case reached(r.least):
		return "enough"
	}
	return tooLittle
}

// line is the row of a Markdown table.
func (r result) line() string {
	measured, bounds := r.number(r.value), [2]string{"", ""}
	if r.most > 0 {
		measured += fmt.Sprintf(" (%s to %s)", r.number(r.lowest), r.number(r.most))
	}
	if r.least > 0 {
		sign := "≥ "
		if r.below {
			sign = "≤ "
		}
		bounds = [2]string{sign + r.number(r.least), sign + r.number(r.aim)}
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s |\n", r.what, measured, bounds[0], bounds[1], r.verdict())
}

func (r result) number(n float64) string {
	return strings.TrimSpace(strconv.FormatFloat(n, 'g', max(3, len(strconv.Itoa(int(n)))), 64) + " " + r.unit)
}

func TestSpeedIsJudgedByItsBounds(t *testing.T) {
	up, down := target{what: "pairs", least: 3, aim: 5}, target{what: "RSS", unit: "B", least: 400, aim: 250, below: true}
	for _, c := range []struct {
		r    result
		want string
	}{
		{alone(up, 2.99), "| pairs | 2.99 | ≥ 3 | ≥ 5 | TOO LITTLE |\n"},
		{ratio(up, &quotient{Median: 3, Least: 2.5, Most: 6}), "| pairs | 3 (2.5 to 6) | ≥ 3 | ≥ 5 | enough |\n"},
		{alone(up, 5), "| pairs | 5 | ≥ 3 | ≥ 5 | aim reached |\n"},
		{alone(down, 401), "| RSS | 401 B | ≤ 400 B | ≤ 250 B | TOO LITTLE |\n"},
		{alone(down, 251.4), "| RSS | 251 B | ≤ 400 B | ≤ 250 B | enough |\n"},
		{alone(down, 1), "| RSS | 1 B | ≤ 400 B | ≤ 250 B | aim reached |\n"},
		{alone(target{what: "CPU", unit: "µs"}, 12345.6), "| CPU | 12346 µs |  |  |  |\n"},
	} {
		if got := c.r.line(); got != c.want {
			t.Errorf("it says %q, want %q", got, c.want)
		}
	}
}

// BenchmarkSpeed compares the program with what one would use instead, side by
// side on this machine: client-side Redlock by redsync at the same stores, and a
// single Redis. Its table says what must be reached; a line that is short of its
// least fails it. Each sub-benchmark is one setup, and can be chosen by name.
func BenchmarkSpeed(b *testing.B) {
	var table strings.Builder
	short := 0
	for _, part := range []struct {
		name string
		run  func(b *testing.B) []result
	}{
		{"pooled", speedPooled}, {"multiplexed", speedMultiplexed}, {"single", speedSingle}, {"five", speedFive},
		{"embedded", speedEmbedded}, {"embedded-multiplexed", speedEmbeddedMultiplexed}, {"one-processor", speedOneProcessor},
		{"denied", speedDenied}, {"leases", weighLeases}, {"idle", weighIdle},
	} {
		b.Run(part.name, func(b *testing.B) {
			onDisk(b)
			for _, r := range part.run(b) {
				table.WriteString(r.line())
				if r.verdict() == tooLittle {
					short++
				}
			}
			b.ReportMetric(0, "ns/op") // the table says it
		})
	}
	fmt.Printf("\n| what | measured: median (rounds) | least | aim | |\n|---|---|---|---|---|\n%s\n", &table)
	if short > 0 {
		b.Errorf("%d lines are short of their least", short)
	}
}

// onDisk fails the benchmark if journals would be written to memory.
func onDisk(b *testing.B) {
	b.Helper()
	var fs unix.Statfs_t
	if err := unix.Statfs(b.TempDir(), &fs); err != nil {
		b.Fatalf("look at the file system: %v", err)
	}
	if fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.RAMFS_MAGIC {
		b.Fatalf("%s is in memory; set TMPDIR to a folder on a disk", b.TempDir())
	}
}

// How clients ask.
var (
	pooled      = []string{"--conns", "64"}
	multiplexed = []string{"--conns", "4", "--pipeline", "16"}
	single      = []string{"--conns", "1"}
)

// compare measures a server beside others, each for so long.
func compare(b *testing.B, addr string, manner []string, beside ...string) measurement {
	b.Helper()
	args := append([]string{"--addr", addr, "--duration", speedTime.String()}, manner...)
	m := bench(b, append(args, beside...)...)
	for _, s := range m.Sides {
		if len(s.Errors) > 0 || s.Pairs+s.Denials == 0 {
			b.Fatalf("%s: %+v, want pairs or denials, and no errors", s.Kind, s)
		}
	}
	return m
}

// overStores starts a program over so many redis.
func overStores(b *testing.B, count int) (*program, []*store) {
	b.Helper()
	all := startStores(b, slices.Repeat([]string{"redis"}, count)...)
	p := startHoldfast(b, flags(all)...)
	warmUp(b, strict(b, p.addr), all)
	return p, all
}

// overStoresOfItsOwn starts a program over three redis, and returns the flags that
// have redsync lock at three others: what it writes in stores of a holdfast, that
// would be told of.
func overStoresOfItsOwn(b *testing.B) (*program, []string) {
	b.Helper()
	p, _ := overStores(b, 3)
	return p, directly(startStores(b, "redis", "redis", "redis"))
}

func speedPooled(b *testing.B) []result {
	p, redsync := overStoresOfItsOwn(b)
	r := compare(b, p.addr, pooled, redsync...).Ratios[0]
	return []result{
		ratio(target{what: "64 pooled connections, three Redis: pairs/s against redsync at three Redis", least: 3, aim: 5}, r.PairRate),
		ratio(target{what: "… p99 of a lock against redsync's", least: 0.5, aim: 0.3, below: true}, r.AcquireP99),
	}
}

func speedMultiplexed(b *testing.B) []result {
	p, redsync := overStoresOfItsOwn(b)
	bare := startStores(b, "redis")[0]
	redsync = append(redsync, "--against", bare.Addr())
	usual := compare(b, p.addr, multiplexed, append(redsync, "--direct-pooled")...)
	before, beforeBare := cpuOf(b, p.cmd.Process.Pid), cpuOfRedis(b, bare)
	same := compare(b, p.addr, multiplexed, redsync...)
	perPair := func(spent time.Duration, side int) float64 {
		return float64(spent.Microseconds()) / float64(same.Sides[side].Pairs)
	}
	return []result{
		ratio(target{what: "64 callers on 4 connections (rueidis), three Redis: pairs/s against redsync by 64 pooled ones", least: 6, aim: 10}, usual.Ratios[1].PairRate),
		ratio(target{what: "… against redsync by rueidis too"}, same.Ratios[1].PairRate),
		ratio(target{what: "… against one bare Redis, SET NX PX and the release script", least: 0.5, aim: 0.8}, usual.Ratios[0].PairRate),
		alone(target{what: "… CPU of holdfast per pair", unit: "µs"}, perPair(cpuOf(b, p.cmd.Process.Pid)-before, 0)),
		alone(target{what: "… CPU of the bare Redis per pair", unit: "µs"}, perPair(cpuOfRedis(b, bare)-beforeBare, 1)),
	}
}

func speedSingle(b *testing.B) []result {
	p, redsync := overStoresOfItsOwn(b)
	r := compare(b, p.addr, single, redsync...).Ratios[0]
	return []result{
		ratio(target{what: "1 connection, three Redis: p50 of lock and unlock against redsync's", least: 1.1, aim: 1, below: true}, r.MedianPair),
		ratio(target{what: "… pairs/s against redsync"}, r.PairRate),
		alone(target{what: "… for comparison: this disk writes and syncs 512 bytes in", unit: "µs"}, float64(syncTime(b).Microseconds())),
	}
}

func speedFive(b *testing.B) []result {
	five, _ := overStores(b, 5)
	three, _ := overStores(b, 3)
	r := compare(b, five.addr, pooled, "--against", three.addr).Ratios[0]
	return []result{ratio(target{what: "five stores, 64 pooled: pairs/s kept of three stores'", least: 0.8, aim: 0.9}, r.PairRate)}
}

// alwaysSynced starts a redis that syncs every write before it answers.
func alwaysSynced(b *testing.B) *store {
	b.Helper()
	return newRedis(b, storetest.StartRedis(b, "--appendonly", "yes", "--appendfsync", "always"))
}

func speedEmbedded(b *testing.B) []result {
	p, synced := startHoldfast(b), alwaysSynced(b)
	r := compare(b, p.addr, pooled, "--against", synced.Addr()).Ratios[0]
	return []result{ratio(target{what: "no stores, 64 pooled: pairs/s against a Redis with appendfsync always", least: 0.8, aim: 1}, r.PairRate)}
}

func speedEmbeddedMultiplexed(b *testing.B) []result {
	p, synced := startHoldfast(b), alwaysSynced(b)
	r := compare(b, p.addr, multiplexed, "--against", synced.Addr()).Ratios[0]
	return []result{ratio(target{what: "… multiplexed", least: 0.7, aim: 1}, r.PairRate)}
}

// speedOneProcessor is for containers that have one: there a sync keeps all others from
// running, so it had better be for many of them.
func speedOneProcessor(b *testing.B) []result {
	with := func(processors int) *program {
		p := newHoldfast(b)
		p.env = []string{fmt.Sprint("GOMAXPROCS=", processors)}
		p.start()
		p.settle()
		return p
	}
	r := compare(b, with(1).addr, pooled, "--against", with(2).addr).Ratios[0]
	return []result{ratio(target{what: "… 64 pooled, with one processor: pairs/s kept of two processors'", least: 0.5, aim: 0.8}, r.PairRate)}
}

func speedDenied(b *testing.B) []result {
	p, _ := overStores(b, 3)
	bare := startStores(b, "redis")[0]
	r := compare(b, p.addr, append([]string{"--denied"}, pooled...), "--against", bare.Addr()).Ratios[0]
	return []result{ratio(target{what: "SET NX of a held lock, three Redis, 64 pooled: denials/s against a bare Redis", least: 0.8, aim: 1}, r.DenyRate)}
}
