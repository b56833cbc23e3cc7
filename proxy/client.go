package proxy

import (
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"
)

// Closing a socket with bytes in it that nobody has read makes the kernel send a
// reset, which may overtake the last replies. So this much is read after the last
// command, and for so long the client may take to hang up.
const (
	lingerBytes = 64 << 10
	lingerTime  = 250 * time.Millisecond
)

// A client is one connection. Its reader, the goroutine of serve, owns it: reads
// commands, begins them, and puts everything away in the end.
//
//   - Replies given during Begin are written by the reader, in one go, when it has
//     handed on all that has arrived. Nobody is woken for them.
//   - A reply that comes later, and is all that is due, is written by whoever gives
//     it, as far as the socket takes it at once.
//   - All others are written by the writer, a goroutine that exists once there has
//     been such a reply.
//   - Whoever writes does so without the mutex; writing says that somebody does.
//
// While a command waits the reader keeps reading, so a disconnect is noticed.
// What needs its attention meanwhile interrupts it by a deadline in the past.
type client struct {
	id      uint64
	server  *Server
	options *Options
	conn    net.Conn
	opened  time.Time

	in      *input // the reader's
	guard   guard  // the reader's
	session Session

	writers sync.WaitGroup // the writer, if there is one

	mu         sync.Mutex
	work       sync.Cond // for the writer: there may be something to write, or closed
	changed    sync.Cond // for the reader: it was kicked, or closed
	head, tail *slot     // guarded by mu, as is all that follows; what is due, first to last
	current    *slot     // the last one begun, until the reader has flushed
	answered   *slot     // the last one due that was given; nil if none was
	placed     uint64    // of the last one begun
	muted      uint64    // replies up to this place are left out
	count      int       // of slots due, messages apart
	held       int       // bytes of commands that were not answered yet
	owed       int       // bytes of replies that were not written yet
	pushed     int       // bytes of messages that were not written yet
	shared     int       // of these, what the budget counts once for all connections
	kept       int       // bytes the session keeps, see Conn.Keep
	received   int       // bytes that are kept of what arrived, when last looked
	charged    int       // what the budget knows of all this
	writing    bool      // somebody is
	writer     bool      // it was started
	last       bool      // a reply was given that is to be the last one
	over       bool      // it is off the queue, and all behind it was dropped
	sealed     bool      // no command will follow those that are due
	stopping   bool      // no command is to be read any more
	quiet      bool      // nothing was due when stopping, nor since
	stalled    bool      // the reader waits for room
	kicked     bool      // the reader's deadline is in the past
	ended      bool      // all that was due is written
	closed     bool      // the connection is
	grace      grace     // zero while the client may send
}

func newClient(s *Server, id uint64, conn net.Conn) *client {
	c := &client{
		id:      id,
		server:  s,
		options: &s.options,
		conn:    conn,
		opened:  time.Now(),
		in:      newInput(conn, &s.chunks),
	}
	c.work.L = &c.mu
	c.changed.L = &c.mu
	c.guard = newGuard(s.options.Limits, c.known)
	return c
}

// serve is the reader. It returns when nothing is left of the connection.
func (c *client) serve() {
	defer c.in.release()
	defer c.writers.Wait()
	defer c.close()
	defer c.rescue()

	c.keepAlive()
	if c.converse() {
		c.linger()
	}
}

// converse is all between Open and Close. It reports whether the client was told
// all that it was owed, and may be listening still.
func (c *client) converse() (listening bool) {
	session := c.options.Handler.Open(Conn{
		ID:     c.id,
		Remote: c.conn.RemoteAddr().String(),
		Local:  c.conn.LocalAddr().String(),
		Opened: c.opened,
		Kill:   c.close,
		Push:   c.push,
		Mute:   c.mute,
		Keep:   c.keep,
	})
	defer session.Close()
	c.session = session
	listening = c.finish(c.read())
	if !listening {
		c.close() // first, so that nobody hears what becomes of commands that Close cancels
	}
	return listening
}

// keepAlive has TCP find out that a silent client's machine is gone.
func (c *client) keepAlive() {
	if tcp, ok := c.conn.(*net.TCPConn); ok {
		every := c.options.KeepAlive
		tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: every, Interval: every / 3, Count: 3})
	}
}

