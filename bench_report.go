package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"
)

// A benchReport is what was measured. Times are in microseconds.
type benchReport struct {
	Conns       int          `json:"conns"`
	Pipeline    int          `json:"pipeline"`
	Locks       int          `json:"locks"` // 0: each was fresh
	Denied      bool         `json:"denied"`
	TTLMillis   int64        `json:"ttl_ms"`
	Interrupted bool         `json:"interrupted"`
	Sides       []benchSide  `json:"sides"`
	Ratios      []benchRatio `json:"ratios"`
}

// A benchSide is what one of those measured beside each other did.
type benchSide struct {
	Kind     string           `json:"kind"` // "addr", "against" or "direct"
	Name     string           `json:"name"`
	Rounds   int              `json:"rounds"`
	Seconds  float64          `json:"seconds"`
	Pairs    int64            `json:"pairs"`
	Denials  int64            `json:"denials"`
	PairRate float64          `json:"pairs_per_s"`
	DenyRate float64          `json:"denials_per_s"`
	Acquire  benchWaits       `json:"acquire"`
	Release  benchWaits       `json:"release"`
	Deny     benchWaits       `json:"deny"`
	Errors   map[string]int64 `json:"errors"`
}

// benchWaits is how long callers waited.
type benchWaits struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50_us"`
	P90   float64 `json:"p90_us"`
	P99   float64 `json:"p99_us"`
	P999  float64 `json:"p999_us"`
	Max   float64 `json:"max_us"`
}

// A benchRatio divides what --addr did by what another side did, in neighbouring
// rounds that both went through. Of waits less is better.
type benchRatio struct {
	To         string    `json:"to"` // "against" or "direct"
	Name       string    `json:"name"`
	PairRate   *quotient `json:"pairs_per_s"`
	DenyRate   *quotient `json:"denials_per_s"`
	MedianPair *quotient `json:"p50_acquire_and_release"`
	AcquireP99 *quotient `json:"p99_acquire"`
}

// A quotient is the median of all rounds, and the outermost.
type quotient struct {
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
}

func (o benchOptions) report(sides []*side, interrupted bool) benchReport {
	r := benchReport{
		Conns: o.conns, Pipeline: o.pipeline, Locks: o.locks, Denied: o.denied, TTLMillis: o.ttl.Milliseconds(),
		Interrupted: interrupted, Ratios: []benchRatio{},
	}
	for _, s := range sides {
		r.Sides = append(r.Sides, s.report())
	}
	for _, s := range sides[1:] {
		r.Ratios = append(r.Ratios, benchRatio{
			To: s.kind, Name: s.title,
			PairRate:   divide(sides[0].done, s.done, measured.pairRate),
			DenyRate:   divide(sides[0].done, s.done, measured.denyRate),
			MedianPair: divide(sides[0].done, s.done, measured.medianPair),
			AcquireP99: divide(sides[0].done, s.done, measured.acquireP99),
		})
	}
	return r
}

