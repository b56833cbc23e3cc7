package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestRepliesLeaveInTheOrderOfTheirCommands(t *testing.T) {
	e := newEcho()
	_, addr := start(t, Options{Handler: e})
	p := dial(t, addr)
	p.send(resp("LATER", "a") + resp("ECHO", "b") + resp("LATER", "c") + resp("ECHO", "d") + resp("LATER", "e"))
	e.release(t, "e", false)
	e.release(t, "c", false)
	e.release(t, "a", false)
	for _, want := range []string{"a", "b", "c", "d", "e"} {
		p.expect(string(bulk([]byte(want))))
	}
}

func TestRepliesComeBeforeTheWholeBurstIsAnswered(t *testing.T) {
	e := newEcho()
	_, addr := start(t, Options{Handler: e})
	p := dial(t, addr)
	p.send(resp("ECHO", "a") + resp("LATER", "b") + resp("LATER", "c"))
	p.expect(string(bulk([]byte("a"))))
	e.release(t, "b", false)
	p.expect(string(bulk([]byte("b"))))
	e.release(t, "c", false)
	p.expect(string(bulk([]byte("c"))))
}

func TestPipelineLargerThanEveryBufferIsAnswered(t *testing.T) {
	e := newEcho()
	s, addr := start(t, Options{Handler: e, Window: 16, MaxReplyBytes: 10_000})
	p := dial(t, addr)
	const n = 20_000
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i := range n {
			fmt.Fprint(p.Conn, resp("ECHO", fmt.Sprint(i)))
		}
	}()
	for i := range n {
		p.expect(string(bulk(fmt.Append(nil, i))))
	}
	<-sent
	if got := s.Stats(); got.Commands != n || got.CutOff != 0 {
		t.Errorf("Stats = %+v, want %d commands, nobody cut off", got, n)
	}
}

func TestOneLongReplyIsNoReasonToCutOff(t *testing.T) {
	_, addr := start(t, Options{Handler: newEcho(), MaxReplyBytes: 1000})
	p := dial(t, addr)
	p.send(resp("BIG", "5000000") + resp("BIG", "3000") + resp("BIG", "3000"))
	for _, n := range []int{5_000_000, 3000, 3000} {
		p.expect(string(bulk([]byte(strings.Repeat("x", n)))))
	}
	p.expectWorks()
}

func TestWindowBoundsTheCommandsUnderWay(t *testing.T) {
	e := newEcho()
	_, addr := start(t, Options{Handler: e, Window: 4})
	p := dial(t, addr)
	var want strings.Builder
	for i := range 12 {
		p.send(resp("LATER", fmt.Sprint(i)))
		want.Write(bulk(fmt.Append(nil, i)))
	}
	e.awaitCommands(t, 0, 4)
	for i := range 12 {
		// Those behind the window wait, however many there are.
		if got, most := strings.Count(e.commands(t, 0), "LATER"), i+4; got > most {
			t.Fatalf("%d commands begun when %d were answered, want at most %d", got, i, most)
		}
		e.release(t, fmt.Sprint(i), false)
	}
	p.expect(want.String())
}

func TestWindowCountsBytesToo(t *testing.T) {
	e := newEcho()
	_, addr := start(t, Options{Handler: e, Limits: Limits{Command: 10_000}})
	p := dial(t, addr)
	first, second := strings.Repeat("a", 9000), strings.Repeat("b", 9000)
	p.send(resp("LATER", first) + resp("LATER", second) + resp("ECHO", "c"))
	e.awaitCommands(t, 0, 2)
	p.send(resp("ECHO", "d"))
	e.release(t, second, false)
	e.release(t, first, false)
	p.expect(string(bulk([]byte(first))) + string(bulk([]byte(second))))
	p.expect("$1\r\nc\r\n$1\r\nd\r\n")
}

