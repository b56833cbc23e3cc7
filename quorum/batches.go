package quorum

import (
	"context"
	"time"
)

// How a lane goes through its queue, batch by batch.

// serve has batches sent until one fails, and reports whether any did not.
func (l *lane) serve(ctx context.Context) (served bool, err error) {
	defer context.AfterFunc(ctx, l.store.Interrupt)()
	defer l.shut()
	for rested := false; ; {
		until, closed := l.look(ctx.Err() != nil, rested)
		if closed {
			return served, ctx.Err() // nothing is queued: releases have reached the store
		}
		answered, err := l.store.Receive(until)
		if answered {
			l.deliver(err)
		}
		if err != nil {
			l.recall()
			return served, err
		}
		served, rested = served || answered, !answered
	}
}

// look sends what is due, unless a batch is under way, and returns when to look
// again. If the keeper is closing and there is nothing left, the lane is closed. One
// that has rested for a moment since its last batch stays awake no longer.
func (l *lane) look(closing, rested bool) (until time.Time, closed bool) {
	k := l.keeper
	k.mu.Lock()
	defer k.leave() // which sends it
	l.open, l.closing = true, closing
	l.awake = l.awake && !rested
	now := k.opts.Clock.Now()
	due := max(k.core.Due(now, l.index).Sub(now), 0)
	switch {
	case len(l.queue) > 0 || due == 0 && !closing:
		l.stir()
		due = time.Millisecond // if nothing comes of it
	case closing && !l.busy:
		l.open = false
		return time.Time{}, true
	}
	if l.awake {
		due = min(due, laneMoment)
	}
	return time.Now().Add(max(due, time.Millisecond)), false
}

// recall ends a batch that somebody has taken before he could know that the
// connection is gone, and may be about to send.
func (l *lane) recall() {
	for busy := l.shut(); busy; {
		answered, err := l.store.Receive(time.Now().Add(time.Millisecond))
		if answered {
			l.deliver(err)
			return
		}
		<-time.After(time.Millisecond)
	}
}

// shut has no batch sent any more, and reports whether one is under way.
func (l *lane) shut() (busy bool) {
	l.keeper.mu.Lock()
	defer l.keeper.mu.Unlock()
	l.open, l.awake = false, false
	return l.busy
}

// take makes the next batch, if one may be sent and there is anything to ask, and
// reports whether it did. The lane is busy then. keeper.mu is held.
func (l *lane) take() bool {
	if l.busy || !l.open {
		return false
	}
	k := l.keeper
	now := k.opts.Clock.Now()
	n, bytes := 0, 0
	for _, ask := range l.queue {
		if len(l.asks) == laneBatch || bytes > batchBytes {
			break
		}
		n++
		l.bytes -= ask.size()
		if ask.Deadline != 0 && now >= ask.Deadline {
			l.reject(ask, errExpired)
			continue
		}
		l.asks = append(l.asks, ask)
		bytes += ask.size()
	}
	rest := copy(l.queue, l.queue[n:])
	clear(l.queue[rest:])
	l.queue = l.queue[:rest]
	// Upkeep goes behind all that was decided before it, or not at all.
	if rest == 0 && !l.closing && k.core.Due(now, l.index) <= now {
		l.asks = append(l.asks, k.core.Chores(now, l.index, laneChores)...)
	}
	if len(l.asks) == 0 {
		return false
	}
	for _, ask := range l.asks {
		l.requests = append(l.requests, ask.Request)
	}
	if k.core.signs() {
		// Rule 1: the batch ends with a reading of the book.
		l.requests = append(l.requests, Request{Action: ReadBook})
	}
	for range l.requests {
		l.votes = append(l.votes, Vote{})
	}
	l.busy, l.awake = true, true
	return true
}

// send sends what was taken.
func (l *lane) send() { l.store.Send(l.requests, l.votes, l.keeper.opts.Timeout) }

// deliver hands the votes of a batch to the core, and has the next one sent.
func (l *lane) deliver(err error) {
	k, asks, votes := l.keeper, l.asks, l.votes
	if k.opts.Observer != nil {
		for i, ask := range asks {
			if ask.why == whyVote {
				k.opts.Observer.Voted(l.name, votes[i].Verdict, votes[i].Elapsed)
			}
		}
	}
	for i := range votes {
		if votes[i].Verdict == Silent && votes[i].Err == nil {
			votes[i].Err = err
		}
	}
	k.mu.Lock()
	for i, ask := range asks {
		if ask.why == whyVote {
			l.counts[votes[i].Verdict]++
		}
	}
	var reading *Vote
	if len(votes) > len(asks) {
		reading = &votes[len(asks)]
	}
	k.core.Answered(k.opts.Clock.Now(), l.index, asks, votes[:len(asks)], reading)
	clear(l.asks)
	clear(l.requests)
	clear(l.votes)
	l.asks, l.requests, l.votes = l.asks[:0], l.requests[:0], l.votes[:0]
	l.busy = false
	if l.open = l.open && err == nil; len(l.queue) > 0 {
		l.stir()
	}
	k.leave()
}
