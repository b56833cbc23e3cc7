package commands

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// members returns the members of a lock's set, none if it is free.
func (tx *Tx) members(key []byte) (s *slot, items []item, ok bool) {
	s = tx.at(key)
	items, ok = tx.open(s, setShape)
	return s, items, ok
}

func sadd(tx *Tx, args [][]byte) Reply {
	s, items, ok := tx.members(args[1])
	if !ok {
		return sayFailure(errWrongType)
	}
	f := find(slices.Clone(items), len(args)-2)
	for _, member := range args[2:] {
		if f.of(member) < 0 {
			f.add(item{key: member})
		}
	}
	added := len(f.items) - len(items)
	if added > 0 {
		slices.SortFunc(f.items, byKey)
		if bad := tx.keep(s, setShape, f.items, "sadd"); bad != nil {
			return *bad
		}
	}
	return sayInt(int64(added))
}

func srem(tx *Tx, args [][]byte) Reply  { return tx.remove(args, setShape) }
func scard(tx *Tx, args [][]byte) Reply { return tx.countItems(args[1], setShape) }

func sismember(tx *Tx, args [][]byte) Reply {
	reply := smismember(tx, args)
	if reply.kind == failure {
		return reply
	}
	return reply.items[0]
}

func smismember(tx *Tx, args [][]byte) Reply {
	_, items, ok := tx.members(args[1])
	if !ok {
		return sayFailure(errWrongType)
	}
	f, found := find(items, len(args)-2), make([]Reply, len(args)-2)
	for i, member := range args[2:] {
		found[i] = sayInt(0)
		if f.of(member) >= 0 {
			found[i] = sayInt(1)
		}
	}
	return sayArray(found...)
}

// smembers returns small sets of integers in their order, as Redis does, and
// others by their bytes.
func smembers(tx *Tx, args [][]byte) Reply {
	_, items, ok := tx.members(args[1])
	if !ok {
		return sayFailure(errWrongType)
	}
	if areIntegers(items) {
		items = slices.SortedFunc(slices.Values(items), func(a, b item) int {
			m, _ := parseInt(a.key)
			n, _ := parseInt(b.key)
			return cmp.Compare(m, n)
		})
	}
	return saySet(sayKeys(items).items...)
}

// maxIntegers is how many integers a set has at most that Redis keeps in order.
const maxIntegers = 512

func areIntegers(items []item) bool {
	return len(items) <= maxIntegers && !slices.ContainsFunc(items, func(it item) bool {
		_, ok := parseInt(it.key)
		return !ok
	})
}

// spop takes members out that nobody chose.
func spop(tx *Tx, args [][]byte) Reply {
	if len(args) > 3 {
		return sayFailure(errSyntax)
	}
	count, counted, ok := takes(args)
	if !ok {
		return sayFailure(errNotPositive)
	}
	s, items, ok := tx.members(args[1])
	switch {
	case !ok:
		return sayFailure(errWrongType)
	case !s.held && !counted:
		return Reply{}
	case !s.held, count == 0:
		return saySet()
	}
	taken, left := choose(items, int(min(count, int64(len(items)))))
	if bad := tx.keep(s, setShape, left, "spop"); bad != nil {
		return *bad
	}
	if !counted {
		return sayBytes(taken[0].key)
	}
	return saySet(sayKeys(taken).items...)
}

// choose chooses n of the items by chance. Both parts stay in order.
func choose(items []item, n int) (chosen, others []item) {
	for i, it := range items {
		if rand.IntN(len(items)-i) < n-len(chosen) {
			chosen = append(chosen, it)
		} else {
			others = append(others, it)
		}
	}
	return chosen, others
}

// srandmember returns members that nobody chose: different ones or, if the count
// is negative, each of all of them.
func srandmember(tx *Tx, args [][]byte) Reply {
	if len(args) > 3 {
		return sayFailure(errSyntax)
	}
	count, counted := int64(1), len(args) == 3
	if counted {
		n, ok := parseInt(args[2])
		switch {
		case !ok:
			return sayFailure(errNotInteger)
		case n == math.MinInt64:
			return sayFailure(errOutOfRange(-math.MaxInt64, math.MaxInt64))
		}
		count = n
	}
	s, items, ok := tx.members(args[1])
	switch {
	case !ok:
		return sayFailure(errWrongType)
	case !s.held && !counted:
		return Reply{}
	case !s.held, count == 0:
		return sayArray()
	case count < 0:
		return repeated(items, -count)
	}
	chosen, _ := choose(items, int(min(count, int64(len(items)))))
	if !counted {
		return sayBytes(chosen[0].key)
	}
	return sayKeys(chosen)
}

// repeated returns n items chosen by chance, each of all of them.
func repeated(items []item, n int64) Reply {
	var found listing
	for range n {
		if !found.add(sayBytes(items[rand.IntN(len(items))].key)) {
			return sayFailure(errReply)
		}
	}
	return sayArray(found.items...)
}

func errOutOfRange(least, most int64) string {
	return fmt.Sprintf("ERR value is out of range, value must between %d and %d", least, most)
}
