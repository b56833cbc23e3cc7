package persist

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"holdfast/quorum"
)

// handClock is a clock that is set by hand.
type handClock struct{ now atomic.Int64 }

func (c *handClock) Now() quorum.Time      { return quorum.Time(c.now.Load()) }
func (c *handClock) set(now time.Duration) { c.now.Store(int64(now)) }

func clockAt(now time.Duration) *handClock {
	c := &handClock{}
	c.set(now)
	return c
}

func wall() time.Time { return time.Unix(1000, 0) }

// options are those of a journal in memory whose failure fails the test.
func options(t *testing.T, fs vfs.FS, clock quorum.Clock) Options {
	return Options{
		Clock: clock, BootID: "boot-a", Wall: wall, FS: fs,
		Fatal: func(err error) { t.Errorf("fatal: %v", err) },
	}
}

func mustOpen(t testing.TB, dir string, opts Options) (*Journal, quorum.History) {
	t.Helper()
	j, history, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	return j, history
}

func mustCommit(t testing.TB, j *Journal, sync bool, records ...quorum.Record) {
	t.Helper()
	if err := j.Commit(records, sync); err != nil {
		t.Fatal(err)
	}
}

func mustClose(t testing.TB, j *Journal) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// lease returns a lease of ttl that begins at start.
func lease(name, value string, version uint64, start, ttl time.Duration) *quorum.Lease {
	n := quorum.MakeNumber(version, 0)
	return &quorum.Lease{
		Name: name, Value: []byte(value), Fence: n, Version: n, TTL: ttl,
		Until: quorum.Until(quorum.Time(start), ttl),
	}
}

func held(l *quorum.Lease) quorum.Entry { return quorum.Entry{Name: l.Name, Lease: l} }

func pending(l, replaced *quorum.Lease) quorum.Entry {
	return quorum.Entry{Name: l.Name, Lease: l, Pending: true, Replaced: replaced}
}

func free(name string) quorum.Entry { return quorum.Entry{Name: name} }

func entries(e ...quorum.Entry) quorum.Record { return quorum.Record{Entries: e} }

// show writes a history so that two can be compared.
func show(h quorum.History) string {
	var b strings.Builder
	fmt.Fprintf(&b, "birth %v limit %v seen %q\n", h.Birth, h.Limit, h.Seen)
	for _, e := range h.Entries {
		fmt.Fprintf(&b, "%q pending=%v %s replacing %s\n", e.Name, e.Pending, showLease(e.Lease), showLease(e.Replaced))
	}
	return b.String()
}

func showLease(l *quorum.Lease) string {
	if l == nil {
		return "none"
	}
	return fmt.Sprintf("{%q #%x %v.%v ttl %v until %v %v %v %v}", l.Name, l.Value, l.Fence, l.Version, l.TTL,
		time.Duration(l.Until), l.Untimed, l.Foreign, l.Opaque)
}

func TestWhatWasWrittenComesBackAsItWas(t *testing.T) {
	fs, clock := vfs.NewMem(), clockAt(time.Hour)
	j, born := mustOpen(t, "data", options(t, fs, clock))
	if want := quorum.FirstNumber(wall(), 0); born.Birth != want || born.Limit != want || len(born.Entries) != 0 {
		t.Fatalf("a new journal begins with %s, want no leases and numbers from %v", show(born), want)
	}
	plain := lease("plain", "token", 7, time.Hour, time.Minute)
	untimed := lease("untimed", "", 8, time.Hour, 24*time.Hour)
	untimed.Untimed = true
	foreign := lease("both", "stranger", 0, time.Hour, time.Second)
	foreign.Foreign, foreign.Opaque = true, true
	next := lease("both", "\x00binary\xff", 9, time.Hour, time.Minute)
	odd := lease("\x00\xff", "v", 10, time.Hour, time.Nanosecond)
	mustCommit(t, j, true,
		quorum.Record{Limit: quorum.MakeNumber(1<<40, 0), Now: quorum.Time(time.Hour)},
		entries(held(lease("gone", "x", 5, time.Hour, time.Minute))),
		entries(held(plain), held(untimed), pending(next, foreign), pending(odd, nil), free("gone"), free("never was")))
	mustClose(t, j)

	j2, got := mustOpen(t, "data", options(t, fs, clock))
	defer mustClose(t, j2)
	want := quorum.History{
		Birth: born.Birth, Limit: quorum.MakeNumber(1<<40, 0),
		Entries: []quorum.Entry{pending(odd, nil), pending(next, foreign), held(plain), held(untimed)},
	}
	if show(got) != show(want) {
		t.Errorf("reopened with\n%swant\n%s", show(got), show(want))
	}
	if j2.Instance() != j.Instance() || len(j.Instance()) != 16 {
		t.Errorf("instance %q became %q, want the same 16 digits", j.Instance(), j2.Instance())
	}
}

