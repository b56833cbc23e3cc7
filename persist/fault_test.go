package persist

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"holdfast/quorum"
)

// A fault is a disk that fails at one thing, once it is told to.
type fault struct {
	kinds  []errorfs.OpKind
	suffix string // of the file's path; or a part of its name
	err    error
	on     atomic.Bool
}

func (f *fault) before(op errorfs.Op) error {
	if !f.on.Load() || !strings.Contains(op.Path, f.suffix) {
		return nil
	}
	for _, k := range f.kinds {
		if k == op.Kind {
			return f.err
		}
	}
	return nil
}

var (
	writing  = []errorfs.OpKind{errorfs.OpFileWrite, errorfs.OpFileWriteAt}
	syncing  = []errorfs.OpKind{errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo}
	creating = []errorfs.OpKind{errorfs.OpCreate, errorfs.OpReuseForWrite}
)

func TestAFailedWriteIsNeverAcknowledged(t *testing.T) {
	for name, f := range map[string]*fault{
		"log write, EIO":      {kinds: writing, suffix: ".log", err: syscall.EIO},
		"log write, ENOSPC":   {kinds: writing, suffix: ".log", err: syscall.ENOSPC},
		"log sync, EIO":       {kinds: syncing, suffix: ".log", err: syscall.EIO},
		"log sync, ENOSPC":    {kinds: syncing, suffix: ".log", err: syscall.ENOSPC},
		"new log, ENOSPC":     {kinds: creating, suffix: ".log", err: syscall.ENOSPC},
		"new table, ENOSPC":   {kinds: creating, suffix: ".sst", err: syscall.ENOSPC},
		"table write, ENOSPC": {kinds: writing, suffix: ".sst", err: syscall.ENOSPC},
		"table sync, EIO":     {kinds: syncing, suffix: ".sst", err: syscall.EIO},
		"manifest write, EIO": {kinds: writing, suffix: "MANIFEST", err: syscall.EIO},
		"manifest sync, EIO":  {kinds: syncing, suffix: "MANIFEST", err: syscall.EIO},
		"folder sync, EIO":    {kinds: syncing, suffix: "data", err: syscall.EIO},
		"table read, EIO":     {kinds: []errorfs.OpKind{errorfs.OpFileReadAt}, suffix: ".sst", err: syscall.EIO},
	} {
		t.Run(name, func(t *testing.T) { mustDieOf(t, f) })
	}
}

func mustDieOf(t *testing.T, f *fault) {
	disk, clock := vfs.NewCrashableMem(), clockAt(time.Hour)
	told := make(chan error, 1000)
	opts := options(t, errorfs.Wrap(disk, errorfs.InjectorFunc(f.before)), clock)
	opts.Fatal = func(err error) { told <- err }
	j, _ := mustOpen(t, "data", opts)

	// Values are large, so that before long a memtable is flushed, and names are all
	// over the place, so that tables overlap and are compacted.
	big := strings.Repeat("v", quorum.MaxValue)
	commit := func(i int) error {
		l := lease(fmt.Sprintf("lock-%04d", i*7919%10000), big, uint64(i+1), time.Hour, time.Hour)
		return j.Commit([]quorum.Record{entries(held(l))}, true)
	}
	const before, most = 3, 5000
	var err error
	acknowledged := 0
	for i := range most {
		if i == before {
			f.on.Store(true)
		}
		if err = commit(i); err != nil {
			break
		}
		acknowledged++
	}
	if !errors.Is(err, f.err) {
		t.Fatalf("after %d commits: %v, want %v", acknowledged, err, f.err)
	}
	if cause := <-told; !errors.Is(cause, f.err) || !strings.HasPrefix(cause.Error(), "journal: ") {
		t.Errorf("fatal was told %q, want the journal and %v", cause, f.err)
	}

	f.on.Store(false) // the disk is well again, and it is too late
	for what, err := range map[string]error{
		"commit":            commit(most),
		"commit unsynced":   j.Commit([]quorum.Record{entries(free("lock-0000"))}, false),
		"commit of nothing": j.Commit(nil, true),
		"set the label":     j.SetLabel("x"),
		"set configuration": j.SetConfiguration(nil),
		"close":             j.Close(),
	} {
		if !errors.Is(err, f.err) || !strings.Contains(err.Error(), "failed earlier") {
			t.Errorf("%s on a dead journal: %v, want that it failed earlier", what, err)
		}
	}
	if len(told) > 0 {
		t.Errorf("fatal was told %d times more than once", len(told))
	}

	after, got := mustOpen(t, "data", options(t, disk.CrashClone(vfs.CrashCloneCfg{}), clock))
	defer mustClose(t, after)
	if len(got.Entries) < acknowledged {
		t.Errorf("after a crash %d leases are there, and %d were acknowledged", len(got.Entries), acknowledged)
	}
}

