package commands

import (
	"bytes"
	"math"
	"slices"
)

const (
	errNoKey     = "ERR no such key"
	errNoElement = "ERR index out of range"
)

// list returns the elements of a lock's list, none if it is free.
func (tx *Tx) list(key []byte) (s *slot, items []item, ok bool) {
	s = tx.at(key)
	items, ok = tx.open(s, listShape)
	return s, items, ok
}

func lpush(tx *Tx, args [][]byte) Reply { return tx.push(args, true, false) }
func rpush(tx *Tx, args [][]byte) Reply { return tx.push(args, false, false) }

// lpushx and rpushx push only to a list that is there.
func lpushx(tx *Tx, args [][]byte) Reply { return tx.push(args, true, true) }
func rpushx(tx *Tx, args [][]byte) Reply { return tx.push(args, false, true) }

func (tx *Tx) push(args [][]byte, left, onlyIfHeld bool) Reply {
	s, items, ok := tx.list(args[1])
	switch {
	case !ok:
		return sayFailure(errWrongType)
	case onlyIfHeld && !s.held:
		return sayInt(0)
	}
	pushed := make([]item, 0, len(items)+len(args)-2)
	if !left {
		pushed = append(pushed, items...)
	}
	for _, element := range args[2:] {
		pushed = append(pushed, item{key: element})
	}
	event := "rpush"
	if left {
		event = "lpush"
		slices.Reverse(pushed) // the last one pushed is the first
		pushed = append(pushed, items...)
	}
	if bad := tx.keep(s, listShape, pushed, event); bad != nil {
		return *bad
	}
	return sayInt(int64(len(pushed)))
}

func lpop(tx *Tx, args [][]byte) Reply { return tx.pop(args, true) }
func rpop(tx *Tx, args [][]byte) Reply { return tx.pop(args, false) }

// pop takes one element, or an array of as many as are asked for, off one end.
func (tx *Tx) pop(args [][]byte, left bool) Reply {
	if len(args) > 3 {
		return badArity(tx.cmd.name)
	}
	count, counted, ok := takes(args)
	if !ok {
		return sayFailure(errNotPositive)
	}
	s, items, ok := tx.list(args[1])
	switch {
	case !ok:
		return sayFailure(errWrongType)
	case !s.held && counted:
		return Reply{kind: nullArray}
	case !s.held:
		return Reply{}
	case count == 0:
		return sayArray()
	}
	taken, bad := tx.take(s, items, int(min(count, int64(len(items)))), left)
	switch {
	case bad != nil:
		return *bad
	case !counted:
		return sayBytes(taken[0].key)
	}
	return sayKeys(taken)
}

// take takes so many elements off one end of a list, the outermost first.
func (tx *Tx) take(s *slot, items []item, n int, left bool) (taken []item, bad *Reply) {
	if left {
		return items[:n], tx.keep(s, listShape, items[n:], "lpop")
	}
	at := len(items) - n
	taken = slices.Clone(items[at:])
	slices.Reverse(taken)
	return taken, tx.keep(s, listShape, items[:at:at], "rpop")
}

func llen(tx *Tx, args [][]byte) Reply { return tx.countItems(args[1], listShape) }

// parseRange reads the indexes of the first and the last of a range.
func parseRange(start, end []byte) (from, to int64, ok bool) {
	from, ok1 := parseInt(start)
	to, ok2 := parseInt(end)
	return from, to, ok1 && ok2
}

// within returns where the items of a range begin and end, of so many: 0, 0 for none.
func within(from, to int64, of int) (first, end int) {
	length := int64(of)
	from, to = fromEnd(from, length), min(fromBehind(to, length), length-1)
	if from > to || from >= length {
		return 0, 0
	}
	return int(from), int(to) + 1
}

// fromBehind is fromEnd for the last of a range, which may be before all.
func fromBehind(i, length int64) int64 {
	if i < 0 {
		i += length
	}
	return i
}

func lrange(tx *Tx, args [][]byte) Reply {
	from, to, ok := parseRange(args[2], args[3])
	if !ok {
		return sayFailure(errNotInteger)
	}
	_, items, ok := tx.list(args[1])
	if !ok {
		return sayFailure(errWrongType)
	}
	first, end := within(from, to, len(items))
	return sayKeys(items[first:end])
}

func ltrim(tx *Tx, args [][]byte) Reply {
	from, to, ok := parseRange(args[2], args[3])
	if !ok {
		return sayFailure(errNotInteger)
	}
	s, items, ok := tx.list(args[1])
	if !ok {
		return sayFailure(errWrongType)
	}
	first, end := within(from, to, len(items))
	if end-first < len(items) {
		if bad := tx.keep(s, listShape, items[first:end:end], "ltrim"); bad != nil {
			return *bad
		}
	}
	return sayOK()
}

func lindex(tx *Tx, args [][]byte) Reply {
	s, items, ok := tx.list(args[1])
	switch {
	case !ok:
		return sayFailure(errWrongType)
	case !s.held:
		return Reply{}
	}
	n, ok := parseInt(args[2])
	if !ok {
		return sayFailure(errNotInteger)
	}
	if n = fromBehind(n, int64(len(items))); n < 0 || n >= int64(len(items)) {
		return Reply{}
	}
	return sayBytes(items[n].key)
}

func lset(tx *Tx, args [][]byte) Reply {
	s, items, ok := tx.list(args[1])
	switch {
	case !ok:
		return sayFailure(errWrongType)
	case !s.held:
		return sayFailure(errNoKey)
	}
	n, ok := parseInt(args[2])
	if !ok {
		return sayFailure(errNotInteger)
	}
	if n = fromBehind(n, int64(len(items))); n < 0 || n >= int64(len(items)) {
		return sayFailure(errNoElement)
	}
	items = slices.Clone(items)
	items[n].key = args[3]
	if bad := tx.keep(s, listShape, items, "lset"); bad != nil {
		return *bad
	}
	return sayOK()
}

// lrem removes the first elements that equal one, or the last if the count is
// negative, or all if it is 0.
func lrem(tx *Tx, args [][]byte) Reply {
	count, ok := parseInt(args[2])
	switch {
	case !ok:
		return sayFailure(errNotInteger)
	case count == math.MinInt64:
		return sayFailure(errOutOfRange(-math.MaxInt64, math.MaxInt64))
	}
	s, items, ok := tx.list(args[1])
	if !ok {
		return sayFailure(errWrongType)
	}
	most, backwards := count, count < 0
	switch {
	case count == 0:
		most = math.MaxInt64
	case backwards:
		most = -count
	}
	left := slices.Clone(items)
	if backwards {
		slices.Reverse(left)
	}
	removed := int64(0)
	left = slices.DeleteFunc(left, func(it item) bool {
		gone := removed < most && bytes.Equal(it.key, args[3])
		if gone {
			removed++
		}
		return gone
	})
	if backwards {
		slices.Reverse(left)
	}
	if removed > 0 {
		if bad := tx.keep(s, listShape, left, "lrem"); bad != nil {
			return *bad
		}
	}
	return sayInt(removed)
}
