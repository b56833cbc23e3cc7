package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"holdfast/quorum/storetest"
)

// A measurement is what `holdfast bench --json` prints.
type measurement struct {
	Conns       int
	Pipeline    int
	Interrupted bool
	Sides       []struct {
		Kind     string
		Rounds   int
		Seconds  float64
		Pairs    int
		Denials  int
		PairRate float64 `json:"pairs_per_s"`
		DenyRate float64 `json:"denials_per_s"`
		Acquire  waits
		Release  waits
		Deny     waits
		Errors   map[string]int
	}
	Ratios []struct {
		To         string
		PairRate   *quotient `json:"pairs_per_s"`
		DenyRate   *quotient `json:"denials_per_s"`
		MedianPair *quotient `json:"p50_acquire_and_release"`
		AcquireP99 *quotient `json:"p99_acquire"`
	}
}

type waits struct {
	Count int
	P50   float64 `json:"p50_us"`
	P90   float64 `json:"p90_us"`
	P99   float64 `json:"p99_us"`
	P999  float64 `json:"p999_us"`
	Max   float64 `json:"max_us"`
}

type quotient struct{ Median, Least, Most float64 }

// bench runs `holdfast bench --json` with args until it ends.
func bench(t testing.TB, args ...string) measurement {
	t.Helper()
	o := runFor(t, 10*time.Minute, append([]string{"bench", "--json"}, args...)...)
	if o.status != 0 || o.err != "" {
		t.Fatalf("bench %q: status %d, %s", args, o.status, o.err)
	}
	return readMeasurement(t, o.out)
}