func TestALeaseThatCannotBeWrittenStopsTheJournal(t *testing.T) {
	for name, spoil := range map[string]func(*quorum.Lease){
		"another name":    func(l *quorum.Lease) { l.Name = "b" },
		"negative TTL":    func(l *quorum.Lease) { l.TTL = -1 },
		"endless TTL":     func(l *quorum.Lease) { l.TTL = 1 << 62 },
		"endless":         func(l *quorum.Lease) { l.Until = 1 << 62 },
		"before all time": func(l *quorum.Lease) { l.Until = -1 << 62 },
	} {
		var told []error
		fs, clock := vfs.NewMem(), clockAt(time.Hour)
		opts := options(t, fs, clock)
		opts.Fatal = func(err error) { told = append(told, err) }
		j, _ := mustOpen(t, "data", opts)
		good, bad := lease("a", "t", 1, time.Hour, time.Minute), lease("a", "t", 2, time.Hour, time.Minute)
		spoil(bad)
		for what, e := range map[string]quorum.Entry{
			"lease":    {Name: "a", Lease: bad},
			"replaced": {Name: "a", Lease: good, Pending: true, Replaced: bad},
		} {
			if err := j.Commit([]quorum.Record{entries(e)}, true); err == nil {
				t.Errorf("%s of %s was committed", what, name)
			}
		}
		if len(told) != 1 {
			t.Errorf("%s: fatal was told %d times, want once: %v", name, len(told), told)
		}
	}
}

func TestADiskThatFailsAtOpenIsReturnedAndNotTold(t *testing.T) {
	for name, f := range map[string]*fault{
		"log sync": {kinds: syncing, suffix: ".log", err: syscall.EIO},
		"log":      {kinds: creating, suffix: ".log", err: syscall.ENOSPC},
		"manifest": {kinds: syncing, suffix: "MANIFEST", err: syscall.EIO},
		"folder":   {kinds: []errorfs.OpKind{errorfs.OpMkdirAll}, suffix: "data", err: syscall.EROFS},
		"lock":     {kinds: []errorfs.OpKind{errorfs.OpLock}, suffix: "LOCK", err: syscall.EACCES},
	} {
		f.on.Store(true)
		opts := options(t, errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(f.before)), clockAt(time.Hour))
		_, _, err := Open("data", opts)
		if !errors.Is(err, f.err) || !strings.HasPrefix(err.Error(), `open journal "data": `) {
			t.Errorf("%s: %v, want the folder and %v", name, err, f.err)
		}
	}
}

