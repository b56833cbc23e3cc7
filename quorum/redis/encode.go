package redis

import (
	"strconv"

	"holdfast/quorum"
)

// appendCommand appends a command as clients send it.
func appendCommand(b []byte, args ...string) []byte {
	return appendTexts(appendCount(b, len(args)), args...)
}

// appendCount begins a command of so many arguments.
func appendCount(b []byte, args int) []byte { return appendHeader(b, '*', args) }

func appendHeader(b []byte, kind byte, n int) []byte {
	return append(strconv.AppendInt(append(b, kind), int64(n), 10), "\r\n"...)
}

// appendTexts appends arguments.
func appendTexts(b []byte, args ...string) []byte {
	for _, arg := range args {
		b = append(append(appendHeader(b, '$', len(arg)), arg...), "\r\n"...)
	}
	return b
}

// appendNumber appends an argument that is a number.
func appendNumber(b []byte, n int64) []byte {
	var digits [20]byte
	text := strconv.AppendInt(digits[:0], n, 10)
	return append(append(appendHeader(b, '$', len(text)), text...), "\r\n"...)
}

// appendCopy appends an argument that is a copy, or empty for none.
func appendCopy(b []byte, c *quorum.Copy) []byte {
	if c == nil {
		return appendTexts(b, "")
	}
	return append(c.AppendTo(appendHeader(b, '$', c.Len())), "\r\n"...)
}
