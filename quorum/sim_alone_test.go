package quorum

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var simAlone = flag.Int("sim.alone", 150, "histories of one client alone to simulate")

// A simLoner is the only client there is: it does one thing after another, each
// through another peer, and what it is told is exactly so. Batches that are slow, and
// decisions that do not wait for them, are all that there is in its way.
type simLoner struct {
	w      *world
	tokens int
	token  string // that holds the lock, "" if none does
	list   list   // of who shares the other one
	done   int
}

// step does one thing, and the next when that is done.
func (l *simLoner) step() {
	w := l.w
	if w.calm {
		return
	}
	n := w.running()
	what, op := "", (*Op)(nil)
	if w.chance(0.6) {
		what, op = l.share()
	} else {
		what, op = l.lock()
	}
	sent, decide := w.now, op.Decide
	shown := ""
	op.Decide = func(v *View) Plan {
		lease, _ := v.Lease(op.Names[0])
		if shown = "nothing"; lease != nil {
			shown = fmt.Sprintf("%s %v", lease.Value, lease.Version)
		}
		return decide(v)
	}
	done := op.Done
	op.Done = func(r Result) {
		w.note("through proxy %d since %v, shown %s: %s: %v %v", n.id, sent, shown, what, r.Outcome, r.Err)
		if errors.Is(r.Err, ErrStale) {
			w.fail("%s: %v, though nobody else is there", what, r.Err)
		}
		l.done++
		w.after(w.upTo(20*time.Millisecond), l.step)
		if r.Outcome == Failed { // a quorum was slow: what came of it is not known
			w.note("%s: %v", what, r.Err)
			w.after(0, func() { w.calm = true })
			return
		}
		done(r)
	}
	n.open++
	n.proxy.step(func(c *Core) { c.Submit(w.now, op) })
}

// expect returns what to do with the result of an op that should change something, or not.
func (l *simLoner) expect(what string, change bool, then func()) func(Result) {
	return func(r Result) {
		if (r.Outcome == Changed) != change {
			l.w.fail("%s: %v, want a change %t", what, r.Outcome, change)
		}
		if r.Outcome == Changed {
			then()
		}
	}
}

// lock takes the one lock, or tries to; extends it, hands it over or lets it go.
func (l *simLoner) lock() (string, *Op) {
	w, ttl := l.w, l.w.cfg.MaxTTL
	l.tokens++
	token, held := fmt.Sprint("t", l.tokens), l.token
	var op *Op
	what := ""
	switch {
	case held == "" || w.chance(0.2):
		what, op = "acquire as "+token, acquiring(token, ttl, "lock0")
		op.Done = l.expect(what, held == "", func() { l.token = token })
	case w.chance(0.3):
		what, op = "release of "+held, releasing("lock0", held)
		op.Done = l.expect(what, true, func() { l.token = "" })
	case w.chance(0.2):
		what, op = "release of what is not held", releasing("lock0", "nobody")
		op.Done = l.expect(what, false, func() {})
	case w.chance(0.5):
		what, op = "extension of "+held, extending("lock0", held, ttl)
		op.Done = l.expect(what, true, func() {})
	default:
		what, op = fmt.Sprintf("hand-over from %s to %s", held, token), handingOver("lock0", held, token, ttl)
		op.Done = l.expect(what, true, func() { l.token = token })
	}
	return what, op
}

// share joins those who share the other one, or leaves them. What it is shown at
// first may be a list of long ago, by which there is a place, or none.
func (l *simLoner) share() (string, *Op) {
	w := l.w
	l.tokens++
	token, joins := fmt.Sprint("m", l.tokens), w.chance(0.5)
	what := "joining of " + token
	if !joins {
		for _, t := range sortedKeys(l.list) {
			token = t
		}
		what = "leaving of " + token
	}
	until := w.now.Add(time.Hour)
	alter := func(of list) bool {
		_, on := of[token]
		switch {
		case joins && on:
			w.fail("%s: it is shown as one of %s already", what, of.value())
		case joins && len(of) < sharedMost:
			of[token] = until
			return true
		case !joins:
			delete(of, token)
			return on
		}
		return false
	}
	after := maps.Clone(l.list)
	changes := alter(after)
	op := &Op{Names: []string{sharedName}, Reads: true, Decide: func(v *View) Plan {
		lease, _ := v.Lease(sharedName)
		now := readList(lease)
		if !alter(now) {
			return Plan{}
		}
		if len(now) == 0 {
			return Plan{Parts: []Part{{Prev: lease, Name: sharedName, Drop: true}}}
		}
		return Plan{Parts: []Part{{Prev: lease, Name: sharedName, Value: now.value(), TTL: w.cfg.MaxTTL, Renew: lease != nil}}}
	}}
	told := l.expect(what, changes, func() {})
	op.Done = func(r Result) {
		if told(r); r.Outcome != Changed {
			return
		}
		// While a store is silent, one whose leaving was done may be on the list again.
		left := readList(r.Leases[0])
		for _, t := range sortedKeys(after) {
			if _, on := left[t]; !on {
				w.fail("%s: it left the list %s, want %s on it", what, left.value(), t)
			}
		}
		if _, on := left[token]; on != joins {
			w.fail("%s: it left the list %s", what, left.value())
		}
		l.list = left
	}
	return what, op
}

// aloneIn runs the history of a seed in which nobody contends.
func aloneIn(seed uint64, breaks breakage) (*world, *simLoner) {
	w := newWorld(seed, breaks)
	w.cfg.MaxTTL = time.Hour
	for _, n := range w.nodes {
		// Where all must agree, an attempt that was denied is in the way until it is undone.
		n.cfg.MaxTTL, n.cfg.Need = time.Hour, Majority.Need(len(w.stores))
		w.boot(n)
	}
	l := &simLoner{w: w, list: list{}}
	w.calm = true // until all are there
	w.run(w.now.Add(10 * time.Second))
	w.calm, w.gentle = false, true
	l.step()
	w.run(w.now.Add(simLength))
	return w, l
}

// A peer whose store is slow must not be told that there was somebody else.
func TestWhoIsAloneIsToldExactlyWhatCameOfIt(t *testing.T) {
	if *simSeed != 0 {
		w, _ := aloneIn(*simSeed, max(breakage(*simBreaks), breakPeers))
		t.Logf("seed %d:\n%s", *simSeed, strings.Join(w.trace, "\n"))
		if len(w.wrong) > 0 {
			t.Errorf("seed %d: %s", *simSeed, w.wrong[0])
		}
		return
	}
	var next, done atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := next.Add(1); seed <= int64(*simAlone) && !t.Failed(); seed = next.Add(1) {
				w, l := aloneIn(uint64(seed), breakPeers)
				if done.Add(int64(l.done)); len(w.wrong) > 0 {
					t.Errorf("seed %d (go test ./quorum -run %s -sim.seed %d -v): %s\n%s", seed, t.Name(), seed, w.wrong[0], w.story())
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d histories, %d things done", *simAlone, done.Load())
	if done.Load() < int64(*simAlone) {
		t.Errorf("%d things done, want some in each history", done.Load())
	}
}
