package quorum

import "time"

// A Time is a reading of the one clock that every decision is made by, in
// nanoseconds since some start that all readings of one boot share. It counts
// suspend and knows nothing of the wall.
type Time int64

// A Clock tells the time. Readings never go back while the program runs.
type Clock interface {
	Now() Time
}

// Add returns the time d after t.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Sub returns how long after u t is.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// Two clocks may differ in rate by 1 %, and a store counts in milliseconds and
// may round: the 2 ms are what Redlock allows for that.
//
// Source: the Redis manual, "Distributed Locks with Redis", on clock drift.
const (
	driftShare = 100 // one part in
	driftFloor = 2 * time.Millisecond
)

// Drift returns how far the end of a TTL may be off between two clocks.
func Drift(ttl time.Duration) time.Duration { return ttl/driftShare + driftFloor }

// undrifted returns the TTL that makes d with its drift.
func undrifted(d time.Duration) time.Duration {
	return (d - driftFloor) * driftShare / (driftShare + 1)
}

// Validity returns how long a holder may rely on a lease of ttl whose first
// request left elapsed ago. Zero or less: not at all.
func Validity(ttl, elapsed time.Duration) time.Duration { return ttl - elapsed - Drift(ttl) }

// Until returns when a lease begun at start is over for sure: the cautious end,
// by which we deny, reseed and journal, since plain clients believe in the
// whole TTL and count it with a clock of their own.
func Until(start Time, ttl time.Duration) Time { return start.Add(ttl + Drift(ttl)) }
