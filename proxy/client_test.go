package proxy

import (
	"bytes"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestHostileBytesHarmNobodyElse(t *testing.T) {
	flood := strings.Repeat("x", 1<<20)
	for name, test := range map[string]struct {
		in    string
		flood bool // and then a lot more
		want  string
	}{
		"bulk length overflows": {in: "*1\r\n$9223372036854775807\r\nxxxx", want: "invalid bulk length"},
		"endless count":         {in: "*9223372036854775807\r\n", want: "invalid multibulk length"},
		"two thousand million":  {in: "*2147483647\r\n", want: "invalid multibulk length"},
		"256 MB bulk":           {in: "*1\r\n$268435456\r\n", flood: true, want: "invalid bulk length"},
		"line without end":      {in: "x", flood: true, want: "too big inline request"},
		"count without end":     {in: "*", flood: true, want: "too big mbulk count string"},
		"length without end":    {in: "*1\r\n$", flood: true, want: "too big bulk count string"},
		"open quote":            {in: "ECHO \"x\r\n", want: "unbalanced quotes in request"},
		"another protocol":      {in: "*1\r\nGET / HTTP/1.1\r\n", flood: true, want: "expected '$', got 'G'"},
		"command beyond the limit": {
			in:   "*9\r\n" + strings.Repeat("$1048576\r\n"+flood+"\r\n", 4),
			want: "too big command",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, addr := start(t, Options{Handler: newEcho()})
			other := dial(t, addr)
			other.expectWorks()
			p := dial(t, addr)
			before := allocated()
			p.send(resp("ECHO", "before"))
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				fmt.Fprint(p.Conn, test.in)
				for range 64 {
					if !test.flood {
						return
					}
					if _, err := fmt.Fprint(p.Conn, flood); err != nil {
						return
					}
				}
			}()
			p.expect("$6\r\nbefore\r\n")
			p.expect("-ERR Protocol error: " + test.want + "\r\n")
			<-sent
			other.expectWorks()
			if grown, most := allocated()-before, uint64(32<<20); grown > most {
				t.Errorf("%d bytes were allocated, want at most %d", grown, most)
			}
			if got := s.Stats().ProtocolErrors; got != 1 {
				t.Errorf("ProtocolErrors = %d, want 1", got)
			}
			poll(t, "connection closed", func() bool { return s.Stats().Connections == 1 })
		})
	}
}

// allocated returns how much was ever allocated.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

func TestBytesInDripsAreCommandsAllTheSame(t *testing.T) {
	e := newEcho()
	_, addr := start(t, Options{Handler: e})
	p := dial(t, addr)
	arg := strings.Repeat("y", 9000) // more than is parked
	for _, c := range resp("ECHO", "x") + "ECHO z\r\n" {
		p.send(string(c))
		runtime.Gosched()
	}
	for whole := resp("ECHO", arg); len(whole) > 0; {
		n := min(500, len(whole))
		p.send(whole[:n])
		whole = whole[n:]
		runtime.Gosched()
	}
	p.expect("$1\r\nx\r\n$1\r\nz\r\n" + string(bulk([]byte(arg))))
}

func TestWaitingConnectionHoldsNoMoreThanArrived(t *testing.T) {
	e := newEcho()
	s, addr := start(t, Options{Handler: e})
	const conns = 300
	before := footprint()
	peers := make([]*peer, conns)
	for i := range peers {
		peers[i] = dial(t, addr)
		peers[i].send("*8000\r\n$1000000\r\nabc")
	}
	poll(t, "all read", func() bool { return s.Stats().BytesIn == conns*uint64(len("*8000\r\n$1000000\r\nabc")) })
	if each, most := int64(footprint()-before)/conns, int64(20<<10); each > most {
		t.Errorf("%d bytes are held for each connection, the test's end included, want at most %d", each, most)
	}
	runtime.KeepAlive(peers)
}

func TestErrorWaitsForTheRepliesBeforeIt(t *testing.T) {
	e := newEcho()
	s, addr := start(t, Options{Handler: e})
	p := dial(t, addr)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		fmt.Fprint(p.Conn, resp("LATER", "a")+"*x\r\n")
		for range 16 { // more than is read, and than the kernel would buffer
			if _, err := fmt.Fprint(p.Conn, strings.Repeat("x", 1<<20)); err != nil {
				return
			}
		}
	}()
	poll(t, "as much read as will be", func() bool { return s.Stats().BytesIn >= lingerBytes })
	e.release(t, "a", false)
	p.expect("$1\r\na\r\n-ERR Protocol error: invalid multibulk length\r\n")
	e.awaitClosed(t, 1)
	<-sent
	if got, most := s.Stats().BytesIn, uint64(1<<20); got > most {
		t.Errorf("%d bytes were read of a client that sends nonsense, want at most %d", got, most)
	}
}

func TestDisconnectIsNoticedWhileACommandWaits(t *testing.T) {
	e := newEcho()
	_, addr := start(t, Options{Handler: e})
	p := dial(t, addr)
	p.send(resp("NEVER"))
	e.awaitCommands(t, 0, 1)
	p.Close()
	e.awaitClosed(t, 1)
}

func TestReplyToSomebodyGoneIsDropped(t *testing.T) {
	e := newEcho()
	s, addr := start(t, Options{Handler: e})
	p := dial(t, addr)
	p.send(resp("LATER", "a"))
	e.awaitCommands(t, 0, 1)
	p.Close()
	e.awaitClosed(t, 1)
	e.release(t, "a", false)
	poll(t, "connection closed", func() bool { return s.Stats().Connections == 0 })
	if got := s.Stats().BytesOut; got != 0 {
		t.Errorf("%d bytes were written to a client that is gone, want 0", got)
	}
}

