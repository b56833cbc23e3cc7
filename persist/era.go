package persist

import (
	"time"

	"holdfast/quorum"
)

// An era is a stretch of time that one clock tells: readings of it can be
// compared with each other, and with those of no other era. It ends with the
// boot, or when the clock is found to have gone back.
type era struct {
	boot string      // names the boot that the clock counts from
	last quorum.Time // its last checkpoint: the latest reading known to be of it
}

// goesOn reports whether a clock of this boot that reads now still tells e.
//
// A reading below the last checkpoint is of another clock, whatever the boot
// says: a snapshot of the machine was restored, or we were moved to another
// time namespace. Without a boot id nothing is known.
func (e era) goesOn(boot string, now quorum.Time) bool {
	return boot != "" && e.boot == boot && now >= e.last
}

// eras are those that records on disk count in.
type eras struct {
	known   map[uint64]era
	current uint64        // the one that the clock tells now
	begun   quorum.Time   // the clock when the journal was opened
	away    time.Duration // since its last checkpoint, 0 if that was of another era
}

// choose finds the era that a clock of this boot which reads now tells: the
// latest that is known if it goes on, else a new one after it, and then it
// reports true. An older one never comes back: its clock was left behind.
func (e *eras) choose(boot string, now quorum.Time) (isNew bool) {
	e.begun, e.current = now, 0
	for n := range e.known {
		e.current = max(e.current, n)
	}
	if latest := e.known[e.current]; latest.goesOn(boot, now) {
		e.away = now.Sub(latest.last)
		return false
	}
	e.current++
	e.known[e.current] = era{boot: boot, last: now}
	return true
}

// here returns a deadline of the n-th era by the clock of the current one. In
// the same era it stays what it is. Of an older one, nobody knows how long ago
// it ended, so no time counts as passed since its last checkpoint: late, never
// early. And a lease that was begun before now is over after its whole TTL from
// now, drift included, whatever the clocks say: a checkpoint can be older than
// the record, and a clock can have been set back. Unless it is loose: then its
// TTL says nothing about its deadline.
func (e *eras) here(n uint64, until quorum.Time, ttl time.Duration, loose bool) quorum.Time {
	last := e.begun
	if n != e.current {
		last = e.known[n].last
	}
	until = e.begun.Add(until.Sub(last))
	if loose {
		return until
	}
	return min(until, quorum.Until(e.begun, ttl))
}

// rebase brings the deadlines of a record over to the current era.
func (e *eras) rebase(r *record) {
	l := r.entry.Lease
	l.Until = e.here(r.era, l.Until, l.TTL, r.loose)
	if l = r.entry.Replaced; l != nil {
		l.Until = e.here(r.era, l.Until, l.TTL, r.replacedLoose)
	}
	r.era = e.current
}