func TestWindowHoldsBackMoreThanIsReadAhead(t *testing.T) {
	e := newEcho()
	s, addr := start(t, Options{Handler: e, Window: 1})
	p := dial(t, addr)
	const n = 10_000
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		fmt.Fprint(p.Conn, resp("LATER", "a"), strings.Repeat(resp("ECHO", "some more bytes"), n))
	}()
	poll(t, "read ahead", func() bool { return s.Stats().BytesIn >= readAhead })
	if got := s.Stats(); got.Commands != 1 || got.BytesIn > 3*readAhead {
		t.Errorf("Stats = %+v, want 1 command, and not much more than %d bytes", got, readAhead)
	}
	e.release(t, "a", false)
	p.expect("$1\r\na\r\n" + strings.Repeat("$15\r\nsome more bytes\r\n", n))
	<-sent
}

func TestRepliesBehindAWaitingCommandAreBounded(t *testing.T) {
	e := newEcho()
	s, addr := start(t, Options{Handler: e, MaxReplyBytes: 1000})
	p := dial(t, addr)
	long := strings.Repeat("x", 1000)
	p.send(resp("NEVER") + resp("LATER", "a"+long) + resp("LATER", "b"+long))
	e.awaitCommands(t, 0, 3)
	e.release(t, "a"+long, false)
	e.release(t, "b"+long, false)
	e.awaitClosed(t, 1)
	if got := s.Stats().CutOff; got != 1 {
		t.Errorf("CutOff = %d, want 1", got)
	}
}

func TestClientThatNeverReadsIsCutOffAndOthersWork(t *testing.T) {
	e := newEcho()
	s, addr := start(t, Options{Handler: e, WriteTimeout: 200 * time.Millisecond})
	deaf := dial(t, addr)
	go func() {
		for {
			if _, err := fmt.Fprint(deaf.Conn, resp("BIG", "60000")); err != nil {
				return
			}
		}
	}()
	p := dial(t, addr)
	poll(t, "cut off", func() bool {
		p.expectWorks()
		return s.Stats().CutOff == 1
	})
	e.awaitClosed(t, 1)
	p.expectWorks()
}

func TestNothingIsAnsweredBehindTheLastReply(t *testing.T) {
	e := newEcho()
	_, addr := start(t, Options{Handler: e})
	p := dial(t, addr)
	p.send(resp("ECHO", "a") + resp("QUIT") + resp("ECHO", "b"))
	p.expectEnd("$1\r\na\r\n+OK\r\n")
	p.Close()
	e.awaitClosed(t, 1)
	if got, want := e.commands(t, 0), "ECHO a, QUIT"; got != want {
		t.Errorf("begun: %q, want %q", got, want)
	}
}

func TestTheLastReplyMayComeLater(t *testing.T) {
	e := newEcho()
	_, addr := start(t, Options{Handler: e})
	p := dial(t, addr)
	p.send(resp("LATER", "a") + resp("LATER", "bye") + resp("ECHO", "dropped") + resp("LATER", "dropped"))
	e.awaitCommands(t, 0, 4)
	e.release(t, "bye", true)
	e.release(t, "dropped", false)
	e.release(t, "a", false)
	p.expectEnd("$1\r\na\r\n$3\r\nbye\r\n")
	e.awaitClosed(t, 1)
}

func TestLastReplySurvivesWhatIsSentBehindIt(t *testing.T) {
	_, addr := start(t, Options{Handler: newEcho()})
	for range 20 {
		p := dial(t, addr)
		p.send(resp("QUIT") + strings.Repeat(resp("ECHO", "x"), 1000))
		p.expectEnd("+OK\r\n")
	}
}

func TestSecondReplyToOneCommandIsDropped(t *testing.T) {
	var log logBook
	e := newEcho()
	_, addr := start(t, Options{Handler: e, Log: log.logger()})
	p := dial(t, addr)
	p.send(resp("LATER", "a") + resp("LATER", "b"))
	e.awaitCommands(t, 0, 2)
	e.mu.Lock()
	again := e.later["a"]
	e.mu.Unlock()
	e.release(t, "a", false)
	again([]byte("+again\r\n"), false)
	e.release(t, "b", false)
	p.expect("$1\r\na\r\n$1\r\nb\r\n")
	if !strings.Contains(log.String(), "answered twice") {
		t.Errorf("log = %q, want a word about the second answer", log.String())
	}
}
