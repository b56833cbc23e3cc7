// Package persist is the journal: whatever must survive a crash, on pebble.
//
// What holds everywhere in it:
//
//   - Nothing that was acknowledged after a sync is lost, and nothing is there
//     in part: each call of Commit is one batch.
//   - A failed write or sync is final. Nobody can tell what is on disk then, so
//     no call succeeds any more, and none is tried again.
//   - Deadlines mean something only beside the clock that they were read from,
//     see [era]. They move late, never early.
//   - What cannot be read is not guessed at: the journal does not open.
//
// Two things cannot be told apart from a crash, by anyone: a file that was cut
// off or damaged behind the last sync but one, and a folder that was put back
// from an older copy of itself.
//
// The package knows leases as something to keep; nothing of stores or clients.
package persist

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"holdfast/quorum"
)

// Options say how to open a journal. Clock and Wall are needed; the rest may be
// left out.
type Options struct {
	Clock  quorum.Clock
	BootID string           // names the boot that Clock counts from; "" if unknown
	Wall   func() time.Time // asked for the first number of a new journal, or of a new boot
	Author uint8            // of that number; of no effect on a journal that exists
	FS     vfs.FS           // nil: the disk
	Log    *slog.Logger     // nil: none

	// Fatal is told, once, when a write or sync failed or pebble found damage.
	// Nothing may be granted any more, and the journal can only be opened again
	// by another process: so Fatal should log and exit. It is called on any
	// goroutine, and must not call the journal.
	Fatal func(error)
	// OnSync is told how long each sync took, by those who called for it.
	OnSync func(time.Duration)
}

// withDefaults fills in what was left out.
func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Fatal == nil {
		o.Fatal = func(error) {}
	}
	if o.OnSync == nil {
		o.OnSync = func(time.Duration) {}
	}
	return o
}

// A Journal is a folder that we own and keep leases in. One goroutine at a time
// calls Commit; all other methods are safe for concurrent use, as long as no two
// set the same thing at a time.
type Journal struct {
	opts     Options
	engine   *engine
	instance string
	scripts  [][]byte // as they were when it was opened

	// Of Commit, and of replay before it.
	eras  eras
	limit quorum.Number
	seen  map[string]bool // what is in the history's Seen by now
	key   []byte          // to build keys in
	value []byte          // to build values in

	mu     sync.Mutex
	label  string // guarded by mu
	config []byte // guarded by mu; never altered, only replaced
}

// Open opens the journal in a folder, which it makes if need be, and returns
// what it holds. It refuses a folder that another process has open, and one that
// is damaged where it was acknowledged.
//
// Every deadline is by Options.Clock, and leases that are over are left out. A
// pending one comes with the lease that it would replace, and is returned as
// long as either of them lives.
func Open(dir string, opts Options) (*Journal, quorum.History, error) {
	j, history, err := open(dir, opts.withDefaults())
	if err != nil {
		return nil, quorum.History{}, fmt.Errorf("open journal %q: %w", dir, err)
	}
	return j, history, nil
}

func open(dir string, opts Options) (*Journal, quorum.History, error) {
	if opts.FS == nil {
		// The lock knows folders by name within a process.
		abs, err := filepath.Abs(dir)
		if err != nil {
			return nil, quorum.History{}, err
		}
		dir = abs
	}
	e, err := openEngine(dir, opts.FS, opts.Log, opts.Fatal)
	if err != nil {
		return nil, quorum.History{}, err
	}
	if opts.FS == nil {
		warnIfVolatile(dir, opts.Log)
	}
	j := &Journal{opts: opts, engine: e, eras: eras{known: map[uint64]era{}}, seen: map[string]bool{}}
	var history quorum.History
	err = e.run(func() (err error) {
		history, err = j.replay()
		return err
	})
	if err == nil {
		err = e.arm()
	}
	if err != nil && e.why() == nil { // a dead one has said what there is to say
		err = errors.Join(err, e.close())
	}
	if err != nil {
		return nil, quorum.History{}, err
	}
	return j, history, nil
}

// Instance returns the random name that was made with the folder, 16 hex digits.
func (j *Journal) Instance() string { return j.instance }

// Close puts on disk what was not synced yet, and gives up the folder. A journal
// that failed keeps the folder until the process ends.
func (j *Journal) Close() error {
	if err := j.engine.close(); err != nil {
		return fmt.Errorf("close journal: %w", err)
	}
	return nil
}
