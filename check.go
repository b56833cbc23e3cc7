package main

import (
	"context"
	"fmt"
	"io"
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
	visits := visitAll(ctx, stores, max(c.StoreTimeout, time.Second))
	problems, up := 0, 0
	for _, v := range visits {
		if v.err != nil {
			problems++
			fmt.Fprintf(out, "%s\n  NOT REACHED: %v\n", v.name, v.err)
			continue
		}
		up++
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
	for _, reason := range refusals(visits, c) {
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
