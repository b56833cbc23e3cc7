package proxy

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/commands"
	"holdfast/quorum/storetest"
)

// Messages, by the commands themselves and over TCP: what a client reads depends
// on both packages.

type commandHandler struct{ engine *commands.Engine }

func (h commandHandler) Open(c Conn) Session { return h.engine.Open(commands.Conn(c)) }

// startCommands serves commands that need no lock.
func startCommands(t testing.TB, options Options, o commands.Options) (*Server, *commands.Engine, string) {
	t.Helper()
	engine := commands.New(o)
	t.Cleanup(engine.Close) // after the server, which was started later
	options.Handler = commandHandler{engine}
	s, addr := start(t, options)
	return s, engine, addr
}

// call sends a command line and reads up to the answer to a PING behind it.
func (p *peer) call(line string) string {
	p.t.Helper()
	if line != "" {
		p.send(line + "\r\n")
	}
	p.send("PING <end>\r\n")
	const end = "$5\r\n<end>\r\n"
	var got bytes.Buffer
	for !strings.HasSuffix(got.String(), end) {
		b, err := p.r.ReadByte()
		if err != nil {
			p.t.Fatalf("%s: read %q, then %v", line, got.String(), err)
		}
		got.WriteByte(b)
	}
	return strings.TrimSuffix(got.String(), end)
}

// conversation is what three clients send; after each step all of them have read
// what came. What names more than one channel is in alphabetical order where Redis
// has no order of its own.
var conversation = []string{
	"a unsubscribe", "a unsubscribe x y", "a punsubscribe", "a sunsubscribe", "a UNSUBSCRIBE",
	"b publish x nobody", "b spublish x nobody", "b pubsub channels", "b pubsub numpat",
	"a subscribe x x y", "b publish x hello", "b publish y \"\"", "b publish z no", "b publish X no", "b publish x \"a\\r\\nb\\x00\\xff\"",
	"a get k", "a client id", "a hello 3", "a hello 2", "a echo a", "a nonsense", "a get", "a client", "a client nonsense", "a select 1", "a publish x y", "a pubsub channels x",
	"a ping", "a ping text", "a ping a b", "a PING", "a subscribe", "a psubscribe", "a ssubscribe", "a info",
	"a psubscribe x* y* x*", "b publish x1 pattern", "b publish x both", "b publish \"\" empty", "b pubsub numpat", "b pubsub channels x*", "b pubsub channels z*",
	"c subscribe x", "c psubscribe [xz]?", "b publish x three", "b publish x3 two", "b publish z3 one", "b pubsub numsub x y z x", "b pubsub numsub", "b pubsub numpat",
	"a ssubscribe x s", "b spublish x shard", "b spublish x1 none", "b publish s none", "b pubsub shardchannels s", "b pubsub shardchannels z", "b pubsub shardnumsub x y", "b pubsub shardnumsub",
	"a unsubscribe x", "b publish x rest", "a unsubscribe x nothing", "a punsubscribe y* nothing", "b publish y1 gone", "a sunsubscribe s", "a sunsubscribe", "b spublish x gone",
	"a unsubscribe", "a get k", "a punsubscribe", "b publish x only-c", "a ping", "a ping x",
	"a psubscribe \"a\\\\?c\"", "c psubscribe a[^b]c", "b publish abc no", "b publish axc yes", "b publish a?c yes", "a reset", "b publish axc gone", "a ping", "a client getname",
	"a psubscribe *", "a subscribe \"\"", "b publish \"\" empty", "a unsubscribe", "a punsubscribe *", "a ping",
	"b publish x", "b publish", "b publish x y z", "b spublish x", "b pubsub", "b pubsub nonsense", "b pubsub channels x y", "b pubsub ChanNels x y", "b pubsub numpat x", "b pubsub shardchannels x y", "b pubsub numsub x",
}

// The replies of these depend on more than messages.
var notCompared = []string{"a client id", "a hello 3", "a hello 2", "a client", "a info", "b publish X no"}

