package storetest

import (
	"bytes"
	"time"

	"holdfast/quorum"
)

// carryOutLocked is what a store does with requests: compare the bytes that are
// there, and put others in their place.
func (f *Fake) carryOutLocked(requests []quorum.Request, votes []quorum.Vote) {
	for i, r := range requests {
		there, ok := f.lookLocked(r.Name)
		if r.Action == quorum.Read {
			votes[i] = quorum.Vote{Verdict: quorum.Granted, Found: there.copy(), FoundLeft: f.leftLocked(there)}
			continue
		}
		if !granted(&r, there, ok) {
			votes[i] = quorum.Vote{Verdict: quorum.Refused, Found: there.copy()}
			continue
		}
		votes[i] = quorum.Vote{Verdict: quorum.Granted}
		if r.OrNone {
			votes[i].Found = there.copy()
		}
		if r.Next == nil {
			delete(f.kept, r.Name)
			continue
		}
		f.kept[r.Name] = kept{
			data:  append([]byte{}, r.Next.Encode()...),
			timed: true,
			until: f.clock.Now().Add(max(r.TTL, time.Millisecond)),
		}
	}
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
	if ok && k.timed && f.clock.Now() >= k.until {
		delete(f.kept, name)
		return kept{}, false
	}
	return k, ok
}

func (f *Fake) leftLocked(k kept) time.Duration {
	if !k.timed {
		return 0
	}
	return k.until.Sub(f.clock.Now())
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
