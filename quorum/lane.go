package quorum

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A lane is the way to one store: a queue, and one batch under way at a time.
// Whatever was queued while the last batch was under way goes out together, in
// order. A store that fails a batch or a connect is down: what is asked of it
// is silent at once, until it can be connected to again.
//
// A batch is sent by whoever had something to ask while none was under way, or by
// the lane's own goroutine when the last one was answered.
type lane struct {
	keeper *Keeper
	index  int
	name   string
	store  Pipe

	// Of whoever made it busy, until that has ended.
	asks     []*Ask
	requests []Request
	votes    []Vote

	// All of these are guarded by keeper.mu.
	queue       []*Ask
	bytes       int   // of queue
	open        bool  // batches may be sent
	closing     bool  // nothing new is asked
	busy        bool  // a batch is under way
	awake       bool  // it looks into the queue by itself, within laneMoment
	down        error // why it can't be asked; nil: it can, or is being connected to
	up          bool
	since       Time
	incarnation string
	runID       string    // of its server, as it was when it came up last
	refusal     string    // that was told of since then
	counts      [3]uint64 // of votes, by verdict
	last        Event     // the last that was told of it
	lastAt      Time
}

const (
	laneQueue   = 1 << 16          // asks that may wait for one store,
	laneBytes   = 64 << 20         // and bytes of them
	laneBatch   = 1024             // of them go out together,
	batchBytes  = 1 << 20          // and bytes of them: what a store can do within its timeout
	laneChores  = 256              // of upkeep beside them
	laneIdle    = 128              // asks that may wait for one that somebody waits for,
	laneMoment  = time.Millisecond // and for how long
	probeEvery  = 50 * time.Millisecond
	connectMost = 2 * time.Second
	watchMost   = 10 * time.Second
	probeMost   = 500 * time.Millisecond // a store that is back votes again after that, at the latest
)

func newLane(k *Keeper, index int, m Member) *lane {
	return &lane{
		keeper: k, index: index, name: m.Name, store: asPipe(m.Store), since: k.opts.Clock.Now(),
	}
}

// push queues an ask, or has it come back silent. keeper.mu is held.
func (l *lane) push(ask *Ask) {
	switch {
	case l.down != nil:
		l.reject(ask, fmt.Errorf("it is down: %w", l.down))
	case len(l.queue) >= laneQueue || l.bytes > laneBytes:
		l.reject(ask, errBusy)
	default:
		l.queue = append(l.queue, ask)
		l.bytes += ask.size()
		// Whoever let go of a lock often asks for the next one at once: what is to be
		// taken out goes along with that.
		switch mayWait := l.keeper.mayWait(ask); {
		case !mayWait || len(l.queue) > laneIdle:
			l.stir()
		case !l.awake:
			l.keeper.stirred.later |= 1 << l.index
		}
	}
}

// stir has the lane sent what it has, by whoever leaves next. keeper.mu is held.
func (l *lane) stir() { l.keeper.stirred.lanes |= 1 << l.index }

// mayWait reports whether nobody waits for the answer to an ask: a copy is taken out
// whose lease has ended by our own word, that of our table and journal.
func (k *Keeper) mayWait(ask *Ask) bool {
	return ask.why == whyTakeOut && ask.Next == nil && !k.core.peered()
}

func (l *lane) reject(ask *Ask, err error) {
	if ask.why == whyVote {
		l.counts[Silent]++
	}
	l.keeper.rejected = append(l.keeper.rejected, answered{ask, Vote{Err: err, Unsent: true}})
}

