package quorum

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// A desk is a core whose stores, journal and clock are played by hand: what the
// core asks for lies here until a test answers it.
type desk struct {
	full    bool // of the journal
	t       *testing.T
	core    *Core
	now     Time
	asked   [][]*Ask // by store, not answered yet, in order
	written []record // not on disk yet
	disk    []Record // on disk
}

var (
	deskBirth = MakeNumber(1000, 0) // the numbers of a desk's journal start here
	errLost   = errors.New("connection lost")
	errDisk   = errors.New("input/output error")
)

// newDesk returns a desk with so many stores, of which a majority must agree,
// an empty journal, and numbers to give out.
func newDesk(t *testing.T, stores int) *desk {
	d := openDesk(t, deskConfig(stores), History{Birth: deskBirth, Limit: deskBirth})
	d.core.Reserve()
	d.sync()
	return d
}

// openDesk returns a desk that may give out no numbers yet.
func openDesk(t *testing.T, cfg Config, past History) *desk {
	d := &desk{t: t, now: Time(time.Hour), asked: make([][]*Ask, len(cfg.Stores))}
	d.core = NewCore(cfg, d, past, d.now)
	return d
}

func deskConfig(stores int) Config {
	cfg := Config{
		Stores: make([]Traits, stores), Need: Majority.Need(stores),
		Timeout: 250 * time.Millisecond, MaxTTL: 24 * time.Hour,
	}
	for i := range stores {
		cfg.Names = append(cfg.Names, fmt.Sprintf("s%d", i))
	}
	return cfg
}

func (d *desk) Ask(ask *Ask) { d.asked[ask.Store] = append(d.asked[ask.Store], ask) }

func (d *desk) Full() bool { return d.full }

func (d *desk) Write(r Record, sync bool, want *Want) {
	d.written = append(d.written, record{r, sync, want})
}

func (d *desk) submit(op *Op) *Op {
	d.core.Submit(d.now, op)
	return op
}

// pass lets time go by.
func (d *desk) pass(by time.Duration) {
	d.now = d.now.Add(by)
	d.core.Tick(d.now)
}

// next takes the oldest request that a store has not answered.
func (d *desk) next(store int) *Ask {
	d.t.Helper()
	if len(d.asked[store]) == 0 {
		d.t.Fatalf("store %d has nothing to answer", store)
	}
	ask := d.asked[store][0]
	d.asked[store] = d.asked[store][1:]
	return ask
}

// answer has a store answer its oldest request.
func (d *desk) answer(store int, vote Vote) *Ask {
	d.t.Helper()
	ask := d.next(store)
	d.core.Voted(d.now, ask, vote)
	return ask
}

func (d *desk) grant(stores ...int) {
	d.t.Helper()
	for _, store := range stores {
		d.answer(store, Vote{Verdict: Granted})
	}
}

func (d *desk) refuse(found *Copy, stores ...int) {
	d.t.Helper()
	for _, store := range stores {
		d.answer(store, Vote{Verdict: Refused, Found: found})
	}
}

// mute loses the answers of stores, which may have acted.
func (d *desk) mute(stores ...int) {
	d.t.Helper()
	for _, store := range stores {
		d.answer(store, Vote{Err: errLost})
	}
}

// unreached has requests not even leave for stores.
func (d *desk) unreached(stores ...int) {
	d.t.Helper()
	for _, store := range stores {
		d.answer(store, Vote{Err: errLost, Unsent: true})
	}
}

// sync lets everything that is written by now reach the disk.
func (d *desk) sync() {
	batch := d.written
	d.written = nil
	for _, r := range batch {
		d.disk = append(d.disk, r.Record)
	}
	d.wrote(batch, nil)
}

// breakDisk lets everything that is written by now fail.
func (d *desk) breakDisk() {
	batch := d.written
	d.written = nil
	d.wrote(batch, errDisk)
}

func (d *desk) wrote(batch []record, err error) {
	for _, r := range batch {
		if r.want != nil {
			d.core.Written(d.now, r.want, err)
		}
	}
}

// settle grants and syncs until nothing is left to do.
func (d *desk) settle() {
	for again := true; again; {
		again = len(d.written) > 0
		d.sync()
		for store := range d.asked {
			for len(d.asked[store]) > 0 {
				again = true
				d.grant(store)
			}
		}
	}
}

