package persist

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"holdfast/quorum"
)

// A cut is what a crash left of the disk.
type cut struct {
	disk           *vfs.MemFS
	durable        int // steps acknowledged as being on disk when it happened
	begun          int // steps begun
	where          string
	survivePercent int // of what was not synced
}

// A cutter is a disk that is cut before every change to it.
type cutter struct {
	disk           *vfs.MemFS
	survive        []int // percentages to try each time
	durable, begun atomic.Int64

	mu   sync.Mutex
	cuts []cut     // guarded by mu
	off  bool      // guarded by mu
	seed *rand.PCG // guarded by mu
}

func newCutter(disk *vfs.MemFS, seed uint64, survive ...int) *cutter {
	return &cutter{disk: disk, survive: survive, seed: rand.NewPCG(seed, seed)}
}

func (c *cutter) fs() vfs.FS { return errorfs.Wrap(c.disk, errorfs.InjectorFunc(c.before)) }

func (c *cutter) before(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off {
		return nil
	}
	for _, percent := range c.survive {
		if percent == 0 && !slices.Contains(syncing, op.Kind) {
			continue // as it was before the last sync
		}
		one := cut{survivePercent: percent, where: fmt.Sprintf("operation %d on %s", op.Kind, op.Path)}
		one.durable = int(c.durable.Load())
		one.disk = c.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(c.seed)})
		one.begun = int(c.begun.Load())
		c.cuts = append(c.cuts, one)
	}
	return nil
}

// stop ends the cutting and returns the cuts.
func (c *cutter) stop() []cut {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = true
	return c.cuts
}

// A step is one commit of a script.
type step struct {
	what    string
	records []quorum.Record
	sync    bool
}

// script is the life of a few locks, with values of a size. All that a keeper
// writes is in it: numbers reserved, acquired, confirmed, extended, checkpointed,
// taken over and undone, several at once, released, proxies seen.
func script(size int) []step {
	const first = 1 << 40
	at := time.Hour
	make := func(name string, version uint64, ttl time.Duration) *quorum.Lease {
		value := strings.Repeat(string(rune('a'+version%26)), size)
		return lease(name, value, first+version, at, ttl)
	}
	limit := func(n uint64) quorum.Record { return quorum.Record{Limit: quorum.MakeNumber(first+n, 0)} }
	now := func(d time.Duration) quorum.Record { return quorum.Record{Now: quorum.Time(at + d)} }
	orders, longer := make("orders", 1, time.Minute), make("orders", 2, time.Hour)
	other := make("orders", 3, time.Minute)
	return []step{
		{"reserve", []quorum.Record{limit(10)}, true},
		{"acquire", []quorum.Record{entries(pending(orders, nil))}, true},
		{"confirm", []quorum.Record{entries(held(orders))}, false},
		{"checkpoint", []quorum.Record{now(time.Second)}, true},
		{"extend", []quorum.Record{entries(pending(longer, orders))}, true},
		{"see a proxy, with what else is due", []quorum.Record{{Seen: "b=1", Limit: limit(12).Limit}, now(1500 * time.Millisecond), {Seen: "b=1"}}, true},
		{"take over", []quorum.Record{entries(pending(other, longer))}, true},
		{"undo", []quorum.Record{entries(held(longer))}, true},
		{"reserve more", []quorum.Record{limit(20)}, true},
		{"several at once", []quorum.Record{
			entries(pending(make("x", 11, time.Minute), nil), pending(make("y", 11, time.Minute), nil)),
			entries(pending(make("z", 12, time.Minute), nil)),
			now(2 * time.Second),
		}, true},
		{"release", []quorum.Record{entries(free("x"))}, false},
		{"see another", []quorum.Record{{Seen: "c=1"}}, false},
		{"see that it is forgotten", []quorum.Record{{Seen: "-c=1"}}, true},
		{"drop", []quorum.Record{entries(free("z"))}, false},
		{"acquire again", []quorum.Record{entries(pending(make("x", 13, time.Minute), nil))}, true},
		{"all gone", []quorum.Record{entries(free("orders"), free("x")), entries(free("y"))}, true},
	}
}

