package quorum

import (
	"slices"
	"time"
)

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

// standing returns our signature of before a restart of ours, nil if there is none.
func (c *Core) standing(w *witness) *Signature {
	s, err := ParseSignature(w.line)
	if err != nil || s.Phase != Signed || s.Instance != c.cfg.Instance || s.Incarnation != process(w.incarnation) {
		return nil
	}
	return &s
}

// keptPace reports whether a store's clock is known not to have jumped since a
// signature of ours. Copies may have run out too early, and where nobody was there to
// see it, each that comes back finds it out from its own signature. After a reboot of
// ours it takes a peer's word.
//
// Alone we need not know: where our copies are missing, our table has them.
func (c *Core) keptPace(w *witness, old *Signature) bool {
	switch {
	case !c.peered() || c.breaks&breakPace != 0:
		return true
	case old.Clock == nil || w.clock == nil:
		return old.Clock == w.clock // a store without
	case old.Boot != "" && old.Boot == c.cfg.Boot:
		return old.Clock.Jump(*w.clock) == 0
	}
	for i := range c.peers {
		if c.wasBeside(w, old, i) && w.peers[i].moves >= beatsBelieve {
			return true
		}
	}
	return false
}

// mayVouch reports whether a peer is there that may have looked after the clock ever
// since a signature of ours. If it lives, it has done so once its beat has moved.
func (c *Core) mayVouch(w *witness, old *Signature) bool {
	for i := range c.peers {
		if old.Boot != c.cfg.Boot && c.wasBeside(w, old, i) {
			return true
		}
	}
	return false
}

// wasBeside reports whether the signature of a peer is still the one that stood beside ours.
func (c *Core) wasBeside(w *witness, old *Signature, peer int) bool {
	s, ok := w.sigs[c.peers[peer].id]
	return ok && s.Phase == Signed && w.current(s) && slices.Contains(old.Beside, s.Nonce) && w.peers[peer].nonce == s.Nonce
}

// beside returns the nonces of the peers' signatures in a store.
func (c *Core) beside(w *witness) (nonces []string) {
	for i := range c.peers {
		if s, ok := w.sigs[c.peers[i].id]; ok && s.Phase == Signed && w.current(s) {
			nonces = append(nonces, s.Nonce)
		}
	}
	return nonces
}
