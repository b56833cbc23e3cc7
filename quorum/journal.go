package quorum

import "time"

// An Entry is what the journal knows of one name.
type Entry struct {
	Name  string
	Lease *Lease // nil: the name is free
	// Pending: not yet known to be granted. A crash leaves it so; it is then
	// held until its deadline: late, never early.
	Pending  bool
	Replaced *Lease // of a pending lease: the lease it would replace, or nil
}

// A Record is one atomic write: all of it or nothing is there after a crash.
type Record struct {
	Entries []Entry
	// Limit, unless zero, is a new high-water mark: once it is on disk, numbers
	// below it may be used, and after a restart only those from it on.
	Limit Number
	// Birth, unless zero, takes the place of History.Birth.
	Birth Number
	// Now, unless zero, is a checkpoint of the clock.
	Now Time
	// Seen, unless "", is to be added to History.Seen.
	Seen string
}

// size is about how many bytes the record takes.
func (r *Record) size() int {
	n := 0
	for _, e := range r.Entries {
		n += 128 + len(e.Name)
		if e.Lease != nil {
			n += len(e.Lease.Value)
		}
		if e.Replaced != nil {
			n += len(e.Replaced.Value)
		}
	}
	return n
}

// A Journal is our own durable record. One goroutine calls it.
type Journal interface {
	// Commit writes the records, in order, and with sync returns only when they
	// and all before them are on disk. Without sync a crash may lose the last of
	// them, but never one before another. After an error nothing may be granted
	// any more.
	Commit(records []Record, sync bool) error
}

// A Mortal journal may never return from a Commit that it fails in: whoever called
// it is then left where it is.
type Mortal interface {
	Journal
	// Start is a synced Commit that is not waited for: it calls done once the records
	// and all before them are on disk, from any goroutine, perhaps before it returns.
	// The next call of either is made after that. If the journal dies first, done is
	// never called.
	Start(records []Record, done func()) error
	// Died returns a channel that is closed when the journal fails.
	Died() <-chan struct{}
	// Why returns what it died of.
	Why() error
}

// A History is what a journal held when it was opened, with every deadline in
// terms of the clock of now.
type History struct {
	Entries []Entry
	// Birth is the first number this journal ever gave out, and Limit is above
	// the last. A copy with a number of ours below Birth is of another journal, or
	// of somebody who was that author before.
	Birth, Limit Number
	// Away is how long ago the journal last told the time, at most: by then it had
	// allowed every number below Limit. 0 if its clock was another.
	Away time.Duration
	// Seen is every proxy that this journal knows of, itself too once it has
	// signed a book: "<id>=<instance>@<configuration>", and the same behind a "-"
	// for one that an operator declared forgotten. Each once, in the
	// order in which it came: the last word on an id counts.
	Seen []string
}
