package quorum

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/hashicorp/go-multierror"
)

// With peers, what the stores show of a name is a set of copies by several
// hands: of a lease that is held, of changes under way, of changes that were not
// granted and are being undone. A bundle is those of one lease: its extensions
// have other versions and the same fence.
type bundle struct {
	copy  *Copy // the one of them that most stores have; of several, the newest
	most  int
	count int
}

// bundles sorts a name's answers by lease, and counts the stores that are silent.
// Copies of what a notice says has ended are none.
func bundles(answers []answer, gone Number) (all []bundle, silent int) {
	for i, a := range answers {
		switch {
		case !a.in || a.err != nil:
			silent++
			continue
		case a.copy == nil, a.copy.Version != 0 && a.copy.Version <= gone:
			continue
		}
		at := slices.IndexFunc(all, func(b bundle) bool { return sameLease(b.copy, a.copy) })
		if at < 0 {
			at = len(all)
			all = append(all, bundle{copy: a.copy})
		}
		b := &all[at]
		b.count++
		same := 0
		for _, other := range answers[:i+1] {
			if other.in && other.err == nil && a.copy.Equal(other.copy) {
				same++
			}
		}
		if same > b.most || same == b.most && a.copy.Version > b.copy.Version {
			b.copy, b.most = a.copy, same
		}
	}
	return all, silent
}

func sameLease(a, b *Copy) bool {
	if a.Version == 0 || b.Version == 0 {
		return a.Equal(b) || a.Opaque && b.Opaque
	}
	return a.Fence == b.Fence
}

// shown returns the lease of a name by the stores' answers, nil if it is free,
// and false if that can't be told yet: a change of it is under way somewhere, or
// is being undone.
func (c *Core) shown(now Time, name string, gone Number, answers []answer) (lease *Lease, plain bool, err error) {
	all, silent := bundles(answers, gone)
	var possible []bundle
	ours := 0
	for _, b := range all {
		if b.count+silent >= c.cfg.Need {
			possible = append(possible, b)
		}
		if b.copy.Version != 0 {
			ours += b.count
		}
	}
	switch {
	case silent >= c.cfg.Need: // they may have a lease of which nothing is to be seen
		return nil, true, c.unread(name, silent, answers)
	case len(possible) == 1:
		return c.asShown(now, name, possible[0].copy, answers), true, nil
	case len(possible) > 1, ours+silent >= c.cfg.Need:
		return nil, false, nil
	}
	return nil, true, nil
}

// rival returns the newest lease that may stand in the place of the one that was
// found, nil if there is none. A store that is silent keeps us from telling: a
// peer may have changed the lease of our table, and may be about to undo that. An
// older lease is none, but an older value of the same one is: who shares it may be
// about to enter or to leave, and not to be through with that.
func (c *Core) rival(now Time, found *Lease, gone Number, answers []answer) *Lease {
	if !c.peered() || found == nil {
		return nil
	}
	var newest *Copy
	shown, silent := found.Copy(), 0
	for _, a := range answers {
		if !a.in || a.err != nil {
			silent++
		}
	}
	for _, a := range answers {
		if !a.in || a.err != nil || a.copy == nil || a.copy.Version != 0 && a.copy.Version <= gone || sameValue(a.copy, shown) ||
			!sameLease(a.copy, shown) && a.copy.Version <= shown.Version || newest != nil && a.copy.Version <= newest.Version {
			continue
		}
		count := 0
		for _, b := range answers {
			if b.in && b.err == nil && b.copy != nil && sameValue(a.copy, b.copy) {
				count++
			}
		}
		if count+silent >= c.cfg.Need {
			newest = a.copy
		}
	}
	if newest == nil {
		return nil
	}
	return c.asShown(now, found.Name, newest, answers)
}

// sameValue reports whether two copies are of one lease, and whoever holds by the
// one holds by the other.
func sameValue(a, b *Copy) bool { return sameLease(a, b) && bytes.Equal(a.Value, b.Value) }

// asShown returns a lease as the stores show it, for the time that a quorum of
// those that have it still guarantees.
func (c *Core) asShown(now Time, name string, copy *Copy, answers []answer) *Lease {
	left := c.lefts(now, copy, answers)
	slices.Sort(left)
	sure, last := left[max(0, len(left)-c.cfg.Need)], left[len(left)-1]
	return &Lease{
		Name: name, Value: copy.Value, Fence: copy.Fence, Version: copy.Version,
		TTL: sure, Until: Until(now, sure), Untimed: sure == c.cfg.MaxTTL, Foreign: true, Opaque: copy.Opaque,
		last: Until(now, last+Drift(last)),
	}
}

// unread says that too few stores could be read to tell what a name's lease is.
func (c *Core) unread(name string, silent int, answers []answer) error {
	why := &multierror.Error{ErrorFormat: oneLine}
	for i, a := range answers {
		switch {
		case !a.in:
			why = multierror.Append(why, fmt.Errorf("%s: no answer within %v", c.cfg.Names[i], c.cfg.Timeout))
		case a.err != nil:
			why = multierror.Append(why, fmt.Errorf("%s: %w", c.cfg.Names[i], a.err))
		}
	}
	return fmt.Errorf("read %q: %d of %d stores answered, need %d: %w: %w",
		name, len(answers)-silent, len(answers), len(answers)-c.cfg.Need+1, ErrNoQuorum, why)
}
