package proxy

import "math"

// mutedAll is the place up to which replies are left out if all are.
const mutedAll = math.MaxUint64

// mute leaves out replies: see [Conn].
func (c *client) mute(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := c.head // the first that was not answered
	if c.answered != nil {
		next = c.answered.next
	}
	switch {
	case next == nil: // the connection is closed, and the queue gone
	case n < 0:
		c.muted = mutedAll
	case n == 0 || c.muted != mutedAll:
		c.muted = next.place - 1 + uint64(n)
	}
}