// states returns what a journal holds after each number of steps, and the
// highest number in use by then.
func states(start quorum.History, steps []step) (shown []string, used []quorum.Number) {
	table := map[string]quorum.Entry{}
	limit, highest := start.Limit, quorum.Number(0)
	var seen []string
	note := func() {
		h := quorum.History{Birth: start.Birth, Limit: limit, Seen: slices.Clone(seen)}
		for _, name := range []string{"orders", "x", "y", "z"} {
			if e, ok := table[name]; ok {
				h.Entries = append(h.Entries, e)
			}
		}
		shown, used = append(shown, show(h)), append(used, highest)
	}
	note()
	for _, s := range steps {
		for _, r := range s.records {
			limit = max(limit, r.Limit)
			if r.Seen != "" && !slices.Contains(seen, r.Seen) {
				seen = append(seen, r.Seen)
			}
			for _, e := range r.Entries {
				delete(table, e.Name)
				if e.Lease != nil {
					table[e.Name] = e
					highest = max(highest, e.Lease.Version)
				}
			}
		}
		note()
	}
	return shown, used
}

// A manner is how a step is committed.
type manner func(t *testing.T, j *Journal, c *cutter, n int, s step)

// committed waits for the commit to return.
func committed(t *testing.T, j *Journal, c *cutter, n int, s step) {
	mustCommit(t, j, s.sync, s.records...)
	if s.sync {
		c.durable.Store(int64(n))
	}
}

// lazily syncs nothing, though it is counted as if it were.
func lazily(t *testing.T, j *Journal, c *cutter, n int, s step) {
	mustCommit(t, j, false, s.records...)
	if s.sync {
		c.durable.Store(int64(n))
	}
}

// started takes the word of whoever synced it, and cuts at that very moment.
func started(t *testing.T, j *Journal, c *cutter, n int, s step) {
	t.Helper()
	if !s.sync {
		mustCommit(t, j, false, s.records...)
		return
	}
	done := make(chan struct{})
	err := j.Mortal().Start(s.records, func() {
		c.durable.Store(int64(n))
		c.before(errorfs.Op{Kind: errorfs.OpFileSync, Path: "what was told to be on disk"})
		close(done)
	})
	if err != nil {
		t.Fatal(err)
	}
	<-done
}

// play runs a script on a disk that is cut all the time.
func play(t *testing.T, steps []step, seed uint64, commit manner, survive ...int) (start quorum.History, instance string, cuts []cut) {
	t.Helper()
	c := newCutter(vfs.NewCrashableMem(), seed, survive...)
	c.durable.Store(-1)
	j, start := mustOpen(t, "data", options(t, c.fs(), clockAt(time.Hour)))
	c.durable.Store(0)
	for i, s := range steps {
		c.begun.Store(int64(i + 1))
		commit(t, j, c, i+1, s)
	}
	c.before(errorfs.Op{Kind: errorfs.OpFileSync, Path: "the end"})
	cuts = c.stop()
	mustClose(t, j)
	return start, j.Instance(), cuts
}

// found returns after how many steps of the script a journal was in the state
// of h, at least from, or -1.
func found(shown []string, h quorum.History, from int) int {
	for i := max(from, 0); i < len(shown); i++ {
		if shown[i] == show(h) {
			return i
		}
	}
	return -1
}

func TestNothingAcknowledgedIsLostWhereverWeAreCut(t *testing.T) {
	for _, commit := range []manner{committed, started} {
		for seed := range uint64(2) {
			mustSurvive(t, script(10), seed, commit, 0, 50, 100)
		}
		// Large values fill memtables, which are flushed. None are torn, since pebble
		// takes long to look for the one bit that would mend a large chunk.
		mustSurvive(t, script(60_000), 0, commit, 0, 100)
	}
}

