package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestShutdownWritesEveryReplyOwed(t *testing.T) {
	e := newEcho()
	s, addr := start(t, Options{Handler: e, Window: 2})
	const clients = 8
	peers := make([]*peer, clients)
	for i := range peers {
		peers[i] = dial(t, addr)
		// The last two are received, but wait for room.
		peers[i].send(resp("LATER", fmt.Sprint("a", i)) + resp("LATER", fmt.Sprint("b", i)) + resp("ECHO", "c") + resp("ECHO", "d"))
		e.await(t, "begun", func() bool { return e.later[fmt.Sprint("b", i)] != nil })
	}
	idle := dial(t, addr)
	idle.expectWorks()

	done := make(chan error, 1)
	go func() { done <- s.Shutdown(context.Background()) }()
	idle.expectEnd("")
	s.Stats() // waits until everybody was asked to stop
	if conn, err := net.Dial("tcp", addr); err == nil {
		conn.Close()
		t.Error("a connection was accepted during Shutdown")
	}
	for i, p := range peers {
		p.send(resp("ECHO", "too late"))
		e.release(t, fmt.Sprint("b", i), false)
		e.release(t, fmt.Sprint("a", i), false)
		p.expectEnd(fmt.Sprintf("$2\r\na%d\r\n$2\r\nb%d\r\n$1\r\nc\r\n$1\r\nd\r\n", i, i))
		p.Close()
	}
	if err := <-done; err != nil {
		t.Errorf("Shutdown = %v, want nil", err)
	}
	e.awaitClosed(t, clients+1)
}

func TestShutdownCutsOffAtItsDeadline(t *testing.T) {
	e := newEcho()
	s, addr := start(t, Options{Handler: e})
	p := dial(t, addr)
	p.send(resp("ECHO", "a") + resp("NEVER"))
	p.expect("$1\r\na\r\n")
	e.awaitCommands(t, 0, 2)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	err := s.Shutdown(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 connections") {
		t.Errorf("Shutdown = %v, want 1 connection cut off: deadline exceeded", err)
	}
	e.awaitClosed(t, 1)
	if _, err := p.r.ReadByte(); err == nil {
		t.Error("the client read a reply to a command that has none")
	}
}

func TestServeAfterShutdownClosesTheListener(t *testing.T) {
	s := New(Options{Handler: newEcho()})
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(ln); err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept = %v, want that the listener is closed", err)
	}
}

func TestListenerClosedByOthersIsAnError(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := New(Options{Handler: newEcho()}).Serve(ln); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve = %v, want %v", err, net.ErrClosed)
	}
}

func TestTooManyClientsAreToldSo(t *testing.T) {
	s, addr := start(t, Options{Handler: newEcho(), MaxConns: 2})
	a, b := dial(t, addr), dial(t, addr)
	a.expectWorks()
	b.expectWorks()
	for range 10 {
		p := dial(t, addr)
		p.send(resp("ECHO", "let me in"))
		p.expectEnd("-ERR max number of clients reached\r\n")
		p.Close()
	}
	a.Close()
	poll(t, "room for another", func() bool { return s.Stats().Connections == 1 })
	dial(t, addr).expectWorks()
	if got := s.Stats(); got.Accepted != 13 || got.Refused != 10 || got.Connections != 2 {
		t.Errorf("Stats = %+v, want 13 accepted, 10 of them refused, 2 open", got)
	}
}

func TestTooManyClientsAtOnceAreSentAway(t *testing.T) {
	s, addr := start(t, Options{Handler: newEcho(), MaxConns: 1})
	first := dial(t, addr)
	first.expectWorks()
	const more = maxRefusing + 50
	peers := make([]*peer, more)
	for i := range peers {
		peers[i] = dial(t, addr)
	}
	for i, p := range peers {
		const told = "-ERR max number of clients reached\r\n"
		if got, err := io.ReadAll(p.r); string(got) != told && string(got) != "" || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("client %d read %q, %v; want %q or nothing, and the end", i, got, err, told)
		}
	}
	first.expectWorks()
	if got := s.Stats().Refused; got != more {
		t.Errorf("Refused = %d, want %d", got, more)
	}
}

func TestStatsCountBytesAndCommands(t *testing.T) {
	s, addr := start(t, Options{Handler: newEcho()})
	p := dial(t, addr)
	p.send(resp("ECHO", "a") + resp("ECHO", "b"))
	p.expect("$1\r\na\r\n$1\r\nb\r\n")
	want := Stats{Connections: 1, Accepted: 1, Commands: 2, BytesIn: uint64(2 * len(resp("ECHO", "a"))), BytesOut: 14}
	poll(t, fmt.Sprintf("Stats = %+v", want), func() bool { return s.Stats() == want })
}