// over returns the result of op, and whether it has one.
func (d *desk) over(op *Op) (Result, bool) {
	for _, f := range d.core.finished {
		if f.op == op {
			return f.result, true
		}
	}
	return Result{}, false
}

// result wants op to be over.
func (d *desk) result(op *Op) Result {
	d.t.Helper()
	r, ok := d.over(op)
	if !ok {
		d.t.Fatalf("the op on %q is not over", op.Names)
	}
	return r
}

// ends wants op to be over with an outcome.
func (d *desk) ends(op *Op, want Outcome) Result {
	d.t.Helper()
	r := d.result(op)
	if r.Outcome != want {
		d.t.Fatalf("the op on %q ended as %v (%v), want %v", op.Names, r.Outcome, r.Err, want)
	}
	return r
}

// waits wants op not to be over.
func (d *desk) waits(op *Op, what string) {
	d.t.Helper()
	if r, ok := d.over(op); ok {
		d.t.Fatalf("%s: the op on %q ended as %v (%v), want it to wait", what, op.Names, r.Outcome, r.Err)
	}
}

// quiet wants nothing asked of any store.
func (d *desk) quiet(what string) {
	d.t.Helper()
	for store, asked := range d.asked {
		if len(asked) > 0 {
			d.t.Errorf("%s: store %d is asked %s, want nothing", what, store, showAsk(asked[0]))
		}
	}
}

// hold acquires a lock, granted by every store.
func (d *desk) hold(name, token string, ttl time.Duration) *Lease {
	d.t.Helper()
	op := d.submit(acquiring(token, ttl, name))
	d.settle()
	return d.ends(op, Changed).Leases[0]
}

// onDisk returns what the journal would say of a name after a crash now.
func (d *desk) onDisk(name string) (e Entry) {
	for _, r := range d.disk {
		if i := slices.IndexFunc(r.Entries, func(e Entry) bool { return e.Name == name }); i >= 0 {
			e = r.Entries[i]
		}
	}
	return e
}

func showAsk(a *Ask) string {
	return fmt.Sprintf("%q: %s in the place of %s (or none %t) for %v", a.Name, showCopy(a.Next), showCopy(a.Prev), a.OrNone, a.TTL)
}

func showCopy(c *Copy) string {
	if c == nil {
		return "nothing"
	}
	return fmt.Sprintf("%q", c.Encode())
}

// acquiring takes all of the names if they are free, as SET NX does for one.
func acquiring(token string, ttl time.Duration, names ...string) *Op {
	return &Op{Names: names, Decide: func(v *View) Plan {
		var plan Plan
		for _, name := range names {
			if lease, _ := v.Lease(name); lease != nil {
				return Plan{}
			}
			plan.Parts = append(plan.Parts, Part{Name: name, Value: []byte(token), TTL: ttl})
		}
		return plan
	}}
}

// asHolder does something to a lock if it is held by token.
func asHolder(name, token string, part Part) *Op {
	return &Op{Names: []string{name}, Decide: func(v *View) Plan {
		lease, _ := v.Lease(name)
		if lease == nil || string(lease.Value) != token {
			return Plan{}
		}
		p := part
		p.Name, p.Prev = name, lease
		return Plan{Parts: []Part{p}}
	}}
}

func extending(name, token string, ttl time.Duration) *Op {
	return asHolder(name, token, Part{Value: []byte(token), TTL: ttl, Renew: true})
}

func handingOver(name, from, to string, ttl time.Duration) *Op {
	return asHolder(name, from, Part{Value: []byte(to), TTL: ttl})
}

func releasing(name, token string) *Op { return asHolder(name, token, Part{Drop: true}) }

// looking reads a lock, those of strangers too, and shows the lease to see.
func looking(name string, see func(*Lease)) *Op {
	return &Op{Names: []string{name}, Reads: true, Decide: func(v *View) Plan {
		lease, _ := v.Lease(name)
		see(lease)
		return Plan{}
	}}
}

func foreignCopy(token string) *Copy { return &Copy{Value: []byte(token)} }
