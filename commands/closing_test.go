package commands

import (
	"runtime"
	"sync"
	"testing"

	"holdfast/quorum"
)

// What waited behind another command is begun by whoever ends that, and the client may
// hang up at the same moment.

// whileClosing has a command, which has seen its session open, go on while that is closed:
// it holds the mutex.
func whileClosing(s *Session, mu *sync.Mutex, command func()) {
	mu.Lock()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		s.Close()
	}()
	for !s.isClosed() {
		runtime.Gosched()
	}
	for range 10 {
		runtime.Gosched() // it comes to what the command does
	}
	command()
	mu.Unlock()
	<-closed
}

func TestNothingIsLeftOfASessionThatIsClosed(t *testing.T) {
	h := newHouse(t, 0)
	hub, m := h.engine.hub, &h.engine.monitors
	m.all = map[*Session]struct{}{}
	for range 100 {
		s := h.guest().session
		whileClosing(s, &hub.mu, func() { hub.addLocked(s, channels, "news") })
		if n := hub.total.Load(); n != 0 {
			t.Fatalf("%d subscriptions of a session that is closed", n)
		}
		s = h.guest().session
		whileClosing(s, &m.mu, func() {
			m.all[s] = struct{}{}
			m.count.Add(1)
		})
		if n := m.count.Load(); n != 0 {
			t.Fatalf("%d monitors, of a session that is closed", n)
		}
	}
}

// A listened says when somebody is to hear of changes who was not before.
type listened struct {
	Keeper
	begins func()
}

func (l *listened) Listen(f func(quorum.News)) {
	if f != nil {
		l.begins()
	}
	l.Keeper.Listen(f)
}

// Who ends what is to be seen counts one less: if that came before it was counted,
// nobody would hear of anything, and others have watched for a while.
func TestWhoWantsToHearIsCountedBeforeAnybodyCanEndThat(t *testing.T) {
	var keeper *listened
	h := newHouse(t, 0, func(o *Options) {
		keeper = &listened{Keeper: o.Keeper}
		o.Keeper = keeper
	})
	g := h.guest()
	for line, seen := range map[string]func() bool{
		"watch free":                            func() bool { return g.session.watching != nil },
		"client tracking on":                    func() bool { return g.session.tracks.Load() },
		"config set notify-keyspace-events KEA": func() bool { return h.engine.tracker.events.Load() != 0 },
	} {
		begun, early := 0, false
		keeper.begins = func() { begun, early = begun+1, early || seen() }
		g.ask("hello 3")
		if got := g.ask(line); got != ok || !seen() || begun != 1 || early {
			t.Errorf("%s = %q, in effect: %t, before it was counted: %t; the keeper was told %d times, want once", line, got, seen(), early, begun)
		}
		g.ask("reset")
		g.ask("config set notify-keyspace-events \"\"")
		if n := h.engine.tracker.listening.who; n != 0 {
			t.Errorf("%s: %d want to hear of changes when it is over, want none", line, n)
		}
	}
}

// None of it is: of what comes behind MULTI or SELECT a part would mean something else,
// and what is acquired would be nobody's.
func TestWhatWaitsWhenTheClientHangsUpIsNotCarriedOut(t *testing.T) {
	for _, lines := range [][]string{
		{"multi", "del lock", "discard"},
		{"multi", "nonsense", "del lock", "exec"},
		{"select 1", "del lock"},
		{"del lock"},
		{"set lock mine px 100000"},
		{`eval "return redis.call('del', KEYS[1])" 1 lock`},
	} {
		h := newHouse(t, 0, func(o *Options) { o.Overwrite = true })
		g, other := h.guest(), h.guest()
		other.ask("set lock theirs px 100000")
		replies := []<-chan string{g.begin("debug", "sleep", "100")}
		for _, line := range lines {
			replies = append(replies, g.begin(words(t, line)...))
		}
		g.session.Close()
		for i, reply := range replies[1:] {
			if got := g.answer(reply, lines[i]); got != errLine(errHungUp) {
				t.Errorf("%q: %s = %q, want that the connection was closed", lines, lines[i], got)
			}
		}
		other.expect([2]string{"get lock", bulkOf("theirs")})
	}
}