func TestManyConnectionsWorkAtOnce(t *testing.T) {
	e := newEcho()
	_, addr := start(t, Options{Handler: e})
	const clients = 1000
	var wg sync.WaitGroup
	for i := range clients {
		p := dial(t, addr)
		wg.Go(func() {
			for round := range 5 {
				text := fmt.Sprint(i, " ", round)
				want := string(bulk([]byte(text)))
				got := make([]byte, len(want))
				if _, err := io.WriteString(p, resp("ECHO", text)); err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
				if _, err := io.ReadFull(p.r, got); err != nil || string(got) != want {
					t.Errorf("client %d read %q, %v; want %q", i, got, err, want)
					return
				}
			}
			p.Close()
		})
	}
	wg.Wait()
	e.awaitClosed(t, clients)
}

// A failing listener cannot accept, and says when it was asked to.
type failing struct {
	begin time.Time
	asked []time.Duration
	stop  func()
}

func (f *failing) Close() error   { return nil }
func (f *failing) Addr() net.Addr { return &net.TCPAddr{} }
func (f *failing) Accept() (net.Conn, error) {
	f.asked = append(f.asked, time.Since(f.begin))
	if len(f.asked) == 11 {
		f.stop()
	}
	return nil, errors.New("too many open files")
}

func TestAcceptThatFailsIsTriedEverMoreSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Handler: newEcho()})
		ln := &failing{begin: time.Now(), stop: func() { s.Shutdown(context.Background()) }}
		if err := s.Serve(ln); err != nil {
			t.Errorf("Serve = %v, want nil", err)
		}
		want := "[0s 5ms 15ms 35ms 75ms 155ms 315ms 635ms 1.275s 2.275s 3.275s]"
		if got := fmt.Sprint(ln.asked); got != want {
			t.Errorf("accepted at %v, want %v", got, want)
		}
	})
}

// pipes is a listener whose connections are made by its dial.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{} }

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// inBubble runs f on a connection in fake time.
func inBubble(t *testing.T, options Options, f func(t *testing.T, s *Server, p *peer)) {
	synctest.Test(t, func(t *testing.T) {
		ln := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		e := newEcho()
		options.Handler = e
		s := New(options)
		go s.Serve(ln)
		near, far := net.Pipe()
		ln.conns <- far
		f(t, s, &peer{t, near, bufio.NewReader(near)})
		near.Close()
		if err := s.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown = %v, want nil", err)
		}
	})
}

func TestWriteTimeoutCutsOff(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, s *Server, p *peer) {
		p.send(resp("ECHO", "a") + resp("ECHO", "b"))
		begin := time.Now()
		<-time.After(10*time.Second - 1)
		synctest.Wait()
		if got := s.Stats().Connections; got != 1 {
			t.Fatalf("%d connections after %v, want 1", got, time.Since(begin))
		}
		<-time.After(1)
		synctest.Wait()
		if got := s.Stats(); got.Connections != 0 || got.CutOff != 1 {
			t.Errorf("Stats = %+v after %v, want the client cut off", got, time.Since(begin))
		}
	})
}

func TestIdleTimeoutCutsOff(t *testing.T) {
	inBubble(t, Options{IdleTimeout: time.Minute}, func(t *testing.T, s *Server, p *peer) {
		for range 5 { // busy enough
			<-time.After(50 * time.Second)
			p.expectWorks()
		}
		p.send(resp("NEVER")) // waits, so it is not idle
		<-time.After(time.Hour)
		p.send(resp("ECHO", "x"))
		synctest.Wait()
		if got := s.Stats(); got.CutOff != 0 || got.Commands != 7 {
			t.Errorf("Stats = %+v, want 7 commands, nobody cut off", got)
		}
	})
	inBubble(t, Options{IdleTimeout: time.Minute}, func(t *testing.T, s *Server, p *peer) {
		p.expectWorks()
		begin := time.Now()
		p.expectEnd("")
		if got := time.Since(begin); got != time.Minute {
			t.Errorf("cut off after %v, want 1m", got)
		}
		synctest.Wait()
		if got := s.Stats().CutOff; got != 1 {
			t.Errorf("CutOff = %d, want 1", got)
		}
	})
}

func TestNoIdleTimeoutUnlessAskedFor(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, s *Server, p *peer) {
		p.expectWorks()
		<-time.After(1000 * time.Hour)
		p.expectWorks()
	})
}

func TestShutdownWaitsAsLongAsItTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		e := newEcho()
		s := New(Options{Handler: e})
		go s.Serve(ln)
		near, far := net.Pipe()
		ln.conns <- far
		p := &peer{t, near, bufio.NewReader(near)}
		p.send(resp("LATER", "a"))
		synctest.Wait()
		begin := time.Now()
		time.AfterFunc(time.Hour, func() { e.release(t, "a", false) })
		go s.Shutdown(context.Background())
		p.expectEnd("$1\r\na\r\n")
		if got := time.Since(begin); got != time.Hour {
			t.Errorf("the connection ended after %v, want 1h", got)
		}
	})
}