func TestDisconnectIsNoticedThoughTheWindowIsFull(t *testing.T) {
	e := newEcho()
	_, addr := start(t, Options{Handler: e, Window: 2})
	p := dial(t, addr)
	p.send(strings.Repeat(resp("NEVER"), 100))
	e.awaitCommands(t, 0, 2)
	p.Close()
	e.awaitClosed(t, 1)
	if got, want := e.commands(t, 0), "NEVER, NEVER"; got != want {
		t.Errorf("begun: %q, want %q", got, want)
	}
}

func TestHalfACommandAtTheEndIsDropped(t *testing.T) {
	e := newEcho()
	_, addr := start(t, Options{Handler: e})
	p := dial(t, addr)
	p.send(resp("ECHO", "a") + "*2\r\n$4\r\nECHO\r\n$1\r\n")
	p.Conn.(*net.TCPConn).CloseWrite()
	p.expectEnd("$1\r\na\r\n")
	e.awaitClosed(t, 1)
	if got, want := e.commands(t, 0), "ECHO a"; got != want {
		t.Errorf("begun: %q, want %q", got, want)
	}
}

func TestKillEndsOneConnection(t *testing.T) {
	e := newEcho()
	_, addr := start(t, Options{Handler: e})
	p, other := dial(t, addr), dial(t, addr)
	p.send(resp("NEVER"))
	e.await(t, "two opened, one command begun", func() bool {
		return len(e.opened) == 2 && len(e.opened[0].begun)+len(e.opened[1].begun) == 1
	})
	for _, s := range e.opened {
		if s.conn.Remote == p.LocalAddr().String() {
			s.conn.Kill()
			s.conn.Kill()
		}
	}
	e.awaitClosed(t, 1)
	if n, err := p.r.Read(make([]byte, 1)); err == nil {
		t.Errorf("the killed client read %d bytes, want the end", n)
	}
	other.expectWorks()
}

func TestConnTellsWhoIsThere(t *testing.T) {
	e := newEcho()
	_, addr := start(t, Options{Handler: e})
	p := dial(t, addr)
	got := e.session(t, 0).conn
	if got.ID != 1 || got.Remote != p.LocalAddr().String() || got.Local != addr || time.Since(got.Opened) > patience {
		t.Errorf("Conn = %+v, want client 1 from %v at %v, opened now", got, p.LocalAddr(), addr)
	}
}

func TestPanicEndsOneConnection(t *testing.T) {
	for command, want := range map[string]string{
		"PANIC":       "-ERR internal error\r\n",
		"ANSWERPANIC": "+OK\r\n",
	} {
		var log logBook
		e := newEcho()
		_, addr := start(t, Options{Handler: e, Log: log.logger()})
		p, other := dial(t, addr), dial(t, addr)
		other.expectWorks()
		p.send(resp("ECHO", "a") + resp(command) + resp("ECHO", "b"))
		p.expectEnd("$1\r\na\r\n" + want)
		p.Close()
		e.awaitClosed(t, 1)
		other.expectWorks()
		if got := log.String(); !strings.Contains(got, "as asked") || !strings.Contains(got, "echoSession") {
			t.Errorf("%s: log = %q, want the panic and its stack", command, got)
		}
	}
}

type panicky struct{}

func (panicky) Open(Conn) Session { panic("no session") }

func TestPanicInOpenEndsOneConnection(t *testing.T) {
	s, addr := start(t, Options{Handler: panicky{}})
	for range 3 {
		dial(t, addr).expectEnd("")
	}
	poll(t, "connections closed", func() bool { return s.Stats().Connections == 0 })
}

func TestAuthenticationLiftsTheStrangersLimits(t *testing.T) {
	e := newEcho()
	e.stranger = true
	_, addr := start(t, Options{Handler: e})
	long := strings.Repeat("x", 20_000)

	p := dial(t, addr)
	p.send(resp("AUTH") + resp("ECHO", long))
	p.expect("+OK\r\n" + string(bulk([]byte(long))))

	p = dial(t, addr)
	p.send(resp("ECHO", long))
	p.expectEnd("-ERR Protocol error: unauthenticated bulk length\r\n")
}

// A keeper keeps the arguments of all commands, and appends to each.
type keeper struct {
	mu   sync.Mutex
	args [][]byte // guarded by mu
}

func (k *keeper) Open(Conn) Session { return k }
func (k *keeper) NoMore()           {}
func (k *keeper) Close()            {}
func (k *keeper) Begin(args [][]byte, reply func([]byte, bool)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, arg := range args {
		k.args = append(k.args, arg)
		_ = append(arg, "overwritten"...)
	}
	reply(ok, false)
}

func TestArgumentsBelongToTheSession(t *testing.T) {
	k := &keeper{}
	_, addr := start(t, Options{Handler: k})
	p := dial(t, addr)
	var want [][]byte
	for i := range 100 {
		args := []string{"SET", fmt.Sprint("name", i), fmt.Sprint("value", i)}
		for _, arg := range args {
			want = append(want, []byte(arg))
		}
		p.send(resp(args...))
		p.expect("+OK\r\n")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if got := bytes.Join(k.args, []byte(" ")); !bytes.Equal(got, bytes.Join(want, []byte(" "))) {
		t.Errorf("arguments kept: %.200q...", got)
	}
}
