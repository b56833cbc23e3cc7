package commands

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// What looks at every lock of the session's database. It sees what is in the
// keeper's table; what others hold directly in the stores is not listed.

// matching returns whether a lock is of the session's database and matches a
// pattern.
func (s *Session) matching(pattern string) func(name string) bool {
	db := s.db
	return func(name string) bool {
		key, ok := keyIn(db, name)
		return ok && matches(pattern, key)
	}
}

// A listing is an array that is being made. It is given up where it becomes longer
// than a reply may be, and not when all of it is there.
type listing struct {
	items []Reply
	size  int
}

// add reports false if that is too much.
func (l *listing) add(item Reply) bool {
	l.items = append(l.items, item)
	l.size += item.size()
	return l.size <= maxReply
}

func keys(s *Session, args [][]byte) Reply {
	var names listing
	for _, l := range s.engine.keeper.Leases(s.matching(string(args[1])), 0) {
		key, _ := keyIn(s.db, l.Name)
		if !names.add(sayText(key)) {
			return sayFailure(errReply)
		}
	}
	return sayArray(names.items...)
}

func dbsize(s *Session, _ [][]byte) Reply {
	return sayInt(int64(s.engine.countLocks(s.matching(everything))))
}

func (e *Engine) countLocks(match func(name string) bool) int {
	n := 0
	e.keeper.Leases(func(name string) bool {
		if match(name) {
			n++
		}
		return false // only counted, never collected
	}, 0)
	return n
}

// scanPage is the least that one SCAN returns if there is more: each looks at
// all locks, so small pages would cost the square of their number.
const scanPage = 1000

// scanBytes ends a page of long names before that.
const scanBytes = 1 << 20

// scan is SCAN. Locks are visited in the order of a hash of their names, and the
// cursor is the hash to go on from, so that it needs no memory here and no lock
// that stays is missed or seen twice.
func scan(s *Session, args [][]byte) Reply {
	from, err := strconv.ParseUint(string(args[1]), 10, 64)
	if err != nil {
		return sayFailure("ERR invalid cursor")
	}
	o, bad := parseScan(args[2:])
	if bad != nil {
		return *bad
	}
	match := s.matching(o.pattern)
	found := s.engine.keeper.Leases(func(name string) bool {
		return position(name) >= from && match(name)
	}, 0)
	type entry struct {
		at  uint64
		key string
	}
	all := make([]entry, 0, len(found))
	for _, l := range found {
		if !o.typed || o.kind == shapes[leaseShape(l)].name {
			key, _ := keyIn(s.db, l.Name)
			all = append(all, entry{position(l.Name), key})
		}
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.at, b.at) })
	var page listing
	cursor := uint64(0)
	for i, e := range all {
		// Those with one hash are all of one page.
		if (i >= o.count || page.size > scanBytes) && e.at != all[i-1].at {
			cursor = e.at
			break
		}
		page.add(sayText(e.key))
	}
	return sayArray(sayText(strconv.FormatUint(cursor, 10)), sayArray(page.items...))
}

type scanning struct {
	pattern, kind string
	typed         bool // only of that kind
	count         int
}

func parseScan(args [][]byte) (o scanning, bad *Reply) {
	o.pattern, o.count = everything, scanPage
	for i := 0; i < len(args); i += 2 {
		switch {
		case i+1 < len(args) && is(args[i], "count"):
			n, ok := parseInt(args[i+1])
			if !ok {
				return o, &Reply{kind: failure, text: errNotInteger}
			}
			if n < 1 {
				return o, &Reply{kind: failure, text: errSyntax}
			}
			o.count = int(min(max(n, scanPage), 1<<31))
		case i+1 < len(args) && is(args[i], "match"):
			o.pattern = string(args[i+1])
		case i+1 < len(args) && is(args[i], "type"):
			o.typed, o.kind = true, strings.ToLower(string(args[i+1]))
		default:
			return o, &Reply{kind: failure, text: errSyntax}
		}
	}
	return o, nil
}

// position is where SCAN visits a name: FNV-1a, cut to 48 bits, since some
// clients read the cursor as a double; never 0, which is where a scan begins.
func position(name string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return max(h>>16, 1)
}
