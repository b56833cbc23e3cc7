package integration

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"
)

var (
	growthTime   = flag.Duration("growth.time", 5*time.Second, "how long BenchmarkGrowth measures each point")
	growthLeases = flag.Int("growth.leases", manyLeases, "how many live leases BenchmarkGrowth goes up to")
	growthOut    = flag.String("growth.out", "growth/growth.json", "where BenchmarkGrowth writes what it measured")
)

// A growth is what BenchmarkGrowth measured, which integration/growth draws.
type growth struct {
	CPUs   int           `json:"cpus"`
	Go     string        `json:"go"`
	Redis  string        `json:"redis"`
	Time   string        `json:"time"` // of each point
	Points []growthPoint `json:"points"`
}

// A growthPoint is what one way to lock did with so many of something.
type growthPoint struct {
	Of       string  `json:"of"`  // "connections", "stores" or "leases"
	Way      string  `json:"way"` // "holdfast", "holdfast without stores", "redsync"
	Count    int     `json:"count"`
	PairRate float64 `json:"pairs_per_s"`
	LockP50  float64 `json:"lock_p50_us"`
	LockP99  float64 `json:"lock_p99_us"`
}

const (
	wayHoldfast = "holdfast"
	wayEmbedded = "holdfast without stores"
	wayRedsync  = "redsync"
)

// measure adds what each side did.
func (g *growth) measure(b *testing.B, of string, count, conns int, args []string, ways ...string) {
	b.Helper()
	args = append([]string{"--conns", strconv.Itoa(conns), "--duration", growthTime.String()}, args...)
	m := bench(b, args...)
	for i, way := range ways {
		s := m.Sides[i]
		if len(s.Errors) > 0 || s.Pairs == 0 {
			b.Fatalf("%s with %d %s: %+v, want pairs and no errors", way, count, of, s)
		}
		g.Points = append(g.Points, growthPoint{of, way, count, s.PairRate, s.Acquire.P50, s.Acquire.P99})
	}
}

// BenchmarkGrowth measures how pairs a second and the wait for a lock change with
// connections, stores and live leases, and writes that down for integration/growth.
func BenchmarkGrowth(b *testing.B) {
	onDisk(b)
	g := growth{CPUs: runtime.NumCPU(), Go: runtime.Version(), Redis: redisVersion(b), Time: growthTime.String()}
	b.Run("connections", func(b *testing.B) {
		p, redsync := overStoresOfItsOwn(b)
		embedded := startHoldfast(b)
		for _, conns := range []int{1, 4, 16, 64, 256, 1024} {
			args := append([]string{"--addr", p.addr, "--against", embedded.addr}, redsync...)
			g.measure(b, "connections", conns, conns, args, wayHoldfast, wayEmbedded, wayRedsync)
		}
	})
	b.Run("stores", func(b *testing.B) {
		for count := 1; count <= 7; count++ {
			p, _ := overStores(b, count)
			theirs := directly(startStores(b, slices.Repeat([]string{"redis"}, count)...))
			g.measure(b, "stores", count, 64, append([]string{"--addr", p.addr}, theirs...), wayHoldfast, wayRedsync)
			p.kill() // it would go on looking after its stores
		}
	})
	b.Run("leases", func(b *testing.B) {
		all := startStores(b, "redis", "redis", "redis")
		// To be filled it is asked for more at once than slow stores answer in time.
		p, embedded := startHoldfast(b, flags(all, "--store-timeout", "10s")...), startHoldfast(b)
		warmUp(b, strict(b, p.addr), all)
		held := 0
		for count := 1; count <= *growthLeases; count *= 10 {
			fill(b, p.addr, held, count)
			fill(b, embedded.addr, held, count)
			held = count
			g.measure(b, "leases", count, 64, []string{"--addr", p.addr, "--against", embedded.addr}, wayHoldfast, wayEmbedded)
		}
	})
	if b.Failed() {
		return
	}
	text, err := json.MarshalIndent(g, "", "  ")
	if err == nil {
		err = os.WriteFile(*growthOut, append(text, '\n'), 0o644)
	}
	if err != nil {
		b.Fatalf("write down what was measured: %v", err)
	}
}

// redisVersion returns the version of the redis-server that the tests start.
func redisVersion(b *testing.B) string {
	b.Helper()
	out, err := exec.Command("redis-server", "--version").Output()
	found := regexp.MustCompile(`v=(\S+)`).FindSubmatch(out)
	if err != nil || found == nil {
		b.Fatalf("redis-server --version: %v, %q", err, out)
	}
	return string(found[1])
}
