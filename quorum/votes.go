package quorum

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/hashicorp/go-multierror"
)

// Voted takes a store's answer.
func (c *Core) Voted(now Time, ask *Ask, vote Vote) {
	if ask.epoch != c.stores[ask.Store].epoch && vote.Verdict != Silent {
		// Rule 2: it was asked before the store was found to have forgotten.
		vote = Vote{Err: errForgot}
	}
	if ask.attempt != nil && vote.Verdict != Silent && c.breaks&breakUnread == 0 {
		// Rule 1: the store must have been whole when the request left, and still be.
		w := &c.stores[ask.Store]
		if why := c.wordless(ask.Store, ask.Name); c.refused != nil || why != "" || ask.lapses != w.unwholes {
			vote = Vote{Err: fmt.Errorf("its vote does not count any more: %s", cmp.Or(why, "it did not meanwhile"))}
		}
	}
	c.learn(now, max(vote.Mark, vote.Gone))
	switch ask.why {
	case whyVote:
		c.vote(now, ask, vote)
	case whyRead:
		c.readVote(now, ask, vote)
	case whyTakeOut:
		c.tookOut(now, ask, vote)
	case whyPutBack, whyAudit, whyRestore:
		c.putBack(now, ask, vote)
	case whyBook:
		c.inscribed(now, ask, vote)
	case whySure:
		c.vouch(now, ask, vote)
	}
	c.pump(now)
}

func (c *Core) vote(now Time, ask *Ask, vote Vote) {
	a := ask.attempt
	b := &a.ballots[ask.part*len(c.cfg.Stores)+ask.Store]
	if a.decided || b.in {
		c.straggler(ask, vote, b)
		return
	}
	leftover := c.mayGo(ask.Name, vote.Found)
	if vote.Verdict == Refused && !ask.again && ask.why == whyVote && c.givesWay(a, ask, vote, leftover) {
		if leftover {
			c.event("store.leftover", ask.Store, ask.Name, "copy %v of an ended attempt was in the way", vote.Found.Version)
		}
		second := *ask
		second.Prev, second.again = vote.Found, true
		second.OrNone = !c.peered()
		second.Gone = 0 // the notice of what ends is there; one of this would end what a peer made meanwhile
		c.ask(&second)
		return
	}
	c.lacks(ask, vote)
	*b = ballot{in: true, vote: vote.Verdict, unsent: vote.Unsent, stale: vote.Mark != 0 || forbids(vote, ask), err: vote.Err}
	if vote.Verdict == Refused {
		b.found = vote.Found
	}
	count := &a.counts[ask.part]
	switch vote.Verdict {
	case Granted:
		count.Granted++
	case Refused:
		count.Refused++
	default:
		count.Silent++
	}
	c.judge(now, a)
}

// givesWay reports whether what was in the way of a request may go: a copy of an
// attempt of ours that failed, or of what has ended by a notice that the op was shown.
// Nobody holds by it, and only this very copy goes.
//
// With peers it does not give way to a change of a lease that should have been there.
// That store would have what is made of it, and never have had the lease: see certain.
func (c *Core) givesWay(a *attempt, ask *Ask, vote Vote, leftover bool) bool {
	switch {
	case vote.Mark != 0 || forbids(vote, ask):
		return false
	case c.older(a, ask, vote.Found):
		return true
	case c.peered() && a.next[ask.part] != nil && a.parts[ask.part].Prev != nil:
		return false
	}
	return leftover || a.op.view.ended(ask.Name, vote.Found)
}

// forbids reports whether the notice that a vote shows ended what was to be put there.
func forbids(vote Vote, ask *Ask) bool { return ask.Next != nil && vote.Gone >= ask.Next.Version }

// vouch takes the answer to whether a copy that was voted for is still there. If
// it is not, the store is as good as silent: it may have had it for a while.
func (c *Core) vouch(now Time, ask *Ask, vote Vote) {
	a := ask.attempt
	b := &a.ballots[ask.part*len(c.cfg.Stores)+ask.Store]
	if a.decided || b.in {
		return
	}
	*b = ballot{in: true, vote: Granted}
	if vote.Verdict != Granted {
		*b = ballot{in: true, err: errGone}
		a.counts[ask.part].Silent++
		c.judge(now, a)
		return
	}
	a.counts[ask.part].Granted++
	c.judge(now, a)
}

// older is what must not be done: an older version of the lease looks stale, but
// somebody may be counting the vote that left it there.
func (c *Core) older(a *attempt, ask *Ask, found *Copy) bool {
	prev := a.parts[ask.part].Prev
	return c.breaks&breakStrict != 0 && prev != nil && found != nil && found.Version != 0 && found.Version < prev.Version
}

// lacks has the copy of a lease put back that a vote showed to be missing.
func (c *Core) lacks(ask *Ask, vote Vote) {
	s := c.slots[ask.Name]
	bit := storeSet(1) << ask.Store
	if c.peered() && vote.Verdict == Refused && vote.Found == nil && vote.Mark == 0 && s != nil && s.lease != nil {
		s.has &^= bit
		c.miss(ask.Store, s)
	}
}

