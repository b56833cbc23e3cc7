package commands

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"math"
)

// What is about one's own connection.

func ping(_ *Tx, args [][]byte) Reply {
	switch len(args) {
	case 1:
		return sayStatus("PONG")
	case 2:
		return sayBytes(args[1])
	}
	return badArity("ping")
}

// pingSession is PING of a client. One that speaks RESP2 and is subscribed gets an
// array, as it does for everything.
func pingSession(s *Session, args [][]byte) Reply {
	if s.proto == 3 || !s.subscribed() || len(args) > 2 {
		return ping(nil, args)
	}
	return sayArray(sayText("pong"), sayBytes(bytes.Join(args[1:], nil)))
}

func echo(_ *Tx, args [][]byte) Reply { return sayBytes(args[1]) }

func quit(*Session, [][]byte) Reply {
	reply := sayOK()
	reply.last = true
	return reply
}

// change alters what others may look at.
func (s *Session) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// hello is HELLO [2|3 [AUTH user password] [SETNAME name]].
func hello(s *Session, args [][]byte) Reply {
	proto := s.proto
	if len(args) > 1 {
		n, ok := parseInt(args[1])
		if !ok {
			return sayFailure("ERR Protocol version is not an integer or out of range")
		}
		if n != 2 && n != 3 {
			return sayFailure("NOPROTO unsupported protocol version")
		}
		proto = int(n)
	}
	name, bad := s.helloOptions(args[min(2, len(args)):])
	if bad != nil {
		return *bad
	}
	if !s.authenticated {
		return sayFailure("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time")
	}
	s.change(func() {
		s.proto = proto
		if name != nil {
			s.name = string(name)
		}
	})
	return sayPairs(
		sayText("server"), sayText("redis"),
		sayText("version"), sayText(s.engine.version),
		sayText("proto"), sayInt(int64(proto)),
		sayText("id"), sayInt(int64(s.conn.ID)),
		sayText("mode"), sayText("standalone"),
		sayText("role"), sayText("master"),
		sayText("modules"), sayArray(),
	)
}

func (s *Session) helloOptions(args [][]byte) (name []byte, bad *Reply) {
	for i := 0; i < len(args); {
		switch more := len(args) - i - 1; {
		case more >= 2 && is(args[i], "auth"):
			if bad := s.authenticate(args[i+1], args[i+2]); bad != nil {
				return nil, bad
			}
			i += 3
		case more >= 1 && is(args[i], "setname"):
			if !validName(args[i+1]) {
				return nil, &Reply{kind: failure, text: errBadName}
			}
			name = args[i+1]
			i += 2
		default:
			return nil, &Reply{kind: failure, text: fmt.Sprintf("ERR Syntax error in HELLO option '%s'", args[i])}
		}
	}
	return name, nil
}

// auth is AUTH [user] password.
func auth(s *Session, args [][]byte) Reply {
	user := []byte("default")
	switch {
	case len(args) > 3:
		return sayFailure(errSyntax)
	case len(args) == 3:
		user = args[1]
	case s.engine.password == "":
		return sayFailure("ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?")
	}
	if bad := s.authenticate(user, args[len(args)-1]); bad != nil {
		return *bad
	}
	return sayOK()
}

// authenticate takes the password of the only user there is, in a time that
// does not tell how much of it was right. Without a password any will do.
func (s *Session) authenticate(user, password []byte) *Reply {
	right := subtle.ConstantTimeCompare(password, []byte(s.engine.password)) == 1
	if string(user) != "default" || !(right || s.engine.password == "") {
		return &Reply{kind: failure, text: "WRONGPASS invalid username-password pair or user is disabled."}
	}
	s.change(func() { s.authenticated = true })
	return nil
}

// startReset ends what RESET ends that takes the keeper's mutex, which comes before those
// that settle takes. As a barrier it knows from where on all is answered again.
func startReset(s *Session, c *command, r request) {
	s.engine.tracker.forget(s)
	s.endTransaction()
	s.conn.Mute(0)
	s.settle(c, r)
}

// reset makes the connection as it was when it was new. The mutexes of settle are held.
func reset(s *Session, _ [][]byte) Reply {
	s.engine.hub.forgetLocked(s)
	s.engine.monitors.remove(s)
	s.change(func() {
		s.proto, s.db, s.name = 2, 0, ""
		s.authenticated = s.engine.password == ""
	})
	return sayStatus("RESET")
}

func parseDB(arg []byte) (db int, bad *Reply) {
	n, ok := parseInt(arg)
	switch {
	case !ok:
		return 0, &Reply{kind: failure, text: errNotInteger}
	case n < math.MinInt32 || n > math.MaxInt32:
		return 0, &Reply{kind: failure, text: errOutOfRange(math.MinInt32, math.MaxInt32)}
	case n < 0 || n >= databases:
		return 0, &Reply{kind: failure, text: errDB}
	}
	return int(n), nil
}

func selectDB(s *Session, args [][]byte) Reply {
	db, bad := parseDB(args[1])
	if bad != nil {
		return *bad
	}
	s.change(func() { s.db = db })
	return sayOK()
}

// selectIn is SELECT in a script, until its end.
func selectIn(tx *Tx, args [][]byte) Reply {
	db, bad := parseDB(args[1])
	if bad != nil {
		return *bad
	}
	tx.db = db
	return sayOK()
}
