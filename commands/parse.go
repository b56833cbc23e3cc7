package commands

import (
	"math"
)

// parseInt reads an integer as strictly as Redis does: no blanks, no plus sign,
// no leading zeros, 64 bits.
//
// Source: Redis, string2ll.
func parseInt(b []byte) (int64, bool) {
	digits, negative := b, false
	if len(b) > 0 && b[0] == '-' {
		digits, negative = b[1:], true
	}
	if len(digits) == 0 || len(digits) > 19 || (digits[0] == '0' && len(b) > 1) {
		return 0, false
	}
	var n uint64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0') // 19 digits always fit
	}
	switch {
	case negative && n <= math.MaxInt64+1:
		return -int64(n), true
	case !negative && n <= math.MaxInt64:
		return int64(n), true
	}
	return 0, false
}

// is reports whether b is word, which is in lower case, in any case.
func is(b []byte, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i := range b {
		if lower(b[i]) != word[i] {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// appendLower appends b in lower case.
func appendLower(dst, b []byte) []byte {
	for _, c := range b {
		dst = append(dst, lower(c))
	}
	return dst
}

// everything is the pattern of who gives none. It matches an empty name too, of which
// [glob] says otherwise.
//
// Source: Redis, keysCommand and scanGenericCommand, which do not look at what matches it.
const everything = "*"

// matches is glob for what is listed.
func matches(pattern, name string) bool { return pattern == everything || glob(pattern, name) }

// glob reports whether name matches pattern, in Redis's way: * ? [a-z] [^a] and
// \ before a character that stands for itself. It takes time proportional to
// the product of the lengths at most, whatever the pattern. An empty name matches
// only an empty pattern, not even a star.
//
// Source: Redis, stringmatchlen.
func glob(pattern, name string) bool {
	steps := math.MaxInt
	return globWithin(&steps, pattern, name)
}

// globWithin is glob that takes what it does from steps. Once those are less than
// none it reports false, whether or not name matches.
func globWithin(steps *int, pattern, name string) bool {
	p, n := 0, 0
	starP, starN := -1, 0 // where to go on when the last star takes one byte more
	if name == "" {
		return pattern == ""
	}
	for *steps--; n < len(name); *steps-- {
		if *steps < 0 {
			return false
		}
		if p < len(pattern) && pattern[p] == '*' {
			starP, starN = p+1, n
			p++
			continue
		}
		width, ok := matchByte(pattern[p:], name[n])
		*steps -= width
		if ok {
			p += width
			n++
			continue
		}
		if starP < 0 {
			return false
		}
		starN++
		p, n = starP, starN
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
		*steps--
	}
	return p == len(pattern) && *steps >= 0
}

// matchByte reports whether the first element of pattern matches c, and how
// long that element is.
func matchByte(pattern string, c byte) (width int, ok bool) {
	if pattern == "" {
		return 0, false
	}
	switch {
	case pattern[0] == '?':
		return 1, true
	case pattern[0] == '[':
		return matchClass(pattern, c)
	case pattern[0] == '\\' && len(pattern) > 1:
		return 2, pattern[1] == c
	}
	return 1, pattern[0] == c
}

// matchClass is matchByte of [...]. One that is never closed ends with the pattern.
func matchClass(pattern string, c byte) (width int, ok bool) {
	i := 1
	not := i < len(pattern) && pattern[i] == '^'
	if not {
		i++
	}
	for i < len(pattern) && pattern[i] != ']' {
		switch {
		case pattern[i] == '\\' && i+1 < len(pattern):
			i++
			ok = ok || pattern[i] == c
		case i+2 < len(pattern) && pattern[i+1] == '-':
			low, high := min(pattern[i], pattern[i+2]), max(pattern[i], pattern[i+2])
			ok = ok || low <= c && c <= high
			i += 2
		default:
			ok = ok || pattern[i] == c
		}
		i++
	}
	return min(i+1, len(pattern)), ok != not
}
