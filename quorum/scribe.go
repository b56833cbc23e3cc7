package quorum

import (
	"context"
	"fmt"
)

// A scribe hands what the core writes to the journal: all that is queued together,
// and then what was queued meanwhile. The more there is the cheaper it gets.
//
// What nobody waits for on disk, such as the end of a lease, wakes nobody either:
// it goes along with what is synced next, at the latest the checkpoint that the
// core makes within a second.
type scribe struct {
	keeper *Keeper
	wake   chan struct{} // there is something that is to be written now

	// All of these are guarded by keeper.mu.
	queue   []record // in the order in which it is to be written
	due     bool     // some of it is to be written now
	writing []record // taken from it, and not known to be written yet
	spare   []record // empty: room for the next queue
	bytes   int      // of both
	failed  error    // the journal did: nothing is written any more
}

type record struct {
	Record
	sync bool
	want *Want
}

const (
	journalBatch = 4 << 20   // bytes written to the journal at a time
	journalQueue = 64 << 20  // bytes queued for it before changes wait
	journalIdle  = 256 << 10 // bytes that may wait for something to be synced
)

func newScribe(k *Keeper) *scribe { return &scribe{keeper: k, wake: make(chan struct{}, 1)} }

// push queues a record. keeper.mu is held, as in all that ends in Locked.
func (s *scribe) push(r record) {
	s.queue = append(s.queue, r)
	if s.bytes += r.size(); r.sync || s.bytes > journalIdle || s.failed != nil {
		s.due = true
		s.keeper.stirred.scribe = true
	}
}

// full reports whether changes should wait. keeper.mu is held.
func (s *scribe) full() bool { return s.bytes > journalQueue }

// run writes until ctx is done and nothing is queued, or the journal fails: then
// whoever waits for it is told so, now and later.
func (s *scribe) run(ctx context.Context) {
	err := s.attend(func() error { return s.write(ctx) })
	if err == nil {
		return
	}
	k := s.keeper
	failed := fmt.Errorf("%w: %w", ErrJournal, err)
	k.opts.Log.Error("journal.failed", "why", err)
	if k.opts.Failed != nil {
		k.opts.Failed(failed)
	}
	for {
		k.mu.Lock()
		s.failed = failed
		s.wroteLocked()
		s.writing, s.queue, s.due = s.queue, nil, false
		s.wroteLocked()
		k.leave()
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
	}
}

// attend runs f, which uses the journal, and returns its error, or why the journal
// failed meanwhile: f may then be left where it is, see [Mortal].
func (s *scribe) attend(f func() error) error {
	mortal, ok := s.keeper.opts.Journal.(Mortal)
	if !ok {
		return f()
	}
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-mortal.Died():
		return mortal.Why()
	}
}

// write writes until ctx is done and nothing is queued, or the journal fails.
func (s *scribe) write(ctx context.Context) error {
	k := s.keeper
	var records []Record
	for {
		k.mu.Lock()
		closing := ctx.Err() != nil // the last ones are not left to chance
		if !s.takeLocked(closing) {
			k.mu.Unlock()
			if closing {
				return nil
			}
			select {
			case <-ctx.Done():
			case <-s.wake:
			}
			continue
		}
		batch := s.writing
		k.mu.Unlock()

		sync := closing
		for _, r := range batch {
			records = append(records, r.Record)
			sync = sync || r.sync
		}
		if err := k.opts.Journal.Commit(records, sync); err != nil {
			return err
		}
		clear(records)
		records = records[:0]

		k.mu.Lock()
		if s.failed != nil { // and whoever waits has been told so
			k.mu.Unlock()
			return s.failed
		}
		s.wroteLocked()
		clear(batch)
		s.spare = batch[:0]
		k.leave()
	}
}

// takeLocked takes what is to be written next, everything if all is set, and
// reports whether there is anything.
func (s *scribe) takeLocked(all bool) bool {
	if !s.due && !all {
		return false
	}
	s.writing, s.queue = nextRecords(s.queue, s.spare)
	s.spare = nil
	s.due = len(s.queue) > 0
	return len(s.writing) > 0
}

// nextRecords splits off what is written next. The rest may use spare.
func nextRecords(queue, spare []record) (next, rest []record) {
	bytes := 0
	for i, r := range queue {
		if bytes += r.size(); bytes > journalBatch {
			return queue[: i+1 : i+1], append(spare, queue[i+1:]...)
		}
	}
	return queue, spare
}

// wroteLocked tells the core of what was written, or failed to be.
func (s *scribe) wroteLocked() {
	now := s.keeper.opts.Clock.Now()
	batch := s.writing
	s.writing = nil
	for _, r := range batch {
		s.bytes -= r.size()
	}
	for _, r := range batch {
		if r.want != nil {
			s.keeper.core.Written(now, r.want, s.failed)
		}
	}
}
