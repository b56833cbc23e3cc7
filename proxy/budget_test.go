package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// holding returns a client for which about n bytes of replies wait.
func holding(t *testing.T, e *echo, addr string, n int) *peer {
	t.Helper()
	p := dial(t, addr)
	p.expectWorks()
	e.mu.Lock()
	i := len(e.opened) - 1
	e.mu.Unlock()
	p.send(resp("NEVER") + resp("BIG", fmt.Sprint(n)))
	e.awaitCommands(t, i, 3)
	return p
}

func TestThoseWhoHoldMostAreCutOffWhenAllHoldTooMuch(t *testing.T) {
	e := newEcho()
	s, addr := start(t, Options{Handler: e, MaxBytes: 1 << 20})
	small := holding(t, e, addr, 200_000)
	first := holding(t, e, addr, 300_000)
	second := holding(t, e, addr, 310_000)
	if got := s.Stats(); got.CutOff != 0 {
		t.Fatalf("Stats = %+v, want nobody cut off yet", got)
	}
	holding(t, e, addr, 250_000)
	e.awaitClosed(t, 1)
	second.expectEnd("")
	e.session(t, 1).conn.Kill()
	e.awaitClosed(t, 2)
	first.expectEnd("")
	poll(t, "two left, of 200 and 250 KB", func() bool {
		got := s.Stats()
		return got.Connections == 2 && got.CutOff == 1 && 450_000 <= got.Held && got.Held < 460_000
	})
	small.Close()
}

func TestWhatIsReceivedCountsForAllConnectionsTogether(t *testing.T) {
	e := newEcho()
	const most = 4 << 20
	s, addr := start(t, Options{Handler: e, MaxBytes: most})
	other := dial(t, addr)
	other.expectWorks()
	half := "*2\r\n$4\r\nECHO\r\n$1000000\r\n" + strings.Repeat("x", 400_000)
	for range 40 {
		p := dial(t, addr)
		fmt.Fprint(p.Conn, half) // fails if it is cut off meanwhile
		other.expectWorks()
	}
	poll(t, "somebody cut off, and within the budget", func() bool {
		got := s.Stats()
		return got.CutOff >= 20 && got.Held <= most
	})
	other.expectWorks()
}

func TestLittleIsBegunWhenAllHoldMuch(t *testing.T) {
	e := newEcho()
	s, addr := start(t, Options{Handler: e, MaxBytes: 1 << 20})
	greedy := holding(t, e, addr, 850_000)

	p := dial(t, addr)
	p.expectWorks()
	const n = 8
	var want strings.Builder
	text := func(i int) string { return fmt.Sprint(i) + strings.Repeat("x", share) }
	for i := range n {
		p.send(resp("LATER", text(i)))
		want.Write(bulk([]byte(text(i))))
	}
	for i := range n {
		e.awaitCommands(t, 1, 1+i+1)
		if got, most := strings.Count(e.commands(t, 1), "LATER"), i+1; got > most {
			t.Fatalf("%d commands begun when %d were answered, want at most %d", got, i, most)
		}
		dial(t, addr).expectWorks()
		e.release(t, text(i), false)
	}
	p.expect(want.String())

	// Little ones go together as ever.
	p.send(resp("LATER", "a") + resp("LATER", "b"))
	e.release(t, "b", false)
	e.release(t, "a", false)
	p.expect("$1\r\na\r\n$1\r\nb\r\n")

	greedy.Close()
	poll(t, "room again", func() bool { return s.Stats().Held < 20_000 })
	p.send(resp("LATER", text(0)) + resp("LATER", text(1)))
	e.release(t, text(1), false)
	e.release(t, text(0), false)
	p.expect(string(bulk([]byte(text(0)))) + string(bulk([]byte(text(1)))))
	if got := s.Stats().CutOff; got != 0 {
		t.Errorf("CutOff = %d, want 0", got)
	}
}

func TestALargeCommandIsBegunThoughAllHoldMuch(t *testing.T) {
	e := newEcho()
	_, addr := start(t, Options{Handler: e, MaxBytes: 1 << 20})
	holding(t, e, addr, 800_000)
	p := dial(t, addr)
	long := strings.Repeat("x", 60_000)
	for range 3 {
		p.send(resp("ECHO", long))
		p.expect(string(bulk([]byte(long))))
	}
}

func TestNothingIsHeldWhenAllIsDone(t *testing.T) {
	e := newEcho()
	s, addr := start(t, Options{Handler: e})
	for i, how := range []func(p *peer){
		func(p *peer) {},
		func(p *peer) {
			p.send(resp("NEVER") + resp("BIG", "100000") + resp("LATER", strings.Repeat("x", 100_000)))
		},
		func(p *peer) { p.send("*2\r\n$4\r\nECHO\r\n$1000000\r\n" + strings.Repeat("x", 300_000)) },
		func(p *peer) { p.send(strings.Repeat(resp("ECHO", "a"), 5000)) },
		func(p *peer) { p.send(resp("NEVER") + strings.Repeat(resp("ECHO", "a"), 2000) + resp("QUIT")) },
		func(p *peer) { p.send(resp("ECHO", strings.Repeat("x", 200_000)) + resp("QUIT")) },
	} {
		p := dial(t, addr)
		p.SetWriteDeadline(time.Now().Add(patience))
		how(p)
		p.Close()
		e.awaitClosed(t, i+1)
		poll(t, fmt.Sprintf("nothing held after client %d", i), func() bool { return s.Stats().Held == 0 })
	}
}
