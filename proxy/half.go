package proxy

import (
	"errors"
	"time"
)

// A client that shut down its end of the connection sends no more, but may be
// waiting for replies: `printf 'SET ...' | nc` does. One that closed its socket,
// or died, looks the same until it answers what is written to it by a reset. So
// what was received is carried out and answered, as in a drain, and both are given
// a while: the command whose reply is next, and all of them together.
const (
	replyGrace = time.Second
	halfGrace  = 5 * time.Second
)

// errHalf reports that the client sends no more.
var errHalf = errors.New("the client sends no more")

// A grace is how long a client is waited for that sends no more.
type grace struct {
	next  *slot     // whose reply was waited for when last looked; nil: for none
	look  time.Time // when to look again
	until time.Time // when all is to be written; zero while the client may send
}

// halve notes that the client sends no more.
func (c *client) halve() {
	c.noteHalf()
	c.session.NoMore()
}

func (c *client) noteHalf() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.grace = grace{next: c.head, look: now.Add(replyGrace), until: now.Add(halfGrace)}
	c.stopLocked()
}

// checkGrace returns an error if a client that sends no more was waited for long
// enough. What ended the wait just now may also have been a kick.
func (c *client) checkGrace() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, now := &c.grace, time.Now()
	stuck := c.head != nil && c.head == g.next && !c.head.done
	switch {
	case now.Before(g.look):
		return nil
	case stuck, !now.Before(g.until):
		return errGone
	}
	g.next, g.look = c.head, now.Add(replyGrace)
	return nil
}

// bound returns by when a write is to be over that has until by anyway.
func (g grace) bound(by time.Time) time.Time {
	if !g.until.IsZero() && g.until.Before(by) {
		return g.until
	}
	return by
}
