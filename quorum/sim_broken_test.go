package quorum

import (
	"fmt"
	"strings"
	"testing"
	"text/tabwriter"
)

// A brokenRule is a rule left out, and the first history that is known to notice.
// Where histories have changed since, others are searched.
type brokenRule struct {
	name   string
	breaks breakage
	near   int
}

var brokenRules = []brokenRule{
	{"grant before the journal has it", breakJournalFirst, 30},
	{"take a pending lease for none", breakPendingHeld, 1},
	{"let ops run on names that are being changed", breakOneAtATime, 2},
	{"give out numbers that the journal did not allow", breakReserve, 1},
	{"let the end of a lease erase the change that follows", breakExpiry, 360},
	{"let an undecided copy end before what it replaces", breakOutlive, 354},
	{"grant what has no validity left", breakTooSlow, 2},
	{"rule 1: count votes whatever the book says", breakUnread, 61},
	{"rule 2: count what an older epoch said", breakEpoch, 166},
	{"rule 3: sign before every lease is back", breakReseed, 256},
	{"rule 4: put our lease over somebody else's", breakOver, 2291},
	{"rule 5: ask a store that not every peer has signed", breakWhole, 53},
	{"rule 5: take a silent peer for dead at once", breakOutwait, 61},
	{"rule 5: believe in peers that may have missed a jump", breakSure, 958},
	{"rule 6: believe in signatures of an earlier incarnation", breakIncarnation, 296},
	{"rule 7: sign with an empty journal", breakFresh, 775},
	{"rule 8: take numbers that others may have passed", breakMarks, 2},
	{"rule 8: let a lease go when a newer copy is seen", breakSight, 25},
	{"rule 9: serve beside those who are not on the list", breakStrangers, 193},
	{"rule 10: put back without looking for a notice", breakNotices, 5597},
	{"rule 10: deny by the own table", breakDeny, 2},
	{"rule 11: take up another list of stores at once", breakMove, 1},
	{"section 3: let an extension keep its version", breakVersion, 2},
	{"rule 1: let votes stand of a store that forgot since", breakVoid, 208},
	{"section 3: undo late by taking out, not by putting back", breakBackfill, 9165},
	{"section 3: replace one of two possible leases by what was made of the other", breakDoubt, 4495},
	{"section 3: answer by one of two possible leases", breakRivals, 384},
}

// Of these no history near takes notice: it takes a coincidence that each has a test of
// its own for. A long search goes on looking.
var hardlyNoticed = []brokenRule{
	// A store's mark refuses what strictness would: see peers_test.go.
	{"section 3: swap where there is no copy, or an older one", breakStrict, 1},
	// What a failed change was tried on must be less than what our table has, and nobody
	// may find out before it counts: see TestAFailedChangeOfWhatWasSeenLeavesOurLease.
	{"section 3: take a copy that was seen for the lease, though we have that", breakAdopt, 1},
	// A crash must leave a change in doubt that a peer had overtaken, and its client must
	// end the lease before the stores tell: see TestAReleaseOfWhatIsInDoubtConfirmsItFirst.
	{"rule 10: leave notices of what may never have been granted", breakUnsure, 1},
}

func TestTheSearchForRulesThatAreHardlyNoticed(t *testing.T) {
	tries := 1
	if *simSearch {
		tries = *simBroken
	}
	for _, rule := range hardlyNoticed {
		if seed, w := rule.search(rule.near, tries); w != nil {
			rule.isToBlame(t, seed, w)
		} else {
			t.Logf("%s: not noticed in %d histories", rule.name, tries)
		}
	}
}

// A finding is what became of a search.
type finding struct {
	histories int // that were simulated, the last of which took notice; 0: none did
	wrong     string
}

// TestEachBrokenRuleIsNoticed leaves each rule out, and wants something to go
// wrong. A table at its end says after how many histories what did.
func TestEachBrokenRuleIsNoticed(t *testing.T) {
	findings := make([]finding, len(brokenRules))
	t.Run("rules", func(t *testing.T) { // in a group, so that all are through behind it
		for i, rule := range brokenRules {
			if strings.Contains(rule.name, *simRule) {
				t.Run(rule.name, func(t *testing.T) {
					t.Parallel()
					findings[i] = rule.isNoticed(t)
				})
			}
		}
	})
	var b strings.Builder
	tab := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "histories\tfrom\trule left out\twhat went wrong")
	for i, f := range findings {
		if f.histories > 0 {
			fmt.Fprintf(tab, "%d\t%d\t%s\t%.90s\n", f.histories, brokenRules[i].first(), brokenRules[i].name, f.wrong)
		}
	}
	tab.Flush()
	t.Logf("\n%s", b.String())
}

// first returns the history that a search begins with.
func (rule brokenRule) first() int {
	if *simSearch {
		return 1
	}
	return rule.near
}

func (rule brokenRule) isNoticed(t *testing.T) finding {
	first := rule.first()
	seed, w := rule.search(first, *simBroken)
	if w == nil {
		t.Fatalf("not noticed in %d histories from %d on", *simBroken, first)
	}
	rule.isToBlame(t, seed, w)
	return finding{seed - first + 1, w.wrong[0]}
}

// search returns the first history that takes notice, and nil if none of so many does.
func (rule brokenRule) search(first, tries int) (seed int, w *world) {
	for seed = first; seed < first+tries; seed++ {
		if w := simulateSafely(uint64(seed), rule.breaks); len(w.wrong) > 0 {
			return seed, w
		}
	}
	return 0, nil
}

// isToBlame tells what went wrong, which must not without the breakage.
func (rule brokenRule) isToBlame(t *testing.T, seed int, w *world) {
	t.Logf("noticed by history %5d: %s", seed, w.wrong[0])
	if rule.breaks > breakPeers {
		if w := simulate(uint64(seed), breakPeers); len(w.wrong) > 0 {
			t.Errorf("history %d, no rule broken: %s\n%s", seed, w.wrong[0], w.story())
		}
	}
}

// simulateSafely takes a panic of a core with a broken rule for what it is.
func simulateSafely(seed uint64, breaks breakage) (w *world) {
	defer func() {
		if r := recover(); r != nil {
			w = &world{wrong: []string{fmt.Sprintf("panic: %v", r)}}
		}
	}()
	return simulate(seed, breaks)
}
