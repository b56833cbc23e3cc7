package commands

import (
	"fmt"
	"math"
	"time"
)

// A span is a time as a client states it.
type span struct {
	n        []byte
	seconds  bool // else milliseconds
	absolute bool // a Unix time, else from now
}

// millis returns what is left until the end of the span, which may be over
// already. It reports false where Redis's own arithmetic would overflow.
func (tx *Tx) millis(n int64, at span) (left int64, ok bool) {
	if at.seconds {
		if n > math.MaxInt64/1000 || n < math.MinInt64/1000 {
			return 0, false
		}
		n *= 1000
	}
	if !at.absolute && n <= math.MaxInt64/2 {
		return n, true // whatever the time is
	}
	now := tx.engine.wall().UnixMilli()
	switch {
	case at.absolute && n < math.MinInt64+now:
		return math.MinInt64, true
	case at.absolute:
		return n - now, true
	}
	return n, n <= math.MaxInt64-now
}

// lifetime returns the TTL that a command asks for a lease: the refusal, if it
// is none. A time that has passed is refused, where Redis would make a key that
// is gone at once: nobody may believe to hold a lock that never was.
func (tx *Tx) lifetime(at span) (time.Duration, *Reply) {
	n, ok := parseInt(at.n)
	if !ok {
		bad := sayFailure(errNotInteger)
		return 0, &bad
	}
	left, ok := tx.millis(n, at)
	if n <= 0 || left <= 0 || !ok {
		bad := badExpiry(tx.cmd.name)
		return 0, &bad
	}
	return tx.atMost(left)
}

// forEver is a TTL that means that there is to be no end: some libraries have no
// other way to say so, and ask for a thousand years.
const forEver = 365 * 24 * 60 * 60 * 1000 // ms

// atMost refuses a TTL above the longest there is: who counts on a week must not be
// left after a day. One for ever is given the longest, as none at all is; that it
// ends all the same is what TTL then says.
func (tx *Tx) atMost(millis int64) (time.Duration, *Reply) {
	most := tx.engine.maxTTL.Milliseconds()
	if millis >= forEver {
		return tx.engine.maxTTL, nil
	}
	if millis > most {
		bad := sayFailure(fmt.Sprintf("%s: %d ms is more than max-ttl, %d ms", badExpiry(tx.cmd.name).text, millis, most))
		return 0, &bad
	}
	return time.Duration(millis) * time.Millisecond, nil
}

// expire is EXPIRE and its kin: a lease gets another end, whoever asks, as in
// Redis; a time that has passed ends it.
func expire(tx *Tx, args [][]byte, at span) Reply {
	when, bad := parseExpireFlags(args[3:])
	if bad != nil {
		return *bad
	}
	at.n = args[2]
	n, ok := parseInt(at.n)
	if !ok {
		return sayFailure(errNotInteger)
	}
	left, ok := tx.millis(n, at)
	if !ok {
		return badExpiry(tx.cmd.name)
	}
	s := tx.at(args[1])
	if !s.held || !when.allow(s, left) {
		return sayInt(0)
	}
	if left <= 0 {
		tx.drop(s)
		return sayInt(1)
	}
	ttl, bad := tx.atMost(left)
	if bad != nil {
		return *bad
	}
	tx.extend(s, ttl)
	return sayInt(1)
}

func expireIn(tx *Tx, args [][]byte) Reply { return expire(tx, args, span{seconds: true}) }
func expireAt(tx *Tx, args [][]byte) Reply {
	return expire(tx, args, span{seconds: true, absolute: true})
}
func pexpireIn(tx *Tx, args [][]byte) Reply  { return expire(tx, args, span{}) }
func pexpireAt(tx *Tx, args [][]byte) Reply  { return expire(tx, args, span{absolute: true}) }
func ttlSeconds(tx *Tx, args [][]byte) Reply { return lasts(tx, args, span{seconds: true}) }
func ttlMillis(tx *Tx, args [][]byte) Reply  { return lasts(tx, args, span{}) }
func endsSeconds(tx *Tx, args [][]byte) Reply {
	return lasts(tx, args, span{seconds: true, absolute: true})
}
func endsMillis(tx *Tx, args [][]byte) Reply { return lasts(tx, args, span{absolute: true}) }

// expireFlags are the conditions of EXPIRE. A lease whose TTL nobody asked for
// counts as one without: that is what its holder thinks it is.
type expireFlags struct{ nx, xx, gt, lt bool }

func parseExpireFlags(args [][]byte) (f expireFlags, bad *Reply) {
	for _, arg := range args {
		switch {
		case is(arg, "nx"):
			f.nx = true
		case is(arg, "xx"):
			f.xx = true
		case is(arg, "gt"):
			f.gt = true
		case is(arg, "lt"):
			f.lt = true
		default:
			return f, &Reply{kind: failure, text: "ERR Unsupported option " + oneLine(string(arg))}
		}
	}
	if f.nx && (f.xx || f.gt || f.lt) {
		return f, &Reply{kind: failure, text: "ERR NX and XX, GT or LT options at the same time are not compatible"}
	}
	if f.gt && f.lt {
		return f, &Reply{kind: failure, text: "ERR GT and LT options at the same time are not compatible"}
	}
	return f, nil
}

func (f expireFlags) allow(s *slot, left int64) bool {
	now := s.ttl.Milliseconds()
	switch {
	case f.nx && !s.untimed, f.xx && s.untimed:
		return false
	case f.gt && (s.untimed || left <= now):
		return false
	case f.lt && !s.untimed && left >= now:
		return false
	}
	return true
}

// persist is the nearest there is to no TTL: the longest.
func persist(tx *Tx, args [][]byte) Reply {
	s := tx.at(args[1])
	if !s.held || s.untimed {
		return sayInt(0)
	}
	tx.persist(s)
	return sayInt(1)
}

// lasts is TTL and its kin: how long a lease has left, or when it ends.
func lasts(tx *Tx, args [][]byte, as span) Reply {
	s := tx.at(args[1])
	if !s.held {
		return sayInt(-2)
	}
	left := s.ttl.Milliseconds()
	if as.absolute {
		left += tx.engine.wall().UnixMilli()
	}
	if as.seconds {
		left = (left + 500) / 1000 // Redis rounds so
	}
	return sayInt(left)
}