// leftover reports whether a copy is ours and of nothing that lives or is under way.
func (c *Core) leftover(name string, found *Copy) bool {
	if found == nil || found.Opaque || found.Version == 0 || found.Version.Author() != c.cfg.Author ||
		c.births.Author() != c.cfg.Author || found.Version < c.births || found.Version.Count() > c.count {
		return false
	}
	s := c.slots[name]
	if s == nil {
		return true
	}
	if s.lease != nil && s.lease.Version == found.Version || s.or != nil && s.or.Version == found.Version {
		return false
	}
	if s.running != nil && s.running.rest != nil {
		for _, next := range s.running.rest.next {
			if next != nil && next.Version == found.Version {
				return false
			}
		}
	}
	return true
}

// mayGo reports whether a leftover may be replaced, or taken out, by whoever meets it.
//
// With peers, one of a change may be in the place of a lease that a peer holds, if a
// peer put it back there behind our undo: that store's vote for the lease is not ours
// to give away. What is older than a lease of ours that was granted hides nothing.
func (c *Core) mayGo(name string, found *Copy) bool {
	if !c.leftover(name, found) {
		return false
	}
	s := c.slots[name]
	granted := s != nil && s.lease != nil && !s.unsure
	return !c.peered() || found.Fence == found.Version || granted && found.Version < s.lease.Version
}

// straggler takes an answer that came after the decision. If the change was
// undone, its undo is behind this very request in the store's lane.
func (c *Core) straggler(ask *Ask, vote Vote, b *ballot) {
	if a := ask.attempt; slices.Contains(a.op.parted, a) && vote.Verdict != Silent && !b.in {
		*b = ballot{in: true, vote: vote.Verdict, found: vote.Found}
		if !a.acted() { // no store did any of it after all
			a.op.parted = slices.DeleteFunc(a.op.parted, func(other *attempt) bool { return other == a })
		}
	}
	s := c.slots[ask.Name]
	if vote.Verdict == Granted && s != nil && s.lease != nil && ask.Next != nil && s.lease.Version == ask.Next.Version {
		c.has(ask.Store, s)
	}
}

// judge decides an attempt as soon as the votes and the journal allow it.
func (c *Core) judge(now Time, a *attempt) {
	if a.decided {
		return
	}
	if !a.asked {
		return
	}
	won, held, mute := true, -1, -1
	for p, count := range a.counts {
		switch Tally(len(c.cfg.Stores), c.cfg.Need, count) {
		case LostHeld:
			held = p
		case LostMute:
			mute = p
		case Undecided:
			won = false
		}
	}
	switch {
	case held >= 0 && c.letsGo(a):
		c.win(now, a)
	case held >= 0 && c.peered() && a.ends() && a.counts[held].in() < len(c.stores):
		// What a release did in the stores that are still out tells what to make of
		// it, and nobody waits for the lock by it.
	case held >= 0:
		a.retry = c.outrun(a)
		c.part(a)
		c.lose(now, a, Result{Outcome: Held})
	case mute >= 0:
		a.retry = c.split(now, a, mute)
		c.part(a)
		c.lose(now, a, Result{Outcome: Failed, Err: c.noQuorum(a, mute)})
	case won && (a.onDisk || c.breaks&breakJournalFirst != 0):
		c.win(now, a)
	}
}

// letsGo reports whether a release has done what it was to do though enough stores
// refused it: with peers, each of those has the notice that it leaves whatever
// comes of it, and has not the copy; and some store had, so it was still held.
// To look anew would find it gone, and tell whoever held it that it did not. But if
// those that refused may have one and the same lease in a quorum, it has been
// changed meanwhile, and goes on.
func (c *Core) letsGo(a *attempt) bool {
	if !c.peered() || !a.ends() {
		return false
	}
	n := len(c.stores)
	for p, count := range a.counts {
		if count.Granted == 0 || count.Granted+count.Refused < c.cfg.Need {
			return false
		}
		ballots := a.ballots[p*n : (p+1)*n]
		for i, b := range ballots {
			same := 0
			for _, other := range ballots[i:] {
				if b.found != nil && other.found != nil && sameLease(other.found, b.found) {
					same++
				}
			}
			if b.found != nil && same+n-count.Granted-count.Refused >= c.cfg.Need {
				return false
			}
		}
	}
	return true
}

// outrun reports whether an attempt that was refused should be made anew: because
// its number was not new enough, or because what the op was shown is not so any
// more. A lock that was free, and that somebody else has by now, is held.
func (c *Core) outrun(a *attempt) bool {
	if !c.peered() {
		return false
	}
	n := len(c.stores)
	for i, b := range a.ballots {
		if part := &a.parts[i/n]; b.in && b.vote == Refused && (b.stale || part.Prev != nil || part.check) {
			return true
		}
	}
	return false
}

// part notes what some store may have done of an attempt that is lost: all of it if it
// will be made anew, and each lease that a quorum may have in any case, be it that
// silent stores made it, or that it was the part on another lock that was refused.
func (c *Core) part(a *attempt) {
	if !c.peered() || a.confirms {
		return
	}
	if a.retry && a.acted() {
		a.op.parted = append(a.op.parted, a)
	}
	for p := range a.parts {
		if next := a.next[p]; next != nil && a.mayHaveMade(p, c.cfg.Need) && c.breaks&breakTwice == 0 {
			a.op.made = append(a.op.made, next)
		}
	}
}

