package proxy

import (
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tidwall/redcon"
)

// flushSize is how much is gathered for one write, and the most that is written
// under one deadline.
const flushSize = 64 << 10

// slotCost is what a queued reply counts for beside its bytes.
const slotCost = 96

// A slot is the place of one reply in its connection's order. It is never used
// for a second command: a reply given twice, or too late, must not become the
// answer to somebody else.
//
// A message that answers no command has a slot too: see push.
type slot struct {
	client  *client
	next    *slot  // guarded by client.mu, as is what follows
	place   uint64 // in the order; a message has that of the slot before it
	size    int    // of the command
	reply   []byte
	sharers *atomic.Int64 // of the bytes of a message, see Conn.Push; may be nil
	done    bool
	last    bool // the connection ends with this reply
	pushed  bool // it is a message
}

// cost is what a slot counts for that was given.
func (s *slot) cost() int { return len(s.reply) + slotCost }

// answer gives the reply of a slot.
func (s *slot) answer(reply []byte, last bool) {
	c := s.client
	c.mu.Lock()
	again := s.done
	fits := true
	if !again {
		c.held -= s.size
		fits = c.giveLocked(s, reply, last)
		c.accountLocked()
	}
	c.mu.Unlock()
	switch {
	case again:
		c.logger().Error("a command was answered twice", "reply", abridge(reply))
	case !fits:
		c.cutOff("replies wait for it to read")
	}
}

// queue makes the slot for a command of size bytes, nil if there is no room yet.
// After an error no command is to be begun any more.
func (c *client) queue(size int) (*slot, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, errGone
	case c.last:
		return nil, errLast
	case !c.roomLocked():
		return nil, nil
	}
	s := &slot{client: c, size: size}
	c.appendLocked(s)
	c.held += size
	c.current = s
	c.quiet = false
	return s, nil
}

func (c *client) appendLocked(s *slot) {
	if c.head == nil {
		c.head = s
	} else {
		c.tail.next = s
	}
	c.tail = s
	c.count++
	c.placed++
	s.place = c.placed
}

// giveLocked fills in a slot and sees to it that somebody writes it once its turn
// has come. It reports false if too many bytes wait already. Those given before
// are what counts, so that one long reply alone does not end a connection.
func (c *client) giveLocked(s *slot, reply []byte, last bool) (fits bool) {
	if s.place <= c.muted {
		reply = nil
	}
	s.reply, s.done, s.last = reply, true, last
	if c.closed || c.over {
		return true
	}
	if c.owed > c.options.MaxReplyBytes {
		return false
	}
	c.owed += s.cost()
	if c.answered == nil || c.answered.place < s.place {
		c.answered = s
	}
	if last {
		c.last = true
		if s != c.current {
			c.kickLocked() // the reader waits for commands, and none is to come
		}
	}
	// The reader itself writes what was answered while it was handing on.
	if s == c.head && s != c.current && !c.writeAloneLocked(s) {
		c.wakeLocked()
	}
	return true
}

// roomLocked reports whether another command may be begun.
func (c *client) roomLocked() bool {
	if c.count >= c.options.Window || c.held >= c.options.Limits.Command || c.owed >= c.options.MaxReplyBytes/2 {
		return false
	}
	return c.held+c.owed < share || !c.server.budget.scarce()
}

func (c *client) readyLocked() bool { return c.head != nil && c.head.done && !c.closed }

// wakeLocked has the writer write what is ready, unless somebody is writing, who
// will look again.
func (c *client) wakeLocked() {
	switch {
	case c.writing:
	case !c.writer:
		c.writer = true
		c.writers.Go(c.write)
	default:
		c.work.Signal()
	}
}

// write is the writer. It starts with the first reply that came after Begin had
// returned, and stays until the connection is closed.
func (c *client) write() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.closed {
		if c.writing || !c.readyLocked() {
			c.work.Wait()
			continue
		}
		c.writeLocked()
	}
}

// flush writes what is ready, if nobody else does. The reader calls it when it
// has handed on all that it has.
func (c *client) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = nil
	c.received = c.in.size()
	c.accountLocked()
	if c.writing || !c.readyLocked() {
		return
	}
	c.writeLocked()
	if c.readyLocked() {
		c.wakeLocked() // reading goes first
	}
}

// writeLocked writes what is ready, at most about flushSize of it or one reply. It
// lets go of the mutex while it does.
func (c *client) writeLocked() {
	c.writing = true
	var page *[]byte
	var batch []byte
	var wrote load
	alone := c.head.next == nil || !c.head.next.done || len(c.head.reply) >= flushSize
	first := c.head
	if alone { // not worth a copy
		c.popLocked()
		batch = first.reply
		wrote.add(first)
	} else {
		page = c.server.pages.Get().(*[]byte)
		batch, wrote = c.gatherLocked((*page)[:0])
	}
	g := c.grace
	c.mu.Unlock()

	c.send(batch, g)
	if page != nil {
		if cap(batch) <= 2*flushSize {
			*page = batch
		}
		c.server.pages.Put(page)
	}

	c.mu.Lock()
	if alone {
		c.unshareLocked(first)
	}
	c.wroteLocked(wrote)
}

