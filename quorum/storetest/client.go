package storetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"holdfast/quorum"
)

// Store returns a client of the fake that is not connected yet.
func (f *Fake) Store() quorum.Store { return &client{fake: f} }

var (
	errLost   = errors.New("connection lost")
	errJumped = errors.New("its clock jumped")
)

// A client is one store of a fake.
type client struct {
	fake *Fake

	// Guarded by fake.mu.
	life   int // of the fake when this connection was opened; 0 is no connection
	call   int // counts its connections
	met    int // the life that it was connected to last
	seen   int // the fake's jumps as it saw them last
	jumps  int // how often it saw that there was one; never goes back
	closed bool
}

// Connect opens a new connection.
func (c *client) Connect(ctx context.Context) (string, error) {
	f := c.fake
	c.hangUp()
	if err := c.ring(ctx); err != nil {
		return "", fmt.Errorf("connect to fake %s: %w", f.name, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.closed {
		return "", fmt.Errorf("connect to fake %s: closed", f.name)
	}
	if c.met != f.life {
		c.seen = f.jumps // nothing to compare with
	}
	c.jumpedLocked()
	c.life, c.met = f.life, f.life
	c.call++
	return c.incarnationLocked(), nil
}

// jumpedLocked reports whether the fake's clock jumped since c saw it last.
func (c *client) jumpedLocked() bool {
	if c.seen == c.fake.jumps {
		return false
	}
	c.seen = c.fake.jumps
	c.jumps++
	return true
}

func (c *client) incarnationLocked() string {
	if c.jumps == 0 {
		return c.fake.incarnationLocked()
	}
	return fmt.Sprintf("%s/j%d", c.fake.incarnationLocked(), c.jumps)
}

func (c *client) hangUp() {
	c.fake.mu.Lock()
	defer c.fake.mu.Unlock()
	c.life = 0
}

// ring waits for the fake to answer a request that changes nothing.
func (c *client) ring(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	f := c.fake
	f.mu.Lock()
	if f.refusal != nil || c.closed {
		defer f.mu.Unlock()
		return errors.Join(f.refusal, c.closedLocked())
	}
	p, delay := c.parcelLocked(nil), f.delay
	f.arriveLocked(p)
	f.mu.Unlock()
	return p.wait(ctx, delay)
}

func (c *client) closedLocked() error {
	if c.closed {
		return errors.New("closed")
	}
	return nil
}

// A parcel is what a client sent, and what a fake that is resumed answers it.
type parcel struct {
	from     *client
	call     int // which of the client's connections it was sent on
	requests []quorum.Request
	votes    []quorum.Vote // written before done is closed, then never again
	lost     bool          // the server died first; written before done is closed
	jumped   bool          // its clock did, before the answer; written before done is closed
	done     chan struct{}
}

func (c *client) parcelLocked(requests []quorum.Request) *parcel {
	return &parcel{
		from:     c,
		call:     c.call,
		requests: append([]quorum.Request{}, requests...),
		votes:    make([]quorum.Vote, len(requests)),
		done:     make(chan struct{}),
	}
}

// lose ends the wait for an answer that will not come.
func (p *parcel) lose() {
	p.lost = true
	close(p.done)
}

// wait returns once the fake has answered or ctx is done.
func (p *parcel) wait(ctx context.Context, delay time.Duration) error {
	select {
	case <-p.done: // an answer that is there counts, however late it is
	default:
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-p.done:
		}
	}
	if p.lost {
		return errLost
	}
	if delay <= 0 {
		return nil
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// Do sends the requests, and gives the connection up if no answer comes.
func (c *client) Do(ctx context.Context, requests []quorum.Request, votes []quorum.Vote) error {
	f := c.fake
	start := f.clock.Now()
	if err := ctx.Err(); err != nil {
		fail(votes, fmt.Errorf("ask fake %s: %w", f.name, err), true)
		return nil // the connection is as good as before
	}
	p, delay, mute, err := c.send(requests)
	if err != nil {
		err = fmt.Errorf("ask fake %s: %w", f.name, err)
		fail(votes, err, true)
		return err
	}
	err = p.wait(ctx, delay)
	switch {
	case err == nil && mute:
		err = errLost
	case err == nil && p.jumped:
		err = errJumped
	}
	if err != nil {
		c.hangUp()
		err = fmt.Errorf("ask fake %s: %w", f.name, err)
		fail(votes, err, false)
		return err
	}
	elapsed := max(f.clock.Now().Sub(start), 1)
	for i := range votes {
		votes[i] = p.votes[i]
		if votes[i].Err == nil {
			votes[i].Elapsed = elapsed
		}
	}
	return nil
}

// send hands the requests to the fake. With mute the answer will not come back.
func (c *client) send(requests []quorum.Request) (p *parcel, delay time.Duration, mute bool, err error) {
	f := c.fake
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case c.closed:
		return nil, 0, false, c.closedLocked()
	case c.life != f.life:
		return nil, 0, false, errors.New("not connected")
	}
	p = c.parcelLocked(requests)
	switch {
	case f.deaf > 0:
		f.deaf--
		p.lose()
		return p, 0, false, nil
	case f.held:
		f.transit = append(f.transit, p)
	default:
		f.arriveLocked(p)
	}
	if mute = f.mute > 0; mute {
		f.mute--
	}
	return p, f.delay, mute, nil
}

func fail(votes []quorum.Vote, err error, unsent bool) {
	for i := range votes {
		votes[i] = quorum.Vote{Err: err, Unsent: unsent}
	}
}

// Facts tells of a store that loses everything at a restart and evicts nothing.
func (c *client) Facts(ctx context.Context) (quorum.Facts, error) {
	f := c.fake
	if err := (&client{fake: f}).ring(ctx); err != nil {
		return quorum.Facts{}, fmt.Errorf("facts of fake %s: %w", f.name, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return quorum.Facts{
		Kind:        "fake",
		Version:     "1",
		RunID:       f.incarnationLocked(),
		Incarnation: c.incarnationLocked(),
		Persistence: "none",
		Eviction:    "none",
	}, nil
}

func (c *client) Traits() quorum.Traits { return quorum.Traits{Late: c.fake.late} }

func (c *client) Close() error {
	c.fake.mu.Lock()
	defer c.fake.mu.Unlock()
	c.closed = true
	c.life = 0
	return nil
}
