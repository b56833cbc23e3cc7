package commands

import (
	"fmt"
	"strings"

	"holdfast/quorum"
)

// Keyspace notifications: what happens to leases of this proxy, as messages. They
// tell what came of a change: a script or a transaction that sets a lock twice has
// set it once, and of two changes by one command (SET with a TTL) both are told.

// notifyClasses are the kinds of notifications that Redis knows, by the letter
// that CONFIG SET notify-keyspace-events has for each, in the order in which
// CONFIG GET has them.
const notifyClasses = notifyAll + "nKEm"

// notifyAll is what A stands for.
const notifyAll = "g$lshzxetd"

func notifyBit(letter byte) uint32 {
	if at := strings.IndexByte(notifyClasses, letter); at >= 0 {
		return 1 << at
	}
	return 0
}

// parseNotify reads the letters of CONFIG SET notify-keyspace-events.
func parseNotify(letters string) (events uint32, ok bool) {
	for i := range len(letters) {
		bit := notifyBit(letters[i])
		if letters[i] == 'A' {
			bit, _ = parseNotify(notifyAll)
		}
		if bit == 0 {
			return 0, false
		}
		events |= bit
	}
	return events, true
}

// describeNotify is the other way round.
func describeNotify(events uint32) string {
	var b strings.Builder
	rest := notifyClasses
	if all, _ := parseNotify(notifyAll); events&all == all {
		b.WriteByte('A')
		rest = strings.TrimPrefix(notifyClasses, notifyAll+"n") // Redis leaves n out there
	}
	for i := range len(rest) {
		if events&notifyBit(rest[i]) != 0 {
			b.WriteByte(rest[i])
		}
	}
	return b.String()
}

// setNotify is CONFIG SET notify-keyspace-events.
func (t *tracker) setNotify(letters string) (bad string) {
	events, ok := parseNotify(letters)
	if !ok {
		return "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."
	}
	t.listening.Lock()
	defer t.listening.Unlock()
	before := t.events.Load()
	if before == 0 && events != 0 {
		t.listenLocked(1)
	}
	t.events.Store(events)
	if before != 0 && events == 0 {
		t.listenLocked(-1)
	}
	return ""
}

// An occurrence is one notification: what happened, and of which class that is.
type occurrence struct {
	class byte
	event string
}

// occurrences returns what has happened to a lock, as Redis would word it.
func occurrences(n quorum.News) (all []occurrence) {
	prev, lease := n.Prev, n.Lease
	switch {
	case n.Why == quorum.ByExpiry:
		return []occurrence{{'x', "expired"}}
	case lease == nil:
		return []occurrence{{'g', "del"}}
	}
	if prev == nil || prev.Fence != lease.Fence || string(prev.Value) != string(lease.Value) {
		all = append(all, put(leaseShape(lease)))
		if prev != nil && prev.Fence == lease.Fence {
			return all // its time goes on, or is the holder's to say
		}
	}
	switch {
	case !lease.Untimed:
		all = append(all, occurrence{'g', "expire"})
	case prev != nil && !prev.Untimed && len(all) == 0:
		all = append(all, occurrence{'g', "persist"})
	case len(all) == 0:
		all = append(all, put(leaseShape(lease)))
	}
	return all
}

// put is that a lock has got a value.
func put(s shape) occurrence {
	switch s {
	case hashShape:
		return occurrence{'h', "hset"}
	case zsetShape:
		return occurrence{'z', "zadd"}
	case listShape:
		return occurrence{'l', "lpush"}
	case setShape:
		return occurrence{'s', "sadd"}
	}
	return occurrence{'$', "set"}
}

// notify publishes what has happened, to whoever subscribes.
func (t *tracker) notify(n quorum.News) {
	events := t.events.Load()
	if events == 0 || t.engine.hub.total.Load() == 0 {
		return
	}
	db, key := split(n.Name)
	for _, o := range occurrences(n) {
		if events&notifyBit(o.class) == 0 {
			continue
		}
		if events&notifyBit('K') != 0 {
			t.engine.Publish(fmt.Sprintf("__keyspace@%d__:%s", db, key), []byte(o.event))
		}
		if events&notifyBit('E') != 0 {
			t.engine.Publish(fmt.Sprintf("__keyevent@%d__:%s", db, o.event), []byte(key))
		}
	}
}

// split returns the database that a lock is of, and what its clients call it.
func split(name string) (db int, key string) {
	if !strings.HasPrefix(name, reserved) {
		return 0, name
	}
	for db := 1; db < databases; db++ {
		if key, ok := keyIn(db, name); ok {
			return db, key
		}
	}
	return 0, name
}
