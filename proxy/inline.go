package proxy

import "github.com/tidwall/redcon"

// splitInline splits a line into arguments as Redis does: at blanks, except
// between quotes; "double quotes" know escapes, 'single quotes' only \'. It
// reports false if a quote is not closed, or something follows it directly.
//
// Source: Redis 7.0, sds.c, sdssplitargs.
func splitInline(line []byte) (args [][]byte, ok bool) {
	for {
		for len(line) > 0 && blank(line[0]) {
			line = line[1:]
		}
		if len(line) == 0 {
			return args, true
		}
		var arg []byte
		if arg, line, ok = word(line); !ok {
			return nil, false
		}
		args = append(args, arg)
	}
}

// word takes one argument from the front of a line that begins with no blank.
func word(line []byte) (arg, rest []byte, ok bool) {
	arg = []byte{}
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case blank(c):
			return arg, line[i:], true
		case c == '"' || c == '\'':
			n, closed := 0, false
			arg, n, closed = quoted(arg, line[i+1:], c)
			rest = line[i+1+n:]
			return arg, rest, closed && (len(rest) == 0 || blank(rest[0]))
		default:
			arg = append(arg, c)
		}
	}
	return arg, nil, true
}

// quoted appends to arg what stands before the closing quote in b, and returns
// how many bytes of b that was, the quote included.
func quoted(arg, b []byte, quote byte) (_ []byte, n int, closed bool) {
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == quote:
			return arg, i + 1, true
		case c != '\\' || i+1 == len(b):
			arg = append(arg, c)
		case quote == '\'':
			if b[i+1] == '\'' {
				c = '\''
				i++
			}
			arg = append(arg, c)
		default:
			c, length := unescape(b[i+1:])
			arg = append(arg, c)
			i += length
		}
	}
	return arg, len(b), false
}

// unescape returns the byte that is meant by what follows a backslash, and how
// much of it that takes.
func unescape(b []byte) (c byte, length int) {
	if b[0] == 'x' && len(b) > 2 {
		high, ok1 := hexDigit(b[1])
		low, ok2 := hexDigit(b[2])
		if ok1 && ok2 {
			return high<<4 | low, 3
		}
	}
	switch b[0] {
	case 'n':
		return '\n', 1
	case 'r':
		return '\r', 1
	case 't':
		return '\t', 1
	case 'b':
		return '\b', 1
	case 'a':
		return '\a', 1
	}
	return b[0], 1
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// blank reports whether c ends an argument. Redis ends the whole line at a zero
// byte; here it is a blank like the others, so that nothing sent is passed over.
func blank(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' || c == 0 }

// encode returns the arguments as RESP.
func encode(args [][]byte) []byte {
	b := redcon.AppendArray(nil, len(args))
	for _, arg := range args {
		b = redcon.AppendBulk(b, arg)
	}
	return b
}
