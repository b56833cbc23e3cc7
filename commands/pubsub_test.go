package commands

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/quorum"
)

func message(channel, text string) string {
	return arrayOf(bulkOf("message"), bulkOf(channel), bulkOf(text))
}

// lines are what is logged.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	l <- string(b)
	return len(b), nil
}

func TestAScriptsMessagesGoOutWhenItsChangeIsThrough(t *testing.T) {
	const release = `redis.call('PUBLISH', ARGV[1], 'free') return redis.call('DEL', KEYS[1])`
	ran := make(lines, 1)
	h := newHouse(t, 3, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(ran, nil)) })
	listener, g := h.guest(), h.guest()
	listener.ask("subscribe c")
	g.expect([2]string{"set k a", ok})

	pause(h.fakes)
	renew := g.begin("eval", `redis.call('PUBLISH', 'c', 'renewed') redis.log(redis.LOG_WARNING, 'ran') return redis.call('PEXPIRE', KEYS[1], '10000')`, "1", "k")
	if line := <-ran; !strings.Contains(line, "ran") {
		t.Fatalf("logged %q, want the script's own line", line)
	}
	if got := listener.heard(); got != "" {
		t.Errorf("heard %q before the stores have answered", got)
	}
	resume(h.fakes)
	if got := g.answer(renew, "the renewal"); got != yes {
		t.Errorf("the renewal = %q, want 1", got)
	}
	heard := ""
	hears := func(want string) {
		t.Helper()
		heard = ""
		h.await(fmt.Sprintf("%q", want), func() bool { heard += listener.heard(); return heard != "" })
		if heard != want {
			t.Errorf("heard %q, want %q", heard, want)
		}
	}
	hears(message("c", "renewed"))
	if got := g.eval(release, 1, "k", "c"); got != yes {
		t.Errorf("a release = %q, want 1", got)
	}
	hears(message("c", "free"))
	if got := g.eval(`return {redis.call('PUBLISH', 'c', 'x'), redis.call('publish', 'd', 'x'), redis.call('spublish', 'c', 'x')}`, 0); got != arrayOf(yes, no, no) {
		t.Errorf("PUBLISH in scripts = %q, want how many hear it", got)
	}
	hears(message("c", "x"))
	if got := g.eval(`redis.call('PUBLISH', 'c', 'y') return redis.error_reply('MY error')`, 0); got != "-MY error\r\n" {
		t.Errorf("a script that returns an error = %q", got)
	}
	hears(message("c", "y"))
}

func TestAScriptThatFailsSendsNothing(t *testing.T) {
	h := newHouse(t, 3)
	listener, g := h.guest(), h.guest()
	listener.ask("subscribe c")
	g.ask("set k a")
	if got := g.eval(`redis.call('PUBLISH', 'c', 'no') error('x')`, 0); got[0] != '-' {
		t.Errorf("a script that raises an error = %q", got)
	}
	if got := g.eval(`redis.call('PUBLISH', 'c', 'no') return string.rep('x', 5000000)`, 0); got != errLine(errReply) {
		t.Errorf("a script that returns too much = %.100q", got)
	}
	for _, f := range h.fakes {
		f.LoseRequests(3)
	}
	if got := g.eval(`redis.call('PUBLISH', 'c', 'no') return redis.call('PEXPIRE', KEYS[1], '10000')`, 1, "k"); !strings.HasPrefix(got, "-NOQUORUM") {
		t.Errorf("a script without a quorum = %q, want an error", got)
	}
	g.ask("publish c end")
	if got := listener.heard(); got != message("c", "end") {
		t.Errorf("heard %q, want the last message only", got)
	}
}

func TestMessagesOfOneClientKeepTheirOrder(t *testing.T) {
	h := newHouse(t, 0)
	listener, g := h.guest(), h.guest()
	listener.ask("psubscribe *")
	want := ""
	for i := range 200 {
		text := fmt.Sprint(i)
		if i%2 == 0 {
			g.eval(`redis.call('PUBLISH', 'c', ARGV[1]) return 1`, 0, text)
		} else {
			g.do("publish", "c", text)
		}
		want += arrayOf(bulkOf("pmessage"), bulkOf("*"), bulkOf("c"), bulkOf(text))
	}
	if got := listener.heard(); got != want {
		t.Errorf("heard %.300q, want 0 to 199 in order", got)
	}
}

func TestPublishWaitsForWhatItsClientDidBefore(t *testing.T) {
	h := newHouse(t, 3)
	listener, g := h.guest(), h.guest()
	listener.ask("subscribe c")
	g.ask("set k a")
	pause(h.fakes)
	acquire := g.begin("set", "other", "a", "nx", "px", "10000")
	published := g.begin("publish", "c", "done")
	if got := listener.heard(); got != "" {
		t.Errorf("heard %q before the command in front of it was done", got)
	}
	resume(h.fakes)
	g.answer(acquire, "the acquisition")
	if got := g.answer(published, "publish"); got != yes {
		t.Errorf("publish = %q, want 1", got)
	}
	if got := listener.heard(); got != message("c", "done") {
		t.Errorf("heard %q, want the message", got)
	}
}