// runFor runs the program until it ends, which it must within patience.
func runFor(t testing.TB, patience time.Duration, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil || ctx.Err() != nil {
		t.Fatalf("run %q: %v, %v\n%s", args, err, ctx.Err(), &errs)
	}
	return outcome{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

func readMeasurement(t testing.TB, text string) (m measurement) {
	t.Helper()
	in := json.NewDecoder(strings.NewReader(text))
	if err := in.Decode(&m); err != nil {
		t.Fatalf("what bench printed: %v\n%s", err, text)
	}
	return m
}

// directly returns the flags that have the stores locked at by redsync.
func directly(all []*store) (args []string) {
	for _, s := range all {
		args = append(args, "--direct", s.url())
	}
	return args
}

// wantSteps fails the test unless so many waits are there, in order.
func wantSteps(t *testing.T, what string, w waits, count int) {
	t.Helper()
	if w.Count != count || w.P50 <= 0 || w.P50 > w.P90 || w.P90 > w.P99 || w.P99 > w.P999 || w.P999 > w.Max {
		t.Errorf("%s: %+v, want %d, and quantiles above 0 that grow", what, w, count)
	}
}

func TestBenchMeasuresAllSidesInOneRun(t *testing.T) {
	t.Parallel()
	all := startStores(t, "redis", "redis", "redis", "redis")
	stores, bare := all[:3], all[3]
	p := startHoldfast(t, flags(stores)...)
	warmUp(t, strict(t, p.addr), stores)
	calls := 0
	for _, c := range []struct {
		conns, pipeline int
		more            []string
	}{{4, 1, nil}, {2, 3, nil}, {2, 3, []string{"--direct-pooled"}}} {
		t.Run(fmt.Sprintf("%d on each of %d connections %q", c.pipeline, c.conns, c.more), func(t *testing.T) {
			args := append(c.more, "--addr", p.addr, "--against", bare.Addr(), "--duration", "500ms",
				"--conns", strconv.Itoa(c.conns), "--pipeline", strconv.Itoa(c.pipeline))
			m := bench(t, append(args, directly(stores)...)...)
			if len(m.Sides) != 3 || len(m.Ratios) != 2 || m.Conns != c.conns || m.Pipeline != c.pipeline || m.Interrupted {
				t.Fatalf("%+v: want three sides, two ratios, what was asked for", m)
			}
			for i, kind := range []string{"addr", "against", "direct"} {
				s := m.Sides[i]
				if s.Kind != kind || s.Rounds != 5 || s.Seconds < 0.5 || s.Pairs == 0 || s.PairRate <= 0 || len(s.Errors) > 0 || s.Denials > 0 {
					t.Errorf("%s: %+v, want five rounds of 100ms with pairs, no errors and no denials", kind, s)
				}
				wantSteps(t, kind+" acquire", s.Acquire, s.Pairs)
				wantSteps(t, kind+" release", s.Release, s.Pairs)
			}
			for i, to := range []string{"against", "direct"} {
				r := m.Ratios[i]
				if r.To != to || r.DenyRate != nil {
					t.Errorf("ratio %d: %+v, want that to %s, none of denials", i, r, to)
				}
				for _, q := range []*quotient{r.PairRate, r.MedianPair, r.AcquireP99} {
					if q == nil || q.Least <= 0 || q.Least > q.Median || q.Median > q.Most {
						t.Errorf("ratio to %s: %+v, want three above 0 with the median between", to, r)
					}
				}
			}
			// What it counts is what was asked: each pair, and each caller's first, and one more.
			calls += m.Sides[1].Pairs + c.conns*c.pipeline + 1
			if got := setCalls(t, bare); got != calls {
				t.Errorf("the bare redis was asked for %d locks, want %d", got, calls)
			}
		})
	}
	for _, s := range all {
		nothingLeft(t, s.db)
	}
	nothingLeft(t, strict(t, p.addr))
}

// nothingLeft waits until a server has no lock of bench.
func nothingLeft(t testing.TB, c *redis.Client) {
	t.Helper()
	storetest.Eventually(t, "no lock is left in "+c.Options().Addr, func() bool {
		names, err := c.Keys(t.Context(), "bench:*").Result()
		return err == nil && len(names) == 0
	})
}

// setCalls returns how often a redis was asked to SET.
func setCalls(t testing.TB, s *store) int {
	t.Helper()
	text, err := s.db.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatalf("INFO of %s: %v", s.url(), err)
	}
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "cmdstat_set:calls="); ok {
			digits, _, _ := strings.Cut(rest, ",")
			n, err := strconv.Atoi(digits)
			if err != nil {
				t.Fatalf("%s: %q", s.url(), line)
			}
			return n
		}
	}
	return 0
}

func TestBenchCountsThoseWhoAreDenied(t *testing.T) {
	t.Parallel()
	p := startHoldfast(t)
	m := bench(t, "--addr", p.addr, "--duration", "300ms", "--conns", "8", "--locks", "2")
	if s := m.Sides[0]; s.Pairs == 0 || s.Denials == 0 || len(s.Errors) > 0 {
		t.Errorf("8 callers share 2 locks: %+v, want some granted, some denied, and no errors", s)
	}
	all := startStores(t, "redis", "redis", "redis")
	m = bench(t, append([]string{"--addr", p.addr, "--duration", "300ms", "--conns", "2", "--denied"}, directly(all)...)...)
	for _, s := range m.Sides {
		if s.Pairs > 0 || s.Denials == 0 || len(s.Errors) > 0 {
			t.Errorf("%s, a lock that is held: %+v, want denials alone", s.Kind, s)
		}
		wantSteps(t, "be denied", s.Deny, s.Denials)
	}
	if q := m.Ratios[0].DenyRate; q == nil || q.Median <= 0 || m.Ratios[0].PairRate != nil {
		t.Errorf("ratios: %+v, want that of denials alone", m.Ratios[0])
	}
	nothingLeft(t, strict(t, p.addr))
}

func TestBenchEndsAfterSoManyRequests(t *testing.T) {
	t.Parallel()
	p := startHoldfast(t)
	m := bench(t, "--addr", p.addr, "--duration", "1h", "--conns", "3", "--count", "100")
	if s := m.Sides[0]; s.Pairs != 100 || m.Interrupted {
		t.Errorf("--count 100: %+v, want 100 pairs, uninterrupted", s)
	}
}