// split reports whether an attempt lost on part p because a peer wanted something else
// of the lock at the same moment: enough stores answered, and each of the two got some.
// A look into the stores tells what has become of it, if what is in the way is not what
// the op was shown there all along. Without one, an error would say that too few stores
// are there; but it must come in the end.
//
// A change that silent stores may have given a quorum is not made anew: others may have
// gone on from it, and nothing that is to be seen by now need be of it. Nor is a release:
// each store that it reached has its notice, so that it may have ended the lease, and the
// next one may be somebody else's by the same token.
func (c *Core) split(now Time, a *attempt, p int) bool {
	op, n := a.op, len(c.stores)
	if !c.peered() || a.counts[p].Granted+a.counts[p].Refused < c.cfg.Need || a.ends() || a.changes() && a.mayStand(c.cfg.Need) {
		return false
	}
	if op.splitBy == 0 {
		op.splitBy = now.Add(c.cfg.Timeout)
	}
	return now < op.splitBy && slices.ContainsFunc(a.ballots[p*n:(p+1)*n], func(b ballot) bool {
		return b.vote == Refused && (b.stale || !op.view.showed(a.parts[p].Name, b.found))
	})
}

// hopeless returns an error if so many stores are down that no vote can be won:
// then none is held, and nothing is written.
func (c *Core) hopeless(name string) error {
	count := Count{}
	for i := range c.stores {
		if c.stores[i].down || c.wordless(i, name) != "" {
			count.Silent++
		}
	}
	if count.Silent <= len(c.stores)-c.cfg.Need {
		return nil
	}
	why := &multierror.Error{ErrorFormat: oneLine}
	for i := range c.stores {
		if w := &c.stores[i]; w.down {
			why = multierror.Append(why, fmt.Errorf("%s: it is down: %w", c.cfg.Names[i], w.why))
		} else if waits := c.wordless(i, name); waits != "" {
			why = multierror.Append(why, fmt.Errorf("%s: its vote does not count: %s", c.cfg.Names[i], waits))
		}
	}
	return c.quorumError("change", name, count, why)
}

// noQuorum says how the vote on part p ended, and why each silent store was so.
func (c *Core) noQuorum(a *attempt, p int) error {
	n := len(c.cfg.Stores)
	why := &multierror.Error{ErrorFormat: oneLine}
	for i, b := range a.ballots[p*n : (p+1)*n] {
		if b.in && b.vote == Silent && b.err != nil {
			why = multierror.Append(why, fmt.Errorf("%s: %w", c.cfg.Names[i], b.err))
		}
	}
	return c.quorumError("change", a.parts[p].Name, a.counts[p], why)
}

// await has something given up at its deadline. What is over by now is let go: with
// thousands of changes a second, all those of the last quarter of a second would be kept
// for nothing, and gone through by each collection of garbage.
func (c *Core) await(t timed) {
	for len(c.timed) > 0 && c.timed[0].over() {
		c.timed[0] = timed{}
		c.timed = c.timed[1:]
	}
	c.timed = append(c.timed, t)
}

// expirePatience counts the stores that are out for too long as silent.
func (c *Core) expirePatience(now Time) {
	for len(c.timed) > 0 && (c.timed[0].over() || c.timed[0].deadline <= now) {
		t := c.timed[0]
		c.timed[0] = timed{}
		if c.timed = c.timed[1:]; len(c.timed) == 0 {
			c.timed = nil
		}
		switch {
		case t.over():
		case t.attempt != nil:
			c.outOfPatience(t.attempt)
			if c.judge(now, t.attempt); !t.attempt.decided {
				c.slow = append(c.slow, t.attempt)
			}
		default:
			c.endRead(now, t.reading)
		}
	}
}

// void takes back what a store granted in changes still undecided: it forgot.
func (c *Core) void(now Time, store int) {
	open := slices.DeleteFunc(c.slow, func(a *attempt) bool { return a.decided })
	c.slow = open
	for _, t := range c.timed {
		if t.attempt != nil && !t.attempt.decided {
			open = append(slices.Clip(open), t.attempt)
		}
	}
	for _, a := range open {
		for p := range a.parts {
			if c.breaks&breakVoid != 0 {
				break
			}
			if b := &a.ballots[p*len(c.cfg.Stores)+store]; b.in && b.vote == Granted {
				*b = ballot{in: true, err: errForgot}
				a.counts[p].Granted--
				a.counts[p].Silent++
			}
		}
		c.judge(now, a)
	}
}

func (c *Core) outOfPatience(a *attempt) {
	n := len(c.cfg.Stores)
	for i := range a.ballots {
		if b := &a.ballots[i]; !b.in {
			*b = ballot{in: true, err: fmt.Errorf("no answer within %v", c.cfg.Timeout)}
			a.counts[i/n].Silent++
		}
	}
}