func TestNobodyElsePublishesOnOurChannels(t *testing.T) {
	h := newHouse(t, 0)
	listener, g := h.guest(), h.guest()
	listener.ask("psubscribe *")
	for _, line := range []string{
		"publish holdfast:events x", "publish holdfast: x", "spublish holdfast:lost:a x",
		`eval "return redis.call('publish','holdfast:events','x')" 0`,
	} {
		if got := g.ask(line); !strings.HasPrefix(got, "-"+errOwnChannel) {
			t.Errorf("%s = %q, want %q", line, got, errOwnChannel)
		}
	}
	g.expect([2]string{"publish holdfast x", yes}, [2]string{"publish HOLDFAST:events x", yes})
	listener.heard()
}

func TestEventsArePublishedAsLinesOfJSON(t *testing.T) {
	h := newHouse(t, 0)
	lost, all, deaf := h.guest(), h.guest(), h.guest()
	h.engine.Tell(quorum.Event{Kind: "store.up", Text: "nobody hears this"}, "redis://a")
	lost.ask("subscribe holdfast:lost:orders")
	all.ask("subscribe holdfast:events")
	deaf.ask("subscribe holdfast:lost:other")
	h.engine.Tell(quorum.Event{Kind: "store.forgot", Store: 0, Name: "orders", Text: `"<why>" & more`}, "redis://a:1")
	h.engine.Tell(quorum.Event{Kind: "lease.lost", Store: -1, Name: "orders", Text: "no quorum"}, "")
	h.guest().ask("publish end end") // sends what was posted first
	first := `{"kind":"store.forgot","store":"redis://a:1","lock":"orders","why":"\"<why>\" & more","time":"2023-11-14T22:13:20.000Z"}`
	second := `{"kind":"lease.lost","store":"","lock":"orders","why":"no quorum","time":"2023-11-14T22:13:20.000Z"}`
	if got, want := all.heard(), message("holdfast:events", first)+message("holdfast:events", second); got != want {
		t.Errorf("holdfast:events\n got %q\nwant %q", got, want)
	}
	if got, want := lost.heard(), message("holdfast:lost:orders", second); got != want {
		t.Errorf("holdfast:lost:orders\n got %q\nwant %q", got, want)
	}
	if got := deaf.heard(); got != "" {
		t.Errorf("holdfast:lost:other got %q, want nothing", got)
	}
}

func TestAMessageIsEncodedOnceForEachProtocol(t *testing.T) {
	h := newHouse(t, 0)
	type got struct {
		bytes   []byte
		sharers *atomic.Int64
	}
	var received []got
	for i := range 6 {
		g := h.guest()
		g.session.conn.Push = func(b []byte, sharers *atomic.Int64) bool {
			received = append(received, got{b, sharers})
			return true
		}
		g.ask(fmt.Sprint("hello ", 2+i%2))
		g.ask("subscribe c")
	}
	if n := h.guest().ask("publish c text"); n != ":6\r\n" {
		t.Errorf("publish = %q, want 6", n)
	}
	distinct := map[*byte]string{}
	counters := map[*atomic.Int64]bool{}
	for _, r := range received {
		distinct[&r.bytes[0]] = string(r.bytes)
		counters[r.sharers] = true
	}
	if len(received) != 6 || len(distinct) != 2 || len(counters) != 2 {
		t.Errorf("%d messages, of %d encodings with %d counters; want 6, 2, 2", len(received), len(distinct), len(counters))
	}
}

func TestWhoPostsNeverWaits(t *testing.T) {
	var logged strings.Builder
	h := newHouse(t, 0, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&logged, nil)) })
	g := h.guest()
	g.ask("subscribe c")
	h.engine.hub.mu.Lock() // somebody sends a message to very many
	text := []byte(strings.Repeat("x", 1<<16))
	const n = 100
	for range n {
		h.engine.Publish("c", text)
	}
	h.engine.hub.mu.Unlock()
	h.guest().ask("publish c end")
	got := strings.Count(g.heard(), bulkOf(string(text)))
	if got < 32 || got > maxPosted>>16 {
		t.Errorf("%d of %d messages of 64 KiB came, want as many as may wait", got, n)
	}
	if got := strings.Count(logged.String(), "message.dropped"); got != 1 {
		t.Errorf("%d lines about the others, want 1: %q", got, logged.String())
	}
}