// What pebble says when it cannot go on is the end of the caller's goroutine,
// and must still reach the caller.
func TestPebblesLastWordsAreAnError(t *testing.T) {
	told := make(chan error, 10)
	opts := options(t, vfs.NewMem(), clockAt(time.Hour))
	opts.Fatal = func(err error) { told <- err }
	j, _ := mustOpen(t, "data", opts)
	err := j.engine.run(func() error {
		j.engine.Fatalf("manifest %d: %v", 7, syscall.EIO)
		return nil
	})
	if !errors.Is(err, syscall.EIO) || err.Error() != "manifest 7: input/output error" {
		t.Errorf("the call returned %v, want what Fatalf said", err)
	}
	if err := <-told; !errors.Is(err, syscall.EIO) {
		t.Errorf("fatal was told %v, want the same", err)
	}
	if err := j.Commit(nil, true); !errors.Is(err, syscall.EIO) {
		t.Errorf("afterwards: %v, want the same", err)
	}
}

func TestAPanicOfPebbleIsAnError(t *testing.T) {
	told := make(chan error, 10)
	opts := options(t, vfs.NewMem(), clockAt(time.Hour))
	opts.Fatal = func(err error) { told <- err }
	j, _ := mustOpen(t, "data", opts)
	err := j.engine.run(func() error { panic("not reached") })
	if err == nil || err.Error() != "panic: not reached" {
		t.Errorf("the call returned %v, want the panic", err)
	}
	if err := <-told; !strings.HasSuffix(err.Error(), "panic: not reached") {
		t.Errorf("fatal was told %v, want the panic", err)
	}
}

func TestSyncsAreTimed(t *testing.T) {
	opts := options(t, vfs.NewMem(), clockAt(time.Hour))
	syncs := 0
	opts.OnSync = func(time.Duration) { syncs++ }
	j, _ := mustOpen(t, "data", opts)
	defer mustClose(t, j)
	mustCommit(t, j, true, entries(free("a")))
	mustCommit(t, j, false, entries(free("a")))
	mustCommit(t, j, true)
	if syncs != 2 {
		t.Errorf("%d syncs were timed, want 2", syncs)
	}
}

// A commit of nothing, synced, is how the rest is put on disk.
func TestACommitOfNothingSyncsWhatCameBefore(t *testing.T) {
	disk, clock := vfs.NewCrashableMem(), clockAt(time.Hour)
	j, _ := mustOpen(t, "data", options(t, disk, clock))
	defer mustClose(t, j)
	mustCommit(t, j, false, entries(held(lease("a", "t", 1, time.Hour, time.Minute))))
	for want, what := range []string{"before", "after"} {
		after, got := mustOpen(t, "data", options(t, disk.CrashClone(vfs.CrashCloneCfg{}), clock))
		if len(got.Entries) != want {
			t.Errorf("%s the sync %d leases are on disk, want %d", what, len(got.Entries), want)
		}
		mustClose(t, after)
		mustCommit(t, j, true)
	}
}

func TestWhoeverIsLeftInACommitIsToldThatTheJournalDied(t *testing.T) {
	f := &fault{kinds: syncing, suffix: ".log", err: syscall.EIO}
	opts := options(t, errorfs.Wrap(vfs.NewCrashableMem(), errorfs.InjectorFunc(f.before)), clockAt(time.Hour))
	opts.Fatal = func(error) {}
	j, _ := mustOpen(t, "data", opts)
	m := j.Mortal()
	record := []quorum.Record{entries(held(lease("orders", "token", 1, time.Hour, time.Hour)))}
	if err := m.Commit(record, true); err != nil {
		t.Fatal(err)
	}
	select {
	case <-m.Died():
		t.Fatalf("it died of %v, want nothing wrong", m.Why())
	default:
	}
	f.on.Store(true)
	returned := make(chan error, 1)
	go func() { returned <- m.Commit(record, true) }() // it is left there
	<-m.Died()
	if err := m.Why(); !errors.Is(err, syscall.EIO) {
		t.Errorf("it died of %v, want the disk's error", err)
	}
	if err := m.Commit(record, true); !errors.Is(err, syscall.EIO) {
		t.Errorf("the next commit: %v, want the disk's error", err)
	}
	if len(returned) > 0 {
		t.Errorf("the commit that failed returned %v, want it to hang", <-returned)
	}
}
