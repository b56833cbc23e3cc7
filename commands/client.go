package commands

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// CLIENT: what is known of connections.

const errBadName = "ERR Client names cannot contain spaces, newlines or special characters."

// validName reports whether a name can stand in a line of CLIENT LIST.
func validName(name []byte) bool {
	for _, c := range name {
		if c < '!' || c > '~' {
			return false
		}
	}
	return true
}

func clientID(s *Session, _ [][]byte) Reply { return sayInt(int64(s.conn.ID)) }

func clientGetName(s *Session, _ [][]byte) Reply {
	if s.name == "" {
		return Reply{}
	}
	return sayText(s.name)
}

func clientSetName(s *Session, args [][]byte) Reply {
	if !validName(args[2]) {
		return sayFailure(errBadName)
	}
	s.change(func() { s.name = string(args[2]) })
	return sayOK()
}

func clientSetInfo(s *Session, args [][]byte) Reply {
	at := 0
	switch {
	case is(args[2], "lib-name"):
	case is(args[2], "lib-ver"):
		at = 1
	default:
		return sayFailure(fmt.Sprintf("ERR Unrecognized option '%s'", args[2]))
	}
	if !validName(args[3]) {
		return sayFailure(fmt.Sprintf("ERR %s cannot contain spaces, newlines or special characters.", appendLower(nil, args[2])))
	}
	s.change(func() { s.library[at] = string(args[3]) })
	return sayOK()
}

// clientReply is CLIENT REPLY. What came before it is answered by now and what comes
// behind it has not begun, as it is a barrier. Itself it is answered only if replies are on.
func clientReply(s *Session, _ *command, r request) {
	reply := sayOK()
	switch {
	case is(r.args[2], "on"):
		s.conn.Mute(0)
	case is(r.args[2], "off"):
		s.conn.Mute(-1)
	case is(r.args[2], "skip"):
		s.conn.Mute(2)
	default:
		reply = sayFailure(errSyntax)
	}
	r.answer(reply, s.protocol())
}

// clientSwitch accepts what makes no difference here.
func clientSwitch(_ *Session, args [][]byte) Reply {
	if is(args[2], "on") || is(args[2], "off") {
		return sayOK()
	}
	return sayFailure(errSyntax)
}

func clientInfo(s *Session, _ [][]byte) Reply { return Reply{kind: verbatim, text: s.describe()} }

// describe is a line of CLIENT LIST.
func (s *Session) describe() string {
	now := s.engine.wall()
	redirected := s.engine.tracker.redirected(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	doing := "NULL"
	if s.doing != nil {
		doing = s.doing.name
	}
	return fmt.Sprintf("id=%d addr=%s laddr=%s name=%s age=%d idle=%d flags=%s db=%d sub=%d psub=%d ssub=%d multi=%d cmd=%s user=default redir=%d resp=%d lib-name=%s lib-ver=%s\n",
		s.conn.ID, s.conn.Remote, s.conn.Local, s.name, int64(now.Sub(s.conn.Opened).Seconds()), int64(now.Sub(s.active).Seconds()),
		s.flagsLocked(), s.db, s.counts[channels].Load(), s.counts[patterns].Load(), s.counts[shards].Load(), s.inMulti(), doing, redirected, s.proto, s.library[0], s.library[1])
}

// everybody returns all sessions, by the number of their connection.
func (e *Engine) everybody() []*Session {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]*Session, 0, len(e.sessions))
	for _, s := range e.sessions {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *Session) int { return cmp.Compare(a.conn.ID, b.conn.ID) })
	return all
}

