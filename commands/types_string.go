package commands

import (
	"math"
	"math/big"
	"slices"
	"strconv"

	"holdfast/quorum"
)

// Counters, and what else changes strings in their place.

func incr(tx *Tx, args [][]byte) Reply { return tx.count(args[1], 1) }
func decr(tx *Tx, args [][]byte) Reply { return tx.count(args[1], -1) }

func incrby(tx *Tx, args [][]byte) Reply {
	n, ok := parseInt(args[2])
	if !ok {
		return sayFailure(errNotInteger)
	}
	return tx.count(args[1], n)
}

func decrby(tx *Tx, args [][]byte) Reply {
	n, ok := parseInt(args[2])
	switch {
	case !ok:
		return sayFailure(errNotInteger)
	case n == math.MinInt64:
		return sayFailure("ERR decrement would overflow")
	}
	return tx.count(args[1], -n)
}

// count adds to a counter, which is 0 where there is none.
func (tx *Tx) count(key []byte, by int64) Reply {
	s := tx.at(key)
	text, ok := s.get()
	if !ok {
		return sayFailure(errWrongType)
	}
	now := int64(0)
	if s.held {
		if now, ok = parseInt(text); !ok {
			return sayFailure(errNotInteger)
		}
	}
	sum, ok := addInt(now, by)
	if !ok {
		return sayFailure(errOverflow)
	}
	if bad := tx.edit(s, strconv.AppendInt(nil, sum, 10), "incrby"); bad != nil {
		return *bad
	}
	return sayInt(sum)
}

func incrbyfloat(tx *Tx, args [][]byte) Reply {
	s := tx.at(args[1])
	text, ok := s.get()
	if !ok {
		return sayFailure(errWrongType)
	}
	now := new(big.Float)
	if s.held {
		if now, ok = parseLong(text); !ok {
			return sayFailure(errNotFloat)
		}
	}
	by, ok := parseLong(args[2])
	if !ok {
		return sayFailure(errNotFloat)
	}
	sum, ok := addLong(now, by)
	if !ok {
		return sayFailure(errNotFinite)
	}
	if bad := tx.edit(s, []byte(sum), "incrbyfloat"); bad != nil {
		return *bad
	}
	return sayText(sum)
}

func appendTo(tx *Tx, args [][]byte) Reply {
	s := tx.at(args[1])
	text, ok := s.get()
	if !ok {
		return sayFailure(errWrongType)
	}
	text = slices.Concat(text, args[2])
	if bad := tx.edit(s, text, "append"); bad != nil {
		return *bad
	}
	return sayInt(int64(len(text)))
}

func setrange(tx *Tx, args [][]byte) Reply {
	offset, ok := parseInt(args[2])
	switch {
	case !ok:
		return sayFailure(errNotInteger)
	case offset < 0:
		return sayFailure("ERR offset is out of range")
	}
	s, part := tx.at(args[1]), args[3]
	text, ok := s.get()
	switch {
	case !ok:
		return sayFailure(errWrongType)
	case len(part) == 0:
		return sayInt(int64(len(text)))
	case offset > quorum.MaxValue: // before so much is made
		return *tooMuch(int(min(offset, math.MaxInt-quorum.MaxValue)) + len(part))
	}
	made := make([]byte, max(len(text), int(offset)+len(part)))
	copy(made, text)
	copy(made[offset:], part)
	if bad := tx.edit(s, made, "setrange"); bad != nil {
		return *bad
	}
	return sayInt(int64(len(made)))
}

// getset is an old SET with GET.
func getset(tx *Tx, args [][]byte) Reply { return tx.set(args[1], args[2], setting{get: true}) }

// getex is GETEX: GET, and the lease gets another end. A time that has passed
// ends it, as with EXPIRE.
func getex(tx *Tx, args [][]byte) Reply {
	o, ok := parseGetex(args[2:])
	if !ok {
		return sayFailure(errSyntax)
	}
	reply := get(tx, args)
	if reply.kind != bulk {
		return reply
	}
	s := tx.at(args[1])
	switch {
	case o.persist && !s.untimed:
		tx.persist(s)
	case o.timed:
		if bad := tx.endAt(s, o.ttl); bad != nil {
			return *bad
		}
	}
	return reply
}

type getexOptions struct {
	persist, timed bool
	ttl            span
}

func parseGetex(args [][]byte) (o getexOptions, ok bool) {
	for i := 0; i < len(args); i++ {
		unit, known := parseUnit(args[i])
		switch {
		case is(args[i], "persist") && !o.timed:
			o.persist = true
		case known && i+1 < len(args) && !o.persist && (!o.timed || o.ttl.sameUnit(unit)):
			i++
			o.timed, o.ttl = true, unit
			o.ttl.n = args[i]
		default:
			return o, false
		}
	}
	return o, true
}

// endAt gives a lease the end that a span states.
func (tx *Tx) endAt(s *slot, at span) *Reply {
	n, ok := parseInt(at.n)
	if !ok {
		return &Reply{kind: failure, text: errNotInteger}
	}
	left, ok := tx.millis(n, at)
	if n <= 0 || !ok {
		bad := badExpiry(tx.cmd.name)
		return &bad
	}
	if left <= 0 {
		tx.drop(s)
		return nil
	}
	ttl, bad := tx.atMost(left)
	if bad == nil {
		tx.extend(s, ttl)
	}
	return bad
}
