package main

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// benchGrace is how long requests that are under way may take once it is over.
const benchGrace = time.Second

// benchPause keeps callers of a server that fails from doing nothing but that.
const benchPause = 10 * time.Millisecond

// A side is one of what is measured beside each other: callers that lock in one way.
type side struct {
	kind, title string // "addr", "against" or "direct", and what it is called in print
	ways        []way  // shared by the callers in turn
	closers     []func()
	callers     int
	options     benchOptions
	prefix      string // of its locks

	asked    atomic.Int64 // requests for a lock, all rounds
	answered atomic.Int64 // pairs and denials, this round
	failed   atomic.Int64 // all rounds
	holds    []func(context.Context) error
	done     []measured // a round each
	total    *recorder
}

// open makes the sides. What it returns beside an error is to be closed too.
func (o benchOptions) open() (sides []*side, err error) {
	run := rand.Text()[:8]
	add := func(kind, title string, ways []way, closers []func(), err error) error {
		sides = append(sides, &side{
			kind: kind, title: title, ways: ways, closers: closers, callers: o.conns * o.pipeline, options: o,
			prefix: fmt.Sprintf("bench:%s:%s:", run, kind), total: newRecorder(),
		})
		if err != nil {
			err = fmt.Errorf("%s: %w", title, err)
		}
		return err
	}
	ways, closers, err := o.openWays(o.addr)
	if err := add("addr", shown(o.addr), ways, closers, err); err != nil {
		return sides, err
	}
	if o.against != "" {
		ways, closers, err := o.openWays(o.against)
		if err := add("against", shown(o.against), ways, closers, err); err != nil {
			return sides, err
		}
	}
	if len(o.direct) > 0 {
		ways, closers, err := o.forRedlock().openRedlock()
		if err := add("direct", fmt.Sprintf("redsync at %d", len(o.direct)), ways, closers, err); err != nil {
			return sides, err
		}
	}
	return sides, nil
}

// forRedlock is how redsync is to ask.
func (o benchOptions) forRedlock() benchOptions {
	if o.directPooled {
		o.conns, o.pipeline = o.conns*o.pipeline, 1
	}
	return o
}

// close ends what is under way.
func (s *side) close() {
	for _, c := range s.closers {
		c()
	}
	s.closers = nil
}

// each runs f for each caller, and returns when all are done: a moment after ctx,
// at the latest, which closes the side.
func (s *side) each(ctx context.Context, f func(caller int, w way)) {
	var wg sync.WaitGroup
	for i := range s.callers {
		wg.Go(func() { f(i, s.ways[i%len(s.ways)]) })
	}
	all := make(chan struct{})
	go func() { // waited for below
		wg.Wait()
		close(all)
	}()
	select {
	case <-all:
		return
	case <-ctx.Done():
	}
	select {
	case <-all:
	case <-time.After(benchGrace):
		s.close()
		<-all
	}
}

// warmUp connects every caller, loads the script, and takes the locks that are to
// be denied. It fails if any of that does.
func (s *side) warmUp(ctx context.Context) error {
	var once sync.Once
	var first error
	try := func(caller int, w way) {
		name := s.prefix + "first:" + strconv.Itoa(caller)
		release, err := w.acquire(ctx, name, rand.Text(), s.options.ttl)
		if err == nil && release == nil {
			err = fmt.Errorf("%s: a lock that nobody else asks for was denied", name)
		}
		if err == nil {
			err = release(ctx)
		}
		if err != nil {
			once.Do(func() { first = err })
		}
	}
	if try(0, s.ways[0]); first != nil { // one error is enough
		return first
	}
	if s.each(ctx, try); first != nil {
		return first
	}
	if !s.options.denied {
		return ctx.Err()
	}
	for i := range s.options.locks {
		release, err := s.ways[0].acquire(ctx, s.shared(i), rand.Text(), 4*s.options.duration+time.Minute)
		if err != nil || release == nil {
			return fmt.Errorf("hold %s: %v, granted %t", s.shared(i), err, release != nil)
		}
		s.holds = append(s.holds, release)
	}
	return ctx.Err()
}

// leave releases what warmUp took. If the server does not answer, a TTL does that.
func (s *side) leave() {
	for _, release := range s.holds {
		if release(context.Background()) != nil {
			return
		}
	}
}

func (s *side) shared(i int) string { return s.prefix + strconv.Itoa(i) }

// spent reports whether there were as many requests as there may be.
func (s *side) spent() bool {
	return s.options.count > 0 && s.asked.Load() >= int64(s.options.count)
}

// A measured is one round.
type measured struct {
	took  time.Duration
	whole bool // it was not cut short
	*recorder
}

// measure has all callers lock for so long, and keeps what came of it.
func (s *side) measure(ctx context.Context, long time.Duration) {
	s.answered.Store(0)
	shards := make([]*recorder, min(s.callers, 8))
	for i := range shards {
		shards[i] = newRecorder()
	}
	start := time.Now()
	until := start.Add(long)
	// Requests that are under way at the end are waited for: nothing is left held.
	within := context.WithoutCancel(ctx)
	round := strconv.Itoa(len(s.done))
	s.each(ctx, func(i int, w way) {
		c := caller{side: s, way: w, to: shards[i%len(shards)], names: s.prefix + round + ":" + strconv.Itoa(i) + ":"}
		for n := 0; ctx.Err() == nil && time.Now().Before(until); n++ {
			if s.asked.Add(1) > int64(s.options.count) && s.options.count > 0 {
				s.asked.Add(-1)
				return
			}
			if err := c.pair(within, n); err != nil && ctx.Err() == nil {
				s.failed.Add(1)
				c.to.fail(err, c.name)
				_ = pause(ctx, benchPause)
			}
		}
	})
	m := measured{took: time.Since(start), whole: ctx.Err() == nil, recorder: newRecorder()}
	for _, shard := range shards {
		m.merge(shard)
	}
	s.total.merge(m.recorder)
	s.done = append(s.done, m)
}

// A caller is one caller in one round.
type caller struct {
	*side
	way   way
	to    *recorder
	names string // what its fresh locks begin with
	name  string // of the lock it asked for last
}

// pair asks for its n-th lock, and releases it if it was granted.
func (c *caller) pair(ctx context.Context, n int) error {
	if c.options.locks > 0 {
		c.name = c.shared(mathrand.IntN(c.options.locks))
	} else {
		c.name = c.names + strconv.Itoa(n)
	}
	token := rand.Text()
	start := time.Now()
	release, err := c.way.acquire(ctx, c.name, token, c.options.ttl)
	got := time.Now()
	switch {
	case err != nil:
		return err
	case release == nil:
		c.answered.Add(1)
		c.to.record(denying, got.Sub(start))
		return nil
	}
	err = release(ctx)
	end := time.Now()
	if err != nil {
		return err
	}
	c.answered.Add(1)
	c.to.record(acquiring, got.Sub(start))
	c.to.record(releasing, end.Sub(got))
	return nil
}
