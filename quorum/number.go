package quorum

import (
	"fmt"
	"time"
)

// A Number names one change, for ever: the low 8 bits are its author, the rest
// counts up. So numbers of several proxies never collide and still have an
// order, and an author knows its own. Zero is no number.
//
// A number is a fencing token too, and clients in JavaScript read integers as
// doubles: see [FirstNumber] for how it stays below 2^53.
type Number uint64

const authorBits = 8

// MakeNumber returns the count-th number of an author, 0 for a proxy on its own.
func MakeNumber(count uint64, author uint8) Number {
	return Number(count<<authorBits | uint64(author))
}

// Author returns who made the change.
func (n Number) Author() uint8 { return uint8(n) }

// Count returns n without its author.
func (n Number) Count() uint64 { return uint64(n) >> authorBits }

// String returns the 16 hex digits that a store's copy carries.
func (n Number) String() string { return fmt.Sprintf("%016x", uint64(n)) }

// FirstNumber returns where the numbers of a journal made at wall time t start.
// A journal that replaces a lost one should not repeat the lost one's numbers:
// with 4096 of them for each second since 1970 it does not, unless more changes
// than that were made a second, on average, or the wall clock went back. This
// is the only use of a wall clock, and no lease depends on it.
//
// 4096 leaves 45 bits for the count (the fence stays below 2^53) until the
// count has grown by 27e12.
func FirstNumber(t time.Time, author uint8) Number {
	return MakeNumber(uint64(max(t.Unix(), 1))<<12, author)
}
