package persist

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"holdfast/quorum"
)

// mustStart commits a record, and returns once it is told to be on disk.
func mustStart(t testing.TB, m quorum.Mortal, records ...quorum.Record) {
	t.Helper()
	done := make(chan struct{})
	if err := m.Start(records, func() { close(done) }); err != nil {
		t.Fatal(err)
	}
	<-done
}

func TestEveryBatchIsToldOfWhateverBlocksAndLogsItLiesIn(t *testing.T) {
	// Batches of all lengths end anywhere in a block, and fill log after log; pebble
	// takes up the old ones again. Whoever was not told would wait here for ever.
	const logs = 12 << 20
	opts := options(t, vfs.NewMem(), clockAt(time.Hour))
	j, _ := mustOpen(t, "data", opts)
	m, rng := j.Mortal(), rand.New(rand.NewPCG(1, 1))
	n, written := uint64(0), 0
	for ; written < logs; n++ {
		value := strings.Repeat("v", min(1<<rng.IntN(17), quorum.MaxValue)-rng.IntN(2))
		mustStart(t, m, entries(held(lease(fmt.Sprintf("lock-%03d", n%500), value, n+1, time.Hour, time.Hour))))
		written += len(value)
		if n%100 == 0 { // in between somebody else syncs something
			if err := j.SetLabel(fmt.Sprint(n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	mustClose(t, j)
	j, got := mustOpen(t, "data", opts)
	if want := int(min(n, 500)); len(got.Entries) != want {
		t.Errorf("%d leases came back, want %d", len(got.Entries), want)
	}
	mustClose(t, j)
}

func TestNothingIsToldOfThatTheDiskFailedToSync(t *testing.T) {
	for _, kinds := range [][]errorfs.OpKind{writing, syncing} {
		f := &fault{kinds: kinds, suffix: ".log", err: syscall.EIO}
		opts := options(t, errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(f.before)), clockAt(time.Hour))
		opts.Fatal = func(error) {}
		j, _ := mustOpen(t, "data", opts)
		m := j.Mortal()
		record := entries(held(lease("orders", "token", 1, time.Hour, time.Hour)))
		mustStart(t, m, record)
		f.on.Store(true)
		var told atomic.Bool
		if err := m.Start([]quorum.Record{record}, func() { told.Store(true) }); err != nil {
			t.Fatal(err)
		}
		<-m.Died()
		if told.Load() {
			t.Error("told of a batch that is not on disk")
		}
	}
}

func TestWhatIsNoLogIsNotFollowed(t *testing.T) {
	for _, name := range []string{"data/MANIFEST-000001", "data/000007.sst", "data/x.log", "data/OPTIONS-000003"} {
		if tailOf(name) != nil {
			t.Errorf("%s is taken for a log", name)
		}
	}
	log := tailOf("data/000007.log")
	if log == nil || log.number != 7 {
		t.Fatalf("000007.log: %+v, want log 7", log)
	}
	for what, written := range map[string]string{
		"text":                   "this is no chunk",
		"the end, and then more": "\x00\x00\x00\x00\x00\x00\x05\x08\x00\x00\x00more",
	} {
		if err := log.follow([]byte(written)); err == nil {
			t.Errorf("%s: taken for what pebble writes", what)
		}
	}
	for what, written := range map[string]string{
		"the end":                   "\x00\x00\x00\x00\x00\x00\x05\x08\x00\x00\x00",
		"what is left of the block": "\x00\x00\x00\x00\x00\x00\x00\x00",
	} {
		if err := log.follow([]byte(written)); err != nil || log.next != 0 {
			t.Errorf("%s: %v, next %d", what, err, log.next)
		}
	}
}

// BenchmarkStart is what it takes until one record is told to be on disk. Others use
// the disk too, so the median says more than the mean.
func BenchmarkStart(b *testing.B) {
	j, _ := mustOpen(b, filepath.Join(b.TempDir(), "data"), Options{Clock: clockAt(time.Hour), Wall: wall})
	defer mustClose(b, j)
	m := j.Mortal()
	var took []time.Duration
	b.ReportAllocs()
	for n := uint64(1); b.Loop(); n++ {
		start := time.Now()
		mustStart(b, m, entries(pending(lease(fmt.Sprintf("lock-%07d", n%100_000), "3f2a0d5e-6b7c-4c8e-9d1f-0a1b2c3d4e5f", n, time.Hour, time.Minute), nil)))
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs/median")
}
