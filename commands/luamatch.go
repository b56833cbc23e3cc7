package commands

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// Lua's patterns, as Lua 5.1 matches them: by trying, which may take as many steps as
// there are ways to divide a string among the repetitions of a pattern. It goes down
// on the stack once for what a pattern repeats, where the interpreter's own does for
// each byte that is taken.
//
// Source: Lua 5.1, lstrlib.c.

const (
	maxCaptures = 32
	// maxParts is how many parts of a pattern may be tried inside one another.
	maxParts = 1000
	// maxEffort is the most that one match may take, in steps: some 50 ms.
	maxEffort = 1_000_000
	// charged is how many comparisons are made before they are counted as steps, and
	// perStep how many take about the time of one.
	charged = 1024
	perStep = 4
)

// A matcher matches one pattern in one string. Places in either are offsets; one
// that is negative is none.
type matcher struct {
	m *machine
	l *lua.LState

	in, pattern string
	captures    [maxCaptures]capture
	level       int // of captures in use
	depth       int
	compared    int // and not counted yet
	effort      int // steps of this match
}

// A capture is a part of the string, or a place in it.
type capture struct{ start, length int }

const (
	unfinished = -1 // the length of a capture that is open
	isPlace    = -2 // that of a place
	nowhere    = -1
)

// compare counts comparisons, and raises an error if they may be no more.
func (c *matcher) compare(n int) {
	if c.compared += n; c.compared >= charged {
		c.settle()
	}
}

func (c *matcher) settle() {
	steps := c.compared / perStep
	c.compared = 0
	c.m.spend(c.l, steps)
	if c.effort += steps; c.effort > maxEffort {
		c.l.RaiseError("the pattern takes too long on a string of %d bytes", len(c.in))
	}
}

// char returns the byte of the pattern at p, 0 behind its end.
func (c *matcher) char(p int) byte {
	if p < len(c.pattern) {
		return c.pattern[p]
	}
	return 0
}

// find returns where the first match at s or behind it begins and ends. Anchored,
// it begins at s.
func (c *matcher) find(s, p int, anchored bool) (start, end int) {
	end, c.effort = nowhere, 0
	for ; s <= len(c.in); s++ {
		c.level, c.depth = 0, 0
		if end = c.match(s, p); end >= 0 || anchored {
			break
		}
	}
	c.settle()
	if end < 0 {
		return nowhere, nowhere
	}
	return s, end
}

// match returns where what matches the pattern from p on, at s, ends.
func (c *matcher) match(s, p int) int {
	if c.depth++; c.depth > maxParts {
		c.l.RaiseError("pattern too complex")
	}
	end := c.parts(s, p)
	c.depth--
	return end
}

func (c *matcher) parts(s, p int) int {
	for s >= 0 {
		c.compare(1)
		switch next := c.char(p + 1); c.char(p) {
		case 0:
			return s
		case '(':
			if next == ')' {
				return c.open(s, p+2, isPlace)
			}
			return c.open(s, p+1, unfinished)
		case ')':
			return c.close(s, p+1)
		case '$':
			if next == 0 {
				if s == len(c.in) {
					return s
				}
				return nowhere
			}
		case '%':
			if next == 'b' {
				s, p = c.balanced(s, p+2), p+4
				continue
			}
			if next == 'f' {
				s, p = c.frontier(s, p+2)
				continue
			}
			if '0' <= next && next <= '9' {
				s, p = c.again(s, next), p+2
				continue
			}
		}
		end := c.itemEnd(p)
		c.compare(end - p)
		fits := c.fits(s, p, end)
		switch c.char(end) {
		case '?':
			if fits {
				if matched := c.match(s+1, end+1); matched >= 0 {
					return matched
				}
			}
			p = end + 1
		case '*':
			return c.most(s, p, end)
		case '+':
			if !fits {
				return nowhere
			}
			return c.most(s+1, p, end)
		case '-':
			return c.least(s, p, end)
		default:
			if !fits {
				return nowhere
			}
			s, p = s+1, end
		}
	}
	return nowhere
}

// most matches what is from p to end as often as it can, and the rest behind it.
func (c *matcher) most(s, p, end int) int {
	n := 0
	for c.fits(s+n, p, end) {
		c.compare(end - p)
		n++
	}
	for ; n >= 0; n-- {
		if matched := c.match(s+n, end+1); matched >= 0 {
			return matched
		}
	}
	return nowhere
}

// least does so as seldom as it can.
func (c *matcher) least(s, p, end int) int {
	for {
		if matched := c.match(s, end+1); matched >= 0 {
			return matched
		}
		if !c.fits(s, p, end) {
			return nowhere
		}
		c.compare(end - p)
		s++
	}
}

func (c *matcher) open(s, p, length int) int {
	if c.level == maxCaptures {
		c.l.RaiseError("too many captures")
	}
	c.captures[c.level] = capture{s, length}
	c.level++
	matched := c.match(s, p)
	if matched < 0 {
		c.level--
	}
	return matched
}

func (c *matcher) close(s, p int) int {
	last := c.level - 1
	for last >= 0 && c.captures[last].length != unfinished {
		last--
	}
	if last < 0 {
		c.l.RaiseError("invalid pattern capture")
	}
	c.captures[last].length = s - c.captures[last].start
	matched := c.match(s, p)
	if matched < 0 {
		c.captures[last].length = unfinished
	}
	return matched
}

