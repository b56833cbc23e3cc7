package persist

import (
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"holdfast/quorum"
)

// Commit implements [quorum.Journal]: all records are on disk after a crash, or
// none. It keeps nothing of them. After an error no call succeeds any more.
func (j *Journal) Commit(records []quorum.Record, sync bool) error {
	return j.commit(records, sync, j.engine.run)
}

// Mortal returns the journal for somebody who can do without a goroutine, and the
// way to it and back, for each Commit: that may then never return when it fails.
func (j *Journal) Mortal() quorum.Mortal { return mortal{j} }

type mortal struct{ journal *Journal }

func (m mortal) Commit(records []quorum.Record, sync bool) error {
	return m.journal.commit(records, sync, m.journal.engine.runHere)
}

func (m mortal) Died() <-chan struct{} { return m.journal.engine.died }
func (m mortal) Why() error            { return m.journal.engine.why() }

// A runner is [engine.run] or [engine.runHere].
type runner func(func() error) error

func (m mortal) Start(records []quorum.Record, done func()) error {
	j := m.journal
	err := j.build(records, func(b *pebble.Batch) error {
		start := time.Now()
		return j.engine.runHere(func() error {
			return j.engine.commitThen(b, func() {
				j.opts.OnSync(time.Since(start))
				done()
			})
		})
	})
	return failedToCommit(err, records)
}

func (j *Journal) commit(records []quorum.Record, sync bool, run runner) error {
	err := j.build(records, func(b *pebble.Batch) error { return j.writeBy(run, b, sync) })
	return failedToCommit(err, records)
}

func failedToCommit(err error, records []quorum.Record) error {
	if err != nil {
		return fmt.Errorf("journal: commit %d records: %w", len(records), err)
	}
	return nil
}

// build makes a batch of records and has it written.
func (j *Journal) build(records []quorum.Record, write func(*pebble.Batch) error) error {
	b, err := j.engine.newBatch()
	if err != nil {
		return err
	}
	now := j.opts.Clock.Now()
	for i := range records {
		if err := j.addRecord(b, &records[i], now); err != nil {
			j.engine.fail(err) // what we cannot write we must not grant, now or later
			return err
		}
	}
	return write(b)
}

// write commits a batch, which is of no use afterwards.
func (j *Journal) write(b *pebble.Batch, sync bool) error { return j.writeBy(j.engine.run, b, sync) }

func (j *Journal) writeBy(run runner, b *pebble.Batch, sync bool) error {
	if b.Count() == 0 && !sync {
		return b.Close()
	}
	start := time.Now()
	if err := run(func() error { return j.engine.commit(b, sync) }); err != nil {
		return err
	}
	if sync {
		j.opts.OnSync(time.Since(start))
	}
	return nil
}

func (j *Journal) addRecord(b *pebble.Batch, r *quorum.Record, now quorum.Time) error {
	for _, e := range r.Entries {
		if err := j.addEntry(b, e, now); err != nil {
			return err
		}
	}
	told := r.Now
	if r.Limit > j.limit { // it never goes back, and neither do numbers
		// With the time, or those who come back would take it for older than it is, and
		// numbers would run ahead with each restart.
		j.limit, told = r.Limit, max(told, now)
		if err := b.Set([]byte(metaLimit), numberValue(metaLimit, uint64(r.Limit)), nil); err != nil {
			return err
		}
	}
	if r.Birth != 0 {
		if err := b.Set([]byte(metaBirth), numberValue(metaBirth, uint64(r.Birth)), nil); err != nil {
			return err
		}
	}
	if err := j.addSeen(b, r.Seen); err != nil {
		return err
	}
	if n := j.eras.current; told > j.eras.known[n].last {
		return j.setEra(b, era{boot: j.eras.known[n].boot, last: told})
	}
	return nil
}

// addSeen writes a proxy that was seen, unless it is "" or was written before.
func (j *Journal) addSeen(b *pebble.Batch, proxy string) error {
	if proxy == "" || j.seen[proxy] {
		return nil
	}
	j.seen[proxy] = true // if it is not on disk after all, the journal is dead
	key := seenKey(uint64(len(j.seen)))
	return b.Set(key, plainValue(key, []byte(proxy)), nil)
}

func (j *Journal) addEntry(b *pebble.Batch, e quorum.Entry, now quorum.Time) error {
	j.key = leaseKey(j.key, e.Name)
	if e.Lease == nil {
		return b.Delete(j.key, nil)
	}
	return j.setRecord(b, newRecord(e, j.eras.current, now))
}

// setRecord writes a record under j.key.
func (j *Journal) setRecord(b *pebble.Batch, r record) error {
	var err error
	if j.value, err = appendRecord(j.value, j.key, r); err != nil {
		return err
	}
	return b.Set(j.key, j.value, nil)
}

// setEra writes the current era.
func (j *Journal) setEra(b *pebble.Batch, e era) error {
	n := j.eras.current
	j.eras.known[n] = e
	return b.Set(eraKey(n), eraValue(n, e), nil)
}
