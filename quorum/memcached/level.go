package memcached

import (
	"bytes"
	"fmt"
	"strconv"

	"holdfast/quorum"
)

// A level is a number that the server keeps and that only rises: a mark, or the
// version in a notice. The server counts in decimal, so that is how it stands
// there.
//
// It is raised by arithmetic and not by a set. A server without room drops what
// lies under the name of a set, and nobody would know: below a lost mark an old
// number is let in, past a lost notice a lease that has ended is put back.
// Arithmetic fails without touching the item, and takes no room at all unless
// somebody reads it at that very moment or the number gets another digit.
//
// Source: do_add_delta and process_marithmetic_command in memcached 1.6.
type level struct {
	key    string
	item   *item         // what the last look saw
	stands quorum.Number // in item, 0 if there is none
	err    error         // why that is not known, or nil

	target  quorum.Number // what it is to be raised to, 0 if it is not
	seconds int64         // how long target is to be kept; 0 is for ever
	missed  bool          // it was to be raised and was not: somebody else was quicker
	moved   bool          // and that was only the server, which gave the item another place
	raised  quorum.Number // what we have raised it to, 0 if we have not
}

// take takes what a look saw.
func (l *level) take(rep *reply) {
	*l = level{key: l.key, err: rep.err, raised: l.raised}
	if rep.outcome != found {
		return
	}
	l.item = &rep.item
	// The server pads with blanks what got shorter.
	n, err := strconv.ParseUint(string(bytes.TrimRight(rep.item.data, " ")), 10, 64)
	if err != nil || rep.item.large {
		l.err = fmt.Errorf("under %s there is no number: %.40q", l.key, rep.item.data)
	}
	l.stands = quorum.Number(n)
}

// admits reports whether a swap with number n may be made: it must be above the
// mark, and above those that stand before it in the batch. Once we have raised
// the mark for all of them, nobody else may have.
func (l *level) admits(n quorum.Number) bool {
	if l.raised != 0 {
		return l.stands <= l.raised
	}
	return n > max(l.stands, l.target)
}

// lacks reports whether a notice says less than that version n has ended, or
// not for so long, and notes it as its target.
func (l *level) lacks(n quorum.Number, seconds int64) bool {
	if l.stands > n || l.stands == n && (l.raised == n || l.lasts(seconds)) {
		return false
	}
	l.target, l.seconds = n, seconds
	return true
}

func (l *level) lasts(seconds int64) bool {
	return l.item != nil && (l.item.seconds < 0 || l.item.seconds >= seconds)
}

// command returns what raises the level to its target. What is there already is
// kept for the longer of the two times.
func (l *level) command() command {
	if l.item == nil {
		return command{verb: raise, key: l.key, number: uint64(l.target), seconds: l.seconds}
	}
	cmd := command{verb: raise, key: l.key, cas: l.item.cas, number: uint64(l.target - l.stands)}
	if !l.lasts(l.seconds) {
		cmd.seconds = l.seconds
	}
	return cmd
}

// settle takes the answer to command and what was seen right behind it. The
// answer alone would not do: when the server has to move the item elsewhere, it
// says that the new time is set and sets it on the old item. It has to while
// another of its threads holds the item, which has answered somebody who looked
// at it and was then kept from going on. The clock may tick in between: see
// [seconds] for the one that was added for that.
func (l *level) settle(answer, seen *reply) {
	target, seconds := l.target, l.seconds
	l.take(seen)
	l.target = target // until the next look
	switch {
	case l.err != nil:
	case answer.err != nil:
		l.err = answer.err
	case answer.outcome != done, l.stands < target:
		l.missed = true
	case l.stands == target && seconds > 0 && !l.lasts(seconds-1):
		l.missed, l.moved = true, true
	default:
		l.raised = target
	}
}