func TestSubscriptionsAreCountedAndBounded(t *testing.T) {
	h := newHouse(t, 0)
	g := h.guest()
	g.ask("subscribe a a")
	if got, want := g.kept.Load(), int64(1+subscriptionCost); got != want {
		t.Errorf("one subscription counts for %d bytes, want %d", got, want)
	}
	names := []string{"psubscribe"}
	for i := range maxSubscribed/(subscriptionCost+10)/2 - 1 {
		names = append(names, fmt.Sprintf("%010d", i))
	}
	g.do(names...)
	names[0] = "ssubscribe"
	if got := g.do(names...); !strings.HasPrefix(got, arrayOf(bulkOf("ssubscribe"), bulkOf(names[1]), yes)) {
		t.Errorf("what fits = %.100q", got)
	}
	names[0] = "subscribe"
	if got := g.do(names...); got != errLine(errSubscribing) {
		t.Errorf("too many subscriptions = %.100q, want %q", got, errLine(errSubscribing))
	}
	if got := g.ask("unsubscribe a"); got != arrayOf(bulkOf("unsubscribe"), bulkOf("a"), fmt.Sprintf(":%d\r\n", len(names)-1)) {
		t.Errorf("unsubscribe = %q: what was refused was done in part", got)
	}
	g.ask("reset")
	if got := g.kept.Load(); got != 0 {
		t.Errorf("%d bytes are counted after RESET, want 0", got)
	}
	g.ask("subscribe a b")
	g.session.Close()
	if got := h.guest().ask("pubsub channels"); got != "*0\r\n" || h.engine.hub.total.Load() != 0 || g.kept.Load() != 0 {
		t.Errorf("after Close: channels %q, %d subscriptions, %d bytes; want none", got, h.engine.hub.total.Load(), g.kept.Load())
	}
}

func TestSubscribersAreListed(t *testing.T) {
	h := newHouse(t, 0)
	a, b := h.guest(), h.guest()
	a.ask("subscribe a b")
	a.ask("psubscribe p*")
	a.ask("ssubscribe s")
	b.ask("ssubscribe s")
	looker := h.guest()
	list := looker.ask("client list type pubsub")
	if !strings.Contains(list, "id=1 ") || !strings.Contains(list, " flags=P ") || !strings.Contains(list, " sub=2 psub=1 ssub=1 ") || strings.Contains(list, "id=3 ") {
		t.Errorf("client list type pubsub = %q", list)
	}
	if list := looker.ask("client list type normal"); strings.Contains(list, "id=1 ") || !strings.Contains(list, "id=3 ") || !strings.Contains(list, " flags=N ") {
		t.Errorf("client list type normal = %q", list)
	}
	if info := looker.ask("info stats"); !strings.Contains(info, "pubsub_channels:2\r\npubsub_patterns:1\r\npubsubshard_channels:1\r\n") {
		t.Errorf("info stats = %q", info)
	}
	if got := looker.ask("client kill type pubsub"); got != ":2\r\n" || !a.killed.Load() || !b.killed.Load() {
		t.Errorf("client kill type pubsub = %q", got)
	}
}

func TestSlowPatternsDoNotHoldUpMessages(t *testing.T) {
	h := newHouse(t, 0)
	g := h.guest()
	slow := strings.Repeat("a", 30_000)
	g.do("psubscribe", "*"+slow+"b", "*"+slow+"[c-d]", "c*")
	start := time.Now()
	if got := h.guest().do("publish", strings.Repeat("a", 60_000), "x"); got != no {
		t.Errorf("publish = %q, want 0", got)
	}
	if took := time.Since(start); took > 2*time.Second { // all of it would take some more
		t.Errorf("publish took %v", took)
	}
	if got := h.guest().do("publish", "cd", "x"); got != yes {
		t.Errorf("publish afterwards = %q, want 1", got)
	}
}

func TestStepsBoundMatching(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		steps         int
		want          bool
	}{
		{"abc", "abc", 100, true}, {"a*c", "abbbc", 100, true}, {"abc", "abc", 2, false}, {"*", "abcdefgh", 3, false},
		{"[abcdefghijklmnop]", "a", 10, false}, {"a", "a", 0, false}, {"*", "", 100, false}, {"", "", 0, true},
	} {
		steps := c.steps
		if got := globWithin(&steps, c.pattern, c.name); got != c.want {
			t.Errorf("globWithin(%d, %q, %q) = %t, want %t", c.steps, c.pattern, c.name, got, c.want)
		}
	}
}

func TestTheHubStopsWithItsEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails if a goroutine is left
		e := New(Options{MaxTTL: time.Hour})
		e.Publish("c", []byte("x"))
		e.Close()
		e.Close()
	})
}

func BenchmarkPublish(b *testing.B) {
	for _, subscribers := range []int{0, 1, 100, 10_000} {
		b.Run(fmt.Sprint(subscribers), func(b *testing.B) {
			h := newHouse(b, 0)
			h.engine.hub.total.Add(1) // somebody is subscribed to something
			for range subscribers {
				g := h.guest()
				g.session.conn.Push = func([]byte, *atomic.Int64) bool { return true }
				g.ask("subscribe c")
			}
			p := post{channels, "c", []byte("free")}
			b.ReportAllocs()
			for b.Loop() {
				h.engine.hub.publish(p)
			}
		})
	}
}

func BenchmarkTellNobody(b *testing.B) {
	h := newHouse(b, 0)
	ev := quorum.Event{Kind: "store.down", Text: "why"}
	b.ReportAllocs()
	for b.Loop() {
		h.engine.Tell(ev, "redis://a")
	}
}
