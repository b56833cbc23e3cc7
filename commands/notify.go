package commands

import (
	"fmt"
	"strings"

	"holdfast/quorum"
)

// Keyspace notifications: what happens to leases, as messages. Of a change through this
// proxy they tell what its commands did, once it is through. Of one that a peer made they
// tell what came of it, if it is noticed: it ended or replaced a lease of ours.

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

// notify publishes what has happened, to whoever subscribes: with the first news of a
// change all that its commands did, as they did it.
func (t *tracker) notify(n quorum.News) {
	if t.events.Load() == 0 || t.engine.hub.total.Load() == 0 {
		return
	}
	c := t.chronicleOf(n.Op)
	if c == nil {
		for _, o := range occurrences(n) {
			t.announce(n.Name, o)
		}
		return
	}
	if !c.told {
		c.told = true
		for _, d := range c.deeds {
			t.announce(d.name, d.occurrence)
		}
	}
	if n.Lease == nil && !c.freed(n.Name) {
		t.announce(n.Name, expiration) // it was given so little time that it is over already
	}
}

// announce publishes a notification, if those of its class are sent.
func (t *tracker) announce(name string, o occurrence) {
	events := t.events.Load()
	if events&notifyBit(o.class) == 0 {
		return
	}
	db, key := split(name)
	if events&notifyBit('K') != 0 {
		t.engine.Publish(fmt.Sprintf("__keyspace@%d__:%s", db, key), []byte(o.event))
	}
	if events&notifyBit('E') != 0 {
		t.engine.Publish(fmt.Sprintf("__keyevent@%d__:%s", db, o.event), []byte(key))
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
