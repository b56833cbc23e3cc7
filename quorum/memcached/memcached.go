// Package memcached keeps copies of leases in a memcached server, 1.6 or later.
//
// It speaks the meta commands itself, on one connection: whatever is asked
// together is sent together, and answered in order. What holds everywhere:
//
//   - A swap looks first and writes second, and what it writes is tied to what
//     it saw by the server's CAS number. No copy is ever written without that
//     condition. An add by itself would do where no copy is expected, but
//     memcached frees what lies under a name when it has no room for what was to
//     be added: one failed try would take out somebody else's copy.
//   - CAS numbers start again with the server, so none outlives the connection
//     it was read on. What decides is always the copy's bytes.
//   - Every command carries a number that its answer must repeat. An answer to
//     anything else means that the two sides are out of step, and ends the
//     connection.
//   - TTLs are whole seconds there, and end up to a second early. A copy is kept
//     for one more than asked, rounded up.
//   - One connection's commands are carried out in the order in which they were
//     sent, each as a whole. So what is looked at behind a write shares its round
//     trip.
//
// Beside the copies there are, under names that no lock may have:
//
//	holdfast:book           the book, one line for each signer
//	holdfast:gone:<name>    a notice: the last version that has ended, in decimal
//	holdfast:mark:<bucket>  a mark: the greatest number taken, in decimal
//	holdfast:room:<word>    as long as a new book, for an instant
//	holdfast:h:server       a random word, to know the server by
//
// Nothing here is atomic over two keys, so a flush may come between any two
// steps. The book is gone then too, and whoever reads it at the end of a batch
// knows.
//
// What is left: a server without room drops the copy that it was told to
// replace. It is put back at once, but for one round trip there is none; and one
// that somebody else adds between a look and its write is not put back. A server
// that evicts may drop a notice or a mark and keep the book. That it dropped
// something is noticed, see [Store.Evicted], but only copies are put back; what
// is looked at now and then it drops last.
//
// The package ignores authentication, TLS and clusters: one plain server each.
//
// Source: memcached's doc/protocol.txt, on meta commands, and its
// proto_text.c, on what a failed allocation does; tried against 1.6.18.
package memcached

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"sync"

	"holdfast/quorum"
)

const defaultPort = "11211"

var (
	errClosed       = errors.New("store is closed")
	errNotConnected = errors.New("not connected")
)

// A Store is one memcached server. It is a [quorum.Store] and a [quorum.Evicter].
type Store struct {
	addr string
	dial func(ctx context.Context, network, addr string) (net.Conn, error)

	mu      sync.Mutex
	conn    *conn // guarded by mu; nil before Connect and after a failure
	counter *conn // guarded by mu; what Evicted asks on, nil before that and after a failure
	closed  bool  // guarded by mu; once true, always true
}

// New returns the store at memcached://host:port, port 11211 if there is none.
// It does not connect.
func New(rawURL string) (*Store, error) {
	addr, err := address(rawURL)
	if err != nil {
		return nil, err
	}
	return &Store{addr: addr, dial: new(net.Dialer).DialContext}, nil
}

func address(rawURL string) (string, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		// The cause alone: the whole error repeats the URL, which may hold a password.
		var parsing *url.Error
		if errors.As(err, &parsing) {
			err = parsing.Err
		}
		return "", fmt.Errorf("memcached url: %w", err)
	}
	refuse := func(why string) (string, error) {
		return "", fmt.Errorf("memcached url %q: %s", u.Redacted(), why)
	}
	switch {
	case u.Scheme != "memcached":
		return refuse("the scheme is not memcached")
	case u.User != nil:
		return refuse("user and password are not supported")
	case u.Hostname() == "":
		return refuse("no host")
	case u.Path != "" && u.Path != "/":
		return refuse("a path means nothing here")
	case u.RawQuery != "" || u.Fragment != "":
		return refuse("there are no options")
	}
	port := u.Port()
	if port == "" {
		port = defaultPort
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return refuse("the port is not between 1 and 65535")
	}
	return net.JoinHostPort(u.Hostname(), port), nil
}

// Connect opens a connection in the place of any earlier one and returns the
// server's incarnation, see [identity.incarnation]. It refuses a server that
// does not know meta commands or gives no CAS numbers.
//
// What was sent on the earlier connection may still be carried out afterwards:
// memcached has no means to prevent it.
func (s *Store) Connect(ctx context.Context) (string, error) {
	s.discard(nil)
	c, err := s.open(ctx)
	if err != nil {
		return "", fmt.Errorf("connect: %w", err)
	}
	id, err := c.introduce(ctx)
	if err != nil {
		c.close()
		return "", fmt.Errorf("connect: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.close()
		return "", fmt.Errorf("connect: %w", errClosed)
	}
	s.conn = c
	return id.incarnation(), nil
}

func (s *Store) open(ctx context.Context) (*conn, error) {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return nil, errClosed
	}
	nc, err := s.dial(ctx, "tcp", s.addr)
	if err != nil {
		return nil, err
	}
	return newConn(nc), nil
}

// discard closes the connection if it still is c, or whichever it is for nil.
func (s *Store) discard(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil && (c == nil || s.conn == c) {
		s.conn.close()
		s.conn = nil
	}
}

// Do sends the requests together and fills in votes. Those about one name are
// carried out in order, one after the other; the rest share the round trips:
// one for what can be told by looking, another for what is to be written, and
// between them one more if there are marks to raise or notices to leave. What is
// about the book waits until all before it is answered, and takes one round trip
// to read or tear it and three to sign it.
func (s *Store) Do(ctx context.Context, requests []quorum.Request, votes []quorum.Vote) error {
	s.mu.Lock()
	c := s.conn
	s.mu.Unlock()
	rounds := plan(requests, votes)
	if c == nil {
		abandon(rounds, errNotConnected)
		return errNotConnected
	}
	for i, round := range rounds {
		if err := c.carryOut(ctx, round); err != nil {
			s.discard(c)
			abandon(rounds[i+1:], err)
			return err
		}
	}
	return nil
}

// Traits says that TTLs are seconds, and that nothing stops a late request.
func (s *Store) Traits() quorum.Traits { return quorum.Traits{Coarse: true, Late: true} }

// Close closes the connections. Do, Connect and Evicted then fail.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.discard(nil)
	s.miscount()
	return nil
}
