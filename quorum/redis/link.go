package redis

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// patience bounds what a context without a deadline leaves open.
const patience = 10 * time.Second

// bufferSize is room for the answers to a usual batch, and for the longest line
// that the guard lets pass.
const bufferSize = maxLine + len("\r\n")

var (
	errLost    = errors.New("connection lost")
	errTooMuch = errors.New("the server sent more than it was asked for")
)

// A link is one connection, and the go-redis client around it that logs in and asks
// what the server is; batches do without, see [pipeline]. It has one life: once
// closed it stays so.
type link struct {
	client  *redis.Client
	conn    net.Conn      // the client's, guarded, for when it does not use it
	in      *bufio.Reader // of conn
	pipe    pipeline
	answers int // that were asked for so far, and have come
	wire    *wire
	guard   *guard
	pace    *pace
	direct  bool // the server takes SET with NX and GET
	twice   bool // see [Store.KeepTwice]
}

// open dials, and wraps what it got in a client. Nothing but the TLS handshake is
// sent: go-redis logs in with the first command.
func open(ctx context.Context, t target, p *pace) (*link, error) {
	w, encrypted, err := dial(ctx, t)
	if err != nil {
		return nil, err
	}
	g := new(guard)
	guarded := guardedBy(g, w, encrypted)
	in := bufio.NewReaderSize(guarded, bufferSize)
	return &link{wire: w, conn: guarded, in: in, guard: g, pace: p, client: redis.NewClient(&redis.Options{
		Addr:     t.addr,
		Dialer:   once(guarded),
		Username: t.user,
		Password: t.password,
		DB:       t.db,
		Protocol: 2, // nothing of RESP3 is needed, and the guard need not know it

		// Nothing but what we ask for.
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},

		// One connection, for as long as it lasts, and nothing sent twice.
		MaxRetries:       -1,
		DialerRetries:    1,
		PoolSize:         1,
		PipelinePoolSize: -1,
		ConnMaxIdleTime:  -1,

		ContextTimeoutEnabled: true,
		ReadTimeout:           patience,
		WriteTimeout:          patience,
	})}, nil
}

// dial returns a connection, and what is encrypted on it if the target wants TLS,
// else nil.
func dial(ctx context.Context, t target) (*wire, *tls.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", t.addr)
	if err != nil {
		return nil, nil, err
	}
	w := &wire{TCPConn: conn.(*net.TCPConn)}
	if t.tls == nil {
		return w, nil, nil
	}
	encrypted := tls.Client(w, t.tls)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		w.TCPConn.Close()
		return nil, nil, fmt.Errorf("tls: %w", err)
	}
	return w, encrypted, nil
}

// guardedBy has g read along with what comes in, decrypted if it is encrypted.
func guardedBy(g *guard, w *wire, encrypted *tls.Conn) net.Conn {
	if encrypted == nil {
		return &plain{wire: w, guard: g}
	}
	return &secure{Conn: encrypted, guard: g}
}

// once returns a dialer that has only this one connection to give. Without it
// go-redis would replace a lost one on its own, and nobody would look at the
// incarnation of what is at the other end.
func once(conn net.Conn) func(context.Context, string, string) (net.Conn, error) {
	var taken atomic.Bool
	return func(context.Context, string, string) (net.Conn, error) {
		if taken.Swap(true) {
			return nil, errLost
		}
		return conn, nil
	}
}

// close ends the connection. It may be called more than once, and by anybody.
func (l *link) close() {
	l.cut()
	l.client.Close() // its error says no more than that the connection is gone
}

// cut breaks the connection under whoever uses it: go-redis looks at a context's
// deadline while it reads, but not at its cancellation.
func (l *link) cut() { l.wire.TCPConn.Close() }

// exec sends a pipeline and reads its answers. An error means that the connection
// is of no use any more; error replies are left to the commands.
func (l *link) exec(ctx context.Context, pipe redis.Pipeliner) error {
	answers := l.guard.answers + pipe.Len()
	_, err := pipe.Exec(ctx)
	broken := err != nil && !isReply(err)
	switch {
	case l.guard.err != nil:
		return void{l.guard.err}
	case l.guard.answers > answers, !broken && !l.guard.settled(answers):
		return void{errTooMuch}
	case broken:
		return explain(ctx, err)
	}
	return nil
}

// explain returns err, or what is behind it: a connection that was cut because
// ctx is done reports that it was closed.
func explain(ctx context.Context, err error) error {
	switch {
	case isReply(err):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("no answer: %w", context.Cause(ctx))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	case errors.Is(err, net.ErrClosed):
		return errLost
	case errors.Is(err, io.EOF):
		return fmt.Errorf("the server hung up: %w", err)
	}
	return err
}

// isReply reports whether err is an answer of the server, such as an error reply,
// so that the connection is in order.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// A wire is a TCP connection that knows whether anything was written to it.
type wire struct {
	*net.TCPConn
	wrote atomic.Bool
}

func (w *wire) Write(b []byte) (int, error) {
	w.wrote.Store(true)
	return w.TCPConn.Write(b)
}

// plain guards a bare connection. Through its embedded TCPConn one sees before each
// batch whether the server has hung up, or sent what nobody asked for.
type plain struct {
	*wire
	guard *guard
}

func (p *plain) Read(b []byte) (int, error) {
	n, err := p.wire.Read(b)
	return p.guard.pass(b, n, err)
}

// secure guards what TLS has decrypted.
type secure struct {
	*tls.Conn
	guard *guard
}

func (s *secure) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	return s.guard.pass(b, n, err)
}
