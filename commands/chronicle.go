package commands

import (
	"bytes"
	"slices"

	"holdfast/quorum"
)

// An occurrence is one keyspace notification: what happened, and of which class that is.
type occurrence struct {
	class byte
	event string
}

// A deed is what a command has done to a lock.
type deed struct {
	name string // of the lock
	occurrence
}

// A chronicle is what the commands of one change have done, in their order and in Redis's
// words. It is kept only while notifications are sent.
type chronicle struct {
	deeds   []deed
	tooMany bool // some are not in it
	told    bool // only who tells knows, one after the other
}

// maxDeeds is how many are kept of one change. Of one with more, what came of it is told.
const maxDeeds = 1024

// note writes down what the command under way has done to a lock.
func (tx *Tx) note(s *slot, class byte, event string) {
	if !tx.chronicled {
		return
	}
	if tx.chronicle == nil {
		tx.chronicle = new(chronicle)
	}
	c := tx.chronicle
	if len(c.deeds) == maxDeeds {
		c.tooMany = true
		return
	}
	c.deeds = append(c.deeds, deed{s.name, occurrence{class, event}})
}

// count is how many deeds there are. A nil chronicle has none.
func (c *chronicle) count() int {
	if c == nil {
		return 0
	}
	return len(c.deeds)
}

// cut leaves only the first n deeds: what came behind them is undone.
func (c *chronicle) cut(n int) {
	if c != nil {
		c.deeds = c.deeds[:n]
	}
}

// freed reports whether the last that was done to a lock was to free it.
func (c *chronicle) freed(name string) bool {
	for _, d := range slices.Backward(c.deeds) {
		if d.name == name {
			return d.occurrence == deletion
		}
	}
	return false
}

var (
	creation   = occurrence{'n', "new"}
	deletion   = occurrence{'g', "del"}
	expiration = occurrence{'x', "expired"}
)

// chronicleOf returns what the commands of an op have done, nil if that is not known: it
// is a peer's, or its client is gone.
func (t *tracker) chronicleOf(op *quorum.Op) *chronicle {
	if op == nil {
		return nil
	}
	s := t.engine.session(op.By)
	if s == nil {
		return nil
	}
	c := s.began(op)
	if c == nil || c.tx.chronicle == nil || c.tx.chronicle.tooMany {
		return nil
	}
	return c.tx.chronicle
}

// occurrences returns what may have happened to a lock, by what it had and has: for want
// of a chronicle.
func occurrences(n quorum.News) (all []occurrence) {
	prev, lease := n.Prev, n.Lease
	switch {
	case n.Why == quorum.ByExpiry:
		return []occurrence{expiration}
	case lease == nil:
		return []occurrence{deletion}
	}
	if prev == nil {
		all = append(all, creation)
	}
	goesOn := prev != nil && prev.Fence == lease.Fence
	if !goesOn || !bytes.Equal(prev.Value, lease.Value) {
		all = append(all, difference(prev, lease, goesOn))
		if goesOn {
			return all // its time goes on too, or is the holder's to say
		}
	}
	switch {
	case !lease.Untimed:
		all = append(all, occurrence{'g', "expire"})
	case prev != nil && !prev.Untimed && len(all) == 0:
		all = append(all, occurrence{'g', "persist"})
	case len(all) == 0:
		all = append(all, difference(prev, lease, goesOn))
	}
	return all
}

// difference is what makes one value of the other, which may be none. Where several
// commands could have, it is the one that is used most.
func difference(prev, lease *quorum.Lease, goesOn bool) occurrence {
	of := leaseShape(lease)
	var before, now []item
	if prev != nil && of >= hashShape && leaseShape(prev) == of {
		before, _ = decodeItems(of, prev.Value)
		now, _ = decodeItems(of, lease.Value)
	}
	fewer := len(now) < len(before)
	switch of {
	case hashShape:
		return either(fewer, occurrence{'h', "hdel"}, occurrence{'h', "hset"})
	case zsetShape:
		return either(fewer, occurrence{'z', "zrem"}, occurrence{'z', "zadd"})
	case setShape:
		return either(fewer, occurrence{'s', "srem"}, occurrence{'s', "sadd"})
	case listShape:
		return occurrence{'l', listDifference(before, now)}
	}
	if goesOn {
		return occurrence{'$', textDifference(prev, lease)}
	}
	return occurrence{'$', "set"}
}

func either(is bool, a, b occurrence) occurrence {
	if is {
		return a
	}
	return b
}

// listDifference tells which end of a list has grown or shrunk.
func listDifference(before, now []item) string {
	same := func(a, b item) bool { return bytes.Equal(a.key, b.key) }
	grown, shrunk := len(now)-len(before), len(before)-len(now)
	switch {
	case len(before) == 0:
		return "rpush" // whichever it was, one element or several
	case grown > 0 && slices.EqualFunc(now[:len(before)], before, same):
		return "rpush"
	case grown > 0:
		return "lpush"
	case grown == 0:
		return "lset"
	case slices.EqualFunc(before[shrunk:], now, same):
		return "lpop"
	case slices.EqualFunc(before[:len(now)], now, same):
		return "rpop"
	}
	return "lrem"
}

// textDifference tells what has changed a string in its place.
func textDifference(prev, lease *quorum.Lease) string {
	before, _ := textOf(prev)
	now, _ := textOf(lease)
	switch {
	case isInteger(before) && isInteger(now):
		return "incrby"
	case bytes.HasPrefix(now, before):
		return "append"
	}
	return "setrange"
}
