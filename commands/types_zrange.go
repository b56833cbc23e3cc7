package commands

import (
	"bytes"
	"slices"
)

const (
	errNotBound    = "ERR min or max is not a float"
	errNotLexBound = "ERR min or max not valid string range item"
)

// A rangeKind is what the ends of a range of a sorted set are.
type rangeKind uint8

const (
	byRank rangeKind = iota
	byScores
	byLex // the members' bytes, where all scores are the same
)

// ranging is a ZRANGE, taken apart.
type ranging struct {
	kind       rangeKind
	reverse    bool
	withScores bool
	limited    bool
	skip, most int64 // if limited; a negative most is no limit
}

// parseRanging reads what follows ZRANGE, the key and the ends. Only ZRANGE itself
// may choose by options what its older kin do by their names: those are fixed.
func parseRanging(o ranging, args [][]byte, fixed bool) (ranging, string) {
	o.most = -1
	for i := 0; i < len(args); i++ {
		switch {
		case is(args[i], "withscores"):
			o.withScores = true
		case is(args[i], "limit") && i+2 < len(args):
			var ok bool
			if o.skip, o.most, ok = parseRange(args[i+1], args[i+2]); !ok {
				return o, errNotInteger
			}
			o.limited = true
			i += 2
		case !fixed && is(args[i], "rev") && !o.reverse:
			o.reverse = true
		case !fixed && is(args[i], "bylex") && o.kind == byRank:
			o.kind = byLex
		case !fixed && is(args[i], "byscore") && o.kind == byRank:
			o.kind = byScores
		default:
			return o, errSyntax
		}
	}
	switch {
	case o.limited && o.most != -1 && o.kind == byRank:
		return o, "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
	case o.withScores && o.kind == byLex:
		return o, "ERR syntax error, WITHSCORES not supported in combination with BYLEX"
	}
	return o, ""
}

func zrange(tx *Tx, args [][]byte) Reply { return tx.zrange(args, ranging{}, false) }

func zrevrange(tx *Tx, args [][]byte) Reply { return tx.zrange(args, ranging{reverse: true}, true) }

func zrangebyscore(tx *Tx, args [][]byte) Reply {
	return tx.zrange(args, ranging{kind: byScores}, true)
}

func zrevrangebyscore(tx *Tx, args [][]byte) Reply {
	return tx.zrange(args, ranging{kind: byScores, reverse: true}, true)
}

func (tx *Tx) zrange(args [][]byte, o ranging, fixed bool) Reply {
	o, wrong := parseRanging(o, args[4:], fixed)
	if wrong != "" {
		return sayFailure(wrong)
	}
	low, high := args[2], args[3]
	if o.reverse && o.kind != byRank {
		low, high = high, low // what is said first is where it begins
	}
	choose, wrong := o.chooser(low, high)
	if wrong != "" {
		return sayFailure(wrong)
	}
	_, items, ok := tx.ranked(args[1])
	if !ok {
		return sayFailure(errWrongType)
	}
	found := o.limit(choose(items))
	if o.withScores {
		return sayScored(found)
	}
	return sayKeys(found)
}

// chooser returns what chooses the items of a range, in its direction.
func (o ranging) chooser(low, high []byte) (choose func([]item) []item, wrong string) {
	switch o.kind {
	case byScores:
		in, ok := scoresBetween(low, high)
		if !ok {
			return nil, errNotBound
		}
		return func(items []item) []item { return o.directed(between(items, in)) }, ""
	case byLex:
		in, ok := lexBetween(low, high)
		if !ok {
			return nil, errNotLexBound
		}
		return func(items []item) []item { return o.lexRange(items, in) }, ""
	}
	from, to, ok := parseRange(low, high)
	if !ok {
		return nil, errNotInteger
	}
	return func(items []item) []item {
		items = o.directed(items)
		first, end := within(from, to, len(items))
		return items[first:end]
	}, ""
}

// directed returns items in the direction of a range.
func (o ranging) directed(items []item) []item {
	if o.reverse {
		items = slices.Clone(items)
		slices.Reverse(items)
	}
	return items
}

func (o ranging) limit(items []item) []item {
	if !o.limited {
		return items
	}
	if o.skip < 0 || o.skip >= int64(len(items)) {
		return nil
	}
	items = items[o.skip:]
	if o.most >= 0 && o.most < int64(len(items)) {
		items = items[:o.most]
	}
	return items
}

