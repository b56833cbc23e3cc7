package commands

import (
	"math"
	"strconv"

	"holdfast/quorum"
)

type kind uint8

const (
	null      kind = iota // nothing there, or taken
	nullArray             // null, where an array was hoped for
	status
	failure // text is a whole error line, its code first
	integer
	boolean // n is 0 or 1
	double
	bulk
	verbatim  // text for people; bytes are its format, three of them, or none for txt
	bigNumber // a whole number of any length: text
	array
	collection // a set, of which RESP2 makes an array
	pairs      // a map: items are key, value, key, value
	scored     // members with their scores, in RESP3 each with its own: items as of pairs
	grant      // a lease that is being made: see [Reply.resolve]
	push       // what RESP3 tells apart from replies, and RESP2 does not
	several    // items one behind the other: more than one reply
)

// A Reply is what a command answers, before it is put into one of the two
// protocols or handed to a script. The zero Reply is null.
type Reply struct {
	kind  kind
	last  bool // the connection is to be closed once this is written
	n     int64
	float float64
	text  string // of a status, a failure, a verbatim; of a bulk unless bytes are set
	bytes []byte // of a bulk; never altered
	items []Reply
}

func sayStatus(s string) Reply      { return Reply{kind: status, text: s} }
func sayFailure(line string) Reply  { return Reply{kind: failure, text: line} }
func sayInt(n int64) Reply          { return Reply{kind: integer, n: n} }
func sayBytes(b []byte) Reply       { return Reply{kind: bulk, bytes: b} }
func sayText(s string) Reply        { return Reply{kind: bulk, text: s} }
func sayArray(items ...Reply) Reply { return Reply{kind: array, items: items} }
func sayPush(items ...Reply) Reply  { return Reply{kind: push, items: items} }
func saySet(items ...Reply) Reply   { return Reply{kind: collection, items: items} }
func sayPairs(items ...Reply) Reply { return Reply{kind: pairs, items: items} }

func sayOK() Reply { return sayStatus("OK") }

func sayBool(b bool) Reply {
	if b {
		return Reply{kind: boolean, n: 1}
	}
	return Reply{kind: boolean}
}

// The replies of nearly every change, which are never altered.
var okBytes, noneBytes, oneBytes = []byte("+OK\r\n"), []byte(":0\r\n"), []byte(":1\r\n")

// encode returns the reply in RESP2 or RESP3. It may share its bytes with others.
func (r Reply) encode(proto int) []byte {
	switch {
	case r.kind == status && r.text == "OK":
		return okBytes
	case r.kind == integer && r.n == 0:
		return noneBytes
	case r.kind == integer && r.n == 1:
		return oneBytes
	}
	return r.appendTo(make([]byte, 0, r.size()), proto)
}

// appendTo appends the reply in RESP2 or RESP3. Where RESP2 has no such type it
// gets what Redis sends in its place.
func (r Reply) appendTo(b []byte, proto int) []byte {
	switch r.kind {
	case null, nullArray:
		return append(b, nothing(r.kind, proto)...)
	case status:
		return appendLine(b, '+', r.text)
	case failure:
		return appendLine(b, '-', r.text)
	case integer:
		return appendHead(b, ':', r.n)
	case boolean:
		return appendBool(b, r.n == 1, proto)
	case double:
		return appendDouble(b, r.float, proto)
	case bulk:
		b = appendHead(b, '$', int64(len(r.bytes)+len(r.text)))
		b = append(append(b, r.bytes...), r.text...)
		return append(b, "\r\n"...)
	case verbatim:
		if proto == 2 {
			return sayText(r.text).appendTo(b, proto)
		}
		b = appendHead(b, '=', int64(len("txt:")+len(r.text)))
		if len(r.bytes) == 0 {
			b = append(b, "txt"...)
		}
		b = append(append(append(b, r.bytes...), ':'), r.text...)
		return append(b, "\r\n"...)
	case bigNumber:
		if proto == 2 {
			return sayText(r.text).appendTo(b, proto)
		}
		return appendLine(b, '(', r.text)
	case pairs:
		if proto == 2 {
			b = appendHead(b, '*', int64(len(r.items)))
		} else {
			b = appendHead(b, '%', int64(len(r.items)/2))
		}
	case scored:
		if proto == 3 {
			return appendScored(b, r.items)
		}
		b = appendHead(b, '*', int64(len(r.items)))
	case collection:
		if proto == 2 {
			b = appendHead(b, '*', int64(len(r.items)))
		} else {
			b = appendHead(b, '~', int64(len(r.items)))
		}
	case push:
		if proto == 2 {
			b = appendHead(b, '*', int64(len(r.items)))
		} else {
			b = appendHead(b, '>', int64(len(r.items)))
		}
	case several:
	default:
		b = appendHead(b, '*', int64(len(r.items)))
	}
	for _, item := range r.items {
		b = item.appendTo(b, proto)
	}
	return b
}

