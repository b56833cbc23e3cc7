package persist

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// An engine is a pebble that may die. It dies of the first write or sync that
// fails, here or in the background, see [disk], and then stays dead.
//
// Hence every call into pebble is made on a goroutine of its own, by [engine.run],
// and given up on when the engine dies meanwhile; or by [engine.runHere] on one that
// its owner gives up on. Such a goroutine is left where it is: there is no way to
// call it back, and the process is about to exit.
type engine struct {
	db    *pebble.DB
	lock  *pebble.Lock
	log   *slog.Logger
	fatal func(error)
	died  chan struct{} // closed once cause is set

	synced atomic.Uint64 // every batch with a lower sequence number is on disk

	applied [2]*pebble.Batch // by the last calls of commitThen

	mu     sync.Mutex
	cause  error          // guarded by mu; why it died, never changed once set
	armed  bool           // guarded by mu; it is open, so fatal is to be told
	closed bool           // guarded by mu; once true, always true
	next   uint64         // guarded by mu; done is called once this is synced
	done   func()         // guarded by mu; nil if nobody waits
	calls  sync.WaitGroup // under way; added to with mu held and only if not closed
}

// openEngine opens pebble in a folder, which it makes if need be. A nil fs is
// the disk.
func openEngine(dir string, fs vfs.FS, log *slog.Logger, fatal func(error)) (*engine, error) {
	e := &engine{log: log, fatal: fatal, died: make(chan struct{})}
	opts := e.options(fs)
	if fs == nil {
		fs = vfs.Default
	}
	if err := makeFolder(fs, dir); err != nil {
		return nil, err
	}
	lock, err := lockFolder(fs, dir)
	if err != nil {
		return nil, err
	}
	e.lock, opts.Lock = lock, lock
	err = e.run(func() error {
		if err := checkFiles(fs, dir); err != nil {
			return err
		}
		db, err := pebble.Open(dir, opts)
		e.db = db
		return withDetails(err)
	})
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return e, nil
}

// run calls f, which uses pebble, and returns its error or why the engine died.
func (e *engine) run(f func() error) error {
	if err := e.begin(); err != nil {
		return err
	}
	return e.guard(func() error {
		defer e.calls.Done()
		return f()
	})
}

// begin announces a call, unless there is nothing left to call.
func (e *engine) begin() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cause != nil {
		return fmt.Errorf("it failed earlier: %w", e.cause)
	}
	if e.closed {
		return errors.New("it is closed")
	}
	e.calls.Add(1)
	return nil
}

// runHere is run on the goroutine of the caller, which may never return from it if
// the engine dies.
func (e *engine) runHere(f func() error) error {
	if err := e.begin(); err != nil {
		return err
	}
	defer e.calls.Done()
	defer e.rescue()
	return f()
}

// rescue ends the engine if the goroutine panics, and then the goroutine.
func (e *engine) rescue() {
	if r := recover(); r != nil {
		e.log.Error("a panic in the journal", "stack", string(debug.Stack()))
		e.fail(fmt.Errorf("panic: %v", r))
		runtime.Goexit()
	}
}

func (e *engine) guard(f func() error) error {
	done := make(chan error, 1)
	go func() {
		// Where pebble cannot go on it panics, or calls Fatalf, which ends this
		// goroutine, or waits for a disk that has failed: then nothing is sent.
		defer e.rescue()
		done <- f()
	}()
	select {
	case err := <-done:
		return err
	case <-e.died:
		return e.why()
	}
}

// fail ends the engine, and tells whoever opened it, once.
func (e *engine) fail(err error) {
	e.mu.Lock()
	first := e.cause == nil
	if first {
		e.cause = err
		close(e.died)
	}
	tell := first && e.armed && !e.closed // who closes is told by close
	e.mu.Unlock()
	if tell {
		e.fatal(fmt.Errorf("journal: %w", err))
	}
}

func (e *engine) why() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.cause
}

// arm ends the opening: before, a failure is returned by whoever opens.
func (e *engine) arm() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.armed = true
	return e.cause
}

// newBatch returns a batch that begins with its note, see [noteMark].
func (e *engine) newBatch() (*pebble.Batch, error) {
	b := e.db.NewBatch()
	return b, b.LogData(appendNote(nil, e.synced.Load()), nil)
}

// commit writes a batch, whose fate is pebble's from here on. One with nothing in
// it but the note puts on disk what came before, if it is synced.
func (e *engine) commit(b *pebble.Batch, sync bool) error {
	if err := b.Commit(&pebble.WriteOptions{Sync: sync}); err != nil {
		e.fail(err)
		return err
	}
	if sync {
		e.raise(uint64(b.SeqNum()) + uint64(b.Count()))
	}
	return b.Close()
}

// commitThen writes a batch, and calls done once it is on disk: from the goroutine
// that has just synced it, if not before commitThen returns. The next call may be
// made after that. It does not return if the engine dies.
func (e *engine) commitThen(b *pebble.Batch, done func()) error {
	if err := e.db.ApplyNoSyncWait(b, pebble.Sync); err != nil {
		e.fail(err)
		return err
	}
	next := uint64(b.SeqNum()) + uint64(b.Count())
	// The batch before the last is out of pebble's hands for sure: the last one was
	// synced after that, by the same goroutine.
	old := e.applied[0]
	e.applied = [2]*pebble.Batch{e.applied[1], b}
	if old != nil {
		if err := errors.Join(old.SyncWait(), old.Close()); err != nil {
			return err
		}
	}
	e.mu.Lock()
	e.next, e.done = next, done
	e.mu.Unlock()
	e.tellSynced()
	return nil
}

// onDisk is called when every batch with a lower sequence number is on disk.
func (e *engine) onDisk(next uint64) {
	e.raise(next)
	e.tellSynced()
}

// tellSynced tells whoever waits for a batch, if it is on disk.
func (e *engine) tellSynced() {
	e.mu.Lock()
	done := e.done
	if done == nil || e.synced.Load() < e.next {
		e.mu.Unlock()
		return
	}
	e.done = nil
	e.mu.Unlock()
	done()
}

// raise notes that every batch with a lower sequence number is on disk.
func (e *engine) raise(synced uint64) {
	for {
		was := e.synced.Load()
		if synced <= was || e.synced.CompareAndSwap(was, synced) {
			return
		}
	}
}

// close waits for the calls under way and closes pebble, which puts on disk what
// was not synced yet. Of a dead engine it closes nothing, not even the lock on
// the folder: parts of it may still be writing.
func (e *engine) close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	cause := e.cause
	e.mu.Unlock()
	if cause != nil {
		return fmt.Errorf("it failed earlier: %w", cause)
	}
	return e.guard(func() error {
		e.calls.Wait()
		return errors.Join(e.db.Close(), e.lock.Close())
	})
}
