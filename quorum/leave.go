package quorum

import (
	"context"
	"log/slog"
	"math/bits"
	"slices"
)

// stirred is who has something to do. Nobody is woken while the mutex is held, just
// to wait for that.
type stirred struct {
	scribe bool
	lanes  storeSet // for what somebody waits for
	later  storeSet // for what can wait until those who wait for us are answered
}

// of calls f with each lane of a set.
func (k *Keeper) of(lanes storeSet, f func(*lane)) {
	for ; lanes != 0; lanes &= lanes - 1 {
		f(k.lanes[bits.TrailingZeros32(uint32(lanes))])
	}
}

// settle has lanes that were stirred take what they have, and what can't be sent
// come back, until all is settled. It returns whom to wake, and which lanes to send.
func (k *Keeper) settle() stirred {
	s := stirred{}
	for {
		s.scribe = s.scribe || k.stirred.scribe
		urgent, later := k.stirred.lanes, k.stirred.later
		k.stirred = stirred{}
		k.of(urgent, func(l *lane) {
			if l.take() {
				s.lanes |= 1 << l.index
			}
		})
		k.of(later, func(l *lane) {
			if l.take() {
				s.later |= 1 << l.index
			}
		})
		rejected := k.rejected
		k.rejected = nil
		for _, r := range rejected {
			if r.ask.why == whyVote && k.opts.Observer != nil {
				k.opts.Observer.Voted(k.opts.Members[r.ask.Store].Name, Silent, 0)
			}
			k.core.Voted(k.opts.Clock.Now(), r.ask, r.vote)
		}
		if k.stirred == (stirred{}) && len(k.rejected) == 0 {
			return s
		}
	}
}

// leave carries out what the core wants done that needs no queue, and unlocks
// k.mu.
func (k *Keeper) leave() { k.leaveFor(func() {}) }

// leaveFor is leave for somebody who does something first, once k.mu is unlocked.
func (k *Keeper) leaveFor(first func()) {
	stir := k.settle()
	c := k.core
	ring := c.next(k.wakeAt) < k.wakeAt
	var few [4]finished
	ended := append(few[:0], c.finished...)
	starts, events := c.starts, c.events
	for _, e := range events {
		if e.Store >= 0 {
			l := k.lanes[e.Store]
			l.last, l.lastAt = e, k.opts.Clock.Now()
		}
	}
	clear(c.finished)
	c.finished, c.starts, c.events = c.finished[:0], nil, nil
	news := len(c.news) > 0
	k.mu.Unlock()

	first()
	if stir.scribe {
		wake(k.scribe.wake)
	}
	k.of(stir.lanes, (*lane).send)
	if ring {
		wake(k.ring)
	}
	if news {
		k.spread()
	}

	for _, f := range ended {
		if k.opts.Observer != nil && f.result.Deed != Looked {
			k.opts.Observer.Ended(f.result)
		}
		f.op.Done(f.result)
	}
	k.of(stir.later, (*lane).send)
	for _, op := range starts {
		op.Start(&op.view)
	}
	for _, e := range events {
		k.tell(e)
	}
}

// tell logs and counts an event.
func (k *Keeper) tell(e Event) {
	attrs := make([]slog.Attr, 0, 3)
	store := ""
	if e.Store >= 0 {
		store = k.opts.Members[e.Store].Name
		attrs = append(attrs, slog.String("store", store))
	}
	if e.Name != "" {
		attrs = append(attrs, slog.String("lock", e.Name))
	}
	attrs = append(attrs, slog.String("why", e.Text))
	level := slog.LevelWarn
	if slices.Contains([]string{"store.up", "store.signed", "store.whole"}, e.Kind) {
		level = slog.LevelInfo
	}
	k.opts.Log.LogAttrs(context.Background(), level, e.Kind, attrs...)
	if k.opts.Observer != nil {
		k.opts.Observer.Happened(e, store)
	}
}
