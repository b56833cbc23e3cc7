package commands

import (
	"bytes"
	"fmt"

	"holdfast/quorum"
)

// A condition is what SET asks of the lock before it acts.
type condition uint8

const (
	always condition = iota
	ifFree
	ifHeld
	ifEqual
)

// setting is a SET, taken apart.
type setting struct {
	when  condition
	match []byte // of ifEqual
	get   bool   // answer with what was there
	keep  bool   // the TTL stays
	timed bool
	ttl   span // if timed
}

// parseSetting reads what follows SET, the key and the value. An option may be
// said twice, as in Redis.
func parseSetting(args [][]byte) (o setting, ok bool) {
	for i := 0; i < len(args); i++ {
		var next []byte
		more := i+1 < len(args)
		if more {
			next = args[i+1]
		}
		arg := args[i]
		switch {
		case is(arg, "nx") && (o.when == always || o.when == ifFree):
			o.when = ifFree
		case is(arg, "xx") && (o.when == always || o.when == ifHeld):
			o.when = ifHeld
		case is(arg, "ifeq") && more && o.when == always:
			o.when, o.match = ifEqual, next
			i++
		case is(arg, "get"):
			o.get = true
		case is(arg, "keepttl") && !o.timed:
			o.keep = true
		default:
			unit, known := parseUnit(arg)
			if !known || !more || o.keep || (o.timed && !o.ttl.sameUnit(unit)) {
				return o, false
			}
			o.timed, o.ttl = true, unit
			o.ttl.n = next
			i++
		}
	}
	return o, true
}

func parseUnit(arg []byte) (s span, ok bool) {
	switch {
	case is(arg, "px"):
		return span{}, true
	case is(arg, "ex"):
		return span{seconds: true}, true
	case is(arg, "pxat"):
		return span{absolute: true}, true
	case is(arg, "exat"):
		return span{seconds: true, absolute: true}, true
	}
	return span{}, false
}

func (s span) sameUnit(t span) bool { return s.seconds == t.seconds && s.absolute == t.absolute }

// setReads reports whether a SET must know of locks that others hold directly in
// the stores: what acts on a lock that is held must see it.
func setReads(args [][]byte) bool {
	for _, arg := range args[min(3, len(args)):] {
		if is(arg, "xx") || is(arg, "ifeq") {
			return true
		}
	}
	return false
}

func set(tx *Tx, args [][]byte) Reply {
	o, ok := parseSetting(args[3:])
	if !ok {
		return sayFailure(errSyntax)
	}
	return tx.set(args[1], args[2], o)
}

func setnx(tx *Tx, args [][]byte) Reply {
	reply := tx.set(args[1], args[2], setting{when: ifFree})
	switch reply.kind {
	case status:
		tx.refused = sayInt(0)
		return sayInt(1)
	case null:
		return sayInt(0)
	}
	return reply
}

func setex(tx *Tx, args [][]byte) Reply {
	return tx.set(args[1], args[3], setting{timed: true, ttl: span{n: args[2], seconds: true}})
}

func psetex(tx *Tx, args [][]byte) Reply {
	return tx.set(args[1], args[3], setting{timed: true, ttl: span{n: args[2]}})
}

// set is SET: OK if the lock was acquired or goes on, null if the condition
// kept it from it.
//
// Without a condition it acquires a free lock and renews a lease of the same
// value. One of another value is somebody's: a script may overwrite it, as in
// Redis, since whoever wrote it has looked; a command gets an error, unless that
// is allowed to all.
func (tx *Tx) set(key, value []byte, o setting) Reply {
	ttl, untimed := tx.engine.maxTTL, true
	if o.timed {
		asked, bad := tx.lifetime(o.ttl)
		if bad != nil {
			return *bad
		}
		ttl, untimed = asked, false
	}
	if bad := tooLong(value); bad != nil {
		return *bad
	}
	s := tx.at(key)
	var old Reply
	if text, ok := s.get(); !ok && (o.get || o.when == ifEqual) {
		return sayFailure(errWrongType)
	} else if o.get && s.held {
		old = sayBytes(text)
	}
	if !o.allows(s) {
		tx.denied = tx.denied || o.when == ifFree
		return old
	}
	if o.when != ifEqual && s.held && !s.holds(value) {
		if !tx.maySteal() {
			tx.denied = true
			return sayFailure(errSteal)
		}
		tx.seize(s)
	}
	if o.keep && s.held {
		ttl, untimed = s.ttl, s.untimed
	}
	tx.refuse(o)
	tx.put(s, value, ttl, untimed)
	if o.timed {
		tx.note(s, 'g', "expire")
	}
	if o.get {
		return old
	}
	return sayOK()
}

