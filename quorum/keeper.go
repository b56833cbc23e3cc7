package quorum

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Member is a store with the name that operators know it by.
type Member struct {
	Name  string // its URL, without the password
	Store Store
}

// An Observer is told what can be counted. Its methods are brief, and may be
// called by several goroutines at once.
type Observer interface {
	Voted(store string, verdict Verdict, took time.Duration)
	Ended(result Result)
	// Happened is told of an event, which is about the store of that name if about any.
	Happened(e Event, store string)
}

// Options are what a keeper is made of.
type Options struct {
	Members  []Member
	Strategy Strategy
	Timeout  time.Duration // how long a store may take
	MaxTTL   time.Duration
	Author   uint8
	Identity
	Journal  Journal
	Past     History
	Clock    Clock
	Vet      func(Facts) error // why a store may not vote, asked at each new incarnation; may be nil
	Observer Observer          // may be nil
	Log      *slog.Logger
	// Failed is called once if the journal fails. What it was told before is on
	// disk or not; nothing is granted any more.
	Failed func(error)
}

// A Keeper keeps leases: a [Core] with a clock, a journal and one lane to each
// store. Its methods are safe for concurrent use.
type Keeper struct {
	opts Options

	mu       sync.Mutex
	core     *Core   // guarded by mu
	lanes    []*lane // their queues are guarded by mu
	scribe   *scribe // its queue is guarded by mu
	rejected []answered
	stirred  stirred // guarded by mu: who has something to do, for leave
	wakeAt   Time    // guarded by mu: when the timer will ring
	closed   bool
	listener func(News) // guarded by mu

	telling sync.Mutex // taken before mu: see spread

	ring chan struct{} // wakeAt is too late

	stop        context.CancelFunc
	running     sync.WaitGroup // lanes and timer
	stopJournal context.CancelFunc
	journal     sync.WaitGroup
	restored    int
}

// answered is an ask and its vote.
type answered struct {
	ask  *Ask
	vote Vote
}

// Open returns a keeper of the leases of o.Past, and starts to connect to the
// stores; it does not wait for them. What Open returns has a Close.
func Open(o Options) (*Keeper, error) {
	if len(o.Members) > maxStores {
		return nil, fmt.Errorf("open keeper: %d stores, at most %d", len(o.Members), maxStores)
	}
	k := &Keeper{opts: o, ring: make(chan struct{}, 1)}
	k.scribe = newScribe(k)
	cfg := Config{
		Need: o.Strategy.Need(len(o.Members)), Timeout: o.Timeout, MaxTTL: o.MaxTTL, Author: o.Author, Identity: o.Identity,
	}
	if len(o.Peers) > 0 {
		cfg.Peek = peekEvery
	}
	for i, m := range o.Members {
		cfg.Stores = append(cfg.Stores, m.Store.Traits())
		cfg.Names = append(cfg.Names, m.Name)
		k.lanes = append(k.lanes, newLane(k, i, m))
	}
	ctx, stop := context.WithCancel(context.Background())
	journal, stopJournal := context.WithCancel(context.Background())
	k.stop, k.stopJournal = stop, stopJournal
	k.mu.Lock()
	now := o.Clock.Now()
	k.core = NewCore(cfg, k, o.Past, now)
	k.opts.Past = History{} // which may be of a million leases
	k.restored = len(k.core.leases)
	k.core.Reserve()
	k.leave()
	k.journal.Go(func() { k.scribe.run(journal) })
	k.running.Go(func() { k.runTimer(ctx) })
	for _, l := range k.lanes {
		k.running.Go(func() { l.run(ctx) })
		k.running.Go(func() { l.watch(ctx) })
	}
	return k, nil
}

// Close stops everything and closes the stores, once what is queued for them
// and for the journal is through or has failed. Ops still under way end with
// [ErrClosed]. The journal is the caller's to close, afterwards.
func (k *Keeper) Close() error {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.stop()
	k.running.Wait()
	k.stopJournal()
	k.journal.Wait()
	k.mu.Lock()
	k.core.Close(ErrClosed)
	k.leave()
	var errs []error
	for _, l := range k.lanes {
		errs = append(errs, l.store.Close())
	}
	return errors.Join(errs...)
}

