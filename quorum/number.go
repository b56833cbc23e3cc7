package quorum

import (
	"fmt"
	"hash/fnv"
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
// than that were made a second, on average, or the wall clock went back. Nor does
// one that comes back after a reboot fall behind its peers. This is the only use
// of a wall clock, and no lease depends on it.
//
// 4096 leaves 45 bits for the count (the fence stays below 2^53) until the
// count has grown by 27e12.
func FirstNumber(t time.Time, author uint8) Number {
	return MakeNumber(uint64(max(t.Unix(), 1))<<12, author)
}

// Buckets is how many marks a store keeps.
const Buckets = 1024

// Bucket returns which of a store's marks is that of a lock, 0 to Buckets-1.
// With one mark for each lock a store would fill up; with one for all, proxies
// that are not quite in step would refuse each other's numbers all the time.
func Bucket(name string) int {
	h := fnv.New32a()
	h.Write([]byte(name))
	return int(h.Sum32() % Buckets)
}
