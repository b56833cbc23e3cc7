package quorum

import (
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

// bundles sorts a name's answers by lease, and counts the stores that are silent,
// and those that may have something else by now. Copies of what a notice says has
// ended are none; but if another store has the notice, this one may have been
// asked before what ended them: their lease goes on perhaps, in another version.
func bundles(answers []answer, gone Number) (all []bundle, silent, outdated int) {
	for i, a := range answers {
		switch {
		case !a.in || a.err != nil:
			silent++
			continue
		case a.copy == nil:
			continue
		case a.ended(gone):
			if !a.ended(a.gone) {
				outdated++
			}
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
	return all, silent, outdated
}

// ended reports whether a notice of that version is about the copy.
func (a answer) ended(gone Number) bool {
	return a.copy.Version != 0 && a.copy.Version <= gone
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
	all, silent, outdated := bundles(answers, gone)
	unknown := silent + outdated
	var possible []bundle
	ours := 0
	for _, b := range all {
		if b.count+unknown >= c.cfg.Need {
			possible = append(possible, b)
		}
		if b.copy.Version != 0 {
			ours += b.count
		}
	}
	switch {
	case silent >= c.cfg.Need: // they may have a lease of which nothing is to be seen
		return nil, true, c.unread(name, silent, answers)
	case len(possible) == 1 && outdated > 0 && unknown >= c.cfg.Need && possible[0].most < c.cfg.Need:
		// It is that lease, but they may have a version of it of which nothing is to be seen.
		return nil, false, nil
	case len(possible) == 1:
		return c.asShown(now, name, possible[0].copy, answers), true, nil
	case len(possible) > 1, ours+unknown >= c.cfg.Need:
		return nil, false, nil
	}
	return nil, true, nil
}

// rivals returns what a name's lease may be just as well: each other version of it
// that is to be seen, since what was granted may have attempts of several hands in
// its place; and those of another lease that a quorum has if every silent store
// has it too. Only of a lease of ours that was granted what is older was not.
func (c *Core) rivals(now Time, name string, gone Number, answers []answer, lease *Lease) (all []*Lease) {
	if !c.peered() || lease == nil || lease.Foreign && lease.agreed || c.breaks&breakRivals != 0 {
		return nil
	}
	bundles, silent, outdated := bundles(answers, gone)
	if s := c.slots[name]; s.lease == lease && !s.unsure {
		gone = max(gone, lease.Version)
	}
	for i, a := range answers {
		if !a.in || a.err != nil || a.copy == nil || a.ended(gone) || a.copy.Version == lease.Version ||
			slices.ContainsFunc(answers[:i], func(b answer) bool { return b.in && b.err == nil && a.copy.Equal(b.copy) }) {
			continue
		}
		may := sameLease(a.copy, lease.Copy())
		for _, b := range bundles {
			may = may || sameLease(a.copy, b.copy) && b.count+silent+outdated >= c.cfg.Need
		}
		if may {
			all = append(all, c.asShown(now, name, a.copy, answers))
		}
	}
	return all
}

// asShown returns a lease as the stores show it, for the time that a quorum of
// those that have it still guarantees.
func (c *Core) asShown(now Time, name string, copy *Copy, answers []answer) *Lease {
	left := c.lefts(now, copy, answers)
	slices.Sort(left)
	sure, last := left[max(0, len(left)-c.cfg.Need)], left[len(left)-1]
	return &Lease{
		Name: name, Value: copy.Value, Fence: copy.Fence, Version: copy.Version,
		TTL: sure, Until: Until(now, sure), Untimed: sure == c.cfg.MaxTTL, Foreign: true, Opaque: copy.Opaque,
		last: Until(now, last+Drift(last)), agreed: len(left) >= c.cfg.Need,
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