func TestMessagesAreAsFromRedis(t *testing.T) {
	redis := storetest.StartRedis(t)
	for _, proto := range []string{"2", "3"} {
		t.Run("RESP"+proto, func(t *testing.T) {
			_, _, addr := startCommands(t, Options{}, commands.Options{MaxTTL: time.Hour})
			ours, theirs := map[string]*peer{}, map[string]*peer{}
			for _, name := range []string{"a", "b", "c"} {
				ours[name], theirs[name] = dial(t, addr), dial(t, redis.Addr())
				ours[name].call("hello " + proto)
				theirs[name].call("hello " + proto)
			}
			for _, step := range conversation {
				who, line, _ := strings.Cut(step, " ")
				if proto == "3" && (slices.Contains(notCompared, step) || line == "get k" || line == "reset") {
					continue // allowed in RESP3, and needs a keeper, or would end it
				}
				got, want := ours[who].call(line), theirs[who].call(line)
				for _, other := range []string{"a", "b", "c"} {
					if other != who {
						got += " " + ours[other].call("")
						want += " " + theirs[other].call("")
					}
				}
				if got != want {
					t.Errorf("%s\n    we said %.400q\nRedis says %.400q", step, got, want)
				}
			}
		})
	}
}

func TestAClientInRESP3HearsItself(t *testing.T) {
	redis := storetest.StartRedis(t)
	_, _, addr := startCommands(t, Options{}, commands.Options{})
	us, them := dial(t, addr), dial(t, redis.Addr())
	us.call("hello 3")
	them.call("hello 3")
	for _, line := range []string{
		"subscribe x", "publish x 1", "ssubscribe x", "spublish x 2", "echo a", "psubscribe x*", "punsubscribe", "publish x 3",
		"unsubscribe", "publish x 4", "spublish x 5", "sunsubscribe", "spublish x 6",
	} {
		if got, want := us.call(line), them.call(line); got != want {
			t.Errorf("%s\n    we said %q\nRedis says %q", line, got, want)
		}
	}
}

func TestASlowSubscriberCostsOnlyItself(t *testing.T) {
	const n, size = 400, 64 << 10
	var book logBook
	s, _, addr := startCommands(t, Options{MaxPushBytes: 1 << 20, MaxBytes: 64 << 20, Log: book.logger()}, commands.Options{})
	slow, fast, sender := dial(t, addr), dial(t, addr), dial(t, addr)
	slow.call("subscribe x")
	fast.call("subscribe x")
	text := strings.Repeat("x", size)
	want := "*3\r\n" + string(bulk([]byte("message"))) + string(bulk([]byte("x"))) + string(bulk([]byte(text)))
	page := make([]byte, len(want))
	for i := range n {
		sender.extend()
		fast.extend()
		sender.send(resp("PUBLISH", "x", text))
		if line, err := sender.r.ReadString('\n'); err != nil || (line != ":2\r\n" && line != ":1\r\n") {
			t.Fatalf("publish %d = %q, %v", i, line, err)
		}
		if _, err := io.ReadFull(fast.r, page); err != nil || string(page) != want {
			t.Fatalf("message %d of the one who reads: %.60q, %v", i, page, err)
		}
	}
	poll(t, "the slow one cut off", func() bool { return s.Stats().CutOff == 1 })
	if got := book.String(); strings.Count(got, "client cut off") != 1 || !strings.Contains(got, "messages wait for it to read") {
		t.Errorf("log = %q, want who was cut off, and why", got)
	}
	poll(t, "the slow one forgotten", func() bool { return sender.call("pubsub numsub x") == "*2\r\n$1\r\nx\r\n:1\r\n" })
	poll(t, "next to nothing held when all was read", func() bool { return s.Stats().Held <= 64<<10 })
}

// Clients subscribe and unsubscribe in RESP2 while messages come. If one came
// behind the last unsubscription, it would be read as the reply to PING.
func TestNothingComesOutsideASubscription(t *testing.T) {
	_, engine, addr := startCommands(t, Options{}, commands.Options{})
	sender := dial(t, addr)
	sender.call("hello 3")
	stop := make(chan struct{})
	var senders sync.WaitGroup
	defer senders.Wait()
	defer close(stop)
	senders.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				engine.Publish("x", []byte("posted"))
				sender.extend()
				sender.call("publish x 12345678")
			}
		}
	})
	var clients sync.WaitGroup
	var heard atomic.Int64
	ends := []string{"UNSUBSCRIBE\r\n", "UNSUBSCRIBE x\r\n", "RESET\r\n"}
	for i := range 4 {
		p := dial(t, addr)
		clients.Go(func() {
			for round := 0; round < 60 || heard.Load() == 0 && round < 6000; round++ {
				end := ends[(i+round)%len(ends)]
				p.extend()
				if _, err := io.WriteString(p, "SUBSCRIBE x\r\nPING\r\n"+end+"PING\r\n"); err != nil {
					t.Errorf("send: %v", err)
					return
				}
				messages, err := readRound(p, end == "RESET\r\n")
				if err != nil {
					t.Errorf("round %d of client %d: %v", round, i, err)
					return
				}
				heard.Add(int64(messages))
			}
		})
	}
	clients.Wait()
	if heard.Load() == 0 {
		t.Error("nobody heard anything, so nothing was tried")
	}
}

