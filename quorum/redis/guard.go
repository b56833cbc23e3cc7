package redis

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// What a server may announce. A stranger's value under the name of a lock may be
// as long as Redis allows; nothing else that we ask for comes near.
const (
	maxBulk  = 512 << 20 // Source: redis.conf, proto-max-bulk-len
	maxArray = 4096
	maxDepth = 8
	maxLine  = 64 << 10
)

// A guard reads along with what a server sends, and ends the connection where that
// is no RESP2 or announces too much. go-redis allocates whatever a header
// announces and recurses as deep as arrays nest, so a few bytes from something
// that is no Redis server could end the whole program.
type guard struct {
	line   []byte // of a header that is still incomplete
	body   int    // bytes of a bulk string still to come, its CRLF included
	nested []int  // elements still to come of each array that is open
	err    error  // once set, nothing is read any more

	answers int // that have begun to come: one for each command, if all is well
}

// pass takes the results of a Read into b, and returns them if all is well.
func (g *guard) pass(b []byte, n int, err error) (int, error) {
	if g.err == nil {
		g.err = g.follow(b[:n])
	}
	if g.err != nil {
		return 0, g.err
	}
	return n, err
}

func (g *guard) follow(b []byte) error {
	for len(b) > 0 {
		if g.body > 0 {
			n := min(g.body, len(b))
			g.body -= n
			b = b[n:]
			continue
		}
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			g.line = append(g.line, b...)
			return g.plausible()
		}
		g.line = append(g.line, b[:end]...)
		b = b[end+1:]
		if err := g.plausible(); err != nil {
			return err
		}
		if err := g.header(bytes.TrimSuffix(g.line, []byte("\r"))); err != nil {
			return err
		}
		g.line = g.line[:0]
	}
	return nil
}

// plausible looks at a line that may still be incomplete.
func (g *guard) plausible() error {
	switch {
	case len(g.line) > maxLine:
		return fmt.Errorf("the server sent a line of more than %d bytes", maxLine)
	case len(g.line) > 0 && bytes.IndexByte([]byte("+-:$*"), g.line[0]) < 0:
		return fmt.Errorf("the server does not speak RESP: %.60q", g.line)
	}
	return nil
}

// header takes one whole line.
func (g *guard) header(line []byte) error {
	if len(line) == 0 {
		return errors.New("the server does not speak RESP: an empty line")
	}
	switch line[0] {
	case '$':
		n, err := count(line, maxBulk)
		if n >= 0 {
			g.body = n + len("\r\n")
		}
		g.element() // its body is skipped before the next header is looked at
		return err
	case '*':
		n, err := count(line, maxArray)
		if n <= 0 {
			g.element()
			return err
		}
		if len(g.nested) == maxDepth {
			return fmt.Errorf("the server sent arrays nested more than %d deep", maxDepth)
		}
		g.nested = append(g.nested, n)
		return nil
	}
	g.element()
	return nil
}

// settled reports whether exactly so many answers came since the first, whole. A
// server that sends one too many would have the next command read it.
func (g *guard) settled(answers int) bool {
	return g.answers == answers && g.body == 0 && len(g.line) == 0 && len(g.nested) == 0
}

// element counts one as come, and every array that it was the last of.
func (g *guard) element() {
	for last := len(g.nested) - 1; last >= 0; last-- {
		g.nested[last]--
		if g.nested[last] > 0 {
			return
		}
		g.nested = g.nested[:last]
	}
	g.answers++
}

// count returns the number in a header, -1 for a null.
func count(line []byte, most int) (int, error) {
	n, err := strconv.Atoi(string(line[1:]))
	if err != nil || n < -1 || n > most {
		return -1, fmt.Errorf("the server announced %.60q, want a number up to %d", line, most)
	}
	return n, nil
}
