package quorum

import "fmt"

// A Strategy says how many of the stores must agree.
type Strategy uint8

const (
	Majority  Strategy = iota // more than half of the stores configured
	Unanimous                 // all of them
)

// ParseStrategy returns the strategy of that name.
func ParseStrategy(name string) (Strategy, error) {
	for _, s := range []Strategy{Majority, Unanimous} {
		if s.String() == name {
			return s, nil
		}
	}
	return 0, fmt.Errorf("strategy %q: want majority or unanimous", name)
}

func (s Strategy) String() string { return [...]string{"majority", "unanimous"}[s] }

// Need returns how many votes of so many stores are a quorum. Without stores
// none is needed: the journal alone decides.
func (s Strategy) Need(stores int) int {
	if s == Unanimous || stores == 0 {
		return stores
	}
	return stores/2 + 1
}

// A Count is how the votes on one name stand.
type Count struct{ Granted, Refused, Silent int }

func (c Count) in() int { return c.Granted + c.Refused + c.Silent }

// A Standing is what a count means.
type Standing uint8

const (
	Undecided Standing = iota // the votes still out decide
	Won                       // a quorum granted: no later vote can change it
	LostHeld                  // so many refused that no quorum is left
	LostMute                  // neither can come any more, and silence is among the reasons
)

func (s Standing) String() string { return [...]string{"undecided", "won", "held", "mute"}[s] }

// Tally says how a vote of so many stores stands, of which need must grant.
func Tally(stores, need int, c Count) Standing {
	switch {
	case c.Granted >= need:
		return Won
	case c.Refused > stores-need:
		return LostHeld
	case stores-c.Refused-c.Silent >= need, stores-c.Granted-c.Silent > stores-need:
		// It may still be won, or at least known that somebody holds it: who waits
		// for a lock does not mind to lose it, but does mind an error.
		return Undecided
	}
	return LostMute
}