func TestSettingsAreKept(t *testing.T) {
	fs, clock := vfs.NewMem(), clockAt(time.Hour)
	j, _ := mustOpen(t, "data", options(t, fs, clock))
	if j.Label() != "" || j.Configuration() != nil {
		t.Errorf("a new journal has label %q, configuration %q, want none", j.Label(), j.Configuration())
	}
	for range 2 { // the second time over the first
		if err := errors.Join(j.SetLabel("proxy-1"), j.SetConfiguration([]byte(`{"stores":[]}`))); err != nil {
			t.Fatal(err)
		}
	}
	check := func(j *Journal, when string) {
		t.Helper()
		for what, pair := range map[string][2]string{
			"label":         {j.Label(), "proxy-1"},
			"configuration": {string(j.Configuration()), `{"stores":[]}`},
		} {
			if pair[0] != pair[1] {
				t.Errorf("%s: %s = %q, want %q", when, what, pair[0], pair[1])
			}
		}
	}
	check(j, "at once")
	mustClose(t, j)
	j, _ = mustOpen(t, "data", options(t, fs, clock))
	defer mustClose(t, j)
	check(j, "reopened")
}

func TestEveryProxySeenIsKeptOnceAndInOrder(t *testing.T) {
	fs, clock := vfs.NewMem(), clockAt(time.Hour)
	var want []string
	for life := range 3 {
		j, got := mustOpen(t, "data", options(t, fs, clock))
		if !slices.Equal(got.Seen, want) {
			t.Errorf("life %d begins with %q seen, want %q", life, got.Seen, want)
		}
		for _, proxy := range []string{"b=2", "a=1", "", "b=2", "-b=2", fmt.Sprintf("life=%d", life)} {
			mustCommit(t, j, false, quorum.Record{Seen: proxy})
			if proxy != "" && !slices.Contains(want, proxy) {
				want = append(want, proxy)
			}
		}
		mustClose(t, j)
	}
}

func TestTheLimitNeverGoesBack(t *testing.T) {
	fs, clock := vfs.NewMem(), clockAt(time.Hour)
	j, _ := mustOpen(t, "data", options(t, fs, clock))
	high := quorum.MakeNumber(1<<40, 0)
	mustCommit(t, j, true, quorum.Record{Limit: high}, quorum.Record{Limit: high - 256})
	mustCommit(t, j, true, quorum.Record{Limit: high - 512})
	mustClose(t, j)
	j, got := mustOpen(t, "data", options(t, fs, clock))
	defer mustClose(t, j)
	if got.Limit != high {
		t.Errorf("limit = %v, want %v", got.Limit, high)
	}
}

func TestAnotherBirthIsKept(t *testing.T) {
	fs, clock := vfs.NewMem(), clockAt(time.Hour)
	j, h := mustOpen(t, "data", options(t, fs, clock))
	want := quorum.MakeNumber(h.Limit.Count()+7, 3)
	mustCommit(t, j, true, quorum.Record{Limit: want + 1<<20}, quorum.Record{Birth: want})
	mustClose(t, j)
	j, got := mustOpen(t, "data", options(t, fs, clock))
	defer mustClose(t, j)
	if got.Birth != want {
		t.Errorf("birth = %v, want %v", got.Birth, want)
	}
}

func TestLeasesThatAreOverAreNotReturnedAndDeleted(t *testing.T) {
	fs, clock := vfs.NewMem(), clockAt(time.Hour)
	j, _ := mustOpen(t, "data", options(t, fs, clock))
	short := func(name string) *quorum.Lease { return lease(name, "s", 1, time.Hour, time.Second) }
	long := func(name string) *quorum.Lease { return lease(name, "l", 2, time.Hour, time.Minute) }
	mustCommit(t, j, true, entries(
		held(short("short")), held(long("long")),
		pending(short("short, was long"), long("short, was long")),
		pending(long("long, was short"), short("long, was short")),
		pending(short("short, was short"), short("short, was short"))))
	mustClose(t, j)

	clock.set(time.Hour + 2*time.Second)
	for _, when := range []string{"at once", "set back"} {
		j, got := mustOpen(t, "data", options(t, fs, clock))
		var names []string
		for _, e := range got.Entries {
			names = append(names, e.Name)
		}
		if got, want := strings.Join(names, "; "), "long; long, was short; short, was long"; got != want {
			t.Errorf("%s: live leases are %s, want %s", when, got, want)
		}
		mustClose(t, j)
		// With the clock as it was they would live again, were they still there.
		clock.set(time.Hour)
	}
}

