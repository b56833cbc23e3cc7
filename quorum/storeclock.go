package quorum

import "time"

// A ClockReading is what a store's clock showed, and the span of ours in which it
// did: from just before the question was written to just after its answer was
// read. The span is as wide as the round trip, so a busy machine or a slow network
// makes a reading vague, never wrong.
type ClockReading struct {
	Shown  time.Duration `json:"shown"` // since 1970, in ns
	Before Time          `json:"before"`
	After  Time          `json:"after"`
}

// Jump returns by how much the store's clock went further from one reading to a
// later one than ours did, about, and 0 if it may have kept pace. Two rates may
// differ by the drift that every validity allows for; what is more would let copies
// expire too early, or too late.
func (r ClockReading) Jump(later ClockReading) time.Duration {
	least, most := later.Before.Sub(r.After), later.After.Sub(r.Before)
	passed := later.Shown - r.Shown
	if passed >= least-Drift(least) && passed <= most+Drift(most) {
		return 0
	}
	return passed - (least+most)/2
}