func TestBenchPrintsForPeople(t *testing.T) {
	t.Parallel()
	p := startHoldfast(t)
	o := holdfast(t, "bench", "--addr", p.addr, "--duration", "200ms", "--conns", "2", "--against", p.addr)
	if o.status != 0 || o.err != "" {
		t.Fatalf("bench: status %d, %q on stderr, want 0 and no progress, as that is no terminal", o.status, o.err)
	}
	wantWords(t, "bench", o.out, "2 connections", "fresh locks", "PAIRS/S", "P99.9", p.addr, "acquire", "release", "DIVIDED BY")
}

// interrupted starts a bench of an hour and interrupts it after meanwhile.
func interrupted(t *testing.T, meanwhile func(), args ...string) measurement {
	t.Helper()
	var out, errs log
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"bench", "--json", "--duration", "1h"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatalf("start bench: %v", err)
	}
	meanwhile()
	cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("bench, interrupted: %v\n%s", err, &errs)
	}
	m := readMeasurement(t, out.String())
	if !m.Interrupted || m.Sides[0].Pairs == 0 {
		t.Errorf("interrupted: %+v, want to be told so, and some pairs", m)
	}
	return m
}

func TestAnInterruptedBenchTellsWhatItMeasured(t *testing.T) {
	t.Parallel()
	for _, pipeline := range []string{"1", "4"} {
		s := startStores(t, "redis")[0]
		busy := func() {
			before := setCalls(t, s)
			storetest.Eventually(t, "the server is asked", func() bool { return setCalls(t, s) > before+100 })
		}
		args := []string{"--addr", s.Addr(), "--conns", "2", "--pipeline", pipeline}
		if m := interrupted(t, busy, args...); len(m.Sides[0].Errors) > 0 {
			t.Errorf("interrupted: errors %v, want none", m.Sides[0].Errors)
		}
		nothingLeft(t, s.db)
		// A server that hangs does not keep it.
		interrupted(t, func() { busy(); s.Pause() }, args...)
		s.Resume()
	}
}

func TestBenchCountsErrorsByTheirText(t *testing.T) {
	t.Parallel()
	s := startStores(t, "redis")[0]
	m := interrupted(t, func() {
		storetest.Eventually(t, "the server is asked", func() bool { return setCalls(t, s) > 100 })
		s.Kill()
		s.Start()
		storetest.Eventually(t, "the server is asked again", func() bool { return setCalls(t, s) > 100 })
	}, "--addr", s.Addr(), "--conns", "8")
	counted := 0
	for text, n := range m.Sides[0].Errors {
		counted += n
		wantNoWord(t, "an error", text, "bench:")
	}
	if counted == 0 || len(m.Sides[0].Errors) > 10 {
		t.Errorf("errors: %v, want some, of a few kinds", m.Sides[0].Errors)
	}
}

func TestBenchSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	dead := startStores(t, "redis")[0]
	dead.Kill()
	for _, c := range []struct {
		args   []string
		status int
		words  []string
	}{
		{[]string{"--conns", "0"}, 2, []string{"conns: 0: want 1 to 10000"}},
		{[]string{"--nonsense"}, 2, []string{"nonsense"}},
		{[]string{"now"}, 2, []string{`"now"`}},
		{[]string{"--addr", dead.Addr()}, 1, []string{dead.Addr(), "connection refused"}},
		{[]string{"--addr", dead.Addr(), "--pipeline", "2"}, 1, []string{dead.Addr(), "connection refused"}},
	} {
		o := holdfast(t, append([]string{"bench"}, c.args...)...)
		if o.status != c.status {
			t.Errorf("bench %q: status %d, want %d", c.args, o.status, c.status)
		}
		wantWords(t, fmt.Sprintf("bench %q", c.args), o.err, c.words...)
	}
}
