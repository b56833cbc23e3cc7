package commands

import (
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/quorum"
	"holdfast/quorum/storetest"
)

// A house is an engine over a real keeper, whose journal is a disk that never
// fails and whose clock stands still unless it is told to go.
type house struct {
	t      testing.TB
	clock  *stillClock
	keeper *quorum.Keeper
	engine *Engine
	fakes  []*storetest.Fake
	conns  atomic.Uint64
}

type stillClock struct{ now atomic.Int64 }

func (c *stillClock) Now() quorum.Time     { return quorum.Time(c.now.Load()) }
func (c *stillClock) pass(d time.Duration) { c.now.Add(int64(d)) }

// epoch is the wall's time when the clock of a house starts.
var epoch = time.UnixMilli(1_700_000_000_000)

type memoryJournal struct{}

func (memoryJournal) Commit([]quorum.Record, bool) error { return nil }

const testMaxTTL = time.Hour

// newHouse opens a house over so many fake stores. It is closed with the test.
func newHouse(t testing.TB, stores int, alter ...func(*Options)) *house {
	t.Helper()
	h := &house{t: t, clock: &stillClock{}}
	h.clock.pass(time.Hour)
	start := h.clock.Now()
	var members []quorum.Member
	for i := range stores {
		name := "store" + strconv.Itoa(i)
		h.fakes = append(h.fakes, storetest.NewFake(name, h.clock))
		members = append(members, quorum.Member{Name: name, Store: h.fakes[i].Store()})
	}
	first := quorum.FirstNumber(epoch, 0)
	keeper, err := quorum.Open(quorum.Options{
		Members: members, Timeout: 250 * time.Millisecond, MaxTTL: testMaxTTL,
		Journal: memoryJournal{}, Past: quorum.History{Birth: first, Limit: first},
		Clock: h.clock, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatalf("open the keeper: %v", err)
	}
	h.keeper = keeper
	o := Options{Keeper: keeper, MaxTTL: testMaxTTL, Wall: func() time.Time { return epoch.Add(h.clock.Now().Sub(start)) }}
	for _, f := range alter {
		f(&o)
	}
	h.engine = New(o)
	t.Cleanup(func() {
		h.engine.Close()
		if err := keeper.Close(); err != nil {
			t.Errorf("close the keeper: %v", err)
		}
	})
	h.await("the stores to be up", func() bool {
		for _, s := range keeper.Status().Stores {
			if !s.Up {
				return false
			}
		}
		return true
	})
	return h
}

// await waits for what other goroutines bring about.
func (h *house) await(what string, done func() bool) {
	h.t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline.C:
			h.t.Fatalf("waited 10 s for %s", what)
		}
	}
}

// A guest is a client of a house.
type guest struct {
	t       testing.TB
	session *Session
	killed  atomic.Bool
	kept    atomic.Int64

	mu       sync.Mutex
	messages []string // guarded by mu; pushed, and not looked at yet
}

func (g *guest) push(b []byte, _ *atomic.Int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.messages = append(g.messages, string(b))
	return true
}

// heard returns the messages that came since it was last called.
func (g *guest) heard() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := strings.Join(g.messages, "")
	g.messages = nil
	return all
}

func (h *house) guest() *guest {
	g := &guest{t: h.t}
	id := h.conns.Add(1)
	g.session = h.engine.Open(Conn{
		ID: id, Remote: "10.0.0.1:" + strconv.FormatUint(50000+id, 10), Local: "10.0.0.2:6380", Opened: h.engine.wall(),
		Kill: func() { g.killed.Store(true) },
		Push: g.push,
		Mute: func(int) {},
		Keep: func(bytes int) { g.kept.Add(int64(bytes)) },
	})
	h.t.Cleanup(g.session.Close)
	return g
}

// begin begins a command and returns where its reply will be.
func (g *guest) begin(args ...string) <-chan string {
	sent := make([][]byte, len(args))
	for i, arg := range args {
		sent[i] = []byte(arg)
	}
	replies := make(chan string, 2) // room for one too many, which answer notices
	g.session.Begin(sent, func(b []byte, last bool) {
		reply := string(b)
		if last {
			reply += "(last)"
		}
		replies <- reply
	})
	return replies
}

// do sends a command and returns its reply.
func (g *guest) do(args ...string) string {
	g.t.Helper()
	return g.answer(g.begin(args...), strings.Join(args, " "))
}

func (g *guest) answer(replies <-chan string, to string) string {
	g.t.Helper()
	timer := time.NewTimer(20 * time.Second)
	defer timer.Stop()
	select {
	case reply := <-replies:
		if len(replies) > 0 {
			g.t.Errorf("%s was answered twice: %q, then %q", to, reply, <-replies)
		}
		return reply
	case <-timer.C:
		g.t.Fatalf("no reply to %s", to)
		return ""
	}
}

// ask sends a command line; words in double quotes are as in Go.
func (g *guest) ask(line string) string {
	g.t.Helper()
	return g.do(words(g.t, line)...)
}

// expect sends command lines and checks each reply.
func (g *guest) expect(lines ...[2]string) {
	g.t.Helper()
	for _, l := range lines {
		if got := g.ask(l[0]); got != l[1] {
			g.t.Errorf("%s\n got %q\nwant %q", l[0], got, l[1])
		}
	}
}

func words(t testing.TB, line string) (found []string) {
	t.Helper()
	for line = strings.TrimLeft(line, " "); line != ""; line = strings.TrimLeft(line, " ") {
		if line[0] != '"' {
			word, rest, _ := strings.Cut(line, " ")
			found, line = append(found, word), rest
			continue
		}
		quoted, err := strconv.QuotedPrefix(line)
		if err != nil {
			t.Fatalf("words of %q: %v", line, err)
		}
		word, _ := strconv.Unquote(quoted)
		found, line = append(found, word), line[len(quoted):]
	}
	return found
}

// The replies that most tests expect.
const (
	ok      = "+OK\r\n"
	null2   = "$-1\r\n"
	no      = ":0\r\n"
	yes     = ":1\r\n"
	noArray = "*-1\r\n"
)

func bulkOf(s string) string { return "$" + strconv.Itoa(len(s)) + "\r\n" + s + "\r\n" }

func arrayOf(items ...string) string {
	return "*" + strconv.Itoa(len(items)) + "\r\n" + strings.Join(items, "")
}
