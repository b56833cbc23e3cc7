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
	gone    []Number // by name: the latest notice that any store showed
	decided bool
}

// An answer is what one store said of one name: [i*stores+store].
type answer struct {
	in   bool
	err  error // silent
	copy *Copy
	gone Number // the notice there
	left time.Duration
	when Time
}

// read asks every store for the names that are free by the table; with peers, for
// all of them, and only stores that are whole.
func (c *Core) read(now Time, op *Op) {
	op.looked = true
	r := &reading{op: op}
	for i, lease := range op.view.found {
		if lease == nil || c.peered() {
			r.names = append(r.names, i)
		}
	}
	n := len(c.cfg.Stores)
	r.gone = make([]Number, len(r.names))
	r.answers = make([]answer, n*len(r.names))
	op.reads = r
	asks := make([]Ask, len(r.answers))
	for p, i := range r.names {
		for store := range n {
			if why := c.wordless(store, op.Names[i]); c.peered() && why != "" {
				r.answers[p*n+store] = answer{in: true, err: fmt.Errorf("its word does not count: %s", why)}
				continue
			}
			ask := &asks[p*n+store]
			*ask = Ask{Store: store, why: whyRead, reading: r, part: p, Deadline: now.Add(c.cfg.Timeout),
				Request: Request{Action: Read, Name: op.Names[i], Heed: c.peered()}}
			c.ask(ask)
		}
	}
	c.await(timed{deadline: now.Add(c.cfg.Timeout), reading: r})
	c.readEnough(now, r)
}

func (c *Core) readVote(now Time, ask *Ask, vote Vote) {
	r, n := ask.reading, len(c.cfg.Stores)
	if r.decided {
		return
	}
	got := answer{in: true, err: vote.Err, copy: vote.Found, gone: vote.Gone, left: vote.FoundLeft, when: now}
	if vote.Verdict != Granted {
		got.copy = nil
		if got.err == nil {
			got.err = fmt.Errorf("it refused to be read")
		}
	} else if c.mayGo(ask.Name, vote.Found) {
		c.sweep(now, ask.Store, ask.Name, vote.Found, now.Add(vote.FoundLeft))
		got.copy = nil // nobody holds by it
	} else if c.leftover(ask.Name, vote.Found) && vote.Found.Version.Count() >= c.woke {
		// Nor by this, but it is in the place of what somebody may hold by, until it is
		// undone. Of that a crash would know nothing.
		got.copy, got.err = nil, errUndoing
	}
	r.answers[ask.part*n+ask.Store] = got
	r.gone[ask.part] = max(r.gone[ask.part], vote.Gone)
	c.sight(ask.Name, got.copy)
	c.readEnough(now, r)
}

// readEnough ends a reading as soon as no answer can change what it says.
func (c *Core) readEnough(now Time, r *reading) {
	n := len(c.cfg.Stores)
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
	if c.peered() {
		return c.settled(answers)
	}
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

// undoLooks is how often a name is looked at anew because changes of ours are being
// undone there: they mostly are by the next time.
const undoLooks = 3

// endRead shows the op what was found: a lease for each name that somebody may
// have a quorum of.
func (c *Core) endRead(now Time, r *reading) {
	r.decided = true
	n := len(c.cfg.Stores)
	for i, lease := range r.op.view.found {
		if lease != nil && !lease.Live(now) && !slices.Contains(r.names, i) {
			c.again(now, r.op) // it ended meanwhile
			return
		}
	}
	r.op.view.gone = make([]Number, len(r.op.view.names))
	for p, i := range r.names {
		name := r.op.Names[i]
		answers := r.answers[p*n : (p+1)*n]
		lease, plain, err := c.found(now, name, r.gone[p], answers)
		undoing := slices.ContainsFunc(answers, func(a answer) bool { return a.err == errUndoing })
		free := plain && err == nil && lease == nil && c.peered()
		late := free && !r.op.late && beforeItEnded(answers, r.gone[p])
		if !plain || late || err != nil && undoing && r.op.tries < undoLooks {
			r.op.late = r.op.late || late
			c.again(now, r.op)
			return
		}
		if err != nil {
			c.settle(r.op, Result{Outcome: Failed, Err: err, Took: now.Sub(r.op.began)})
			return
		}
		r.op.view.found[i], r.op.view.gone[i] = lease, r.gone[p]
		r.op.view.ending = r.op.view.ending || free && c.endsNow(answers, r.gone[p])
		r.op.view.doubt(i, append(c.slots[name].other(now, lease), c.rivals(now, name, r.gone[p], answers, lease)...))
	}
	r.op.view.Now = now
	c.decide(now, r.op)
}

// beforeItEnded reports whether a store that has nothing said so before another one said
// that a lease had ended: that may have gone on in another version, and be in both by
// now. A look is taken anew for that once; then the answers are as of one moment, or as
// good as.
func beforeItEnded(answers []answer, gone Number) bool {
	for _, told := range answers {
		if !told.in || told.err != nil || told.gone < gone {
			continue
		}
		if slices.ContainsFunc(answers, func(a answer) bool {
			return a.in && a.err == nil && a.copy == nil && a.gone < gone && a.when < told.when
		}) {
			return true
		}
	}
	return false
}

// endsNow reports whether a store still has what has ended, and whoever ended it may be
// about to take it out there: too few stores have the notice yet, or that one has it and
// takes the copy out in a second step. Who took the lock before that would have the other
// find somebody else's lease in a store where it was to end its own, and not know whether
// that had been handed on before.
func (c *Core) endsNow(answers []answer, gone Number) bool {
	told, has, next := 0, false, false
	for _, a := range answers {
		if !a.in || a.err != nil {
			continue
		}
		if a.gone >= gone {
			told++
		}
		if a.copy != nil && a.ended(gone) {
			has, next = true, next || a.ended(a.gone)
		}
	}
	return has && (told < c.cfg.Need || next)
}

// waitsForEnd reports whether op, which is to take what is being ended, should look again
// first. Whoever ends it may have crashed, and is not waited for any longer then.
func (c *Core) waitsForEnd(now Time, op *Op) bool {
	if op.endsBy == 0 {
		op.endsBy = now.Add(c.cfg.Timeout / 8)
	}
	return now < op.endsBy
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
			d = a.left - now.Sub(a.when)
			if c.peered() && copy.Version != 0 {
				d = undrifted(d) // as it was before that was added, when it was asked for
			}
			d = max(d, MinTTL)
		}
		left = append(left, min(d, c.cfg.MaxTTL))
	}
	return left
}

