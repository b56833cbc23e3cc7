package proxy

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestMessagesGoBehindTheRepliesGivenAndBeforeThoseToCome(t *testing.T) {
	e := newEcho()
	_, addr := start(t, Options{Handler: e})
	p := dial(t, addr)
	p.send(resp("LATER", "a"))
	e.awaitCommands(t, 0, 1)
	conn := e.session(t, 0).conn
	if !conn.Push([]byte("+1\r\n"), nil) {
		t.Error("Push = false on a live connection, want true")
	}
	p.expect("+1\r\n") // though a is still under way
	p.send(resp("ECHO", "b") + resp("LATER", "c"))
	e.awaitCommands(t, 0, 3)
	for _, m := range []string{"+2\r\n", "+3\r\n"} { // whose senders have seen the answer b
		conn.Push([]byte(m), nil)
	}
	e.release(t, "c", false)
	conn.Push([]byte("+4\r\n"), nil)
	e.release(t, "a", false)
	p.expect("$1\r\na\r\n$1\r\nb\r\n+2\r\n+3\r\n$1\r\nc\r\n+4\r\n")
	conn.Push([]byte("+5\r\n"), nil)
	p.expect("+5\r\n")
	p.expectWorks()

	p.Close()
	e.awaitClosed(t, 1)
	poll(t, "Push = false on a closed connection", func() bool { return !conn.Push([]byte("+z\r\n"), nil) })
}

// A meanwhile is a listener, and each of its connections, on which something happens
// during the first write once armed.
type meanwhile struct {
	net.Listener
	happens *atomic.Pointer[func()]
}

func (m meanwhile) Accept() (net.Conn, error) {
	conn, err := m.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return written{conn.(*net.TCPConn), m.happens}, nil
}

type written struct {
	*net.TCPConn
	happens *atomic.Pointer[func()]
}

func (w written) SyscallConn() (syscall.RawConn, error) {
	raw, err := w.TCPConn.SyscallConn()
	return writtenNow{raw, w.happens}, err
}

type writtenNow struct {
	syscall.RawConn
	happens *atomic.Pointer[func()]
}

func (w writtenNow) Control(f func(uintptr)) error {
	err := w.RawConn.Control(f)
	if happens := w.happens.Swap(nil); happens != nil {
		(*happens)()
	}
	return err
}

// Whoever answers writes what has become ready meanwhile, and the socket takes a part.
func TestAMessageWrittenInPartsIsCountedAsAMessage(t *testing.T) {
	e, happens := newEcho(), new(atomic.Pointer[func()])
	s, addr := start(t, Options{Handler: e}, func(ln net.Listener) net.Listener { return meanwhile{Listener: ln, happens: happens} })
	p := dial(t, addr)
	p.expectWorks()
	p.send(resp("LATER", "a"))
	e.awaitCommands(t, 0, 2)
	conn, c := e.session(t, 0).conn, s.everyone()[0]
	message := strings.Repeat("x", 20<<20)
	poll(t, "the reader to have handed on all", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.current == nil
	})
	push := func() { conn.Push([]byte(message), new(atomic.Int64)) }
	happens.Store(&push)
	e.release(t, "a", false)
	p.expect("$1\r\na\r\n" + message)
	poll(t, "all to be written and counted", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.head == nil && !c.writing
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.owed != 0 || c.pushed != 0 || c.shared != 0 {
		t.Errorf("all is written: %d bytes of replies wait, %d of messages, %d of those shared, want none", c.owed, c.pushed, c.shared)
	}
}

func TestMessagesNeverSplitReplies(t *testing.T) {
	e := newEcho()
	_, addr := start(t, Options{Handler: e, MaxPushBytes: 1 << 30})
	p := dial(t, addr)
	p.expectWorks()
	conn := e.session(t, 0).conn
	const n, senders = 500, 2
	long := strings.Repeat("x", 3000)
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for i := range n {
				conn.Push(fmt.Appendf(nil, "+%d\r\n", i), nil)
			}
		})
	}
	wg.Go(func() {
		for i := range n {
			fmt.Fprint(p.Conn, resp("ECHO", fmt.Sprint(i, long)))
		}
	})
	next, messages := 0, 0
	for next < n || messages < senders*n {
		line, err := p.r.ReadString('\n')
		if err != nil {
			t.Fatalf("after %d replies and %d messages: %v", next, messages, err)
		}
		if line[0] == '+' {
			messages++
			continue
		}
		want := string(bulk(fmt.Append(nil, next, long)))
		p.expect(want[len(line):])
		if line != want[:len(line)] {
			t.Fatalf("read %q, want reply %d", line, next)
		}
		next++
	}
	wg.Wait()
}

// stuck returns a client to which messages are pushed in vain, as they are behind
// an answer that is behind a command nobody answers.
func stuck(t *testing.T, e *echo, addr string) *peer {
	t.Helper()
	p := dial(t, addr)
	p.expectWorks()
	e.mu.Lock()
	i := len(e.opened) - 1
	e.mu.Unlock()
	p.send(resp("LATER", fmt.Sprint("stuck", i)) + resp("ECHO", "a"))
	e.awaitCommands(t, i, 3)
	return p
}