func TestAFolderHasOneOwner(t *testing.T) {
	clock := clockAt(time.Hour)
	for where, opts := range map[string]Options{
		"memory": options(t, vfs.NewMem(), clock),
		"disk":   options(t, nil, clock),
	} {
		dir := filepath.Join(t.TempDir(), "data")
		j, _ := mustOpen(t, dir, opts)
		_, _, err := Open(dir, opts)
		want := fmt.Sprintf("open journal %q: another holdfast is using this folder", dir)
		if err == nil || err.Error() != want {
			t.Errorf("%s: second open: %v, want %s", where, err, want)
		}
		mustClose(t, j)
		j, _ = mustOpen(t, dir, opts)
		mustClose(t, j)
	}
}

func TestTheFolderIsForUsAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "data")
	j, _ := mustOpen(t, dir, options(t, nil, clockAt(time.Hour)))
	defer mustClose(t, j)
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o700 {
		t.Errorf("mode of a new folder = %o, want 700", got)
	}
}

func TestAClosedJournalRefusesAndDoesNotPanic(t *testing.T) {
	j, _ := mustOpen(t, "data", options(t, vfs.NewMem(), clockAt(time.Hour)))
	mustClose(t, j)
	mustClose(t, j)
	for what, err := range map[string]error{
		"Commit":           j.Commit([]quorum.Record{entries(free("a"))}, true),
		"empty Commit":     j.Commit(nil, true),
		"SetLabel":         j.SetLabel("x"),
		"SetConfiguration": j.SetConfiguration([]byte("{}")),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), "journal: ") {
			t.Errorf("%s after Close: %v, want an error that names the journal", what, err)
		}
	}
}

func TestCommitKeepsNothingOfItsArguments(t *testing.T) {
	fs, clock := vfs.NewMem(), clockAt(time.Hour)
	j, _ := mustOpen(t, "data", options(t, fs, clock))
	l, config := lease("a", "token", 1, time.Hour, time.Minute), []byte("config")
	mustCommit(t, j, false, entries(held(l)))
	if err := j.SetConfiguration(config); err != nil {
		t.Fatal(err)
	}
	copy(l.Value, "xxxxx")
	copy(config, "xxxxxx")
	if !bytes.Equal(j.Configuration(), []byte("config")) {
		t.Errorf("configuration = %q, want it unaltered", j.Configuration())
	}
	mustClose(t, j)
	j, got := mustOpen(t, "data", options(t, fs, clock))
	defer mustClose(t, j)
	if string(got.Entries[0].Lease.Value) != "token" {
		t.Errorf("value = %q, want it as it was when committed", got.Entries[0].Lease.Value)
	}
}

func TestAHundredThousandLeasesComeBack(t *testing.T) {
	const count = 100_000
	fs, clock := vfs.NewMem(), clockAt(time.Hour)
	j, _ := mustOpen(t, "data", options(t, fs, clock))
	fill(t, j, count)
	mustClose(t, j)
	j, got := mustOpen(t, "data", options(t, fs, clock))
	defer mustClose(t, j)
	if len(got.Entries) != count {
		t.Fatalf("%d leases came back, want %d", len(got.Entries), count)
	}
	for i, e := range got.Entries {
		if want := fmt.Sprintf("lock-%07d", i); e.Name != want || e.Lease.Version.Count() != uint64(i+1) {
			t.Fatalf("lease %d is %s, want that of %s", i, showLease(e.Lease), want)
		}
	}
}

// fill commits leases of an hour, by the thousand.
func fill(t testing.TB, j *Journal, count int) {
	t.Helper()
	const token = "3f2a0d5e-6b7c-4c8e-9d1f-0a1b2c3d4e5f"
	for i := 0; i < count; {
		var r quorum.Record
		for range min(1000, count-i) {
			r.Entries = append(r.Entries, held(lease(fmt.Sprintf("lock-%07d", i), token, uint64(i+1), time.Hour, time.Hour)))
			i++
		}
		mustCommit(t, j, i == count, r)
	}
}
