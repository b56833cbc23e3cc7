package proxy

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// hangUp has the client send no more, and go on reading.
func (p *peer) hangUp() {
	p.t.Helper()
	if err := p.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		p.t.Fatal(err)
	}
}

func TestClientThatSendsNoMoreGetsTheRepliesItIsOwed(t *testing.T) {
	e := newEcho()
	s, addr := start(t, Options{Handler: e, Window: 2})
	for i := range 20 {
		p := dial(t, addr)
		text := fmt.Sprint(i)
		// The last two are received, but wait for room.
		p.send(resp("LATER", text) + resp("ECHO", "b") + resp("ECHO", "c") + resp("ECHO", "d"))
		p.hangUp()
		time.AfterFunc(10*time.Millisecond, func() { e.release(t, text, false) })
		p.expectEnd(string(bulk([]byte(text))) + "$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n")
	}
	e.awaitClosed(t, 20)
	if got := s.Stats().CutOff; got != 0 {
		t.Errorf("CutOff = %d, want 0", got)
	}
}

// What waits for something that may never come would take it from others.
func TestASessionIsToldOnceThatItsClientSendsNoMore(t *testing.T) {
	e := newEcho()
	_, addr := start(t, Options{Handler: e})
	p := dial(t, addr)
	p.expectWorks()
	p.send(resp("LATER", "a"))
	e.awaitCommands(t, 0, 2)
	s := e.session(t, 0)
	e.await(t, "nothing said yet", func() bool { return s.noMore == 0 })
	p.hangUp()
	e.await(t, "it to be said", func() bool { return s.noMore == 1 && !s.closed })
	e.release(t, "a", false)
	p.expectEnd("$1\r\na\r\n")
	e.awaitClosed(t, 1)
	if s.noMore != 1 {
		t.Errorf("it was said %d times, want once", s.noMore)
	}
}

func TestClientThatSendsNoMoreGetsTheWordOnItsError(t *testing.T) {
	e := newEcho()
	_, addr := start(t, Options{Handler: e})
	p := dial(t, addr)
	p.send(resp("LATER", "a") + "*x\r\n")
	p.hangUp()
	time.AfterFunc(10*time.Millisecond, func() { e.release(t, "a", false) })
	p.expectEnd("$1\r\na\r\n-ERR Protocol error: invalid multibulk length\r\n")
}

func TestClientThatSendsNoMoreIsWaitedForWhileRepliesCome(t *testing.T) {
	t.Parallel()
	e := newEcho()
	_, addr := start(t, Options{Handler: e})
	p := dial(t, addr)
	var want strings.Builder
	for i := range 4 { // the last one more than replyGrace from now
		text := fmt.Sprint(i)
		p.send(resp("LATER", text))
		want.Write(bulk([]byte(text)))
		time.AfterFunc(time.Duration(i+1)*400*time.Millisecond, func() { e.release(t, text, false) })
	}
	p.hangUp()
	p.expectEnd(want.String())
}

func TestCommandIsGivenUpIfTheClientSendsNoMore(t *testing.T) {
	t.Parallel()
	for name, commands := range map[string]string{
		"alone":                  resp("NEVER"),
		"another is under way":   strings.Repeat(resp("NEVER"), 2),
		"and many behind it":     strings.Repeat(resp("NEVER"), 1000),
		"a reply was given":      resp("ECHO", "a") + resp("NEVER"),
		"no RESP is behind it":   resp("NEVER") + "*x\r\n",
		"half a command is next": resp("NEVER") + "*2\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEcho()
			_, addr := start(t, Options{Handler: e, Window: 2})
			p := dial(t, addr)
			p.send(commands)
			begin := time.Now()
			p.hangUp()
			e.awaitClosed(t, 1)
			if got := time.Since(begin); got < replyGrace || got >= halfGrace {
				t.Errorf("the session was closed after %v, want from %v to %v", got, replyGrace, halfGrace)
			}
		})
	}
}

func TestResetIsNoticedAtOnce(t *testing.T) {
	for name, vanish := range map[string]func(t *testing.T, e *echo, p *peer, text string){
		"before a reply": func(t *testing.T, e *echo, p *peer, _ string) {
			p.Conn.(*net.TCPConn).SetLinger(0)
			p.Close()
		},
		"after the end, before a reply": func(t *testing.T, e *echo, p *peer, _ string) {
			p.hangUp()
			p.Conn.(*net.TCPConn).SetLinger(0)
			p.Close()
		},
		"by the first reply": func(t *testing.T, e *echo, p *peer, text string) {
			p.Close()
			e.release(t, text, false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEcho()
			_, addr := start(t, Options{Handler: e})
			const rounds = 5
			var took time.Duration
			for i := range rounds { // this machine may be busy
				p := dial(t, addr)
				text := fmt.Sprint(i)
				p.send(resp("LATER", text) + resp("NEVER"))
				e.awaitCommands(t, i, 2)
				begin := time.Now()
				vanish(t, e, p, text)
				e.awaitClosed(t, i+1)
				if took = time.Since(begin); took < replyGrace {
					return
				}
			}
			t.Errorf("the session was closed after %v, %d times, want less than %v", took, rounds, replyGrace)
		})
	}
}

func TestClientThatSendsNoMoreAndDoesNotReadIsNotWaitedForLong(t *testing.T) {
	t.Parallel()
	e := newEcho()
	s, addr := start(t, Options{Handler: e, WriteTimeout: time.Hour, Limits: Limits{Bulk: 16 << 20, Command: 32 << 20}})
	p := dial(t, addr)
	long := strings.Repeat("x", 16<<20) // more than the kernel takes
	p.send(resp("LATER", long))
	e.awaitCommands(t, 0, 1)
	begin := time.Now()
	p.hangUp()
	e.release(t, long, false)
	e.awaitClosed(t, 1)
	if got := time.Since(begin); got < halfGrace {
		t.Errorf("the session was closed after %v, want at least %v", got, halfGrace)
	}
	poll(t, "connection closed", func() bool { return s.Stats().Connections == 0 })
}