// wroteLocked notes that somebody has written so much.
func (c *client) wroteLocked(wrote load) {
	c.owed -= wrote.owed
	c.pushed -= wrote.pushed
	c.accountLocked()
	c.writing = false
	c.endLocked()
	if c.stalled && c.roomLocked() && c.count <= c.options.Window/2 {
		c.kickLocked()
	}
}

// aloneMost is how many replies whoever answers one writes to its client, before he
// leaves what else has become ready to the writer.
const aloneMost = 4

// writeAloneLocked has whoever answers write a reply himself, if nothing else is due
// and the socket takes it: most clients wait for one reply at a time, and neither
// another goroutine nor its stack is needed for that. A client may be so quick that
// its next reply is ready before the write has returned. It reports whether all that
// is ready is written, or is being written. It lets go of the mutex meanwhile.
func (c *client) writeAloneLocked(s *slot) bool {
	for range aloneMost {
		if c.writing || c.in.raw == nil || s.next != nil || s.last || s.pushed { // of a message a part counts otherwise
			return false
		}
		c.writing = true
		c.mu.Unlock()
		n := c.sendNow(s.reply)
		c.mu.Lock()
		var wrote load
		switch {
		case c.closed: // and all was dropped
		case n < len(s.reply):
			s.reply = s.reply[n:]
			wrote.owed = n
		default:
			c.popLocked()
			c.unshareLocked(s)
			wrote.add(s)
		}
		c.wroteLocked(wrote)
		if !c.readyLocked() {
			return true
		}
		s = c.head
	}
	return false
}

// sendNow writes as much of b as the socket takes, and returns how much that is. What
// went wrong is found by whoever writes the rest.
func (c *client) sendNow(b []byte) (n int) {
	if c.in.raw == nil || len(b) == 0 {
		return 0
	}
	_ = c.in.raw.Control(func(fd uintptr) {
		n, _ = syscall.Write(int(fd), b) // the runtime has it never wait, nor raise a signal
	})
	n = max(n, 0)
	c.server.bytesOut.Add(uint64(n))
	return n
}

// A load is what slots that are being written count for.
type load struct{ owed, pushed int }

func (l *load) add(s *slot) {
	if s.pushed {
		l.pushed += s.cost()
	} else {
		l.owed += s.cost()
	}
}

// gatherLocked copies replies that are ready to the page, and takes them off the
// queue.
func (c *client) gatherLocked(page []byte) (batch []byte, gathered load) {
	for c.readyLocked() && len(page) < flushSize {
		s := c.head
		c.popLocked()
		page = append(page, s.reply...)
		gathered.add(s)
		c.unshareLocked(s)
	}
	return page, gathered
}

// popLocked takes the head off the queue, and with the last reply all the rest.
func (c *client) popLocked() {
	s := c.head
	c.head, s.next = s.next, nil
	if !s.pushed {
		c.count--
	}
	if s == c.answered {
		c.answered = nil
	}
	if s.last {
		c.dropLocked()
		c.sealed, c.over = true, true
	}
}

// dropLocked takes all off the queue.
func (c *client) dropLocked() {
	for s := c.head; s != nil; s = s.next {
		c.unshareLocked(s)
	}
	c.head, c.tail, c.answered, c.count = nil, nil, nil, 0
}

// seal says that no command will follow those that are due.
func (c *client) seal() {
	c.mu.Lock()
	c.sealed = true
	c.mu.Unlock()
	c.flush()
	c.mu.Lock()
	c.endLocked()
	c.mu.Unlock()
}

// endLocked sees whether all that will ever be due is written.
func (c *client) endLocked() {
	if c.sealed && !c.ended && !c.writing && c.head == nil {
		c.kickLocked()
		c.ended = true
	}
}

// send writes b. If it cannot the connection is closed.
func (c *client) send(b []byte, g grace) {
	if len(b) <= flushSize {
		b = b[c.sendNow(b):] // mostly all of it: to set a deadline for that costs more
	}
	for len(b) > 0 {
		c.conn.SetWriteDeadline(g.bound(time.Now().Add(c.options.WriteTimeout)))
		n, err := c.conn.Write(b[:min(len(b), flushSize)])
		c.server.bytesOut.Add(uint64(n))
		b = b[n:]
		switch {
		case isTimeout(err):
			c.cutOff("it does not read")
			return
		case err != nil:
			c.close()
			return
		}
	}
}

// errorLine returns an error reply.
func errorLine(message string) []byte { return redcon.AppendError(nil, "ERR "+message) }

// abridge returns enough of a reply to recognise it in a log.
func abridge(reply []byte) string { return string(reply[:min(len(reply), 64)]) }
