package commands

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// Numbers as Redis reads and writes them, which is as C does.

const (
	errNotFloat    = "ERR value is not a valid float"
	errOverflow    = "ERR increment or decrement would overflow"
	errNotFinite   = "ERR increment would produce NaN or Infinity"
	errNotPositive = "ERR value is out of range, must be positive"
)

// maxFloat is how long the text of a number may be: a long one takes the square of
// its length to read.
const maxFloat = 5 << 10 // what Redis writes is shorter

// scanFloat splits text into a number as C's strtod would read it, in a form that
// Go reads, and what comes behind it. No number is all rest.
func scanFloat(text string) (number, rest string) {
	start := len(text) - len(strings.TrimLeft(text, " \t\n\v\f\r"))
	at := start
	if at < len(text) && (text[at] == '+' || text[at] == '-') {
		at++
	}
	sign, lowered := text[start:at], strings.ToLower(text[at:])
	for _, word := range []string{"infinity", "inf", "nan"} {
		if strings.HasPrefix(lowered, word) {
			return sign + word, text[at+len(word):]
		}
	}
	prefix, digits, exponent := "", "0123456789", "e"
	if strings.HasPrefix(lowered, "0x") {
		if n := mantissa(lowered[2:], digits+"abcdef"); n > 0 {
			prefix, digits, exponent = "0x", digits+"abcdef", "p"
		}
	}
	at += len(prefix)
	lowered = lowered[len(prefix):]
	n := mantissa(lowered, digits)
	if n == 0 {
		return "", text
	}
	n += exponentOf(lowered[n:], exponent)
	number = sign + prefix + lowered[:n]
	if prefix != "" && !strings.Contains(number, "p") {
		number += "p0"
	}
	return number, text[at+n:]
}

// mantissa returns how long the digits are that s begins with, and the point among
// them. No digit is no mantissa.
func mantissa(s, digits string) int {
	whole := len(s) - len(strings.TrimLeft(s, digits))
	if whole == len(s) || s[whole] != '.' {
		return whole
	}
	fraction := len(s) - whole - 1 - len(strings.TrimLeft(s[whole+1:], digits))
	if whole+fraction == 0 {
		return 0
	}
	return whole + 1 + fraction
}

func exponentOf(s, letter string) int {
	if !strings.HasPrefix(s, letter) {
		return 0
	}
	at := 1
	if at < len(s) && (s[at] == '+' || s[at] == '-') {
		at++
	}
	digits := len(s) - at - len(strings.TrimLeft(s[at:], "0123456789"))
	if digits == 0 {
		return 0
	}
	return at + digits
}

// parseFloat reads a score.
//
// Source: Redis, getDoubleFromObject.
func parseFloat(b []byte) (float64, bool) {
	if len(b) == 0 || len(b) > maxFloat || isSpace(b[0]) {
		return 0, false
	}
	number, rest := scanFloat(string(b))
	if number == "" || rest != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(f) || f == 0 && !isZero(number) { // out of range at either end
		return 0, false
	}
	return f, true
}

func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// isZero reports whether a number, as scanFloat returns it, is none but by being
// too small to be told from it.
func isZero(number string) bool {
	digits, _, _ := strings.Cut(strings.TrimLeft(number, "+-"), "p")
	if !strings.HasPrefix(digits, "0x") {
		digits, _, _ = strings.Cut(digits, "e")
	}
	return strings.Trim(digits, "0x.") == ""
}

// A bound is one end of a range of scores.
type bound struct {
	score     float64
	exclusive bool
}

// parseBound reads one end of a range; an empty one is 0.
//
// Source: Redis, zslParseRange.
func parseBound(b []byte) (at bound, ok bool) {
	if len(b) > maxFloat {
		return at, false
	}
	text := string(b)
	if strings.HasPrefix(text, "(") {
		at.exclusive, text = true, text[1:]
	}
	if end := strings.IndexByte(text, 0); end >= 0 {
		text = text[:end] // as C's strings end
	}
	if text == "" {
		return at, true
	}
	number, rest := scanFloat(text)
	at.score, _ = strconv.ParseFloat(number, 64) // what is out of range is infinite or 0
	return at, number != "" && rest == "" && !math.IsNaN(at.score)
}

// longPrecision is that of the long double in which Redis adds fractions.
const longPrecision = 64

// parseLong reads a number in that precision.
//
// Source: Redis, getLongDoubleFromObject.
func parseLong(b []byte) (*big.Float, bool) {
	if len(b) == 0 || len(b) > maxFloat || isSpace(b[0]) {
		return nil, false
	}
	number, rest := scanFloat(string(b))
	if number == "" || rest != "" || strings.HasSuffix(number, "nan") {
		return nil, false
	}
	if strings.Contains(number, "inf") {
		return new(big.Float).SetInf(number[0] == '-'), true
	}
	f, _, err := big.ParseFloat(number, 0, longPrecision, big.ToNearestEven)
	if err != nil || f.IsInf() || f.Sign() == 0 && !isZero(number) {
		return nil, false
	}
	const most, least = 16384, -16444 // exponents of a long double
	if e := f.MantExp(nil); f.Sign() != 0 && (e > most || e < least) {
		return nil, false
	}
	return f, true
}

// addLong returns the sum of two numbers, as Redis writes it. It reports false for
// one that is not finite.
func addLong(a, b *big.Float) (string, bool) {
	if a.IsInf() || b.IsInf() {
		return "", false
	}
	sum := new(big.Float).SetPrec(longPrecision).Add(a, b)
	text := sum.Text('f', 17)
	text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	if text == "-0" {
		text = "0"
	}
	return text, sum.MantExp(nil) <= 16384
}

// addInt reports false if the sum does not fit.
func addInt(a, b int64) (int64, bool) {
	sum := a + b
	return sum, (sum >= a) == (b >= 0)
}