// readRound reads the answers to SUBSCRIBE, PING, an end and PING, with messages
// where they may be.
func readRound(p *peer, reset bool) (messages int, err error) {
	subscribed, over := "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n", "*3\r\n$11\r\nunsubscribe\r\n$1\r\nx\r\n:0\r\n"
	if reset {
		over = "+RESET\r\n"
	}
	var got strings.Builder
	for !strings.HasSuffix(got.String(), "+PONG\r\n") {
		line, err := p.r.ReadString('\n')
		if err != nil {
			return 0, fmt.Errorf("read %q, then %w", got.String(), err)
		}
		got.WriteString(line)
	}
	rest, ok := strings.CutPrefix(got.String(), subscribed)
	for _, m := range []string{"posted", "12345678"} {
		rest = strings.ReplaceAll(rest, "*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n"+string(bulk([]byte(m))), "")
	}
	before := "*2\r\n$4\r\npong\r\n$0\r\n\r\n"
	if !ok || rest != before+over+"+PONG\r\n" || !strings.HasSuffix(got.String(), over+"+PONG\r\n") {
		return 0, fmt.Errorf("read %q", got.String())
	}
	return strings.Count(got.String(), "message"), nil
}

func TestSubscribersThatGoAreForgotten(t *testing.T) {
	s, engine, addr := startCommands(t, Options{}, commands.Options{})
	looker := dial(t, addr)
	stop := make(chan struct{})
	var sender sync.WaitGroup
	defer sender.Wait()
	defer close(stop)
	sender.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				engine.Publish("x", []byte("text"))
			}
		}
	})
	for i := range 40 {
		p := dial(t, addr)
		p.send("HELLO 3\r\nSUBSCRIBE x\r\nPSUBSCRIBE *\r\nSSUBSCRIBE x\r\n")
		if i%2 == 0 {
			p.send("QUIT\r\n")
			io.Copy(io.Discard, p)
		}
		p.Close()
	}
	poll(t, "all forgotten", func() bool {
		return looker.call("pubsub channels")+looker.call("pubsub numpat")+looker.call("pubsub shardchannels") == "*0\r\n:0\r\n*0\r\n" && s.Stats().Connections == 1
	})
	poll(t, "nothing held", func() bool { return s.Stats().Held == 0 })
}

func TestOrderIsTheSameForAll(t *testing.T) {
	_, engine, addr := startCommands(t, Options{}, commands.Options{})
	first, second, sender := dial(t, addr), dial(t, addr), dial(t, addr)
	first.call("subscribe x")
	second.call("subscribe x")
	const n = 200
	var senders sync.WaitGroup
	senders.Go(func() {
		for i := range n {
			engine.Publish("x", fmt.Append(nil, "posted", i))
		}
	})
	senders.Go(func() {
		for i := range n {
			sender.call(fmt.Sprint("publish x sent", i))
		}
	})
	senders.Wait()
	sender.call("publish x end")
	read := func(p *peer) string {
		var all strings.Builder
		for !strings.HasSuffix(all.String(), "$3\r\nend\r\n") {
			line, err := p.r.ReadString('\n')
			if err != nil {
				t.Fatalf("read %v", err)
			}
			all.WriteString(line)
		}
		return all.String()
	}
	got, also := read(first), read(second)
	if got != also {
		t.Errorf("two subscribers of one channel read different orders")
	}
	if count := strings.Count(got, "message"); count != 2*n+1 {
		t.Errorf("%d messages, want %d", count, 2*n+1)
	}
	for _, kind := range []string{"posted", "sent"} {
		at := -1
		for i := range n {
			next := strings.Index(got, "\n"+fmt.Sprint(kind, i)+"\r")
			if next <= at {
				t.Fatalf("message %s%d is not behind the one before it", kind, i)
			}
			at = next
		}
	}
}
