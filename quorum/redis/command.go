package redis

import (
	"time"

	"holdfast/quorum"
)

// appendRequest appends the command for a request, and returns how the reply to it
// is to be judged.
func (l *link) appendRequest(b []byte, r *quorum.Request) ([]byte, judge) {
	switch r.Action {
	case quorum.Read:
		return l.appendRead(b, r)
	case quorum.Check:
		if l.twice {
			return l.appendHeeding(b, r), twiceCheckVote
		}
		return appendCommand(b, "GET", r.Name), checkVote
	case quorum.ReadBook:
		return appendCommand(b, "HGETALL", bookKey), bookVote
	case quorum.Sign:
		return appendSign(b, r), signVote
	case quorum.Tear:
		return appendCommand(b, "DEL", bookKey), tearVote
	}
	switch {
	case l.twice || isGuarded(r):
		return l.appendGuarded(b, r), guardedVote
	case l.direct && r.Prev == nil && r.Next != nil:
		b = appendTexts(appendCount(b, 7), "SET", r.Name)
		b = appendNumber(appendTexts(appendCopy(b, r.Next), "PX"), millis(r.TTL))
		return appendTexts(b, "NX", "GET"), directVote
	}
	accepts, prev := accepted(r)
	b = appendTexts(appendCount(b, 8), "EVALSHA", swapScript.hash, "1", r.Name, accepts)
	b = appendCopy(b, prev)
	if r.Next == nil {
		return appendTexts(b, "0", ""), swapVote
	}
	return appendCopy(appendNumber(b, millis(r.TTL)), r.Next), swapVote
}

// appendClear appends the command for the clear script, if anything is to be cleared.
func appendClear(b []byte, requests []quorum.Request, cleared []int) []byte {
	if len(cleared) == 0 {
		return b
	}
	b = appendTexts(appendCount(b, 4+2*len(cleared)), "EVALSHA", clearScript.hash)
	b = appendNumber(b, int64(len(cleared)))
	for _, i := range cleared {
		b = appendTexts(b, requests[i].Name)
	}
	b = appendHeader(b, '$', len(cleared))
	for _, i := range cleared {
		letter := byte('p')
		if requests[i].OrNone {
			letter = 'e'
		}
		b = append(b, letter)
	}
	b = append(b, "\r\n"...)
	for _, i := range cleared {
		b = appendCopy(b, requests[i].Prev)
	}
	return b
}

func (l *link) appendRead(b []byte, r *quorum.Request) ([]byte, judge) {
	if l.twice || r.Heed {
		return l.appendHeeding(b, r), heedingVote
	}
	return appendCommand(b, "EVALSHA", readScript.hash, "1", r.Name), readVote
}

// accepted returns what a swap may replace. An opaque Prev equals nothing.
func accepted(r *quorum.Request) (accepts string, prev *quorum.Copy) {
	switch {
	case r.Prev == nil, r.Prev.Opaque && r.OrNone:
		return acceptsNone, nil
	case r.Prev.Opaque:
		return acceptsNothing, nil
	case r.OrNone:
		return acceptsEither, r.Prev
	}
	return acceptsPrev, r.Prev
}

// millis rounds up: a store never keeps a copy for less than it was asked to.
func millis(ttl time.Duration) int64 {
	return int64(max(ttl+time.Millisecond-1, time.Millisecond) / time.Millisecond)
}

// leavesNotice: of a copy without a number nothing can be said.
func leavesNotice(r *quorum.Request) bool { return r.Gone != 0 && r.Prev != nil && r.Prev.Version != 0 }

// isGuarded reports whether a swap is about more than the copy.
func isGuarded(r *quorum.Request) bool {
	return r.Next != nil && (r.Heed || r.Mark) || leavesNotice(r)
}

// appendHeeding appends the command for the heeding script.
func (l *link) appendHeeding(b []byte, r *quorum.Request) []byte {
	if l.twice {
		return appendCommand(b, "EVALSHA", heedingScript.hash, "3", r.Name, goneBefore+r.Name, copyBefore+r.Name)
	}
	return appendCommand(b, "EVALSHA", heedingScript.hash, "2", r.Name, goneBefore+r.Name)
}

// appendGuarded appends the command for the guarded script.
func (l *link) appendGuarded(b []byte, r *quorum.Request) []byte {
	accepts, prev := accepted(r)
	if l.twice {
		b = appendTexts(appendCount(b, 16), "EVALSHA", guardedScript.hash, "4", r.Name, goneBefore+r.Name, marksKey, copyBefore+r.Name)
	} else {
		b = appendTexts(appendCount(b, 15), "EVALSHA", guardedScript.hash, "3", r.Name, goneBefore+r.Name, marksKey)
	}
	b = appendCopy(appendTexts(b, accepts), prev)
	if r.Next == nil {
		b = appendTexts(b, "0", "")
	} else {
		b = appendCopy(appendNumber(b, millis(r.TTL)), r.Next)
	}
	if leavesNotice(r) {
		b = appendTexts(appendNumber(b, millis(r.Gone)), r.Prev.Version.String())
	} else {
		b = appendTexts(b, "0", "")
	}
	if r.Next == nil {
		return appendTexts(b, "0", "", "")
	}
	heed := int64(0)
	if r.Heed {
		heed = 1
	}
	b = appendNumber(b, heed)
	if r.Mark {
		b = appendNumber(b, int64(quorum.Bucket(r.Name)))
	} else {
		b = appendTexts(b, "")
	}
	return appendTexts(b, r.Next.Version.String())
}

// appendSign appends the command for the sign script.
func appendSign(b []byte, r *quorum.Request) []byte {
	only := "0"
	if r.Only != nil {
		only = "1"
	}
	b = appendTexts(appendCount(b, 8+len(r.Only)), "EVALSHA", signScript.hash, "1", bookKey, r.Name, r.Was, r.Line, only)
	return appendTexts(b, r.Only...)
}