func appendScored(b []byte, items []Reply) []byte {
	b = appendHead(b, '*', int64(len(items)/2))
	for ; len(items) > 0; items = items[2:] {
		b = sayArray(items[:2]...).appendTo(b, 3)
	}
	return b
}

func nothing(k kind, proto int) string {
	switch {
	case proto == 3:
		return "_\r\n"
	case k == nullArray:
		return "*-1\r\n"
	}
	return "$-1\r\n"
}

func appendBool(b []byte, v bool, proto int) []byte {
	switch {
	case proto == 3 && v:
		return append(b, "#t\r\n"...)
	case proto == 3:
		return append(b, "#f\r\n"...)
	case v:
		return append(b, ":1\r\n"...)
	}
	return append(b, ":0\r\n"...)
}

func appendDouble(b []byte, v float64, proto int) []byte {
	text := formatNumber(v, 17)
	if proto == 2 {
		return sayText(text).appendTo(b, proto)
	}
	return appendLine(b, ',', text)
}

// appendLine appends a line of s, in which nothing may end the line early.
func appendLine(b []byte, head byte, s string) []byte {
	b = append(b, head)
	for i := range len(s) {
		if s[i] == '\r' || s[i] == '\n' {
			b = append(b, ' ')
		} else {
			b = append(b, s[i])
		}
	}
	return append(b, "\r\n"...)
}

func appendHead(b []byte, head byte, n int64) []byte {
	b = append(b, head)
	b = strconv.AppendInt(b, n, 10)
	return append(b, "\r\n"...)
}

// maxReply is how many bytes one reply may take. Until it is written it takes them
// from everybody, and asking for it costs a client next to nothing.
const maxReply = 4 << 20

// bounded returns the reply, or the error that it is too long.
func (r Reply) bounded() Reply {
	if r.size() > maxReply {
		return sayFailure(errReply)
	}
	return r
}

// size is about how many bytes the reply takes.
func (r Reply) size() int {
	n := 16 + len(r.text) + len(r.bytes)
	for _, item := range r.items {
		n += item.size()
	}
	return n
}

// sayGrant is the reply of a command that makes or extends the lease of name:
// its token, its fencing token, and how long it may be relied on. The last two
// are known only once the lease is there.
func sayGrant(name string, token []byte) Reply { return Reply{kind: grant, text: name, bytes: token} }

// resolve fills in what was not known before the change was made.
func (r Reply) resolve(result quorum.Result) Reply {
	if r.kind != grant {
		return r
	}
	var fence quorum.Number
	for _, lease := range result.Leases {
		if lease != nil && lease.Name == r.text {
			fence = lease.Fence
		}
	}
	return sayArray(sayBytes(r.bytes), sayInt(int64(fence)), sayInt(result.Validity.Milliseconds()))
}

// formatNumber writes v as C's printf does with %.<digits>g, which is how Redis
// and its Lua write numbers.
func formatNumber(v float64, digits int) string {
	switch {
	case math.IsNaN(v):
		return "nan"
	case math.IsInf(v, 1):
		return "inf"
	case math.IsInf(v, -1):
		return "-inf"
	}
	return strconv.FormatFloat(v, 'g', digits, 64)
}
