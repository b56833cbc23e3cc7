package quorum

import (
	"context"
	"fmt"
	"time"
)

// An Evicter is a store that may drop what it keeps to make room, and does not
// tell which, but counts. One that tells is a [Watcher].
type Evicter interface {
	// Evicted returns how many items the server has dropped to make room since it
	// was started, whoever had put them there; what ran out or was deleted is not
	// among them. It asks on a connection of its own, which stays open from one
	// call to the next. One goroutine at a time calls it, beside those of Store.
	Evicted(ctx context.Context) (count uint64, err error)
}

const (
	evictedEvery = 2 * time.Second  // the store is asked,
	evictedQuiet = 10 * time.Second // and so long there is no second line about it
	evictedText  = "%d items were dropped to make room; every copy is looked at"
)

// Evicted says that a store has dropped so many items to make room. Copies of
// ours may be among them, so each is looked at. So may be the book: the reading
// at the end of the next batch tells.
func (c *Core) Evicted(now Time, store int, count uint64) {
	c.event("store.evicted", store, "", evictedText, count)
	c.Doubt(store)
}

// evictions is what is known of those of one store.
type evictions struct {
	incarnation string // that was counted in last
	count       uint64
	untold      uint64 // dropped since the last line about it
	quiet       Time   // there is no other line before that
}

// take takes a new count, and returns how much it has grown. With doubt, copies
// of ours may be gone: it has grown, or what there was at the start of another
// incarnation is not known, and it is not zero.
func (e *evictions) take(incarnation string, count uint64) (grown uint64, doubt bool) {
	known := incarnation == e.incarnation && count >= e.count
	was := e.count
	e.incarnation, e.count = incarnation, count
	if !known {
		return 0, count > 0
	}
	e.untold += count - was
	return count - was, count > was
}

// tell returns how many evictions a line is to tell of now, 0 for no line.
func (e *evictions) tell(now Time) (count uint64) {
	if now < e.quiet {
		return 0
	}
	count, e.untold = e.untold, 0
	e.quiet = now.Add(evictedQuiet)
	return count
}

// countEvictions asks the store now and then how much it has dropped, if it is
// one that counts, until ctx is done.
func (l *lane) countEvictions(ctx context.Context) {
	evicter, ok := l.member().(Evicter)
	if !ok {
		return
	}
	tick := time.NewTicker(evictedEvery)
	defer tick.Stop()
	var seen evictions
	for failures := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		incarnation, up := l.life()
		if !up {
			failures = 0
			continue
		}
		count, err := l.askEvicted(ctx, evicter)
		if err == nil {
			failures = 0
			l.evicted(&seen, incarnation, count)
		} else if failures++; failures == 2 && ctx.Err() == nil {
			// Once is no news: a restart breaks this connection like the others.
			l.keeper.opts.Log.Warn("store.uncounted", "store", l.name, "why", err, "now", "evictions are found when copies are looked at now and then, until it works again")
		}
	}
}

// life returns the store's incarnation, and whether it is up.
func (l *lane) life() (incarnation string, up bool) {
	l.keeper.mu.Lock()
	defer l.keeper.mu.Unlock()
	return l.incarnation, l.up
}

func (l *lane) askEvicted(ctx context.Context, evicter Evicter) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, l.patience()) // it may have to connect
	defer cancel()
	return evicter.Evicted(ctx)
}

// evicted takes what the store said while it was in this incarnation.
func (l *lane) evicted(seen *evictions, incarnation string, count uint64) {
	k := l.keeper
	k.mu.Lock()
	if l.incarnation != incarnation { // and nobody knows which of the two was asked
		k.mu.Unlock()
		return
	}
	now, told := k.opts.Clock.Now(), uint64(0)
	grown, doubt := seen.take(incarnation, count)
	if grown > 0 {
		told = seen.tell(now)
	}
	switch {
	case told > 0:
		k.core.Evicted(now, l.index, told)
	case doubt:
		k.core.Doubt(l.index)
	}
	if k.core.Missing(l.index) > 0 {
		l.stir()
	}
	k.leave()
	if grown > 0 && told == 0 && k.opts.Observer != nil { // there is no line, but it counts
		k.opts.Observer.Happened(Event{Kind: "store.evicted", Store: l.index, Text: fmt.Sprintf(evictedText, grown)}, l.name)
	}
}