// known reports whether the client has authenticated, or need not.
func (c *client) known() bool {
	s, ok := c.session.(interface{ Authenticated() bool })
	return !ok || s.Authenticated()
}

// finish waits until all that is due is written, and reports whether it was. The
// reason why there will be no more is a reply too, if the client is to know it.
func (c *client) finish(why error) bool {
	var bad protocolError
	switch {
	case errors.Is(why, errGone):
		return false
	case errors.Is(why, errHTTP):
		c.warnOfHTTP()
		return false
	case errors.Is(why, errIdle):
		c.cutOff("idle for too long")
		return false
	case errors.Is(why, errStop) && c.unheard():
		return false
	case errors.As(why, &bad):
		c.server.protocolErrors.Add(1)
		c.logger().Debug("client does not speak RESP", "error", bad)
		c.conclude(errorLine(bad.Error()))
	}
	c.seal()
	return c.settle()
}

// unheard reports whether nobody waits for anything, so that the connection may
// be closed without ado.
func (c *client) unheard() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.quiet
}

// settle waits until all that is due is written. It reads on, for a while, but
// only to notice if the client hangs up first.
func (c *client) settle() bool {
	left := lingerBytes
	for {
		c.mu.Lock()
		for left <= 0 && !c.ended && !c.closed {
			c.changed.Wait()
		}
		c.armLocked()
		ended, closed := c.ended, c.closed
		c.mu.Unlock()
		if ended || closed {
			return !closed
		}
		n, err := c.discard()
		switch {
		case errors.Is(err, errHalf):
			c.halve()
		case isTimeout(err) && c.in.half:
			if c.checkGrace() != nil {
				return false
			}
		case err != nil && !isTimeout(err):
			return false
		}
		left -= n
	}
}

// linger says that nothing more will come, and gives the client a while to hang
// up first, unless it did.
func (c *client) linger() {
	half, ok := c.conn.(interface{ CloseWrite() error })
	if !ok || c.in.half || half.CloseWrite() != nil {
		return
	}
	c.conn.SetReadDeadline(time.Now().Add(lingerTime))
	for left := lingerBytes; left > 0; {
		n, err := c.discard()
		if err != nil {
			return
		}
		left -= n
	}
}

// discard waits for bytes, and drops all there are.
func (c *client) discard() (int, error) {
	c.in.take(len(c.in.received()))
	return c.fill()
}

// conclude gives a reply to no command, the last one.
func (c *client) conclude(reply []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.last {
		return
	}
	s := &slot{client: c}
	c.appendLocked(s)
	c.current = s // flush is next
	c.giveLocked(s, reply, true)
}

// fail ends the connection after the reply to a command that panicked.
func (c *client) fail(s *slot) {
	c.mu.Lock()
	done := s.done
	c.mu.Unlock()
	if done {
		c.conclude(nil)
		return
	}
	s.answer(errorLine("internal error"), true)
}

// rescue keeps a panic in a session from ending more than its connection.
func (c *client) rescue() {
	if cause := recover(); cause != nil {
		c.panicked(cause)
	}
}

func (c *client) panicked(cause any) {
	c.logger().Error("panic in a session", "panic", cause, "stack", string(debug.Stack()))
}

// cutOff closes the connection of a client that costs too much.
func (c *client) cutOff(reason string) {
	if c.shut() {
		c.server.cutOff.Add(1)
		c.logger().Info("client cut off", "reason", reason)
	}
}

// close closes the connection at once.
func (c *client) close() { c.shut() }

// shut closes the connection, and reports whether it was open. Everybody who
// waits for anything here then wakes.
func (c *client) shut() bool {
	c.mu.Lock()
	wasOpen := !c.closed
	c.closed = true
	c.dropLocked()
	c.current = nil
	c.dischargeLocked()
	c.work.Signal()
	c.changed.Signal()
	c.mu.Unlock()
	if wasOpen {
		c.conn.Close()
	}
	return wasOpen
}

func (c *client) logger() *slog.Logger {
	return c.options.Log.With("client", c.id, "remote", c.conn.RemoteAddr().String())
}
