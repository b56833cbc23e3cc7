package storetest

import (
	"maps"
	"slices"
	"strings"
	"time"

	"holdfast/quorum"
)

// A memory is all that a fake forgets.
type memory struct {
	kept    map[string]kept
	notices map[string]notice
	marks   map[int]quorum.Number // by bucket
	book    quorum.Book
}

// A notice says that a lease's version, and all before it, have ended.
type notice struct {
	version quorum.Number
	until   quorum.Time
}

func blank() memory {
	return memory{
		kept: map[string]kept{}, notices: map[string]notice{},
		marks: map[int]quorum.Number{}, book: quorum.Book{},
	}
}

func (m memory) clone() memory {
	return memory{maps.Clone(m.kept), maps.Clone(m.notices), maps.Clone(m.marks), maps.Clone(m.book)}
}

// A Snapshot is all that was in a fake at one moment, as a server's file on disk.
type Snapshot struct{ memory }

// Snapshot returns what is in the fake now.
func (f *Fake) Snapshot() Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	return Snapshot{f.clone()}
}

// Restore puts what was in the fake, or in another one with the same clock, in the
// place of what is. Connections and incarnation stay; after a Restart it is a
// server that came back with old data.
func (f *Fake) Restore(s Snapshot) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.memory = s.clone()
}

// Book returns what stands in the book.
func (f *Fake) Book() quorum.Book {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.book)
}

// Write puts a line in the book under id, whatever stood there, as an operator's
// hand would. An empty line leaves none.
func (f *Fake) Write(id, line string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writeLocked(id, line)
}

func (f *Fake) writeLocked(id, line string) {
	if line == "" {
		delete(f.book, id)
		return
	}
	f.book[id] = line
}

func (f *Fake) signLocked(r *quorum.Request) quorum.Vote {
	if f.book[r.Name] != r.Was || r.Only != nil && f.strangerLocked(r) {
		return quorum.Vote{Verdict: quorum.Refused}
	}
	f.writeLocked(r.Name, r.Line)
	return quorum.Vote{Verdict: quorum.Granted}
}

// strangerLocked reports whether somebody has signed whom r does not name.
func (f *Fake) strangerLocked(r *quorum.Request) bool {
	for id, line := range f.book {
		if id != r.Name && !slices.Contains(r.Only, id) && strings.HasPrefix(line, "signed ") {
			return true
		}
	}
	return false
}

// Notice returns the notice that there is of a name, 0 if none, and what is left
// of its time.
func (f *Fake) Notice(name string) (quorum.Number, time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.noticeLocked(name)
	if n.version == 0 {
		return 0, 0
	}
	return n.version, n.until.Sub(f.nowLocked())
}

// noticeLocked throws the notice out if its time has run out.
func (f *Fake) noticeLocked(name string) notice {
	n := f.notices[name]
	if f.nowLocked() >= n.until {
		delete(f.notices, name)
		return notice{}
	}
	return n
}

// endLocked leaves the notice that a swap asks for.
func (f *Fake) endLocked(r *quorum.Request) {
	if r.Gone == 0 || r.Prev == nil || r.Prev.Version == 0 {
		return
	}
	there := f.noticeLocked(r.Name)
	if there.version > r.Prev.Version {
		return
	}
	f.notices[r.Name] = notice{
		version: r.Prev.Version,
		until:   max(there.until, f.nowLocked().Add(max(r.Gone, time.Millisecond))),
	}
}

// Mark returns the highest number that was taken for a name of this bucket, 0 if
// none was.
func (f *Fake) Mark(bucket int) quorum.Number {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.marks[bucket]
}

// forbidLocked returns the notice and the mark that forbid a swap, 0 where none does.
func (f *Fake) forbidLocked(r *quorum.Request) (gone, mark quorum.Number) {
	if r.Next == nil {
		return 0, 0
	}
	if n := f.noticeLocked(r.Name).version; r.Heed && n >= r.Next.Version {
		gone = n
	}
	if m := f.marks[quorum.Bucket(r.Name)]; r.Mark && m >= r.Next.Version {
		mark = m
	}
	return gone, mark
}
