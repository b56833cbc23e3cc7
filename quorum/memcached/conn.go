package memcached

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"sync"
)

// A conn is one connection. It does not survive an error: nobody knows then
// which answers are still on their way. One goroutine at a time uses it; close
// may be called by any.
type conn struct {
	nc     net.Conn
	r      *bufio.Reader
	w      *bufio.Writer
	opaque uint64 // of the last command sent
	evicts bool   // the server drops what was not in use for long
}

func newConn(nc net.Conn) *conn {
	return &conn{nc: nc, r: bufio.NewReaderSize(nc, maxLine), w: bufio.NewWriterSize(nc, 16<<10)}
}

// close ends the connection. Whatever waits for it fails. What the kernel has
// to say about that is of no use to anybody.
func (c *conn) close() { c.nc.Close() }

// exchange sends the commands together and returns as many answers, in order. If
// it fails the connection is closed, and those that did not come are lost.
func (c *conn) exchange(ctx context.Context, commands []command) ([]reply, error) {
	first := c.opaque + 1
	c.opaque += uint64(len(commands))
	replies := make([]reply, 0, len(commands))
	err := c.during(ctx, func() error {
		// Reading begins before all is written: a server that cannot get rid of
		// long answers stops reading, and both sides would wait for ever.
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() { c.send(commands, first) })
		for i := range commands {
			rep, err := readReply(c.r, commands[i].verb, first+uint64(i))
			if err != nil {
				c.close() // ends the sending, too
				return fmt.Errorf("answer %d of %d: %w", i+1, len(commands), err)
			}
			replies = append(replies, rep)
		}
		return nil
	})
	for len(replies) < len(commands) {
		replies = append(replies, reply{outcome: lost, err: err})
	}
	return replies, err
}

// send writes the commands. A connection that cannot be written to cannot be
// read from either, so the reader tells of it.
//
// What is looked at is in use if the server evicts. Otherwise each copy that is
// put back pushes out the one that was left alone for longest, which is ours
// too, and that goes round for minutes. A server that may not evict must not
// move what we look at: while it does it holds on to the item, and could not
// reuse its memory to put it back.
func (c *conn) send(commands []command, first uint64) {
	for i := range commands {
		commands[i].keep = c.evicts
		commands[i].writeTo(c.w, first+uint64(i))
	}
	c.w.Flush()
}

// during calls f, whose reads and writes fail once ctx is done. The connection
// is closed if f fails or ctx was done before f returned.
func (c *conn) during(ctx context.Context, f func() error) error {
	stop := context.AfterFunc(ctx, c.close)
	var err error
	if ctx.Err() == nil {
		err = f()
	}
	if !stop() { // whatever f says comes of that
		c.close() // by now, and not only soon
		return fmt.Errorf("wait for the server: %w", ctx.Err())
	}
	if err != nil {
		c.close()
	}
	return err
}
