package commands

import (
	"math/big"
	"slices"
	"strconv"
)

// hash returns the items of a lock's hash, none if it is free.
func (tx *Tx) hash(key []byte) (s *slot, items []item, ok bool) {
	s = tx.at(key)
	items, ok = tx.open(s, hashShape)
	return s, items, ok
}

// hset is HSET and HMSET.
func hset(tx *Tx, args [][]byte) Reply {
	if len(args)%2 == 1 {
		return badArity(tx.cmd.name)
	}
	s, items, ok := tx.hash(args[1])
	if !ok {
		return sayFailure(errWrongType)
	}
	f, added := find(slices.Clone(items), len(args)/2), 0
	for i := 2; i < len(args); i += 2 {
		if at := f.of(args[i]); at >= 0 {
			f.items[at].value = args[i+1]
			continue
		}
		f.add(item{key: args[i], value: args[i+1]})
		added++
	}
	if bad := tx.keep(s, hashShape, f.items, "hset"); bad != nil {
		return *bad
	}
	return sayInt(int64(added))
}

func hmset(tx *Tx, args [][]byte) Reply {
	if reply := hset(tx, args); reply.kind == failure {
		return reply
	}
	return sayOK()
}

func hsetnx(tx *Tx, args [][]byte) Reply {
	_, items, ok := tx.hash(args[1])
	switch {
	case !ok:
		return sayFailure(errWrongType)
	case find(items, 1).of(args[2]) >= 0:
		return sayInt(0)
	}
	return hset(tx, args)
}

func hdel(tx *Tx, args [][]byte) Reply { return tx.remove(args, hashShape) }

// remove takes items out by their keys, and counts them.
func (tx *Tx) remove(args [][]byte, of shape) Reply {
	s := tx.at(args[1])
	items, ok := tx.open(s, of)
	if !ok {
		return sayFailure(errWrongType)
	}
	left, removed := without(items, args[2:])
	if removed > 0 {
		if bad := tx.keep(s, of, left, tx.cmd.name); bad != nil {
			return *bad
		}
	}
	return sayInt(int64(removed))
}

// hashField returns a field's value, nil if there is none.
func (tx *Tx) hashField(args [][]byte) (s *slot, items []item, value []byte, at int, ok bool) {
	s, items, ok = tx.hash(args[1])
	if at = find(items, 1).of(args[2]); at >= 0 {
		value = items[at].value
	}
	return s, items, value, at, ok
}

func hget(tx *Tx, args [][]byte) Reply {
	_, _, value, at, ok := tx.hashField(args)
	switch {
	case !ok:
		return sayFailure(errWrongType)
	case at < 0:
		return Reply{}
	}
	return sayBytes(value)
}

func hexists(tx *Tx, args [][]byte) Reply {
	_, _, _, at, ok := tx.hashField(args)
	switch {
	case !ok:
		return sayFailure(errWrongType)
	case at < 0:
		return sayInt(0)
	}
	return sayInt(1)
}

func hstrlen(tx *Tx, args [][]byte) Reply {
	_, _, value, _, ok := tx.hashField(args)
	if !ok {
		return sayFailure(errWrongType)
	}
	return sayInt(int64(len(value)))
}

func hmget(tx *Tx, args [][]byte) Reply {
	_, items, ok := tx.hash(args[1])
	if !ok {
		return sayFailure(errWrongType)
	}
	f, values := find(items, len(args)-2), make([]Reply, len(args)-2)
	for i, field := range args[2:] {
		if at := f.of(field); at >= 0 {
			values[i] = sayBytes(items[at].value)
		}
	}
	return sayArray(values...)
}

func hgetall(tx *Tx, args [][]byte) Reply {
	_, items, ok := tx.hash(args[1])
	if !ok {
		return sayFailure(errWrongType)
	}
	found := make([]Reply, 0, 2*len(items))
	for _, it := range items {
		found = append(found, sayBytes(it.key), sayBytes(it.value))
	}
	return sayPairs(found...)
}

func hkeys(tx *Tx, args [][]byte) Reply { return tx.keysOf(args[1], hashShape) }

func hvals(tx *Tx, args [][]byte) Reply {
	_, items, ok := tx.hash(args[1])
	if !ok {
		return sayFailure(errWrongType)
	}
	values := make([]Reply, len(items))
	for i, it := range items {
		values[i] = sayBytes(it.value)
	}
	return sayArray(values...)
}

func hlen(tx *Tx, args [][]byte) Reply { return tx.countItems(args[1], hashShape) }

// countItems is HLEN and its kin.
func (tx *Tx) countItems(key []byte, of shape) Reply {
	items, ok := tx.open(tx.at(key), of)
	if !ok {
		return sayFailure(errWrongType)
	}
	return sayInt(int64(len(items)))
}

// keysOf returns what all items of a collection are called.
func (tx *Tx) keysOf(key []byte, of shape) Reply {
	items, ok := tx.open(tx.at(key), of)
	if !ok {
		return sayFailure(errWrongType)
	}
	return sayKeys(items)
}

func sayKeys(items []item) Reply {
	keys := make([]Reply, len(items))
	for i, it := range items {
		keys[i] = sayBytes(it.key)
	}
	return sayArray(keys...)
}

func hincrby(tx *Tx, args [][]byte) Reply {
	by, ok := parseInt(args[3])
	if !ok {
		return sayFailure(errNotInteger)
	}
	s, items, value, at, ok := tx.hashField(args)
	if !ok {
		return sayFailure(errWrongType)
	}
	now := int64(0)
	if at >= 0 {
		if now, ok = parseInt(value); !ok {
			return sayFailure("ERR hash value is not an integer")
		}
	}
	sum, ok := addInt(now, by)
	if !ok {
		return sayFailure(errOverflow)
	}
	if bad := tx.putField(s, items, at, args[2], strconv.AppendInt(nil, sum, 10)); bad != nil {
		return *bad
	}
	return sayInt(sum)
}

func hincrbyfloat(tx *Tx, args [][]byte) Reply {
	by, ok := parseLong(args[3])
	switch {
	case !ok:
		return sayFailure(errNotFloat)
	case by.IsInf():
		return sayFailure("ERR value is NaN or Infinity")
	}
	s, items, value, at, ok := tx.hashField(args)
	if !ok {
		return sayFailure(errWrongType)
	}
	now := new(big.Float)
	if at >= 0 {
		if now, ok = parseLong(value); !ok {
			return sayFailure("ERR hash value is not a float")
		}
	}
	sum, ok := addLong(now, by)
	if !ok {
		return sayFailure(errNotFinite)
	}
	if bad := tx.putField(s, items, at, args[2], []byte(sum)); bad != nil {
		return *bad
	}
	return sayText(sum)
}

// putField gives a field, which is at that place unless that is -1, a value.
func (tx *Tx) putField(s *slot, items []item, at int, field, value []byte) *Reply {
	items = slices.Clone(items)
	if at < 0 {
		items = append(items, item{key: field, value: value})
	} else {
		items[at].value = value
	}
	return tx.keep(s, hashShape, items, tx.cmd.name)
}

// takes reads how many items a pop is to take, its third argument: 1 if there is
// none, and then the reply is no array.
func takes(args [][]byte) (count int64, counted, ok bool) {
	if len(args) < 3 {
		return 1, false, true
	}
	count, ok = parseInt(args[2])
	return count, true, ok && count >= 0
}
