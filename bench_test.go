package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// measurable is what bench does unless told otherwise.
func measurable() benchOptions {
	return benchOptions{addr: "127.0.0.1:6380", conns: 64, pipeline: 1, ttl: 30 * time.Second, duration: 10 * time.Second}
}

func TestBenchIsBounded(t *testing.T) {
	if err := measurable().check(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	for want, change := range map[string]func(*benchOptions){
		"conns: 0: want 1 to 10000":           func(o *benchOptions) { o.conns = 0 },
		"pipeline: 1001: want 1 to 1000":      func(o *benchOptions) { o.pipeline = 1001 },
		"conns × pipeline: 200000: want 1 to": func(o *benchOptions) { o.conns, o.pipeline = 2000, 100 },
		"locks: -1: want 0 to 1000000":        func(o *benchOptions) { o.locks = -1 },
		"count: -1: want 0 to":                func(o *benchOptions) { o.count = -1 },
		"ttl: 1ms: want 100ms to 24h0m0s":     func(o *benchOptions) { o.ttl = time.Millisecond },
		"duration: 2h0m0s: want 100ms to 1h":  func(o *benchOptions) { o.duration = 2 * time.Hour },
		`addr: "nowhere": want host:port`:     func(o *benchOptions) { o.addr = "nowhere" },
		"against: not a URL of a Redis":       func(o *benchOptions) { o.against = "http://a:1" },
		"direct: not a URL of a Redis":        func(o *benchOptions) { o.direct = []string{"memcached://a:1"} },
		"direct: 33: want 0 to 32":            func(o *benchOptions) { o.direct = slices.Repeat([]string{"a:1"}, 33) },
	} {
		o := measurable()
		change(&o)
		if err := o.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
}

func TestBenchTellsNoPassword(t *testing.T) {
	for _, text := range []string{"redis://user:secret@host:7000/1", "redis://user:secret@", "redis://u:secret@h:x:y", "redis://u:secret@h:1/%zz"} {
		if _, err := dialOptions(text); err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("dialOptions(%q): %v", text, err)
		}
	}
	if o, err := dialOptions("redis://user:secret@host:7000/1"); err != nil || o.Addr != "host:7000" || o.Password != "secret" || o.DB != 1 {
		t.Errorf("dialOptions = %+v, %v, want all that the URL says", o, err)
	}
	for text, want := range map[string]string{"redis://user:secret@host:7000/1": "host:7000", "host:7000": "host:7000", "127.0.0.1:1": "127.0.0.1:1"} {
		if got := shown(text); got != want {
			t.Errorf("shown(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestRoundsAddUpToTheDuration(t *testing.T) {
	for duration, want := range map[time.Duration]struct {
		count int
		each  time.Duration
	}{
		500 * time.Millisecond:  {5, 100 * time.Millisecond},
		5 * time.Second:         {5, time.Second},
		10 * time.Second:        {10, time.Second},
		7500 * time.Millisecond: {7, 7500 * time.Millisecond / 7},
	} {
		o := measurable()
		o.duration = duration
		if count, each := o.rounds(); count != want.count || each != want.each {
			t.Errorf("%v: %d rounds of %v, want %d of %v", duration, count, each, want.count, want.each)
		}
	}
}

// aRound is one that went through, of a second, with so many pairs.
func aRound(pairs int) measured {
	m := measured{took: time.Second, whole: true, recorder: newRecorder()}
	for range pairs {
		m.record(acquiring, 2*time.Millisecond)
		m.record(releasing, time.Millisecond)
	}
	return m
}

func TestTheRatioIsThatOfNeighbouringRounds(t *testing.T) {
	cut := aRound(100)
	cut.whole = false
	for _, c := range []struct {
		what         string
		ours, theirs []measured
		want         *quotient
	}{
		{"one slow moment hits both", []measured{aRound(10), aRound(40), aRound(60)}, []measured{aRound(5), aRound(20), aRound(20)}, &quotient{2, 2, 3}},
		{"an even number", []measured{aRound(10), aRound(40)}, []measured{aRound(10), aRound(20)}, &quotient{1.5, 1, 2}},
		{"one that was cut short", []measured{aRound(10), cut}, []measured{aRound(5), aRound(1)}, &quotient{2, 2, 2}},
		{"one more of ours", []measured{aRound(10), aRound(10)}, []measured{aRound(5)}, &quotient{2, 2, 2}},
		{"they did nothing", []measured{aRound(10)}, []measured{aRound(0)}, nil},
		{"nobody did", nil, nil, nil},
	} {
		got := divide(c.ours, c.theirs, measured.pairRate)
		if (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
	if got := aRound(10).medianPair(); got < 2990 || got > 3010 {
		t.Errorf("the median pair took %vµs, want 3000: 2000 to acquire, 1000 to release", got)
	}
	if got := aRound(10).acquireP99(); got < 1990 || got > 2010 {
		t.Errorf("p99 of acquire = %vµs, want 2000", got)
	}
}

func TestWhatIsRecordedIsMerged(t *testing.T) {
	a, b := newRecorder(), newRecorder()
	a.record(denying, time.Millisecond)
	b.record(denying, 3*time.Millisecond)
	b.record(denying, 2*recordMost) // counts as the longest there is
	a.fail(errors.New("bad luck with bench:1"), "bench:1")
	b.fail(errors.New("bad luck with bench:2"), "bench:2")
	a.merge(b)
	if got := a.waitsOf(denying); got.Count != 3 || got.P50 < 2990 || got.P50 > 3010 || got.Max < 59e6 || a.counted(acquiring) != 0 {
		t.Errorf("merged: %+v, want 3 with a median of 3ms and the longest wait at the end", got)
	}
	if a.errors["bad luck with NAME"] != 2 || len(a.errors) != 1 {
		t.Errorf("errors = %v, want one kind, twice", a.errors)
	}
	for i := range 2 * recordErrors {
		a.fail(fmt.Errorf("kind %d", i), "bench:1")
	}
	if len(a.errors) != recordErrors+1 || a.errors[otherErrors] != recordErrors+1 {
		t.Errorf("%d kinds of errors, %d others, want %d, %d", len(a.errors), a.errors[otherErrors], recordErrors+1, recordErrors+1)
	}
}

func TestErrorsOfOneKindHaveOneText(t *testing.T) {
	end := func(port int) *net.TCPAddr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port} }
	reset := func(port int) error {
		return fmt.Errorf("acquire: %w", &net.OpError{Op: "read", Net: "tcp", Source: end(port), Addr: end(6380), Err: os.ErrDeadlineExceeded})
	}
	if a, b := errorText(reset(1000), "x"), errorText(reset(2000), "x"); a != b || !strings.Contains(a, "127.0.0.1:6380") {
		t.Errorf("errors of two connections: %q and %q, want one text, with the server's address", a, b)
	}
}

func TestTheReportSaysWhatWasMeasured(t *testing.T) {
	o := measurable()
	ours, theirs := &side{kind: "addr", title: "here:1", options: o, total: newRecorder()}, &side{kind: "direct", title: "redsync at 3", options: o, total: newRecorder()}
	ours.done, theirs.done = []measured{aRound(300), aRound(300)}, []measured{aRound(100), aRound(100)}
	for _, s := range []*side{ours, theirs} {
		for _, m := range s.done {
			s.total.merge(m.recorder)
		}
	}
	theirs.total.fail(errors.New("no luck"), "x")
	var out strings.Builder
	if err := o.report([]*side{ours, theirs}, true).print(&out); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(out.String()) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	wantAll(t, strings.Join(lines, "\n"), "64 connections, 1 requests under way on each, fresh locks, TTL 30s",
		"here:1 2 2.0 600 300 0 0 0", "redsync at 3 2 2.0 200 100 0 0 1", "here:1 acquire 2ms 2ms 2ms 2ms 2ms", "here:1 release 1ms",
		"redsync at 3 3.00 (3.00 to 3.00) - 1.00 (1.00 to 1.00) 1.00 (1.00 to 1.00)", "1 × no luck", "interrupted")
}

func TestTimesHaveThreeDigits(t *testing.T) {
	for micros, want := range map[float64]string{12.34: "12.3µs", 999: "999µs", 1234: "1.23ms", 45678: "45.7ms", 1.5e6: "1.5s"} {
		if got := wait(micros); got != want {
			t.Errorf("wait(%v) = %q, want %q", micros, got, want)
		}
	}
}