// maySteal reports whether a SET may take a lock from its holder.
func (tx *Tx) maySteal() bool { return tx.script || tx.engine.maySteal }

func (o setting) allows(s *slot) bool {
	switch o.when {
	case ifFree:
		return !s.held
	case ifHeld:
		return s.held
	case ifEqual:
		return s.holds(o.match)
	}
	return true
}

// refuse says what a SET answers if the stores turn it down. For NX that is all
// there is to know; the others look who holds the lock.
func (tx *Tx) refuse(o setting) {
	tx.final = o.when == ifFree && !o.get
	switch {
	case o.when != always:
	case tx.engine.maySteal:
		tx.refused = sayFailure(errTaken)
	default:
		tx.refused = sayFailure(errSteal)
	}
}

func tooLong(value []byte) *Reply {
	if len(encode(value)) <= quorum.MaxValue {
		return nil
	}
	return tooMuch(len(value))
}

func tooMuch(bytes int) *Reply {
	return &Reply{kind: failure, text: fmt.Sprintf("ERR a value of %d bytes is longer than %d", bytes, quorum.MaxValue)}
}

// mset sets every lock or, if one would be refused, none.
func mset(tx *Tx, args [][]byte) Reply {
	if len(args)%2 == 0 {
		return badArity(tx.cmd.name)
	}
	for i := 1; i < len(args); i += 2 {
		if bad := tooLong(args[i+1]); bad != nil {
			return *bad
		}
		if s := tx.at(args[i]); s.held && !s.holds(args[i+1]) {
			if !tx.maySteal() {
				return sayFailure(errSteal)
			}
			tx.seize(s)
		}
	}
	tx.refuse(setting{})
	tx.putAll(args)
	return sayOK()
}

// msetnx acquires every lock or none.
func msetnx(tx *Tx, args [][]byte) Reply {
	if len(args)%2 == 0 {
		return badArity(tx.cmd.name)
	}
	for i := 1; i < len(args); i += 2 {
		if bad := tooLong(args[i+1]); bad != nil {
			return *bad
		}
		if tx.at(args[i]).held {
			tx.denied = true
			return sayInt(0)
		}
	}
	tx.refused, tx.final = sayInt(0), true
	tx.putAll(args)
	return sayInt(1)
}

// putAll puts the last value that is said of each key.
func (tx *Tx) putAll(args [][]byte) {
	for i := 1; i < len(args); i += 2 {
		tx.put(tx.at(args[i]), args[i+1], tx.engine.maxTTL, true)
	}
}

// delex is DELEX: a release that may ask for the holder first.
func delex(tx *Tx, args [][]byte) Reply {
	switch {
	case len(args) == 2:
		return del(tx, args)
	case len(args) == 4 && is(args[2], "ifeq"):
		return tx.dropIf(args[1], args[3], true)
	case len(args) == 4 && is(args[2], "ifne"):
		return tx.dropIf(args[1], args[3], false)
	}
	return sayFailure(errSyntax)
}

func delifeq(tx *Tx, args [][]byte) Reply { return tx.dropIf(args[1], args[2], true) }

// dropIf frees a lock if its value equals match, or if it does not.
func (tx *Tx) dropIf(key, match []byte, equal bool) Reply {
	s := tx.at(key)
	text, ok := s.get()
	switch {
	case !ok:
		return sayFailure(errWrongType)
	case !s.held || bytes.Equal(text, match) != equal:
		return sayInt(0)
	}
	tx.drop(s)
	return sayInt(1)
}
