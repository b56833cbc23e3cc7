package quorum

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

// A scribe hands what the core writes to the journal: all that is queued together,
// and then what was queued meanwhile. The more there is the cheaper it gets.
//
// What nobody waits for on disk, such as the end of a lease, wakes nobody either:
// it goes along with what is synced next, at the latest the checkpoint that the
// core makes within a second.
type scribe struct {
	keeper  *Keeper
	mortal  Mortal        // the journal, if it is one
	wake    chan struct{} // there is something that is to be written now
	records []Record      // of whoever writes; empty, room for the next batch

	// All of these are guarded by keeper.mu.
	queue   []record // in the order in which it is to be written
	due     bool     // some of it is to be written now
	writing []record // taken from it, and not known to be written yet
	spare   []record // empty: room for the next queue
	written bool     // that is written, and nobody was told yet
	wrote   Time     // when who waited for the last write was told
	lone    Time     // before that nobody is let run first
	bytes   int      // of both
	closing bool     // all that is queued is to be written now
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

func newScribe(k *Keeper) *scribe {
	mortal, _ := k.opts.Journal.(Mortal)
	return &scribe{keeper: k, mortal: mortal, wake: make(chan struct{}, 1)}
}

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
	if s.mortal == nil {
		return f()
	}
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-s.mortal.Died():
		return s.mortal.Why()
	}
}

// write writes until ctx is done and nothing is queued, or the journal fails. What
// was queued while something was being written is handed on first, and then those
// are answered who waited for the other.
func (s *scribe) write(ctx context.Context) error {
	k := s.keeper
	for {
		s.gather()
		if s.failed != nil { // and whoever waits has been told so
			k.mu.Unlock()
			return s.failed
		}
		s.closing = ctx.Err() != nil
		if s.written {
			s.wroteLocked()
		}
		batch, quiet := s.takeLocked(), len(s.writing) == 0
		closing := s.closing
		var err error
		commit := func() { err = s.commit(batch, closing) }
		if s.mortal != nil {
			k.leaveFor(commit)
		} else { // which would keep those waiting who are to be answered
			k.leave()
			commit()
		}
		switch {
		case err != nil:
			return err
		case len(batch) > 0:
		case quiet && closing:
			return nil
		case closing:
			<-s.wake
		default:
			select {
			case <-ctx.Done():
			case <-s.wake:
			}
		}
	}
}

const (
	gatherMost = 4                      // times that the others are let run before something is written
	crowdGap   = 200 * time.Microsecond // from one write to the next, at most, while many want something written
	turnMost   = 200 * time.Microsecond // that the others may take for each record that comes of it
	loneTime   = time.Second            // for which nobody is let run after they took more
)

// gather takes the mutex. If there is something to write, and there is a crowd, it first
// lets run who can, so that all their records are written together: with few processors
// they could not run before the sync is over, each would wait for a sync of its own, and
// all for one another. Who locks now and then waits for nobody; nor does a crowd, for
// what takes the processors for long, such as scripts.
func (s *scribe) gather() {
	mu, clock := &s.keeper.mu, s.keeper.opts.Clock
	mu.Lock()
	for range gatherMost {
		now := clock.Now()
		crowd := s.written || now.Sub(s.wrote) <= crowdGap
		if !s.due || s.busyLocked() || !crowd || now < s.lone {
			return
		}
		n := len(s.queue)
		mu.Unlock()
		runtime.Gosched()
		mu.Lock()
		end := clock.Now()
		if !worthwhile(len(s.queue)-n, end.Sub(now)) {
			s.lone = end.Add(loneTime)
		}
		if len(s.queue) == n {
			return
		}
	}
}

// worthwhile reports whether it was no loss to let others run for so long, of which so
// many records came.
func worthwhile(came int, took time.Duration) bool {
	return took <= max(time.Duration(came), 2)*turnMost
}

// busyLocked reports whether something is being written.
func (s *scribe) busyLocked() bool { return len(s.writing) > 0 && !s.written }

// commit hands a batch to the journal, if it is one. With all it is synced in any
// case: the last ones are not left to chance.
func (s *scribe) commit(batch []record, all bool) error {
	if len(batch) == 0 {
		return nil
	}
	records, sync := s.records[:0], all
	for _, r := range batch {
		records = append(records, r.Record)
		sync = sync || r.sync
	}
	defer clear(records)
	s.records = records
	if sync && s.mortal != nil {
		return s.mortal.Start(records, s.synced)
	}
	if err := s.keeper.opts.Journal.Commit(records, sync); err != nil {
		return err
	}
	s.keeper.mu.Lock()
	s.written = true
	s.keeper.mu.Unlock()
	return nil
}

// answersMost is how many may wait for a write to be told of it by whoever synced it.
const answersMost = 2

// synced is told by the journal that what was being written is on disk. One who waits
// for it is answered from here: to wake somebody takes as long as that. Many are left
// to run, while the journal writes what is next.
func (s *scribe) synced() {
	k := s.keeper
	k.mu.Lock()
	waiting := 0
	for _, r := range s.writing {
		if r.want != nil {
			waiting++
		}
	}
	switch {
	case s.failed != nil:
	case waiting > answersMost:
		s.written, k.stirred.scribe = true, true
	default:
		s.wroteLocked()
		k.stirred.scribe = k.stirred.scribe || s.due || s.closing
	}
	k.leave()
}

// takeLocked takes what is to be written next, if nothing is being written, and
// returns it. While the keeper closes, that is all there is.
func (s *scribe) takeLocked() []record {
	if len(s.writing) > 0 || !s.due && !s.closing {
		return nil
	}
	s.writing, s.queue = nextRecords(s.queue, s.spare)
	s.spare = nil
	s.due = len(s.queue) > 0
	return s.writing
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
	s.writing, s.written, s.wrote = nil, false, now
	for _, r := range batch {
		s.bytes -= r.size()
	}
	for _, r := range batch {
		if r.want != nil {
			s.keeper.core.Written(now, r.want, s.failed)
		}
	}
	if s.failed == nil { // else somebody may be stuck with it
		clear(batch)
		s.spare = batch[:0]
	}
}
