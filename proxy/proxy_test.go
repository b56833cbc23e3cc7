package proxy

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what is bound to happen.
const patience = 20 * time.Second

// An echo is a handler whose sessions understand:
//
//	ECHO text    replies with it at once
//	LATER text   replies with it once the test asks for it; see release
//	NEVER        is answered by nobody
//	BIG n        replies with n bytes at once
//	QUIT         OK, and the connection is closed
//	AUTH         OK, and the client has authenticated
//	PANIC, ANSWERPANIC
type echo struct {
	stranger bool // clients must authenticate

	mu      sync.Mutex
	changed *sync.Cond
	later   map[string]func([]byte, bool) // guarded by mu
	opened  []*echoSession                // guarded by mu
	closed  int                           // guarded by mu
}

type echoSession struct {
	echo   *echo
	conn   Conn
	known  bool
	closed bool
	begun  []string // guarded by echo.mu
	noMore int      // guarded by echo.mu; how often it was said
}

func newEcho() *echo {
	e := &echo{later: make(map[string]func([]byte, bool))}
	e.changed = sync.NewCond(&e.mu)
	return e
}

func (e *echo) Open(c Conn) Session {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := &echoSession{echo: e, conn: c, known: !e.stranger}
	e.opened = append(e.opened, s)
	e.changed.Broadcast()
	return s
}

func (s *echoSession) Authenticated() bool { return s.known }

func (s *echoSession) Begin(args [][]byte, reply func([]byte, bool)) {
	e := s.echo
	e.mu.Lock()
	defer e.mu.Unlock()
	if s.closed {
		panic("Begin after Close")
	}
	s.begun = append(s.begun, string(bytes.Join(args, []byte(" "))))
	e.changed.Broadcast()
	switch string(args[0]) {
	case "ECHO":
		reply(bulk(args[1]), false)
	case "LATER":
		e.later[string(args[1])] = reply
	case "NEVER":
	case "BIG":
		var n int
		fmt.Sscan(string(args[1]), &n)
		reply(bulk(bytes.Repeat([]byte("x"), n)), false)
	case "QUIT":
		reply([]byte("+OK\r\n"), true)
	case "AUTH":
		s.known = true
		reply([]byte("+OK\r\n"), false)
	case "PANIC":
		panic("as asked")
	case "ANSWERPANIC":
		reply([]byte("+OK\r\n"), false)
		panic("as asked")
	default:
		reply([]byte("-ERR unknown command\r\n"), false)
	}
}

func (s *echoSession) NoMore() {
	s.echo.mu.Lock()
	defer s.echo.mu.Unlock()
	s.noMore++
	s.echo.changed.Broadcast()
}

func (s *echoSession) Close() {
	s.echo.mu.Lock()
	defer s.echo.mu.Unlock()
	if s.closed {
		panic("closed twice")
	}
	s.closed = true
	s.echo.closed++
	s.echo.changed.Broadcast()
}

// release answers a LATER, once it has been begun.
func (e *echo) release(t testing.TB, text string, last bool) {
	t.Helper()
	var reply func([]byte, bool)
	e.await(t, "LATER "+text+" begun", func() bool {
		reply = e.later[text]
		delete(e.later, text)
		return reply != nil
	})
	reply(bulk([]byte(text)), last)
}

// await waits until ok, which is called with mu held.
func (e *echo) await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	late := false
	timer := time.AfterFunc(patience, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		late = true
		e.changed.Broadcast()
	})
	defer timer.Stop()
	e.mu.Lock()
	defer e.mu.Unlock()
	for !ok() {
		if late {
			t.Fatalf("%s: not within %v", what, patience)
		}
		e.changed.Wait()
	}
}

func (e *echo) awaitClosed(t testing.TB, sessions int) {
	t.Helper()
	e.await(t, fmt.Sprintf("%d sessions closed", sessions), func() bool { return e.closed == sessions })
}

func (e *echo) session(t testing.TB, i int) *echoSession {
	t.Helper()
	e.await(t, "connection opened", func() bool { return len(e.opened) > i })
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.opened[i]
}

// commands returns what the i-th session has begun.
func (e *echo) commands(t testing.TB, i int) string {
	t.Helper()
	s := e.session(t, i)
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(s.begun, ", ")
}

func (e *echo) awaitCommands(t testing.TB, i, n int) {
	t.Helper()
	s := e.session(t, i)
	e.await(t, fmt.Sprintf("%d commands begun", n), func() bool { return len(s.begun) >= n })
}

// poll waits until ok, looking again and again.
func poll(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); !ok(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// start serves on a port of its own until the test ends, and returns the address.
func start(t testing.TB, options Options, through ...func(net.Listener) net.Listener) (*Server, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range through {
		ln = f(ln)
	}
	s := New(options)
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Shutdown(ctx)
		if err := <-served; err != nil {
			t.Errorf("Serve = %v, want nil after Shutdown", err)
		}
		if left := s.Stats().Connections; left != 0 {
			t.Errorf("%d connections are left after Shutdown, want 0", left)
		}
	})
	return s, ln.Addr().String()
}

// A peer is the client's end of a connection.
type peer struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func dial(t testing.TB, addr string) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &peer{t, conn, bufio.NewReader(conn)}
}

func (p *peer) send(s string) {
	p.t.Helper()
	if _, err := io.WriteString(p, s); err != nil {
		p.t.Fatalf("send %.40q: %v", s, err)
	}
}

// expect reads exactly want.
func (p *peer) expect(want string) {
	p.t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(p.r, got)
	if string(got[:n]) != want {
		p.t.Fatalf("read %.200q (%d bytes), %v; want %.200q", got[:n], n, err, want)
	}
}

// expectEnd reads exactly want, and then the end.
func (p *peer) expectEnd(want string) {
	p.t.Helper()
	got, err := io.ReadAll(p.r)
	if string(got) != want || err != nil {
		p.t.Fatalf("read %.200q until the end, %v; want %.200q", got, err, want)
	}
}

// expectWorks checks that the connection is served.
func (p *peer) expectWorks() {
	p.t.Helper()
	p.send(resp("ECHO", "still here"))
	p.expect(string(bulk([]byte("still here"))))
}

func resp(args ...string) string {
	b := make([][]byte, len(args))
	for i, arg := range args {
		b[i] = []byte(arg)
	}
	return string(encode(b))
}

func bulk(b []byte) []byte { return fmt.Appendf(nil, "$%d\r\n%s\r\n", len(b), b) }

// A logBook collects what is logged.
type logBook struct {
	mu sync.Mutex
	b  strings.Builder // guarded by mu
}

func (l *logBook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (p *peer) extend() { p.SetDeadline(time.Now().Add(patience)) }
