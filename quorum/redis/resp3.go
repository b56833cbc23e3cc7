package redis

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// A resp3 reads what a watching connection gets to see. It keeps one line or one
// short string at a time, so whatever a server announces costs no memory.
//
// Source: the Redis manual, "RESP protocol description".
type resp3 struct{ *bufio.Reader }

var errNested = fmt.Errorf("the server sent something nested more than %d deep", maxDepth)

// header returns the kind and the rest of a line. The rest is good until the
// next read.
func (r resp3) header() (kind byte, rest []byte, err error) {
	line, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return 0, nil, fmt.Errorf("the server sent a line of more than %d bytes", r.Size())
	case err != nil:
		return 0, nil, err
	}
	line = bytes.TrimSuffix(line[:len(line)-1], []byte("\r"))
	if len(line) == 0 {
		return 0, nil, errors.New("the server does not speak RESP3: an empty line")
	}
	return line[0], line[1:], nil
}

// length reads the number in a header, -1 for a null.
func length(kind byte, rest []byte) (int64, error) {
	n, err := strconv.ParseInt(string(rest), 10, 64)
	if err != nil || n < -1 || n > math.MaxInt-2 {
		return 0, fmt.Errorf("the server announced %c%.60q, want a number", kind, rest)
	}
	return n, nil
}

// body returns a string of n bytes, of which only the first few are kept: as many
// as into holds.
func (r resp3) body(n int64, into []byte) ([]byte, error) {
	into = into[:min(n, int64(len(into)))]
	if _, err := io.ReadFull(r, into); err != nil {
		return nil, err
	}
	if _, err := r.Discard(int(n) - len(into)); err != nil {
		return nil, err
	}
	var end [2]byte
	if _, err := io.ReadFull(r, end[:]); err != nil {
		return nil, err
	}
	if string(end[:]) != "\r\n" {
		return nil, errors.New("the server does not speak RESP3: a string without its end")
	}
	return into, nil
}

// skip reads over a whole value whose header was read.
func (r resp3) skip(kind byte, rest []byte, depth int) error {
	per := int64(1)
	switch kind {
	case '+', '-', ':', '_', ',', '#', '(':
		return nil
	case '$', '=', '!':
		n, err := length(kind, rest)
		if err == nil && n >= 0 {
			_, err = r.body(n, nil)
		}
		return err
	case '%':
		per = 2
	case '*', '~', '>':
	default:
		return fmt.Errorf("the server does not speak RESP3: %c%.60q", kind, rest)
	}
	n, err := length(kind, rest)
	if err == nil && depth == 0 {
		err = errNested
	}
	for ; err == nil && n > 0; n-- {
		for range per {
			if err = r.value(depth - 1); err != nil {
				return err
			}
		}
	}
	return err
}

// value reads over the next value.
func (r resp3) value(depth int) error {
	kind, rest, err := r.header()
	if err != nil {
		return err
	}
	return r.skip(kind, rest, depth)
}

// okay reads an answer of which it only matters whether it is an error. Servers
// that do not know a command repeat what came with it, which may be a password.
func (r resp3) okay() error {
	kind, rest, err := r.header()
	if err != nil {
		return err
	}
	if kind == '-' {
		said, _, _ := strings.Cut(string(rest), ", with args")
		return errors.New(said)
	}
	return r.skip(kind, rest, maxDepth)
}