// settled reports whether the answers of a name that are in say it all: enough
// stores have the same copy, or enough have none. One more answer could only
// bring news of a lease that has no quorum.
func (c *Core) settled(answers []answer) bool {
	none, out := 0, 0
	for i, a := range answers {
		switch {
		case !a.in:
			out++
		case a.err == nil && a.copy == nil:
			none++
		case a.err == nil:
			same := 0
			for _, b := range answers[i:] {
				if b.in && b.err == nil && a.copy.Equal(b.copy) {
					same++
				}
			}
			if same >= c.cfg.Need {
				return true
			}
		}
	}
	return out == 0 || none >= c.cfg.Need && none > len(answers)-c.cfg.Need
}

// found returns the lease that a name has, and false if that can't be told yet.
// With peers it is what the stores show, unless our table has what they do not
// rule out.
func (c *Core) found(now Time, name string, gone Number, answers []answer) (lease *Lease, plain bool, err error) {
	if !c.peered() {
		lease, err = c.foreign(now, name, answers)
		return lease, true, err
	}
	s := c.slots[name]
	c.endedBy(s, gone)
	mine := c.live(now, s)
	lease, plain, err = c.shown(now, name, gone, answers)
	switch {
	case mine == nil, err != nil, !plain && s.unsure:
		return lease, plain, err
	case s.unsure && lease != nil && lease.agreed && c.breaks&breakUnsure == 0:
		return lease, true, nil // and that is the one which was granted
	case lease == nil || lease.Version <= mine.Version || s.or != nil && lease.Version == s.or.Version:
		// A live lease of ours whose copies vanished, or are being changed by
		// somebody: it gets them back, and denies until then.
		return mine, true, nil
	}
	// A newer copy takes its place only if ours has no quorum left.
	have := 0
	for _, a := range answers {
		if !a.in || a.err != nil || a.copy != nil && (a.copy.Version == mine.Version || s.or != nil && a.copy.Version == s.or.Version) {
			have++
		}
	}
	theirs := len(c.lefts(now, lease.Copy(), answers))
	if theirs < c.cfg.Need && have >= c.cfg.Need {
		return mine, true, nil
	}
	if lease.Fence != mine.Fence {
		c.event("lease.lost", -1, name, "%d of %d stores have another lease, %v, in the place of ours, %v", theirs, len(answers), lease.Version, mine.Version)
		c.note(News{Name: name, Prev: mine, Lease: lease, Why: ByLoss})
	}
	return lease, true, nil
}

// endedBy lets a lease of the table go if a notice says that it ended.
func (c *Core) endedBy(s *slot, gone Number) {
	if s == nil || s.lease == nil || s.lease.Version > gone || c.breaks&breakNotices != 0 {
		return
	}
	c.drop(s)
}

// drop lets a lease of the table go that lives no more, or that others look after.
func (c *Core) drop(s *slot) {
	c.note(News{Name: s.name, Prev: s.lease, Why: ByLoss})
	c.clear(s)
	c.write(Record{Entries: []Entry{{Name: s.name}}}, false, nil)
	c.forget(s)
}

// sight is what must not be done: a newer copy does not show that the change
// which wrote it was granted, and if it was not, nobody looks after the lease.
func (c *Core) sight(name string, found *Copy) {
	s := c.slots[name]
	if c.breaks&breakSight != 0 && s != nil && s.lease != nil && found != nil && found.Version > s.lease.Version {
		c.drop(s)
	}
}