// run connects, serves, and connects again, until ctx is done. Meanwhile it looks
// after what the store drops.
func (l *lane) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { l.countEvictions(ctx) })
	pause := time.Duration(0)
	for {
		err := l.connect(ctx)
		if err == nil {
			var served bool
			if served, err = l.serve(ctx); served {
				pause = 0
			}
		}
		if ctx.Err() != nil {
			return
		}
		if pause > 0 { // the first try to connect again is made at once, and asks may wait for it
			l.fall(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(max(2*pause, probeEvery), probeMost)
	}
}

// watch listens for copies that vanish, if the store can tell of them.
func (l *lane) watch(ctx context.Context) {
	watcher, ok := l.member().(Watcher)
	if !ok {
		return
	}
	k, failing := l.keeper, false
	for pause := probeEvery; ctx.Err() == nil; pause = min(2*pause, watchMost) {
		start := k.opts.Clock.Now()
		began := false
		err := watcher.Watch(ctx, func(name string) {
			k.mu.Lock()
			if name == "" && !began {
				k.core.Doubt(l.index) // nobody watched until now
				began = true
			} else {
				k.core.Vanished(k.opts.Clock.Now(), l.index, name)
			}
			if k.core.Missing(l.index) > 0 {
				l.stir()
			}
			k.leave()
		})
		if now := k.opts.Clock.Now(); now.Sub(start) > watchMost {
			pause, failing = probeEvery, false
		}
		if !failing && ctx.Err() == nil && l.isUp() {
			k.opts.Log.Warn("store.unwatched", "store", l.name, "why", err, "now", "copies are looked at now and then until it works again")
			failing = true
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (l *lane) isUp() bool {
	l.keeper.mu.Lock()
	defer l.keeper.mu.Unlock()
	return l.up
}

func (l *lane) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.patience())
	defer cancel()
	incarnation, err := l.store.Connect(ctx)
	if err != nil {
		return err
	}
	runID, alike := l.runID, l.alike(incarnation)
	if incarnation != l.incarnation || len(alike) > 0 { // only run changes them
		if runID, err = l.vet(ctx, incarnation); err != nil {
			return err
		}
	}
	for _, other := range alike {
		other.identify(ctx, incarnation)
	}
	return l.rise(incarnation, runID)
}

// alike returns the other lanes that are up with a server of that incarnation. It may be
// the same one whatever their run ids are: where those rest on something that the server
// keeps for us, it may have lost that since.
func (l *lane) alike(incarnation string) (all []*lane) {
	l.keeper.mu.Lock()
	defer l.keeper.mu.Unlock()
	for _, other := range l.keeper.lanes {
		if other != l && other.up && other.incarnation == incarnation {
			all = append(all, other)
		}
	}
	return all
}

// identify asks the server of a store that is up once more for its run id. If it does not
// say, what it said before is kept.
func (l *lane) identify(ctx context.Context, incarnation string) {
	facts, err := l.store.Facts(ctx)
	if err != nil || facts.Incarnation != incarnation {
		return
	}
	l.keeper.mu.Lock()
	defer l.keeper.mu.Unlock()
	if l.up && l.incarnation == incarnation {
		l.runID = facts.RunID
	}
}

// rise marks the store as up, unless its server votes already under another name.
// That is looked at whenever a store comes up, with the mutex held until it is: others
// come up at the same time, and a server that was away may come back as it was when
// another name leads to it.
func (l *lane) rise(incarnation, runID string) error {
	k := l.keeper
	k.mu.Lock()
	if other := l.twin(runID); other != nil {
		k.mu.Unlock()
		return unfit{fmt.Errorf("it is the same server as %s (run id %s), and would vote twice: it is not asked while %s is up",
			other.name, runID, other.name)}
	}
	now := k.opts.Clock.Now()
	l.down, l.up, l.since, l.incarnation, l.runID, l.refusal = nil, true, now, incarnation, runID, ""
	k.core.Up(now, l.index, incarnation)
	k.leave()
	return nil
}

// twin returns another lane that is up with a server, nil if none is. keeper.mu is held.
func (l *lane) twin(runID string) *lane {
	for _, other := range l.keeper.lanes {
		if other != l && other.up && runID != "" && other.runID == runID {
			return other
		}
	}
	return nil
}

// patience is how long a connection may take: it is several round trips, and a
// store on its way up is slower.
func (l *lane) patience() time.Duration { return min(4*l.keeper.opts.Timeout, connectMost) }

// An unfit error is why a server that is there may not vote.
type unfit struct{ error }

func (u unfit) Unwrap() error { return u.error }

// vet looks at a server that was not seen before: it may be one that may not vote. It
// returns the server's run id.
func (l *lane) vet(ctx context.Context, incarnation string) (runID string, err error) {
	facts, err := l.store.Facts(ctx)
	if err != nil {
		return "", fmt.Errorf("ask what it is: %w", err)
	}
	// They were asked for on another connection, and the address may lead elsewhere by now.
	if facts.Incarnation != "" && facts.Incarnation != incarnation {
		return "", fmt.Errorf("connected to incarnation %s, and then incarnation %s said what it is", incarnation, facts.Incarnation)
	}
	if vet := l.keeper.opts.Vet; vet != nil {
		if err := vet(facts); err != nil {
			return "", unfit{err}
		}
	}
	return facts.RunID, nil
}

// fall marks the store as down; what waits for it is silent.
func (l *lane) fall(err error) {
	k := l.keeper
	k.mu.Lock()
	if l.down == nil {
		l.since = k.opts.Clock.Now()
	} else if l.isNews(err) {
		k.core.event("store.down", l.index, "", "%v", err)
	}
	if errors.As(err, new(unfit)) {
		l.refusal = err.Error()
	}
	l.down, l.up = err, false
	for _, ask := range l.queue {
		l.reject(ask, fmt.Errorf("it is down: %w", err))
	}
	clear(l.queue)
	l.queue, l.bytes = l.queue[:0], 0
	k.core.Down(l.index, err)
	k.leave()
}

// isNews reports whether a store that is down for another reason now is to be told of
// once more: somebody has to mend that, and it will not pass. keeper.mu is held.
func (l *lane) isNews(err error) bool {
	return errors.As(err, new(unfit)) && err.Error() != l.refusal
}

// member returns the store that the lane was made for.
func (l *lane) member() Store { return l.keeper.opts.Members[l.index].Store }

func (l *lane) status(now Time, missing int) StoreStatus {
	s := StoreStatus{
		Name: l.name, Up: l.up, Err: l.down, For: now.Sub(l.since), Incarnation: l.incarnation,
		Granted: l.counts[Granted], Refused: l.counts[Refused], Silent: l.counts[Silent],
		Queued: len(l.queue), Missing: missing,
		Event: l.last.Kind, EventText: l.last.Text, EventAgo: now.Sub(l.lastAt),
	}
	if c := l.keeper.core; c.signs() {
		w := &c.stores[l.index]
		s.Phase, s.Whole, s.WaitsFor = w.phase, w.whole, w.waits
		if w.whole {
			s.WaitsFor = w.gaps()
		}
		if w.phase == Signed {
			s.Signed = now.Sub(w.signed)
		}
	}
	return s
}
