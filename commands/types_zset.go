package commands

import (
	"math"
	"slices"
)

// ranked returns the members of a lock's sorted set by score, none if it is free.
func (tx *Tx) ranked(key []byte) (s *slot, items []item, ok bool) {
	s = tx.at(key)
	items, ok = tx.open(s, zsetShape)
	return s, items, ok
}

func sayScore(score float64) Reply { return Reply{kind: double, float: score} }

// scoring is a ZADD, taken apart.
type scoring struct {
	nx, xx, gt, lt bool
	changed        bool // count what was changed, and not only what was added
	incr           bool
	pairs          [][]byte // score, member, ...
	scores         []float64
}

// parseScoring reads what follows ZADD and the key.
func parseScoring(args [][]byte, incr bool) (o scoring, bad string) {
	o.incr = incr
	for o.option(args) {
		args = args[1:]
	}
	o.pairs = args
	switch {
	case len(args) == 0 || len(args)%2 == 1:
		return o, errSyntax
	case o.nx && o.xx:
		return o, "ERR XX and NX options at the same time are not compatible"
	case o.gt && o.nx, o.lt && o.nx, o.gt && o.lt:
		return o, "ERR GT, LT, and/or NX options at the same time are not compatible"
	case o.incr && len(args) > 2:
		return o, "ERR INCR option supports a single increment-element pair"
	}
	for i := 0; i < len(args); i += 2 {
		score, ok := parseFloat(args[i])
		if !ok {
			return o, errNotFloat
		}
		o.scores = append(o.scores, score)
	}
	return o, ""
}

// option takes up the first of args, if it is an option.
func (o *scoring) option(args [][]byte) bool {
	if len(args) == 0 {
		return false
	}
	switch {
	case is(args[0], "nx"):
		o.nx = true
	case is(args[0], "xx"):
		o.xx = true
	case is(args[0], "gt"):
		o.gt = true
	case is(args[0], "lt"):
		o.lt = true
	case is(args[0], "ch"):
		o.changed = true
	case is(args[0], "incr"):
		o.incr = true
	default:
		return false
	}
	return true
}

// zaddReads reports whether a ZADD must know of what others hold directly in the
// stores: one that adds no member acts on what is there.
func zaddReads(args [][]byte) bool {
	for _, arg := range args[min(2, len(args)):] {
		if is(arg, "xx") {
			return true
		}
	}
	return false
}

func zadd(tx *Tx, args [][]byte) Reply    { return tx.zadd(args, false) }
func zincrby(tx *Tx, args [][]byte) Reply { return tx.zadd(args, true) }

func (tx *Tx) zadd(args [][]byte, incr bool) Reply {
	o, wrong := parseScoring(args[2:], incr)
	if wrong != "" {
		return sayFailure(wrong)
	}
	s, items, ok := tx.ranked(args[1])
	if !ok {
		return sayFailure(errWrongType)
	}
	f := find(slices.Clone(items), len(o.scores))
	added, updated, last := 0, 0, Reply{}
	for i, score := range o.scores {
		at := f.of(o.pairs[2*i+1])
		if at < 0 {
			if !o.xx {
				f.add(item{key: o.pairs[2*i+1], score: plain(score)})
				added, last = added+1, sayScore(score)
			}
			continue
		}
		now := f.items[at].score
		if o.incr {
			score += now
		}
		switch {
		case o.nx:
			continue
		case math.IsNaN(score):
			return sayFailure("ERR resulting score is not a number (NaN)")
		case o.lt && score >= now, o.gt && score <= now:
			continue
		case score != now:
			f.items[at].score = plain(score)
			updated++
		}
		last = sayScore(score)
	}
	if added+updated > 0 {
		slices.SortFunc(f.items, byScore)
		event := "zadd"
		if o.incr {
			event = "zincr"
		}
		if bad := tx.keep(s, zsetShape, f.items, event); bad != nil {
			return *bad
		}
	}
	switch {
	case o.incr:
		return last
	case o.changed:
		return sayInt(int64(added + updated))
	}
	return sayInt(int64(added))
}

// plain makes 0 of -0, which compares the same: one value has one encoding.
func plain(score float64) float64 { return score + 0 }

func zrem(tx *Tx, args [][]byte) Reply  { return tx.remove(args, zsetShape) }
func zcard(tx *Tx, args [][]byte) Reply { return tx.countItems(args[1], zsetShape) }

func zscore(tx *Tx, args [][]byte) Reply {
	reply := zmscore(tx, args)
	if reply.kind == failure {
		return reply
	}
	return reply.items[0]
}

func zmscore(tx *Tx, args [][]byte) Reply {
	_, items, ok := tx.ranked(args[1])
	if !ok {
		return sayFailure(errWrongType)
	}
	f, scores := find(items, len(args)-2), make([]Reply, len(args)-2)
	for i, member := range args[2:] {
		if at := f.of(member); at >= 0 {
			scores[i] = sayScore(items[at].score)
		}
	}
	return sayArray(scores...)
}

func zrank(tx *Tx, args [][]byte) Reply    { return tx.rank(args, false) }
func zrevrank(tx *Tx, args [][]byte) Reply { return tx.rank(args, true) }

func (tx *Tx) rank(args [][]byte, reverse bool) Reply {
	_, items, ok := tx.ranked(args[1])
	if !ok {
		return sayFailure(errWrongType)
	}
	at := find(items, 1).of(args[2])
	switch {
	case at < 0:
		return Reply{}
	case reverse:
		at = len(items) - 1 - at
	}
	return sayInt(int64(at))
}

func zpopmin(tx *Tx, args [][]byte) Reply { return tx.zpop(args, false) }
func zpopmax(tx *Tx, args [][]byte) Reply { return tx.zpop(args, true) }

// zpop takes members with the least or the highest scores out.
func (tx *Tx) zpop(args [][]byte, highest bool) Reply {
	if len(args) > 3 {
		return sayFailure(errSyntax)
	}
	count, counted, ok := takes(args)
	if !ok {
		return sayFailure(errNotPositive)
	}
	s, items, ok := tx.ranked(args[1])
	switch {
	case !ok:
		return sayFailure(errWrongType)
	case !s.held, count == 0:
		return sayArray()
	}
	n := int(min(count, int64(len(items))))
	taken, left := items[:n], items[n:]
	if highest {
		left, taken = items[:len(items)-n:len(items)-n], slices.Clone(items[len(items)-n:])
		slices.Reverse(taken)
	}
	if bad := tx.keep(s, zsetShape, left, tx.cmd.name); bad != nil {
		return *bad
	}
	if !counted {
		return sayArray(sayBytes(taken[0].key), sayScore(taken[0].score))
	}
	return sayScored(taken)
}
