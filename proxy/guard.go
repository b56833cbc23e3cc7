package proxy

import (
	"bytes"
	"fmt"
)

// What Redis allows a client that has yet to authenticate.
//
// Source: Redis 7.0, networking.c, processMultibulkBuffer.
const (
	strangerArgs = 10
	strangerBulk = 16 << 10
)

// A protocolError is what is wrong with the bytes a client sent, in Redis's own
// words where it has some. Nothing behind such bytes can be understood.
type protocolError string

func (e protocolError) Error() string { return "Protocol error: " + string(e) }

const (
	errCount         = protocolError("invalid multibulk length")
	errLength        = protocolError("invalid bulk length")
	errStrangerCount = protocolError("unauthenticated multibulk length")
	errStrangerBulk  = protocolError("unauthenticated bulk length")
	errLongCount     = protocolError("too big mbulk count string")
	errLongLength    = protocolError("too big bulk count string")
	errLongInline    = protocolError("too big inline request")
	errQuotes        = protocolError("unbalanced quotes in request")
	errBig           = protocolError("too big command")
)

// A guard finds out where the command at the front of the bytes received ends,
// and whether it is one that may be parsed. It remembers how far it has looked,
// so that a command that comes in drips is looked at once.
type guard struct {
	limits Limits
	known  func() bool // whether the client has authenticated; asked only beyond a stranger's limits

	at   int // bytes of the command that are known to be good
	seen int // bytes behind them that hold no newline
	args int // arguments still to come; 0: the header is still to come
	bulk int // bytes of the next argument, without its line end; -1: its header is still to come

	count int // arguments of the last command released, or of the next one
}

func newGuard(limits Limits, known func() bool) guard {
	return guard{limits: limits, known: known, bulk: -1}
}

// next looks at the bytes received that were not taken yet: those of the last
// call, and more. Of these the first n are done with:
//
//   - command is not nil: they were this command. It is RESP, whatever was sent,
//     and shares its bytes with received.
//   - command is nil, n is not 0: they mean nothing, as a blank line does.
//   - n is 0: the command is not whole yet.
//
// After an error, a [protocolError], it must not be called again.
func (g *guard) next(received []byte) (n int, command []byte, err error) {
	if len(received) == 0 {
		return 0, nil, nil
	}
	if received[0] != '*' {
		return g.inline(received)
	}
	if g.at == 0 {
		count, whole, err := g.header(received, errLongCount, errCount)
		if err != nil || !whole {
			return 0, nil, err
		}
		if count <= 0 {
			return g.done(), nil, nil
		}
		if err := g.checkArgs(count); err != nil {
			return 0, nil, err
		}
		g.args, g.count = count, count
	}
	for g.args > 0 {
		if whole, err := g.argument(received); err != nil || !whole {
			return 0, nil, err
		}
	}
	n = g.done()
	return n, received[:n], nil
}

// argument passes the argument at g.at, if it is all there.
func (g *guard) argument(received []byte) (whole bool, err error) {
	if g.bulk < 0 {
		if g.at == len(received) {
			return false, nil
		}
		if c := received[g.at]; c != '$' {
			return false, expectedDollar(c)
		}
		size, whole, err := g.header(received, errLongLength, errLength)
		if err != nil || !whole {
			return false, err
		}
		if size < 0 {
			return false, errLength
		}
		if err := g.checkBulk(size); err != nil {
			return false, err
		}
		g.bulk = size
	}
	end := g.at + g.bulk + len("\r\n")
	if g.overlong(end) {
		return false, errBig
	}
	if len(received) < end {
		return false, nil
	}
	if received[end-2] != '\r' || received[end-1] != '\n' {
		return false, errLength
	}
	g.at, g.bulk = end, -1
	g.args--
	return true, nil
}

// header passes the line at g.at and returns the number behind its first byte.
func (g *guard) header(received []byte, tooLong, invalid protocolError) (number int, whole bool, err error) {
	line, whole, err := g.line(received, tooLong)
	if err != nil || !whole {
		return 0, false, err
	}
	end := len(line) - 1
	if line[end] != '\r' {
		return 0, false, invalid
	}
	number, ok := parseInt(line[1:end])
	if !ok {
		return 0, false, invalid
	}
	return number, true, nil
}

// line passes the line at g.at and returns it without its newline.
func (g *guard) line(received []byte, tooLong protocolError) (line []byte, whole bool, err error) {
	rest := received[g.at:]
	i := bytes.IndexByte(rest[g.seen:], '\n')
	length := g.seen + i
	if i < 0 {
		g.seen, length = len(rest), len(rest)
	}
	if length > g.limits.Inline {
		return nil, false, tooLong
	}
	if i < 0 {
		return nil, false, nil
	}
	g.at += length + 1
	g.seen = 0
	return rest[:length], true, nil
}

// inline passes a command typed by hand, and makes it RESP: redcon's own parser
// of such lines differs from Redis's, and takes quadratic memory for some.
func (g *guard) inline(received []byte) (n int, command []byte, err error) {
	line, whole, err := g.line(received, errLongInline)
	if err != nil || !whole {
		return 0, nil, err
	}
	args, ok := splitInline(bytes.TrimSuffix(line, []byte("\r")))
	if !ok {
		return 0, nil, errQuotes
	}
	if len(args) == 0 {
		return g.done(), nil, nil
	}
	if err := g.checkArgs(len(args)); err != nil {
		return 0, nil, err
	}
	for _, arg := range args {
		if err := g.checkBulk(len(arg)); err != nil {
			return 0, nil, err
		}
	}
	command, g.count = encode(args), len(args)
	if g.overlong(len(command)) {
		return 0, nil, errBig
	}
	return g.done(), command, nil
}

// done returns the length of the command that was passed, and gets ready for the next.
func (g *guard) done() int {
	n := g.at
	g.at = 0
	return n
}

func (g *guard) overlong(end int) bool { return end > g.limits.Command }

func (g *guard) checkArgs(count int) error {
	switch {
	case count > g.limits.Args:
		return errCount
	case count > strangerArgs && !g.known():
		return errStrangerCount
	}
	return nil
}

func (g *guard) checkBulk(size int) error {
	switch {
	case size > g.limits.Bulk:
		return errLength
	case size > strangerBulk && !g.known():
		return errStrangerBulk
	}
	return nil
}

// parseInt reads a number as strictly as Redis: no leading zeros, no "+". One of
// more digits than any limit has is none.
func parseInt(b []byte) (int, bool) {
	digits := b
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		digits = b[1:]
	}
	if len(digits) == 0 || len(digits) > 18 || digits[0] == '0' && len(b) > 1 {
		return 0, false
	}
	n := 0
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	if negative {
		n = -n
	}
	return n, true
}

// expectedDollar is an error of one line, whatever the byte.
func expectedDollar(got byte) protocolError {
	if got < ' ' {
		got = ' '
	}
	return protocolError(fmt.Sprintf("expected '$', got '%s'", []byte{got}))
}
