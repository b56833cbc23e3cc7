package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"holdfast/conf"
	"holdfast/quorum"
)

// check visits every store and says in plain sentences what it found. Its error
// is that something is wrong enough to keep holdfast from starting, or from
// granting locks now.
func check(ctx context.Context, c conf.Config, out io.Writer) error {
	stores, err := members(c)
	if err != nil {
		return err
	}
	strategy, err := quorum.ParseStrategy(c.Strategy)
	if err != nil {
		return err
	}
	if len(stores) == 0 {
		fmt.Fprintf(out, "No stores: the journal in %s alone decides. Nothing else to check.\n", c.DataDir)
		return nil
	}
	patience := max(c.StoreTimeout, time.Second)
	visits := visitAll(ctx, stores, patience)
	group, pages, err := inspect(ctx, c, stores, patience)
	for _, m := range stores {
		err = errors.Join(err, m.Store.Close())
	}
	if err != nil {
		return err
	}
	problems, up := 0, 0
	reasons := refusals(visits, c)
	for i, v := range visits {
		if v.err != nil {
			problems++
			fmt.Fprintf(out, "%s\n  NOT REACHED: %v\n", v.name, v.err)
			continue
		}
		up++
		v.print(out)
		if pages[i].err != nil {
			problems++
			fmt.Fprintf(out, "  book         NOT READ: %v\n", pages[i].err)
		}
		for _, line := range group.describe(pages[i]) {
			fmt.Fprintf(out, "  book         %s\n", line)
		}
		reasons = append(reasons, group.refuse(pages[i])...)
	}
	for _, reason := range reasons {
		problems++
		fmt.Fprintf(out, "REFUSED: %v\n", reason)
	}
	if a := advice(len(stores), strategy); a != "" {
		fmt.Fprintf(out, "Note: %s.\n", a)
	}
	need := strategy.Need(len(stores))
	fmt.Fprintf(out, "%d of %d stores answered; %s needs %d.\n", up, len(stores), strategy, need)
	if problems > 0 {
		return fmt.Errorf("check: problems found: %d", problems)
	}
	fmt.Fprintln(out, "All is well.")
	return nil
}

// print says what the store said of itself.
func (v visit) print(out io.Writer) {
	f := v.facts
	fmt.Fprintf(out, "%s\n  %s %s", v.name, f.Kind, f.Version)
	if f.Role != "" {
		fmt.Fprintf(out, ", %s", f.Role)
	}
	fmt.Fprintf(out, ", answered in %v\n  run id       %s\n  persistence  %s\n  eviction     %s\n",
		v.took.Round(10*time.Microsecond), f.RunID, f.Persistence, f.Eviction)
	for _, p := range f.Problems {
		fmt.Fprintf(out, "  note         %s\n", p)
	}
}

// inspect reads every book, twice if somebody who signed one may be alive.
func inspect(ctx context.Context, c conf.Config, stores []quorum.Member, patience time.Duration) (census, []page, error) {
	all := scribes(stores, patience)
	pages := readAll(ctx, all)
	group := newCensus(c, newConfiguration(c, stores).print(), pages)
	if len(group.active) > 0 {
		if err := pause(ctx, beatPatience); err != nil {
			return group, nil, err
		}
		again := readAll(ctx, all)
		group.watch(pages, again)
		pages = again
	}
	return group, pages, nil
}

// A census is who signed the books, as seen by the proxy of a configuration.
type census struct {
	id        string // of that proxy; "" if nobody can tell
	guessed   bool   // the id was not said
	peers     []string
	print     string
	active    []string // the ids that signed some book, or are about to
	forgotten []string
	alive     map[string]bool // the ids whose lines move
}

func newCensus(c conf.Config, print string, pages []page) census {
	g := census{id: c.ID, peers: c.Peers, print: print, alive: map[string]bool{}}
	for _, id := range signers(pages) {
		for _, line := range linesOf(pages, id) {
			switch phaseOf(line) {
			case quorum.Signed, quorum.Pending:
				g.active = append(g.active, id)
			case quorum.Forgotten:
				g.forgotten = append(g.forgotten, id)
			}
		}
	}
	g.active, g.forgotten = slices.Compact(g.active), slices.Compact(g.forgotten)
	// The name of a proxy that has no --id is in its journal, which is its own
	// while it runs. If one proxy only signed these books, it is that.
	if g.id == "" && len(g.active) == 1 {
		g.id, g.guessed = g.active[0], true
	}
	return g
}

