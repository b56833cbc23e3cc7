package quorum

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A Phase is what a line of a book is.
type Phase string

const (
	Signed    Phase = "signed"    // every live lease of the signer is in the store, but for those of Owed
	Pending   Phase = "pending"   // the signer is still putting its leases back
	Forgotten Phase = "forgotten" // an operator says that the signer will not come back
	Moved     Phase = "moved"     // the signer went over to another list of stores
)

// A Signature is one proxy's line in a store's book. It stands there as its
// phase, a blank and JSON, so that an operator can read it.
type Signature struct {
	Phase Phase `json:"-"`
	// Nonce is made anew for every signature. That it still stands is the proof
	// that the store has forgotten nothing since.
	Nonce string `json:"nonce,omitempty"`
	// Next is the nonce of the signature that is to follow a Signed one.
	Next        string   `json:"next,omitempty"`
	Instance    string   `json:"instance"`              // made with the journal; an id is only a label
	Incarnation string   `json:"incarnation,omitempty"` // of the store, when it was signed
	Peers       []string `json:"peers,omitempty"`       // the other proxies' ids, sorted
	Seen        []string `json:"seen,omitempty"`        // what the journal knows of proxies, see [History]
	Config      string   `json:"config"`                // stores, strategy and max-ttl, in words
	Mark        Number   `json:"mark"`                  // no number of the signer's was above it when it was written, and none will be below it
	Owed        []int    `json:"owed,omitempty"`        // the buckets of locks that it says nothing of, sorted; see [Bucket]
	Beat        uint64   `json:"beat"`                  // goes up while the signer lives
	// Clock is what the store's clock showed when it was written, by the signer's,
	// which counted from Boot. So the signer itself can tell whether that jumped
	// while it was away.
	Clock *ClockReading `json:"clock,omitempty"`
	Boot  string        `json:"boot,omitempty"`
	// Beside are the nonces of the other signatures that stood there then. Whoever has
	// still the same has looked after the clock all the while.
	Beside []string `json:"beside,omitempty"`
}

// String returns the line as it stands in a book.
func (s Signature) String() string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("a signature that is no JSON: %v", err)) // strings and numbers only
	}
	return string(s.Phase) + " " + string(text)
}

// ParseSignature reads a line of a book.
func ParseSignature(line string) (Signature, error) {
	phase, text, _ := strings.Cut(line, " ")
	s := Signature{Phase: Phase(phase)}
	if !slices.Contains([]Phase{Signed, Pending, Forgotten, Moved}, s.Phase) {
		return s, fmt.Errorf("a line in the book that is no signature: %.100q", line)
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return s, fmt.Errorf("a line in the book that is no signature: %.100q: %w", line, err)
	}
	return s, nil
}

// process returns the part of an incarnation that all proxies read alike. What
// follows "/j" counts what one connection noticed, such as jumps of the clock.
func process(incarnation string) string {
	p, _, _ := strings.Cut(incarnation, "/j")
	return p
}
