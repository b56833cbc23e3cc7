package storetest

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"time"

	"holdfast/quorum"
)

// kept is what a fake keeps under one name.
type kept struct {
	data   []byte
	timed  bool // it has a TTL
	until  quorum.Time
	opaque bool
}

// answerLocked carries out one request.
func (f *Fake) answerLocked(r *quorum.Request) quorum.Vote {
	switch r.Action {
	case quorum.ReadBook:
		return quorum.Vote{Verdict: quorum.Granted, Book: maps.Clone(f.book)}
	case quorum.Sign:
		return f.signLocked(r)
	case quorum.Tear:
		clear(f.book)
		return quorum.Vote{Verdict: quorum.Granted}
	}
	if err := reserved(r); err != nil {
		return quorum.Vote{Err: err, Unsent: true}
	}
	switch r.Action {
	case quorum.Read:
		return f.readLocked(r)
	case quorum.Check:
		return f.checkLocked(r)
	}
	return f.swapLocked(r)
}

// reserved says why a request is not carried out: names that begin like this are
// those of the store's own books, and only one of them may be looked at. Locks in
// databases other than 0 are called "holdfast:db1:orders".
func reserved(r *quorum.Request) error {
	rest, begins := strings.CutPrefix(r.Name, "holdfast:")
	if !begins || strings.HasPrefix(rest, "db") || r.Action == quorum.Read && rest == "beat" {
		return nil
	}
	return fmt.Errorf("%.60q is no lock's name: what begins with \"holdfast:\" is holdfast's own", r.Name)
}

func (f *Fake) readLocked(r *quorum.Request) quorum.Vote {
	there, _ := f.lookLocked(r.Name)
	v := quorum.Vote{Verdict: quorum.Granted, Found: there.copy(), FoundLeft: f.leftLocked(there)}
	if r.Heed {
		v.Gone = f.noticeLocked(r.Name).version
	}
	return v
}

func (f *Fake) checkLocked(r *quorum.Request) quorum.Vote {
	there, ok := f.lookLocked(r.Name)
	exactly := *r
	exactly.OrNone = false
	if !granted(&exactly, there, ok) {
		return quorum.Vote{Verdict: quorum.Refused, Found: there.copy()}
	}
	return quorum.Vote{Verdict: quorum.Granted, Found: there.copy()}
}

// swapLocked is what a store does with a swap: compare the bytes that are there,
// and put others in their place.
func (f *Fake) swapLocked(r *quorum.Request) quorum.Vote {
	f.endLocked(r)
	there, ok := f.lookLocked(r.Name)
	gone, mark := f.forbidLocked(r)
	if !granted(r, there, ok) || gone != 0 || mark != 0 {
		return quorum.Vote{Verdict: quorum.Refused, Found: there.copy(), Gone: gone, Mark: mark}
	}
	v := quorum.Vote{Verdict: quorum.Granted}
	if r.OrNone {
		v.Found = there.copy()
	}
	if r.Next == nil {
		delete(f.kept, r.Name)
		return v
	}
	if r.Mark {
		f.marks[quorum.Bucket(r.Name)] = r.Next.Version
	}
	f.kept[r.Name] = kept{
		data:  append([]byte{}, r.Next.Encode()...),
		timed: true,
		until: f.nowLocked().Add(max(r.TTL, time.Millisecond)),
	}
	return v
}

func granted(r *quorum.Request, there kept, ok bool) bool {
	switch {
	case !ok:
		return r.Prev == nil || r.OrNone
	case there.opaque || r.Prev == nil || r.Prev.Opaque:
		return false
	}
	return bytes.Equal(there.data, r.Prev.Encode())
}

// lookLocked returns what is under name, after throwing it out if its TTL has run
// out.
func (f *Fake) lookLocked(name string) (kept, bool) {
	k, ok := f.kept[name]
	if ok && k.timed && f.nowLocked() >= k.until {
		delete(f.kept, name)
		return kept{}, false
	}
	return k, ok
}

// nowLocked is the time by the fake's own clock.
func (f *Fake) nowLocked() quorum.Time { return f.clock.Now().Add(f.skew) }

func (f *Fake) leftLocked(k kept) time.Duration {
	if !k.timed {
		return 0
	}
	return k.until.Sub(f.nowLocked())
}

// copy returns nil for the zero kept.
func (k kept) copy() *quorum.Copy {
	switch {
	case k.opaque:
		return &quorum.Copy{Opaque: true}
	case k.data == nil:
		return nil
	}
	return quorum.DecodeCopy(k.data)
}

// A Clock tells the time as package time does, so in a testing/synctest bubble
// it tells the bubble's.
type Clock struct{ start time.Time }

// NewClock returns a clock that reads zero now.
func NewClock() Clock { return Clock{time.Now()} }

// Now returns the time since the clock was made.
func (c Clock) Now() quorum.Time { return quorum.Time(time.Since(c.start)) }