// watch notes whose lines moved between two readings of every book.
func (g *census) watch(before, after []page) {
	for i, p := range after {
		for id, line := range p.book {
			if before[i].err == nil && stirred(before[i].book[id], line) {
				g.alive[id] = true
			}
		}
	}
}

// describe says line by line who signed a book.
func (g *census) describe(p page) (lines []string) {
	if p.err == nil && len(p.book) == 0 {
		return []string{"nobody has signed it"}
	}
	for _, id := range signers([]page{p}) {
		s, err := quorum.ParseSignature(p.book[id])
		if err != nil {
			lines = append(lines, fmt.Sprintf("%s: %v", id, err))
			continue
		}
		lines = append(lines, g.line(id, s))
	}
	return lines
}

func (g *census) line(id string, s quorum.Signature) string {
	text := fmt.Sprintf("%s, %s: %s, instance %s", id, g.relation(id), s.Phase, s.Instance)
	if s.Phase == quorum.Signed || s.Phase == quorum.Pending {
		seen := "does not move"
		if g.alive[id] {
			seen = "moves"
		}
		text += fmt.Sprintf(", beat %d (about one a second) %s", s.Beat, seen)
		if n := len(s.Owed); n > 0 {
			text += fmt.Sprintf(", leaves out %d of %d buckets of locks", n, quorum.Buckets)
		}
	}
	if s.Config != g.print {
		text += ", with " + s.Config
	}
	if !slices.Equal(g.without(id), sorted(s.Peers)) && s.Phase != quorum.Forgotten {
		text += fmt.Sprintf(", its peers are %q", s.Peers)
	}
	return text
}

// relation says who an id is to this proxy.
func (g *census) relation(id string) string {
	switch {
	case id == g.id && g.guessed:
		return "taken for this proxy, as --id was not said"
	case id == g.id:
		return "this proxy"
	case slices.Contains(g.peers, id):
		return "a peer"
	}
	return "a stranger"
}

// without is the whole group but for id, sorted.
func (g *census) without(id string) []string {
	all := append(slices.Clone(g.peers), g.id)
	return sorted(slices.DeleteFunc(all, func(other string) bool { return other == id || other == "" }))
}

// refuse returns what serve would refuse to serve for, going by one book. Like
// serve it does not mind who lists a peer that is forgotten.
func (g *census) refuse(p page) (reasons []error) {
	refused := func(format string, args ...any) {
		reasons = append(reasons, fmt.Errorf("%s: %s", p.store, fmt.Sprintf(format, args...)))
	}
	instances := map[string]string{}
	for _, id := range signers([]page{p}) {
		s, err := quorum.ParseSignature(p.book[id])
		if err != nil || s.Phase == quorum.Forgotten {
			continue
		}
		peer := slices.Contains(g.peers, id)
		switch {
		case s.Phase == quorum.Moved && peer && s.Config != g.print:
			refused("peer %q moved to %s, and we have %s", id, s.Config, g.print)
		case s.Phase == quorum.Moved || id == g.id:
		case !peer:
			refused("proxy %q (%s) uses it and is no peer of ours; stop it and, once it is dead, say `holdfast forget %s`", id, s.Config, id)
		case s.Config != g.print:
			refused("peer %q has %s, and we have %s", id, s.Config, g.print)
		case !slices.Equal(g.remembered(g.without(id)), g.remembered(s.Peers)):
			refused("peer %q has the peers %q, and should have %q", id, s.Peers, g.without(id))
		}
		if other := instances[s.Instance]; other != "" {
			refused("proxies %q and %q are the same instance %s: is a data folder copied?", other, id, s.Instance)
		}
		instances[s.Instance] = id
	}
	return reasons
}

// remembered are the ids that were not declared forgotten, sorted.
func (g *census) remembered(ids []string) []string {
	return slices.DeleteFunc(sorted(ids), func(id string) bool { return slices.Contains(g.forgotten, id) })
}

func sorted(ids []string) []string { return slices.Sorted(slices.Values(ids)) }