func mustSurvive(t *testing.T, steps []step, seed uint64, commit manner, survive ...int) {
	t.Helper()
	start, instance, cuts := play(t, steps, seed, commit, survive...)
	shown, used := states(start, steps)
	for _, c := range cuts {
		what := fmt.Sprintf("seed %d, %d%% of the unsynced survive, cut before %s, %d steps on disk, %d begun",
			seed, c.survivePercent, c.where, c.durable, c.begun)
		j, got, err := Open("data", options(t, c.disk, clockAt(time.Hour+3*time.Second)))
		if err != nil && c.durable < 0 {
			continue // it never was open, and pebble may not know the rest of itself
		}
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if n := found(shown, got, c.durable); n < 0 || n > c.begun {
			t.Errorf("%s: the journal is as after step %d: %.1000s", what, n, show(got))
		}
		if c.durable >= 0 && j.Instance() != instance {
			t.Errorf("%s: instance %s became %s", what, instance, j.Instance())
		}
		if got.Limit <= used[c.begun] {
			t.Errorf("%s: numbers go on from %v, and %v was in use", what, got.Limit, used[c.begun])
		}
		mustClose(t, j)
	}
}

// The test above would find nothing if its crashes were too kind.
func TestWithoutSyncsTheSameCutsLose(t *testing.T) {
	steps := script(10)
	start, _, cuts := play(t, steps, 1, lazily, 0, 50, 100)
	shown, _ := states(start, steps)
	lost := 0
	for _, c := range cuts {
		j, got, err := Open("data", options(t, c.disk, clockAt(time.Hour+3*time.Second)))
		if err != nil && c.durable < 0 {
			continue // it never was open, and pebble may not know the rest of itself
		}
		if err != nil {
			t.Fatalf("cut before %s, %d steps taken for durable: %v", c.where, c.durable, err)
		}
		if n := found(shown, got, 0); n < 0 {
			t.Errorf("cut before %s: the journal is in a state that it never was in: %s", c.where, show(got))
		} else if n < c.durable {
			lost++
		}
		mustClose(t, j)
	}
	if lost == 0 {
		t.Errorf("of %d cuts without a sync none lost anything", len(cuts))
	}
}

// After a reboot every lease is rewritten in the new era. A crash in the middle
// of that leaves records of both.
func TestACutWhileErasChangeIsHarmless(t *testing.T) {
	const count = 40
	disk, clock := vfs.NewCrashableMem(), clockAt(time.Hour)
	opts := options(t, disk, clock)
	j, _ := mustOpen(t, "data", opts)
	big := strings.Repeat("v", batchSize/16)
	var r quorum.Record
	for i := range count { // each fills a sixteenth of a batch
		r.Entries = append(r.Entries, held(lease(fmt.Sprintf("lock-%02d", i), big, uint64(i+1), time.Hour, time.Minute)))
	}
	mustCommit(t, j, true, r, quorum.Record{Now: clock.Now().Add(5 * time.Second)})
	mustClose(t, j)
	left := 55*time.Second + quorum.Drift(time.Minute)

	c := newCutter(disk, 1, 0)
	opts.BootID, opts.FS = "boot-b", c.fs()
	clock.set(10 * time.Second)
	j, _ = mustOpen(t, "data", opts)
	cuts := c.stop()
	mustClose(t, j)

	mixed := 0
	for _, c := range cuts {
		for boot, passed := range map[string]time.Duration{"boot-b": 2 * time.Second, "boot-c": 0} {
			clock.set(12 * time.Second)
			opts := options(t, c.disk.CrashClone(vfs.CrashCloneCfg{}), clock)
			opts.BootID = boot
			j, got := mustOpen(t, "data", opts)
			seen := map[time.Duration]bool{}
			for _, e := range got.Entries {
				now := e.Lease.Until.Sub(clock.Now())
				seen[now] = true
				if now > left || now < left-passed {
					t.Errorf("cut before %s, %s: %v are left of %s, want %v to %v", c.where, boot, now, e.Name, left-passed, left)
				}
			}
			if len(got.Entries) != count {
				t.Errorf("cut before %s, %s: %d leases, want %d", c.where, boot, len(got.Entries), count)
			}
			if len(seen) > 1 {
				mixed++
			}
			mustClose(t, j)
		}
	}
	if mixed == 0 {
		t.Errorf("none of %d cuts fell between two batches", len(cuts))
	}
}
