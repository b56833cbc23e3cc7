package commands

import (
	"errors"
	"fmt"
	"strings"

	"holdfast/quorum"
)

// Redis's own words, byte for byte: some clients compare them.
const (
	errSyntax     = "ERR syntax error"
	errNotInteger = "ERR value is not an integer or out of range"
	errWrongType  = "WRONGTYPE Operation against a key holding the wrong kind of value"
	errNoAuth     = "NOAUTH Authentication required."
	errNoScript   = "NOSCRIPT No matching script. Please use EVAL."
	errNoCluster  = "ERR This instance has cluster support disabled"
	errUnblocked  = "UNBLOCKED client unblocked via CLIENT UNBLOCK"
	errDB         = "ERR DB index is out of range"
	errSubscribed = "only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
)

// Ours.
const (
	errSteal = "ERR SET would take this lock from its holder: SET with NX acquires it once it is free, " +
		"with IFEQ and the holder's token hands it over, DEL ends it"
	errHungUp      = "ERR the connection was closed"
	errClosing     = "ERR shutting down"
	errReply       = "ERR the reply would be longer than 4 MiB; ask for less at a time"
	errScripts     = "ERR too many scripts are waiting to be run"
	errOwnChannel  = "ERR channels that begin with \"holdfast:\" are for what holdfast itself has to tell"
	errSubscribing = "ERR the subscriptions of one connection may take 4 MiB, each its name and 256 bytes; use another connection too"
	errPublishing  = "ERR the messages of one script may take 1 MiB, each its channel, its text and 128 bytes"
	errOverwritten = "ERR the stores have somebody else's value for this lock; it stays yours until its time is up, but can't be changed"
)

// errorLine alone turns errors into RESP. The first word is protocol: clients
// branch on it, so a new one is a decision and not a detail. None of those that
// go-redis repeats a command for (LOADING, READONLY, CLUSTERDOWN, TRYAGAIN,
// MASTERDOWN, NOREPLICAS) is among them: what failed may have been granted, and
// whether to ask again is for the client's own code to say.
//
// NOQUORUM, Sentinel's word, stands in front and not behind an ERR, so that a
// client can tell it by its first word; none is worse off. Predis throws whatever
// the word. phpredis throws for any word but a few, of which ERR and NOQUORUM are
// two (redis_error_throw in its library.c): for these it answers false and keeps
// the text, of which Symfony makes an exception, and Laravel nothing. For TOOSLOW
// phpredis throws. That is rare, and no less true.
func errorLine(err error) string {
	code := "ERR"
	switch {
	case errors.Is(err, quorum.ErrNoQuorum):
		code = "NOQUORUM"
	case errors.Is(err, quorum.ErrTooSlow):
		code = "TOOSLOW"
	}
	return code + " " + oneLine(err.Error())
}

// oneLine returns s with nothing in it that would end a line of RESP.
func oneLine(s string) string {
	return strings.NewReplacer("\r", " ", "\n", " ").Replace(strings.Trim(s, "\r\n"))
}

func badArity(name string) Reply {
	return sayFailure("ERR wrong number of arguments for '" + name + "' command")
}

func badExpiry(name string) Reply {
	return sayFailure("ERR invalid expire time in '" + name + "' command")
}

// unknown words the refusal of a command that is not in the table, with the
// start of what was sent.
func unknown(args [][]byte) Reply {
	const most = 128
	var sent strings.Builder
	for _, arg := range args[1:] {
		if sent.Len() >= most {
			break
		}
		fmt.Fprintf(&sent, "'%s' ", head(arg, most-sent.Len()))
	}
	return sayFailure(fmt.Sprintf("ERR unknown command '%s', with args beginning with: %s", head(args[0], most), sent.String()))
}

func unknownSub(container string, sub []byte) Reply {
	return sayFailure(fmt.Sprintf("ERR unknown subcommand '%s'. Try %s HELP.", head(sub, 128), strings.ToUpper(container)))
}

// head returns the first n bytes of b.
func head(b []byte, n int) []byte { return b[:min(len(b), n)] }
