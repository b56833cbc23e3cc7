package proxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	firstPause = 5 * time.Millisecond // after an Accept that failed; doubles with each
	maxPause   = time.Second
	// maxRefusing bounds the clients that are being told that there are too many;
	// those beyond are told nothing.
	maxRefusing = 256
)

// A Server accepts connections and serves them. Its methods are safe for
// concurrent use.
//
// Flow is held back where it can be, and a client is cut off where it cannot:
// while MaxReplyBytes/2 wait to be written no command is begun, and beyond
// MaxReplyBytes, which replies to commands already under way may reach, the
// connection is closed; so it is if more than MaxPushBytes of messages wait, or if
// a write times out.
//
// The same holds for all connections together, of what was received, is under way,
// waits to be written or is kept by a session: while they hold more than three quarters of MaxBytes a
// command is begun only if its connection has less than 16 KiB under way or waiting,
// so that nobody stands still because of the others; and beyond MaxBytes those that
// hold most are closed, until three quarters are left.
type Server struct {
	options  Options
	chunks   sync.Pool // of *[chunkSize]byte, to read into
	pages    sync.Pool // of *[]byte, to gather replies in
	budget   budget
	relief   sync.Mutex // held while connections are closed because of the budget
	attacked alarm      // somebody sends HTTP
	stop     chan struct{}
	tasks    sync.WaitGroup // one for each connection; added to under mu, and not once stopped

	accepted, refused, commands, protocolErrors, cutOff, bytesIn, bytesOut atomic.Uint64

	mu        sync.Mutex
	stopped   bool                      // guarded by mu, as is what follows; closes stop
	listeners map[net.Listener]struct{} // being served
	clients   map[*client]struct{}
	refusing  int
	lastID    uint64
}

// New returns a server that accepts nothing yet.
func New(options Options) *Server {
	options = options.withDefaults()
	return &Server{
		options:   options,
		budget:    budget{most: int64(options.MaxBytes)},
		chunks:    sync.Pool{New: func() any { return new([chunkSize]byte) }},
		pages:     sync.Pool{New: func() any { return new([]byte) }},
		stop:      make(chan struct{}),
		listeners: make(map[net.Listener]struct{}),
		clients:   make(map[*client]struct{}),
	}
}

// Serve accepts connections until Shutdown, and then returns nil; it does not
// wait for them. Accepting that fails is tried again, ever more slowly, unless
// somebody else closed the listener. The listener is closed when Serve returns.
func (s *Server) Serve(ln net.Listener) error {
	defer ln.Close()
	if !s.listen(ln) {
		return nil
	}
	defer s.unlisten(ln)
	for pause := time.Duration(0); ; {
		conn, err := ln.Accept()
		switch {
		case err == nil:
			pause = 0
			s.admit(conn)
		case s.isStopped():
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept on %s: %w", ln.Addr(), err)
		default:
			pause = min(max(2*pause, firstPause), maxPause)
			s.options.Log.Warn("accept failed", "listener", ln.Addr().String(), "error", err, "pause", pause)
			s.wait(pause)
		}
	}
}

// Shutdown accepts and reads nothing more, waits until each command received has
// been answered and the reply written, and closes the connections. Those that are
// left when ctx is done are cut off: the error says how many, and wraps ctx's.
// When Shutdown returns no session is in use.
func (s *Server) Shutdown(ctx context.Context) error {
	s.halt()
	gone := make(chan struct{})
	go func() {
		s.tasks.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
	}
	left := s.everyone()
	for _, c := range left {
		c.close()
	}
	<-gone
	if len(left) == 0 {
		return nil
	}
	return fmt.Errorf("shut down: %d connections cut off: %w", len(left), context.Cause(ctx))
}

// halt stops listeners and readers.
func (s *Server) halt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.stopped = true
		close(s.stop)
	}
	for ln := range s.listeners {
		ln.Close()
	}
	for c := range s.clients {
		c.stop()
	}
}

// Stats returns what the server has seen.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	connections := len(s.clients)
	s.mu.Unlock()
	return Stats{
		Connections:    connections,
		Held:           s.budget.held.Load(),
		Accepted:       s.accepted.Load(),
		Refused:        s.refused.Load(),
		Commands:       s.commands.Load(),
		ProtocolErrors: s.protocolErrors.Load(),
		CutOff:         s.cutOff.Load(),
		BytesIn:        s.bytesIn.Load(),
		BytesOut:       s.bytesOut.Load(),
	}
}

// admit gives a connection a goroutine, which serves it or says why not.
func (s *Server) admit(conn net.Conn) {
	s.accepted.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopped:
		conn.Close()
	case len(s.clients) < s.options.MaxConns:
		s.lastID++
		c := newClient(s, s.lastID, conn)
		s.clients[c] = struct{}{}
		s.tasks.Go(func() {
			defer s.forget(c)
			c.serve()
		})
	case s.refusing < maxRefusing:
		s.refused.Add(1)
		s.refusing++
		s.tasks.Go(func() { s.refuse(conn) })
	default:
		s.refused.Add(1)
		conn.Close()
	}
}

// refuse tells a client that there are too many.
func (s *Server) refuse(conn net.Conn) {
	c := newClient(s, 0, conn)
	defer c.in.release()
	defer c.close()
	conn.SetDeadline(time.Now().Add(lingerTime))
	if n, err := conn.Write(errorLine("max number of clients reached")); err == nil {
		s.bytesOut.Add(uint64(n))
		c.linger()
	}
	s.mu.Lock()
	s.refusing--
	s.mu.Unlock()
}

func (s *Server) forget(c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clients, c)
}

func (s *Server) everyone() []*client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.clients))
}

// listen reports false if the server was stopped.
func (s *Server) listen(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	s.listeners[ln] = struct{}{}
	return true
}

func (s *Server) unlisten(ln net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, ln)
}

func (s *Server) isStopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

// wait waits for pause, or until the server is stopped.
func (s *Server) wait(pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.stop:
	}
}
