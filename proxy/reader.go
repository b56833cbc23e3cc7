package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/tidwall/redcon"
)

// readAhead is how much is read, to notice a disconnect, while there is no room
// for another command.
const readAhead = 64 << 10

// Why no further command is read.
var (
	errGone = errors.New("the client is gone")
	errLast = errors.New("the last reply was given")
	errIdle = errors.New("idle for too long")
	errStop = errors.New("shutting down")
)

// read hands on commands until there is a reason to hand on no more.
func (c *client) read() error {
	for {
		stalled, err := c.handOn()
		if err != nil {
			return err
		}
		c.flush()
		if err := c.await(stalled); err != nil {
			return err
		}
	}
}

// handOn begins the commands that have arrived whole, until one has no room.
func (c *client) handOn() (stalled bool, err error) {
	begun := 0
	defer func() { c.server.commands.Add(uint64(begun)) }()
	for {
		n, command, err := c.guard.next(c.in.received())
		if err != nil || n == 0 {
			return false, err
		}
		if command != nil {
			s, err := c.queue(len(command))
			if err != nil || s == nil {
				return err == nil, err
			}
			begun++
			if err := c.begin(s, command); err != nil {
				return false, err
			}
		}
		c.in.take(n)
	}
}

// begin begins one command. After an error no other follows.
func (c *client) begin(s *slot, command []byte) (err error) {
	whole, args, _, _, err := redcon.ReadNextCommand(bytes.Clone(command), make([][]byte, 0, c.guard.count))
	if err != nil || !whole {
		// The guard lets nothing through that does not parse. If it ever does, the
		// client is told so, and nobody else is harmed.
		s.answer(errorLine(fmt.Sprintf("a command that is none: %v", err)), true)
		return errLast
	}
	for i, arg := range args {
		args[i] = slices.Clip(arg) // or an append would write over the next
	}
	if isHTTP(args[0]) {
		return errHTTP
	}
	defer func() {
		if cause := recover(); cause != nil {
			c.panicked(cause)
			c.fail(s)
			err = errLast
		}
	}()
	c.session.Begin(args, s.answer)
	return nil
}

// await waits for bytes or, if stalled, for room. It returns early when there is
// something else to look at.
func (c *client) await(stalled bool) error {
	c.mu.Lock()
	switch {
	case c.closed:
		c.mu.Unlock()
		return errGone
	case c.last:
		c.mu.Unlock()
		return errLast
	case stalled && c.roomLocked():
		c.mu.Unlock()
		return nil
	case stalled && !c.in.half && (c.stopping || len(c.in.received()) >= c.ahead()):
		c.stalled = true
		for c.stalled && !c.closed {
			c.changed.Wait()
		}
		c.mu.Unlock()
		return nil
	case !stalled && c.stopping:
		c.mu.Unlock()
		return errStop
	}
	c.stalled = stalled
	c.armLocked()
	c.mu.Unlock()

	n, err := c.fill()
	switch {
	case errors.Is(err, errHalf):
		c.halve()
		return nil
	case isTimeout(err) && c.in.half:
		return c.checkGrace()
	case isTimeout(err):
		return c.checkIdle()
	case err != nil:
		return errGone
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping {
		// Bytes that come after the kick, and before this goroutine is scheduled,
		// win against it: the poller reports them and no deadline.
		c.in.unread(n)
	}
	return nil
}

// ahead returns how much is read while there is no room for another command.
func (c *client) ahead() int {
	if c.server.budget.scarce() {
		return chunkSize
	}
	return readAhead
}

func (c *client) fill() (int, error) {
	n, err := c.in.fill()
	c.server.bytesIn.Add(uint64(n))
	return n, err
}

// checkIdle tells a client that idled for too long from a kick.
func (c *client) checkIdle() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kicked || c.head != nil || c.kept > 0 { // it may wait for messages, which is no idling
		return nil
	}
	return errIdle
}

// armLocked gets ready to wait for bytes: until kicked, or idle for too long.
func (c *client) armLocked() {
	switch idle := c.options.IdleTimeout; {
	case c.in.half:
		c.conn.SetReadDeadline(c.grace.look)
	case idle > 0:
		c.conn.SetReadDeadline(time.Now().Add(idle))
	case c.kicked:
		c.conn.SetReadDeadline(time.Time{})
	}
	c.kicked = false
}

// kickLocked has the reader look at what changed.
func (c *client) kickLocked() {
	c.stalled = false
	c.changed.Signal()
	if !c.kicked && !c.ended {
		c.kicked = true
		c.conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// stop asks the reader to read no more commands.
func (c *client) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopLocked()
	c.kickLocked()
}

func (c *client) stopLocked() {
	c.stopping = true
	c.quiet = c.head == nil && !c.writing
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
