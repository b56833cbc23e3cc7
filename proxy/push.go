package proxy

import "sync/atomic"

// Messages answer no command. They are bounded apart from replies, and by more:
// whoever sends them does not wait, so that a client that is a little late must
// not lose its connection, and they cost less, as many connections share one.

// push queues a message: see [Conn].
func (c *client) push(b []byte, sharers *atomic.Int64) bool {
	c.mu.Lock()
	if c.closed || c.last || c.sealed {
		c.mu.Unlock()
		return false
	}
	if c.pushed >= c.options.MaxPushBytes {
		c.mu.Unlock()
		c.cutOff("messages wait for it to read")
		return false
	}
	exceeded := c.insertLocked(&slot{client: c, reply: b, sharers: sharers, done: true, pushed: true})
	c.accountLocked()
	open := !c.closed
	c.mu.Unlock()
	if exceeded {
		c.server.relieve()
	}
	return open
}

// insertLocked puts a message behind the last slot that was given, and sees to it
// that somebody writes it. It reports whether all connections hold too much now.
func (c *client) insertLocked(s *slot) (exceeded bool) {
	before := c.answered
	if before == nil {
		s.next, c.head = c.head, s
	} else {
		s.place = before.place
		s.next, before.next = before.next, s
	}
	if s.next == nil {
		c.tail = s
	}
	c.answered = s
	c.pushed += s.cost()
	if s.sharers != nil {
		c.shared += len(s.reply)
		exceeded = s.sharers.Add(1) == 1 && c.server.budget.add(len(s.reply))
	}
	// If there is a slot before it, whoever writes that goes on with this.
	if c.head == s {
		c.wakeLocked()
	}
	return exceeded
}

// unshareLocked is for a slot that is done with, or was copied.
func (c *client) unshareLocked(s *slot) {
	if s.sharers == nil {
		return
	}
	c.shared -= len(s.reply)
	if s.sharers.Add(-1) == 0 {
		c.server.budget.add(-len(s.reply))
	}
	s.sharers = nil
}

// keep counts what the session keeps.
func (c *client) keep(bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept += bytes
	c.accountLocked()
}