// A side says of an item whether it lies in a range, before it (-1) or behind.
type side func(item) int

func between(items []item, in side) []item {
	first := slices.IndexFunc(items, func(it item) bool { return in(it) == 0 })
	if first < 0 {
		return nil
	}
	end := first
	for end < len(items) && in(items[end]) == 0 {
		end++
	}
	return items[first:end]
}

func scoresBetween(low, high []byte) (side, bool) {
	from, ok1 := parseBound(low)
	to, ok2 := parseBound(high)
	return func(it item) int {
		switch {
		case it.score < from.score, it.score == from.score && from.exclusive:
			return -1
		case it.score > to.score, it.score == to.score && to.exclusive:
			return 1
		}
		return 0
	}, ok1 && ok2
}

// A lexBound is one end of a range of members.
type lexBound struct {
	infinite  int // -1 before all, 1 behind all
	member    []byte
	exclusive bool
}

func parseLexBound(b []byte) (at lexBound, ok bool) {
	switch {
	case len(b) == 1 && b[0] == '-':
		return lexBound{infinite: -1}, true
	case len(b) == 1 && b[0] == '+':
		return lexBound{infinite: 1}, true
	case len(b) > 0 && (b[0] == '[' || b[0] == '('):
		return lexBound{member: b[1:], exclusive: b[0] == '('}, true
	}
	return at, false
}

// of compares a member with the bound.
func (at lexBound) of(member []byte) int {
	if at.infinite != 0 {
		return -at.infinite
	}
	return bytes.Compare(member, at.member)
}

func lexBetween(low, high []byte) (side, bool) {
	from, ok1 := parseLexBound(low)
	to, ok2 := parseLexBound(high)
	return func(it item) int {
		if c := from.of(it.key); c < 0 || c == 0 && from.exclusive {
			return -1
		}
		if c := to.of(it.key); c > 0 || c == 0 && to.exclusive {
			return 1
		}
		return 0
	}, ok1 && ok2
}

// lexRange returns the members of a range, from where the first that may be in it
// stands. Where scores differ this is what Redis returns, for what it is worth.
func (o ranging) lexRange(items []item, in side) []item {
	outside := -1
	if o.reverse {
		outside = 1
	}
	items = o.directed(items)
	first := slices.IndexFunc(items, func(it item) bool { return in(it) != outside })
	if first < 0 {
		return nil
	}
	end := first
	for end < len(items) && in(items[end]) == 0 {
		end++
	}
	return items[first:end]
}

func zcount(tx *Tx, args [][]byte) Reply {
	in, ok := scoresBetween(args[2], args[3])
	if !ok {
		return sayFailure(errNotBound)
	}
	_, items, ok := tx.ranked(args[1])
	if !ok {
		return sayFailure(errWrongType)
	}
	return sayInt(int64(len(between(items, in))))
}

func zremrangebyscore(tx *Tx, args [][]byte) Reply {
	return tx.zremrange(args, ranging{kind: byScores})
}

func zremrangebyrank(tx *Tx, args [][]byte) Reply { return tx.zremrange(args, ranging{}) }

// zremrange takes the members of a range out, and counts them.
func (tx *Tx) zremrange(args [][]byte, o ranging) Reply {
	choose, wrong := o.chooser(args[2], args[3])
	if wrong != "" {
		return sayFailure(wrong)
	}
	s, items, ok := tx.ranked(args[1])
	if !ok {
		return sayFailure(errWrongType)
	}
	out := choose(items) // a part of items, in one piece
	if len(out) > 0 {
		first := slices.IndexFunc(items, func(it item) bool { return byScore(it, out[0]) == 0 })
		left := slices.Concat(items[:first], items[first+len(out):])
		if bad := tx.keep(s, zsetShape, left, tx.cmd.name); bad != nil {
			return *bad
		}
	}
	return sayInt(int64(len(out)))
}

// sayScored returns members with their scores.
func sayScored(items []item) Reply {
	found := make([]Reply, 0, 2*len(items))
	for _, it := range items {
		found = append(found, sayBytes(it.key), sayScore(it.score))
	}
	return Reply{kind: scored, items: found}
}
