package quorum

import (
	"fmt"
	"go/format"
	"os"
	"strings"
	"testing"
	"text/tabwriter"
)

// A brokenRule is a rule left out.
type brokenRule struct {
	name   string
	breaks breakage
	storm  string // only histories with such a storm are searched, "" for all: see [storm]; or alone
}

var brokenRules = []brokenRule{
	{"grant before the journal has it", breakJournalFirst, ""},
	{"take a pending lease for none", breakPendingHeld, ""},
	{"let ops run on names that are being changed", breakOneAtATime, ""},
	{"give out numbers that the journal did not allow", breakReserve, ""},
	{"let the end of a lease erase the change that follows", breakExpiry, ""},
	{"let an undecided copy end before what it replaces", breakOutlive, ""},
	{"grant what has no validity left", breakTooSlow, ""},
	{"rule 1: count votes whatever the book says", breakUnread, ""},
	{"rule 2: count what an older epoch said", breakEpoch, ""},
	{"rule 3: sign before every lease is back", breakReseed, ""},
	{"rule 3: take a store's word on what its signatures leave out", breakOwed, ""},
	{"rule 4: put our lease over somebody else's", breakOver, ""},
	{"rule 5: ask a store that not every peer has signed", breakWhole, ""},
	{"rule 5: take a silent peer for dead at once", breakOutwait, ""},
	{"rule 5: believe in peers that may have missed a jump", breakSure, "unseen"},
	{"rule 6: believe in signatures of an earlier incarnation", breakIncarnation, ""},
	{"rule 6: let a signature stand whose store's clock may have jumped unseen", breakPace, "unseen"},
	{"rule 7: sign with an empty journal", breakFresh, ""},
	{"rule 8: take numbers that others may have passed", breakMarks, ""},
	{"rule 8: let a lease go when a newer copy is seen", breakSight, ""},
	{"rule 9: serve beside those who are not on the list", breakStrangers, ""},
	{"rule 10: put back without looking for a notice", breakNotices, alone},
	{"rule 10: deny by the own table", breakDeny, ""},
	{"rule 11: take up another list of stores at once", breakMove, ""},
	{"section 3: let an extension keep its version", breakVersion, ""},
	{"rule 1: let votes stand of a store that forgot since", breakVoid, ""},
	{"section 3: undo late by taking out, not by putting back", breakBackfill, "crowd"},
	{"section 3: answer by one of two possible leases", breakRivals, ""},
	{"section 3: swap where there is no copy, or an older one", breakStrict, "crowd"},
	{"section 3: take a copy that was seen for the lease, though we have that", breakAdopt, "crowd"},
	{"rule 10: leave notices of what may never have been granted", breakUnsure, "crowd"},
	{"section 3: make anew what a peer went on from", breakTwice, ""},
}

// alone is for histories in which nobody contends: see [simLoner]. What is let go and
// comes back keeps others out, and hands no lock to two.
const alone = "alone"

// A hint is a history that is known to notice a broken rule, and how many a search from
// the first on simulates until it comes there; 0: not known since histories have changed.
type hint struct{ seed, histories int }

// A finding is what became of a search.
type finding struct {
	hint
	tries int // that were simulated, the last of which took notice; 0: none did
	wrong string
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
	fmt.Fprintln(tab, "tries\thistory\twithout a hint\trule left out\twhat went wrong")
	for i, f := range findings {
		if f.tries > 0 {
			without := "not known"
			if f.histories > 0 {
				without = fmt.Sprint(f.histories)
			}
			fmt.Fprintf(tab, "%d\t%d\t%s\t%s\t%.90s\n", f.tries, f.seed, without, brokenRules[i].name, f.wrong)
		}
	}
	tab.Flush()
	t.Logf("\n%s", b.String())
	if *simSearch {
		if err := keepHints(findings); err != nil {
			t.Error(err)
		}
	}
}

// keepHints writes simHints anew, with what was found.
func keepHints(findings []finding) error {
	var b strings.Builder
	fmt.Fprint(&b, "package quorum\n\n// simHints is where the search for broken rules begins, by the rules' names. Where histories\n"+
		"// have changed since, it goes on from there. This file is written by\n"+
		"// go test ./quorum -run TestEachBrokenRuleIsNoticed -sim.search -timeout 1h\nvar simHints = map[string]hint{\n")
	for i, rule := range brokenRules {
		h := simHints[rule.name]
		if findings[i].tries > 0 {
			h = findings[i].hint
		}
		fmt.Fprintf(&b, "%q: {%d, %d},\n", rule.name, h.seed, h.histories)
	}
	fmt.Fprintln(&b, "}")
	source, err := format.Source([]byte(b.String()))
	if err != nil {
		return err
	}
	return os.WriteFile("sim_hints_test.go", source, 0o644)
}

func (rule brokenRule) isNoticed(t *testing.T) finding {
	known, first := simHints[rule.name], 1
	if !*simSearch {
		first = max(known.seed, 1)
	}
	f := rule.search(first, *simBroken)
	if f.tries == 0 {
		t.Fatalf("not noticed in %d histories from %d on", *simBroken, first)
	}
	if f.histories = known.histories; *simSearch {
		f.histories = f.tries
	}
	t.Logf("noticed by history %5d: %s", f.seed, f.wrong)
	if rule.breaks > breakPeers {
		if w := rule.play(uint64(f.seed), breakPeers); len(w.wrong) > 0 {
			t.Errorf("history %d, no rule broken: %s\n%s", f.seed, w.wrong[0], w.story())
		}
	}
	return f
}

// search returns the first history that takes notice, without tries if none of so many
// does.
func (rule brokenRule) search(first, most int) (f finding) {
	for f.seed = first; f.tries < most; f.seed++ {
		if rule.storm != "" && rule.storm != alone && !prepare(uint64(f.seed), rule.breaks).stormy(rule.storm) {
			continue
		}
		f.tries++
		if w := rule.play(uint64(f.seed), rule.breaks); len(w.wrong) > 0 {
			f.wrong = w.wrong[0]
			return f
		}
	}
	return finding{}
}

// stormy reports whether there is a storm with that in its name.
func (w *world) stormy(name string) bool {
	return w.storm != nil && strings.Contains(w.storm.name, name)
}

// play runs a history, and takes a panic of a core with a broken rule for what it is.
func (rule brokenRule) play(seed uint64, breaks breakage) (w *world) {
	defer func() {
		if r := recover(); r != nil {
			w = &world{wrong: []string{fmt.Sprintf("panic: %v", r)}}
		}
	}()
	if rule.storm == alone {
		w, _ = aloneIn(seed, breaks)
		return w
	}
	return simulate(seed, breaks)
}
