package quorum

import (
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/go-multierror"
)

// A reading is a look into the stores for locks that the table does not have:
// somebody may hold them directly there.
type reading struct {
	op      *Op
	names   []int // indices into op.Names
	answers []answer
	decided bool
}

// An answer is what one store said of one name: [i*stores+store].
type answer struct {
	in   bool
	err  error // silent
	copy *Copy
	left time.Duration
	when Time
}

// read asks every store for the names that are free by the table.
func (c *Core) read(now Time, op *Op) {
	r := &reading{op: op}
	for i, lease := range op.view.found {
		if lease == nil {
			r.names = append(r.names, i)
		}
	}
	n := len(c.cfg.Stores)
	r.answers = make([]answer, n*len(r.names))
	op.reads = r
	asks := make([]Ask, len(r.answers))
	for p, i := range r.names {
		for store := range n {
			ask := &asks[p*n+store]
			*ask = Ask{Store: store, why: whyRead, reading: r, part: p, Deadline: now.Add(c.cfg.Timeout),
				Request: Request{Action: Read, Name: op.Names[i]}}
			c.out.Ask(ask)
		}
	}
	c.timed = append(c.timed, timed{deadline: now.Add(c.cfg.Timeout), reading: r})
}

func (c *Core) readVote(now Time, ask *Ask, vote Vote) {
	r, n := ask.reading, len(c.cfg.Stores)
	if r.decided {
		return
	}
	got := answer{in: true, err: vote.Err, copy: vote.Found, left: vote.FoundLeft, when: now}
	if vote.Verdict != Granted {
		got.copy = nil
		if got.err == nil {
			got.err = fmt.Errorf("it refused to be read")
		}
	} else if c.leftover(ask.Name, vote.Found) {
		c.takeOut(ask.Store, ask.Name, vote.Found, now.Add(vote.FoundLeft))
		got.copy = nil // nobody holds by it
	}
	r.answers[ask.part*n+ask.Store] = got
	for p := range r.names {
		if !c.plain(r.answers[p*n : (p+1)*n]) {
			return
		}
	}
	c.endRead(now, r)
}

// plain reports whether no answer still out can change what a name's answers say.
func (c *Core) plain(answers []answer) bool {
	none, out := 0, 0
	for _, a := range answers {
		switch {
		case !a.in:
			out++
		case a.err == nil && a.copy == nil:
			none++
		}
	}
	return out == 0 || none > len(answers)-c.cfg.Need
}

// endRead shows the op what was found: a lease for each name that somebody may
// have a quorum of.
func (c *Core) endRead(now Time, r *reading) {
	r.decided = true
	n := len(c.cfg.Stores)
	for _, lease := range r.op.view.found {
		if lease != nil && !lease.Live(now) {
			c.again(now, r.op) // it ended meanwhile
			return
		}
	}
	for p, i := range r.names {
		name := r.op.Names[i]
		lease, err := c.foreign(now, name, r.answers[p*n:(p+1)*n])
		if err != nil {
			c.settle(r.op, Result{Outcome: Failed, Err: err, Took: now.Sub(r.op.began)})
			return
		}
		r.op.view.found[i] = lease
	}
	r.op.view.Now = now
	c.decide(now, r.op)
}

// foreign returns the lease that the stores' answers show: the copy that may
// have a quorum if every silent store has it too, for the time that a quorum
// of those that showed it still guarantees.
func (c *Core) foreign(now Time, name string, answers []answer) (*Lease, error) {
	count := Count{}
	why := &multierror.Error{ErrorFormat: oneLine}
	var best *Copy
	var bestLeft []time.Duration
	for i, a := range answers {
		switch {
		case !a.in:
			count.Silent++
			why = multierror.Append(why, fmt.Errorf("%s: no answer within %v", c.cfg.Names[i], c.cfg.Timeout))
		case a.err != nil:
			count.Silent++
			why = multierror.Append(why, fmt.Errorf("%s: %w", c.cfg.Names[i], a.err))
		case a.copy == nil:
			count.Refused++
		default:
			if left := c.lefts(now, a.copy, answers); len(left) > len(bestLeft) {
				best, bestLeft = a.copy, left
			}
		}
	}
	switch {
	case len(bestLeft) > 0 && len(bestLeft)+count.Silent >= c.cfg.Need:
		slices.Sort(bestLeft)
		left := bestLeft[max(0, len(bestLeft)-c.cfg.Need)]
		return &Lease{
			Name: name, Value: best.Value, Fence: best.Fence, Version: best.Version,
			TTL: left, Until: Until(now, left), Untimed: left == c.cfg.MaxTTL, Foreign: true, Opaque: best.Opaque,
		}, nil
	case len(bestLeft) == 0 && count.Refused <= len(answers)-c.cfg.Need:
		return nil, fmt.Errorf("read %q: %d of %d stores answered, need %d: %w: %w",
			name, count.Refused, len(answers), len(answers)-c.cfg.Need+1, ErrNoQuorum, why)
	}
	return nil, nil
}

// lefts returns what is left of the copy's TTL in each store that showed it.
func (c *Core) lefts(now Time, copy *Copy, answers []answer) (left []time.Duration) {
	for _, a := range answers {
		if !a.in || a.err != nil || a.copy == nil || !(copy.Equal(a.copy) || copy.Opaque && a.copy.Opaque) {
			continue
		}
		d := c.cfg.MaxTTL // it has no TTL there, and needs some here
		if a.left > 0 {
			d = max(a.left-now.Sub(a.when), MinTTL)
		}
		left = append(left, min(d, c.cfg.MaxTTL))
	}
	return left
}