func TestSubscriberThatNeverReadsIsCutOff(t *testing.T) {
	var book logBook
	e := newEcho()
	s, addr := start(t, Options{Handler: e, WriteTimeout: time.Hour, MaxPushBytes: 4 << 20, Log: book.logger()})
	dial(t, addr).expectWorks()
	other := dial(t, addr)
	conn := e.session(t, 0).conn
	message := []byte(strings.Repeat("x", 100_000))
	pushed := 0
	for conn.Push(message, nil) {
		if pushed++; pushed > 1000 {
			t.Fatal("100 MB were queued for a client that never reads")
		}
	}
	e.awaitClosed(t, 1)
	if got := s.Stats().CutOff; got != 1 || pushed < 40 {
		t.Errorf("CutOff = %d after %d messages, want 1 after at least 40", got, pushed)
	}
	if got := book.String(); !strings.Contains(got, "client cut off") || !strings.Contains(got, "messages wait") {
		t.Errorf("log = %q, want the reason", got)
	}
	other.expectWorks()
}

func TestMessagesDoNotHoldUpRepliesOrCommands(t *testing.T) {
	e := newEcho()
	s, addr := start(t, Options{Handler: e, MaxReplyBytes: 10_000, Window: 4})
	p := stuck(t, e, addr)
	conn := e.session(t, 0).conn
	message := strings.Repeat("x", 50_000)
	for range 10 {
		conn.Push([]byte(message), nil)
	}
	p.send(resp("ECHO", "b"))
	e.awaitCommands(t, 0, 4)
	e.release(t, "stuck0", false)
	p.expect("$6\r\nstuck0\r\n$1\r\na\r\n" + strings.Repeat(message, 10) + "$1\r\nb\r\n")
	if got := s.Stats().CutOff; got != 0 {
		t.Errorf("CutOff = %d, want 0", got)
	}
}

func TestSharedMessagesCountOnce(t *testing.T) {
	e := newEcho()
	s, addr := start(t, Options{Handler: e})
	const clients, size = 20, 500_000
	var peers []*peer
	for range clients {
		peers = append(peers, stuck(t, e, addr))
	}
	before := s.Stats().Held
	message, sharers := []byte(strings.Repeat("x", size)), &atomic.Int64{}
	for i := range clients {
		if !e.session(t, i).conn.Push(message, sharers) {
			t.Fatalf("client %d did not take the message", i)
		}
	}
	if got := s.Stats().Held - before; got < size || got > size+clients*2*slack {
		t.Errorf("%d bytes are held for %d clients with one message, want %d and little more", got, clients, size)
	}
	for i, p := range peers {
		switch i % 3 {
		case 0:
			e.release(t, fmt.Sprint("stuck", i), false)
			p.expect(fmt.Sprintf("$%d\r\nstuck%d\r\n$1\r\na\r\n%s", len(fmt.Sprint("stuck", i)), i, message))
		case 1:
			e.release(t, fmt.Sprint("stuck", i), true) // the message is behind the last reply
		}
		p.Close()
	}
	e.awaitClosed(t, clients)
	poll(t, "nothing held", func() bool { return s.Stats().Held == 0 && sharers.Load() == 0 })
}

func TestMessagesCountForAllConnectionsTogether(t *testing.T) {
	e := newEcho()
	s, addr := start(t, Options{Handler: e, MaxBytes: 1 << 20})
	stuck(t, e, addr)
	stuck(t, e, addr)
	for range 10 { // each gets messages of its own
		for i, size := range []int{100_000, 50_000} {
			e.session(t, i).conn.Push([]byte(strings.Repeat("x", size)), &atomic.Int64{})
		}
	}
	e.awaitClosed(t, 1)
	poll(t, "the other one left, with all its messages", func() bool {
		got := s.Stats()
		return got.Connections == 1 && got.CutOff == 1 && 500_000 <= got.Held && got.Held < 520_000
	})
}

func TestWhatASessionKeepsCounts(t *testing.T) {
	e := newEcho()
	s, addr := start(t, Options{Handler: e, MaxBytes: 1 << 20})
	dial(t, addr).expectWorks()
	p := dial(t, addr)
	p.expectWorks()
	conn := e.session(t, 1).conn
	conn.Keep(900_000)
	if got := s.Stats().Held; got < 900_000 {
		t.Errorf("Held = %d, want what a session keeps to be in it", got)
	}
	conn.Keep(-800_000)
	if got := s.Stats().Held; got > 110_000 {
		t.Errorf("Held = %d, want what a session no longer keeps not to be in it", got)
	}
	conn.Keep(1 << 20)
	e.awaitClosed(t, 1)
	poll(t, "nothing held", func() bool { return s.Stats().Held == 0 })
}

func BenchmarkPush(b *testing.B) {
	const clients = 1000
	e := newEcho()
	_, addr := start(b, Options{Handler: e, MaxConns: clients})
	var readers sync.WaitGroup
	b.Cleanup(readers.Wait) // once dial's own have closed them
	for range clients {
		p := dial(b, addr)
		p.SetDeadline(time.Time{})
		p.expectWorks()
		readers.Go(func() {
			page := make([]byte, 4096)
			for {
				if _, err := p.Read(page); err != nil {
					return
				}
			}
		})
	}
	message := []byte(strings.Repeat("x", 100))
	b.ReportAllocs()
	for b.Loop() {
		sharers := &atomic.Int64{}
		for _, s := range e.opened {
			s.conn.Push(message, sharers)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/clients, "ns/client")
}