func (s *side) report() benchSide {
	b := benchSide{
		Kind: s.kind, Name: s.title, Rounds: len(s.done), Pairs: s.total.counted(releasing), Denials: s.total.counted(denying),
		Acquire: s.total.waitsOf(acquiring), Release: s.total.waitsOf(releasing), Deny: s.total.waitsOf(denying), Errors: s.total.errors,
	}
	for _, m := range s.done {
		b.Seconds += m.took.Seconds()
	}
	if b.Seconds > 0 {
		b.PairRate, b.DenyRate = float64(b.Pairs)/b.Seconds, float64(b.Denials)/b.Seconds
	}
	return b
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func (r *recorder) waitsOf(w waiting) benchWaits {
	return benchWaits{
		Count: r.counted(w), P50: micros(r.quantile(w, 50)), P90: micros(r.quantile(w, 90)), P99: micros(r.quantile(w, 99)),
		P999: micros(r.quantile(w, 99.9)), Max: micros(time.Duration(r.waits[w].Max())),
	}
}

func (m measured) pairRate() float64 { return float64(m.counted(releasing)) / m.took.Seconds() }
func (m measured) denyRate() float64 { return float64(m.counted(denying)) / m.took.Seconds() }

func (m measured) medianPair() float64 {
	return micros(m.quantile(acquiring, 50) + m.quantile(releasing, 50))
}

func (m measured) acquireP99() float64 { return micros(m.quantile(acquiring, 99)) }

// divide divides round by round, by the median of it all. There is none if no
// round has something to divide by.
func divide(ours, theirs []measured, of func(measured) float64) *quotient {
	var all []float64
	for i := range min(len(ours), len(theirs)) {
		if a, b := of(ours[i]), of(theirs[i]); ours[i].whole && theirs[i].whole && b > 0 {
			all = append(all, a/b)
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.Sort(all)
	middle := len(all) / 2
	return &quotient{Median: (all[middle] + all[(len(all)-1)/2]) / 2, Least: all[0], Most: all[len(all)-1]}
}

// print prints the report for people.
func (r benchReport) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	locks := "fresh locks"
	if r.Locks > 0 {
		locks = fmt.Sprintf("%d shared locks", r.Locks)
	}
	fmt.Fprintf(w, "%d connections, %d requests under way on each, %s, TTL %v\n\n", r.Conns, r.Pipeline, locks, time.Duration(r.TTLMillis)*time.Millisecond)
	fmt.Fprintln(w, "SERVER\tROUNDS\tSECONDS\tPAIRS\tPAIRS/S\tDENIALS\tDENIALS/S\tERRORS")
	for _, s := range r.Sides {
		failed := int64(0)
		for _, n := range s.Errors {
			failed += n
		}
		fmt.Fprintf(w, "%s\t%d\t%.1f\t%d\t%.0f\t%d\t%.0f\t%d\n", s.Name, s.Rounds, s.Seconds, s.Pairs, s.PairRate, s.Denials, s.DenyRate, failed)
	}
	fmt.Fprintln(w, "\nSERVER\tWAITED TO\tP50\tP90\tP99\tP99.9\tMAX")
	for _, s := range r.Sides {
		for _, l := range []struct {
			what string
			benchWaits
		}{{"acquire", s.Acquire}, {"release", s.Release}, {"be denied", s.Deny}} {
			if l.Count > 0 {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Name, l.what, wait(l.P50), wait(l.P90), wait(l.P99), wait(l.P999), wait(l.Max))
			}
		}
	}
	if len(r.Ratios) > 0 {
		fmt.Fprintf(w, "\n%s DIVIDED BY\tPAIRS/S\tDENIALS/S\tP50 OF A PAIR\tP99 OF ACQUIRE\n", r.Sides[0].Name)
	}
	for _, q := range r.Ratios {
		fmt.Fprintf(w, "%s\t%v\t%v\t%v\t%v\n", q.Name, q.PairRate, q.DenyRate, q.MedianPair, q.AcquireP99)
	}
	r.printErrors(w)
	if r.Interrupted {
		fmt.Fprintln(w, "\ninterrupted: this is what was measured by then")
	}
	return w.Flush()
}

func (r benchReport) printErrors(w io.Writer) {
	for _, s := range r.Sides {
		var texts []string
		for text := range s.Errors {
			texts = append(texts, text)
		}
		slices.SortFunc(texts, func(a, b string) int {
			return cmp.Or(cmp.Compare(s.Errors[b], s.Errors[a]), strings.Compare(a, b))
		})
		for i, text := range texts {
			if i == 0 {
				fmt.Fprintf(w, "\nERRORS OF %s\n", s.Name)
			}
			fmt.Fprintf(w, "%d × %s\n", s.Errors[text], text)
		}
	}
}

// String is the median, and how far the rounds are apart.
func (q *quotient) String() string {
	if q == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f (%.2f to %.2f)", q.Median, q.Least, q.Most)
}

// wait is a time with three digits that count.
func wait(micros float64) string {
	switch {
	case micros < 1000:
		return fmt.Sprintf("%.3gµs", micros)
	case micros < 1e6:
		return fmt.Sprintf("%.3gms", micros/1e3)
	}
	return fmt.Sprintf("%.3gs", micros/1e6)
}

// progress returns what writes a line over the last one, if somebody watches.
func progress(f *os.File) func(string) {
	if !term.IsTerminal(int(f.Fd())) {
		return func(string) {}
	}
	return func(line string) { fmt.Fprintf(f, "\r\x1b[K%s", line) }
}

// watch says how a round goes until stop is called, which takes the line away.
func watch(s *side, round string, say func(string)) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	start := time.Now()
	go func() { // waited for by stop
		defer close(done)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				say("")
				return
			case <-tick.C:
				say(fmt.Sprintf("%s: %s, %.0f a second, %d errors", round, s.title, float64(s.answered.Load())/time.Since(start).Seconds(), s.failed.Load()))
			}
		}
	}()
	return func() { close(quit); <-done }
}
