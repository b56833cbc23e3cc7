package commands

import (
	"math"
	"time"

	"holdfast/quorum"
)

// Commands of our own: what SET and scripts do for those who know Redis, with
// the fencing token for those who know us.

// lock is LOCK name token PX ms: [token, fence, validity ms], or null if the
// lock is held. A token that holds it already does not get it again: two tries
// of one client are two clients as far as anyone can tell.
func lock(tx *Tx, args [][]byte) Reply {
	ttl, bad := tx.lockTTL(args[3:])
	if bad != nil {
		return *bad
	}
	if bad := tooLong(args[2]); bad != nil {
		return *bad
	}
	s := tx.at(args[1])
	tx.refused, tx.final = Reply{kind: nullArray}, true
	if s.held {
		tx.denied = true
		return tx.refused
	}
	tx.put(s, args[2], ttl, false)
	tx.note(s, 'g', "expire")
	return sayGrant(s.name, args[2])
}

// extend is EXTEND name token PX ms: as from LOCK, with the fencing token that
// the lease had from the start, or null if token does not hold it (any more).
func extend(tx *Tx, args [][]byte) Reply {
	ttl, bad := tx.lockTTL(args[3:])
	if bad != nil {
		return *bad
	}
	s := tx.at(args[1])
	tx.refused = Reply{kind: nullArray}
	if !s.holds(args[2]) {
		return tx.refused
	}
	tx.extend(s, ttl)
	return sayGrant(s.name, args[2])
}

// lockTTL reads the PX ms or EX seconds that LOCK and EXTEND must have.
func (tx *Tx) lockTTL(args [][]byte) (ttl time.Duration, bad *Reply) {
	if len(args) != 2 || !(is(args[0], "px") || is(args[0], "ex")) {
		return 0, &Reply{kind: failure, text: errSyntax}
	}
	unit, _ := parseUnit(args[0])
	unit.n = args[1]
	return tx.lifetime(unit)
}

// unlock is UNLOCK name token: 1 if token held the lock, else 0.
func unlock(tx *Tx, args [][]byte) Reply {
	s := tx.at(args[1])
	if !s.holds(args[2]) {
		return sayInt(0)
	}
	tx.drop(s)
	return sayInt(1)
}

// lockinfo is LOCKINFO name: everything that is known of a lock, or null.
func lockinfo(tx *Tx, args [][]byte) Reply {
	s := tx.at(args[1])
	if s.prev == nil {
		return Reply{kind: nullArray}
	}
	return describe(s.prev, s.key, tx.view.Now)
}

// describe is a lease, for people.
func describe(l *quorum.Lease, key string, now quorum.Time) Reply {
	left := l.Left(now).Milliseconds()
	token, state := Reply{}, "held"
	if text, ok := textOf(l); ok {
		token = sayBytes(text)
	}
	switch {
	case l.Opaque:
		state = "opaque"
	case l.Foreign:
		state = "foreign"
	}
	return sayPairs(
		sayText("name"), sayText(key),
		sayText("token"), token,
		sayText("state"), sayText(state),
		sayText("fence"), sayInt(int64(l.Fence)),
		sayText("version"), sayInt(int64(l.Version)),
		sayText("ttl"), sayInt((left+500)/1000),
		sayText("pttl"), sayInt(left),
		sayText("untimed"), sayBool(l.Untimed),
	)
}

// locks is LOCKS [MATCH pattern] [COUNT n]: what LOCKINFO says, of every lock of
// the database, sorted by name. A thousand unless COUNT says more.
func locks(s *Session, args [][]byte) Reply {
	count, pattern := int64(1000), everything
	for i := 1; i < len(args); i += 2 {
		switch {
		case i+1 < len(args) && is(args[i], "match"):
			pattern = string(args[i+1])
		case i+1 < len(args) && is(args[i], "count"):
			n, ok := parseInt(args[i+1])
			if !ok || n < 1 {
				return sayFailure(errNotInteger)
			}
			count = n
		default:
			return sayFailure(errSyntax)
		}
	}
	now := s.engine.keeper.Now()
	var found listing
	for _, l := range s.engine.keeper.Leases(s.matching(pattern), int(min(count, math.MaxInt32))) {
		key, _ := keyIn(s.db, l.Name)
		if !found.add(describe(l, key, now)) {
			return sayFailure(errReply)
		}
	}
	return sayArray(found.items...)
}

// stores is STORES: what the keeper sees of each store.
func stores(s *Session, _ [][]byte) Reply {
	seen := s.engine.keeper.Status().Stores
	items := make([]Reply, len(seen))
	for i, store := range seen {
		why := ""
		if store.Err != nil {
			why = oneLine(store.Err.Error())
		}
		items[i] = sayPairs(
			sayText("name"), sayText(store.Name),
			sayText("up"), sayBool(store.Up),
			sayText("error"), sayText(why),
			sayText("for-ms"), sayInt(store.For.Milliseconds()),
			sayText("incarnation"), sayText(store.Incarnation),
			sayText("granted"), sayInt(int64(store.Granted)),
			sayText("refused"), sayInt(int64(store.Refused)),
			sayText("silent"), sayInt(int64(store.Silent)),
			sayText("queued"), sayInt(int64(store.Queued)),
			sayText("missing"), sayInt(int64(store.Missing)),
			sayText("phase"), sayText(string(store.Phase)),
			sayText("signed-ms"), sayInt(store.Signed.Milliseconds()),
			sayText("whole"), sayBool(store.Whole),
			sayText("waits-for"), sayText(oneLine(store.WaitsFor)),
			sayText("event"), sayText(store.Event),
			sayText("event-text"), sayText(oneLine(store.EventText)),
			sayText("event-ms-ago"), sayInt(eventAgo(store)),
		)
	}
	return sayArray(items...)
}

// eventAgo is how many ms ago the last event of a store was, -1 if there was none.
func eventAgo(store quorum.StoreStatus) int64 {
	if store.Event == "" {
		return -1
	}
	return store.EventAgo.Milliseconds()
}