// clientList is CLIENT LIST [TYPE type | ID id ...].
func clientList(s *Session, args [][]byte) Reply {
	wanted := func(*Session) bool { return true }
	switch {
	case len(args) == 2:
	case len(args) == 4 && is(args[2], "type"):
		ofType, bad := parseClientType(args[3])
		if bad != nil {
			return *bad
		}
		wanted = ofType
	case len(args) > 3 && is(args[2], "id"):
		ids := map[uint64]bool{}
		for _, arg := range args[3:] {
			n, ok := parseInt(arg)
			if !ok || n < 1 {
				return sayFailure("ERR Invalid client ID")
			}
			ids[uint64(n)] = true
		}
		wanted = func(other *Session) bool { return ids[other.conn.ID] }
	default:
		return sayFailure(errSyntax)
	}
	var lines strings.Builder
	for _, other := range s.engine.everybody() {
		if wanted(other) {
			lines.WriteString(other.describe())
		}
	}
	return Reply{kind: verbatim, text: lines.String()}
}

// parseClientType returns whether a session is of a type: subscribed, or not.
// There are no others.
func parseClientType(arg []byte) (ofType func(*Session) bool, bad *Reply) {
	switch {
	case is(arg, "normal"):
		return func(s *Session) bool { return !s.subscribed() }, nil
	case is(arg, "pubsub"):
		return (*Session).subscribed, nil
	case is(arg, "master"), is(arg, "replica"), is(arg, "slave"):
		return func(*Session) bool { return false }, nil
	}
	return nil, &Reply{kind: failure, text: fmt.Sprintf("ERR Unknown client type '%s'", arg)}
}

// clientKill is CLIENT KILL addr, or CLIENT KILL with filters, of which all must
// match; then it returns how many it closed, and spares its own connection
// unless SKIPME no.
func clientKill(s *Session, args [][]byte) Reply {
	if len(args) == 3 {
		for _, other := range s.engine.everybody() {
			if other.conn.Remote == string(args[2]) {
				return s.kill([]*Session{other}, sayOK())
			}
		}
		return sayFailure("ERR No such client")
	}
	matches, bad := s.parseKill(args[2:])
	if bad != nil {
		return *bad
	}
	var found []*Session
	for _, other := range s.engine.everybody() {
		if matches(other) {
			found = append(found, other)
		}
	}
	return s.kill(found, sayInt(int64(len(found))))
}

func (s *Session) parseKill(args [][]byte) (matches func(*Session) bool, bad *Reply) {
	var filters []func(*Session) bool
	skip := true
	for i := 0; i < len(args); i += 2 {
		if i+1 == len(args) {
			return nil, &Reply{kind: failure, text: errSyntax}
		}
		value := string(args[i+1])
		switch {
		case is(args[i], "id"):
			n, ok := parseInt(args[i+1])
			if !ok || n < 1 {
				return nil, &Reply{kind: failure, text: "ERR client-id should be greater than 0"}
			}
			filters = append(filters, func(other *Session) bool { return other.conn.ID == uint64(n) })
		case is(args[i], "addr"):
			filters = append(filters, func(other *Session) bool { return other.conn.Remote == value })
		case is(args[i], "laddr"):
			filters = append(filters, func(other *Session) bool { return other.conn.Local == value })
		case is(args[i], "type"):
			ofType, bad := parseClientType(args[i+1])
			if bad != nil {
				return nil, bad
			}
			filters = append(filters, ofType)
		case is(args[i], "user"):
			if value != "default" {
				return nil, &Reply{kind: failure, text: fmt.Sprintf("ERR No such user '%s'", value)}
			}
		case is(args[i], "skipme") && (is(args[i+1], "yes") || is(args[i+1], "no")):
			skip = is(args[i+1], "yes")
		default:
			return nil, &Reply{kind: failure, text: errSyntax}
		}
	}
	return func(other *Session) bool {
		for _, filter := range filters {
			if !filter(other) {
				return false
			}
		}
		return other != s || !skip
	}, nil
}

// kill closes connections; one's own once the reply is written.
func (s *Session) kill(found []*Session, reply Reply) Reply {
	for _, other := range found {
		if other == s {
			reply.last = true
		} else {
			other.conn.Kill()
		}
	}
	return reply
}