// Submit takes an op: see [Core.Submit]. Its Done may be called before Submit
// returns.
func (k *Keeper) Submit(op *Op) {
	k.mu.Lock()
	if k.closed {
		k.mu.Unlock()
		op.Done(Result{Outcome: Failed, Err: ErrClosed})
		return
	}
	k.core.Submit(k.opts.Clock.Now(), op)
	k.leave()
}

// Resume goes on with an op whose Start was called.
func (k *Keeper) Resume(op *Op, plan Plan) {
	k.mu.Lock()
	if op.state == opRunning { // else the keeper was closed
		k.core.Resume(k.opts.Clock.Now(), op, plan)
	}
	k.leave()
}

// Cancel says that the client of op hung up: see [Core.Cancel].
func (k *Keeper) Cancel(op *Op) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.core.Cancel(op)
}

// Now returns the time by the keeper's clock.
func (k *Keeper) Now() Time { return k.opts.Clock.Now() }

// Do submits an op and waits for its result.
func (k *Keeper) Do(op *Op) Result {
	done := make(chan Result, 1)
	op.Done = func(r Result) { done <- r }
	k.Submit(op)
	return <-done
}

// Ask is the core's Outbox.
func (k *Keeper) Ask(ask *Ask) { k.lanes[ask.Store].push(ask) }

// Write is the core's Outbox.
func (k *Keeper) Write(r Record, sync bool, want *Want) {
	k.scribe.push(record{r, sync, want})
}

// Full is the core's Outbox.
func (k *Keeper) Full() bool { return k.scribe.full() }

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is awake, or will be
	}
}

// runTimer calls the core when something is due.
func (k *Keeper) runTimer(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-k.ring:
		}
		k.mu.Lock()
		now := k.opts.Clock.Now()
		next := k.core.Tick(now)
		k.wakeAt = next
		k.leave()
		timer.Reset(max(next.Sub(now), 100*time.Microsecond))
	}
}

// Leases returns the live leases whose name matches, sorted by name, at most so
// many unless most is 0.
func (k *Keeper) Leases(match func(name string) bool, most int) []*Lease {
	k.mu.Lock()
	all := make([]*Lease, 0, len(k.core.leases))
	k.core.Leases(k.opts.Clock.Now(), func(l *Lease) bool {
		all = append(all, l)
		return true
	})
	k.mu.Unlock()
	found := slices.DeleteFunc(all, func(l *Lease) bool { return !match(l.Name) })
	slices.SortFunc(found, func(a, b *Lease) int { return strings.Compare(a.Name, b.Name) })
	if most > 0 && len(found) > most {
		found = found[:most]
	}
	return found
}

// Status returns what the keeper sees.
func (k *Keeper) Status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := len(k.lanes)
	s := Status{
		Strategy: k.opts.Strategy.String(), Need: k.core.cfg.Need, Tolerates: n - k.core.cfg.Need,
		Leases: len(k.core.leases), Untimed: k.core.untimed, Restored: k.restored,
		Unwritten: len(k.scribe.queue), Birth: k.core.births, Last: MakeNumber(k.core.count, k.opts.Author),
	}
	now := k.opts.Clock.Now()
	s.ID = k.core.cfg.ID
	if k.core.refused != nil {
		s.Refused = k.core.refused.Error()
	}
	for _, p := range k.core.peers {
		ps := PeerStatus{ID: p.id, Known: p.known, Instance: p.instance, Forgotten: p.forgotten}
		if p.known {
			ps.Moved = now.Sub(p.moved)
		}
		s.Peers = append(s.Peers, ps)
	}
	for i, l := range k.lanes {
		s.Stores = append(s.Stores, l.status(now, k.core.Missing(i)))
	}
	return s
}

// Dead returns why nothing is granted any more, nil while all is well.
func (k *Keeper) Dead() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.core.dead
}