// balanced matches %bxy, of which x and y are at p.
func (c *matcher) balanced(s, p int) int {
	if p+1 >= len(c.pattern) {
		c.l.RaiseError("unbalanced pattern")
	}
	if s == len(c.in) || c.in[s] != c.pattern[p] {
		return nowhere
	}
	for i, open := s+1, 1; i < len(c.in); i++ {
		c.compare(1)
		switch c.in[i] {
		case c.pattern[p+1]:
			if open--; open == 0 {
				return i + 1
			}
		case c.pattern[p]:
			open++
		}
	}
	return nowhere
}

// frontier matches %f[set], of which the set is at p: nothing, between a byte that
// is not in the set and one that is. Before the string and behind it is a 0.
func (c *matcher) frontier(s, p int) (after, rest int) {
	if c.char(p) != '[' {
		c.l.RaiseError("%s", "missing '[' after '%f' in pattern")
	}
	end := c.itemEnd(p)
	var before, behind byte
	if s > 0 {
		before = c.in[s-1]
	}
	if s < len(c.in) {
		behind = c.in[s]
	}
	c.compare(2 * (end - p))
	if c.inSet(before, p, end-1) || !c.inSet(behind, p, end-1) {
		return nowhere, end
	}
	return s, end
}

// again matches what an earlier capture is.
func (c *matcher) again(s int, digit byte) int {
	i := int(digit) - '1'
	if i < 0 || i >= c.level || c.captures[i].length == unfinished {
		c.l.RaiseError("invalid capture index")
	}
	before := c.captures[i]
	if before.length < 0 {
		return nowhere
	}
	c.compare(before.length / 16)
	if !strings.HasPrefix(c.in[s:], c.in[before.start:before.start+before.length]) {
		return nowhere
	}
	return s + before.length
}

// itemEnd returns where the item ends that is at p: a byte, a class or a set.
func (c *matcher) itemEnd(p int) int {
	switch p++; c.pattern[p-1] {
	case '%':
		if p == len(c.pattern) {
			c.l.RaiseError("%s", "malformed pattern (ends with '%')")
		}
		p++
	case '[':
		if c.char(p) == '^' {
			p++
		}
		for first := true; first || c.char(p) != ']'; first = false {
			if p >= len(c.pattern) {
				c.l.RaiseError("malformed pattern (missing ']')")
			}
			if p++; c.pattern[p-1] == '%' && p < len(c.pattern) {
				p++
			}
		}
		p++
	}
	return p
}

// fits reports whether the item from p to end matches the byte at s.
func (c *matcher) fits(s, p, end int) bool {
	if s >= len(c.in) {
		return false
	}
	switch c.pattern[p] {
	case '.':
		return true
	case '%':
		return inClass(c.in[s], c.pattern[p+1])
	case '[':
		return c.inSet(c.in[s], p, end-1)
	}
	return c.in[s] == c.pattern[p]
}

// inSet reports whether a byte is in the set whose brackets are at p and last.
func (c *matcher) inSet(b byte, p, last int) bool {
	in := true
	if p++; c.char(p) == '^' {
		in = false
		p++
	}
	for ; p < last; p++ {
		switch {
		case c.pattern[p] == '%':
			if p++; inClass(b, c.char(p)) {
				return in
			}
		case c.char(p+1) == '-' && p+2 < last:
			if p += 2; c.pattern[p-2] <= b && b <= c.pattern[p] {
				return in
			}
		case c.pattern[p] == b:
			return in
		}
	}
	return !in
}

// inClass reports whether a byte is in the class of a letter; what is no letter of
// a class stands for itself.
func inClass(b, class byte) (in bool) {
	letter, digit := 'a' <= b|0x20 && b|0x20 <= 'z', '0' <= b && b <= '9'
	switch class | 0x20 {
	case 'a':
		in = letter
	case 'c':
		in = b < ' ' || b == 0x7f
	case 'd':
		in = digit
	case 'l':
		in = 'a' <= b && b <= 'z'
	case 'p':
		in = b > ' ' && b < 0x7f && !letter && !digit
	case 's':
		in = isSpace(b)
	case 'u':
		in = 'A' <= b && b <= 'Z'
	case 'w':
		in = letter || digit
	case 'x':
		in = digitOf(b) < 16
	case 'z':
		in = b == 0
	default:
		return b == class
	}
	return in == ('a' <= class)
}

// value returns the i-th capture, from 0, of the match from s to end. The first one
// is the whole match if the pattern has none.
func (c *matcher) value(i, s, end int) lua.LValue {
	c.m.take(c.l, captureBytes)
	switch {
	case i == 0 && c.level == 0:
		return lua.LString(c.in[s:end])
	case i >= c.level:
		c.l.RaiseError("invalid capture index")
	case c.captures[i].length == unfinished:
		c.l.RaiseError("unfinished capture")
	case c.captures[i].length == isPlace:
		return lua.LNumber(c.captures[i].start + 1)
	}
	at := c.captures[i]
	return lua.LString(c.in[at.start : at.start+at.length])
}

// push pushes the captures of a match, or it as a whole if there are none.
func (c *matcher) push(s, end int) int {
	n := max(c.level, 1)
	for i := range n {
		c.l.Push(c.value(i, s, end))
	}
	return n
}
