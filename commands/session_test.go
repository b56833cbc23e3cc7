package commands

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/quorum"
	"holdfast/quorum/storetest"
)

func pause(fakes []*storetest.Fake) {
	for _, f := range fakes {
		f.Pause()
	}
}

func resume(fakes []*storetest.Fake) {
	for _, f := range fakes {
		f.Resume()
	}
}

func TestCommandsOnOneLockTakeEffectInOrder(t *testing.T) {
	h := newHouse(t, 3)
	g := h.guest()
	var replies []<-chan string
	var want []string
	for i := range 50 {
		key := fmt.Sprintf("k%d", i%3)
		replies = append(replies, g.begin("set", key, "a", "nx", "px", "10000"), g.begin("get", key), g.begin("eval", compareAndDelete, "1", key, "a"), g.begin("get", key))
		want = append(want, ok, bulkOf("a"), yes, null2)
	}
	for i, r := range replies {
		if got := g.answer(r, fmt.Sprintf("command %d", i)); got != want[i] {
			t.Errorf("reply %d = %q, want %q", i, got, want[i])
		}
	}
}

func TestBarriersSeeWhatCameBeforeAndNotWhatCameAfter(t *testing.T) {
	h := newHouse(t, 3)
	g := h.guest()
	pause(h.fakes)
	first := g.begin("set", "a", "1", "nx", "px", "10000")
	keys := g.begin("keys", "*")
	second := g.begin("set", "b", "1", "nx", "px", "10000")
	size := g.begin("dbsize")
	ping := g.begin("ping")
	for what, r := range map[string]<-chan string{"keys": keys, "the second set": second, "dbsize": size, "ping": ping} {
		if len(r) > 0 {
			t.Errorf("%s was answered with %q before the command it waits for", what, <-r)
		}
	}
	if other := h.guest().ask("ping"); other != "+PONG\r\n" {
		t.Errorf("another client's ping = %q, want an answer at once", other)
	}
	resume(h.fakes)
	for _, c := range []struct {
		what    string
		replies <-chan string
		want    string
	}{
		{"the first set", first, ok}, {"keys", keys, arrayOf(bulkOf("a"))}, {"the second set", second, ok}, {"dbsize", size, ":2\r\n"}, {"ping", ping, "+PONG\r\n"},
	} {
		if got := g.answer(c.replies, c.what); got != c.want {
			t.Errorf("%s = %q, want %q", c.what, got, c.want)
		}
	}
}

func TestWhatNeedsItsTurnHoldsUpNothingBehindIt(t *testing.T) {
	h := newHouse(t, 3)
	listener, g := h.guest(), h.guest()
	listener.ask("subscribe c")
	listener.heard()
	g.ask("set mine a px 10000")
	pause(h.fakes)
	first := g.begin("set", "slow", "1", "nx", "px", "10000")
	published := []<-chan string{g.begin("publish", "c", "1"), g.begin("publish", "c", "2")}
	info, wait := g.begin("info", "leases"), g.begin("wait", "1", "0")
	if ping := g.ask("ping"); ping != "+PONG\r\n" {
		t.Errorf("ping behind them = %q", ping)
	}
	g.expect([2]string{"pttl mine", ":10000\r\n"}, [2]string{"client getname", null2})
	third := g.begin("publish", "c", "3")
	keys := g.begin("keys", "*")
	published = append(published, third)
	if heard := listener.heard(); heard != "" || len(first)+len(info)+len(wait)+len(third)+len(keys) > 0 {
		t.Errorf("heard %q before what came before is done", heard)
	}
	resume(h.fakes)
	if got := g.answer(first, "the slow one"); got != ok {
		t.Errorf("the slow one = %q", got)
	}
	for i, p := range published {
		if got := g.answer(p, "publish"); got != yes {
			t.Errorf("message %d = %q", i, got)
		}
	}
	if got := g.answer(info, "info"); !strings.Contains(got, "leases:2\r\n") {
		t.Errorf("info = %q, want that it counts the lease before it", got)
	}
	if got := g.answer(wait, "wait"); got != ":3\r\n" {
		t.Errorf("wait = %q", got)
	}
	if got := g.answer(keys, "keys"); got != arrayOf(bulkOf("mine"), bulkOf("slow")) {
		t.Errorf("keys = %q", got)
	}
	h.await("the messages", func() bool {
		listener.mu.Lock()
		defer listener.mu.Unlock()
		return len(listener.messages) == 3
	})
	if got, want := listener.heard(), message("c", "1")+message("c", "2")+message("c", "3"); got != want {
		t.Errorf("heard %q, want %q", got, want)
	}
}

func TestEachReplyIsInTheProtocolOfItsCommand(t *testing.T) {
	h := newHouse(t, 3)
	g := h.guest()
	g.ask("set k a")
	pause(h.fakes)
	before := g.begin("get", "free")
	hello := g.begin("hello", "3")
	after := g.begin("get", "free")
	resume(h.fakes)
	if got := g.answer(before, "get before HELLO 3"); got != null2 {
		t.Errorf("get before HELLO 3 = %q, want %q", got, null2)
	}
	if got := g.answer(hello, "hello"); !strings.HasPrefix(got, "%7\r\n") || !strings.Contains(got, bulkOf("proto")+":3\r\n") {
		t.Errorf("hello 3 = %q, want a map with proto 3", got)
	}
	if got := g.answer(after, "get after HELLO 3"); got != "_\r\n" {
		t.Errorf("get after HELLO 3 = %q, want %q", got, "_\r\n")
	}
	for line, want := range map[string]string{
		"set k b nx": "_\r\n", "lock k b px 10": "_\r\n", "eval \"return false\" 0": "_\r\n", "mget free k": arrayOf("_\r\n", bulkOf("a")),
		"config get databases": "%1\r\n" + bulkOf("databases") + bulkOf("16"), "client getname": "_\r\n",
	} {
		if got := g.ask(line); got != want {
			t.Errorf("%s in RESP3 = %q, want %q", line, got, want)
		}
	}
	if got := g.ask("hello 2"); !strings.HasPrefix(got, "*14\r\n") {
		t.Errorf("hello 2 = %q, want a flat array", got)
	}
}

func TestHelloTellsWhatClientsLookFor(t *testing.T) {
	h := newHouse(t, 0)
	got := h.guest().ask("hello 3 setname joe")
	want := "%7\r\n" + bulkOf("server") + bulkOf("redis") + bulkOf("version") + bulkOf("8.4.0") + bulkOf("proto") + ":3\r\n" +
		bulkOf("id") + ":1\r\n" + bulkOf("mode") + bulkOf("standalone") + bulkOf("role") + bulkOf("master") + bulkOf("modules") + "*0\r\n"
	if got != want {
		t.Errorf("hello 3\n got %q\nwant %q", got, want)
	}
	info := h.guest().ask("info")
	for _, line := range []string{"redis_version:8.4.0", "redis_mode:standalone", "arch_bits:64", "tcp_port:6380", "loading:0", "async_loading:0",
		"role:master", "connected_slaves:0", "cluster_enabled:0", "connected_clients:2", "blocked_clients:0", "maxmemory_policy:noeviction", "leases:0", "stores:0"} {
		if !strings.Contains(info, "\r\n"+line+"\r\n") {
			t.Errorf("info lacks %s: %q", line, info)
		}
	}
	if got := h.guest().ask("info replication"); strings.Contains(got, "# Server") || !strings.Contains(got, "role:master") {
		t.Errorf("info replication = %q, want that section only", got)
	}
}

func TestClientsAreToldTheVersionThatIsConfigured(t *testing.T) {
	g := newHouse(t, 0, func(o *Options) { o.RedisVersion = "7.2.4" }).guest()
	if hello, info := g.ask("hello"), g.ask("info server"); !strings.Contains(hello, "7.2.4") || !strings.Contains(info, "redis_version:7.2.4\r\n") {
		t.Errorf("hello %q, info %q, want version 7.2.4", hello, info)
	}
}

func TestAPasswordIsAskedFor(t *testing.T) {
	const noauth = "-NOAUTH Authentication required.\r\n"
	const wrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
	h := newHouse(t, 0, func(o *Options) { o.Password = "secret" })
	g := h.guest()
	g.expect(
		[2]string{"ping", noauth},
		[2]string{"set k a", noauth},
		[2]string{"eval \"return 1\" 0", noauth},
		[2]string{"keys *", noauth},
		[2]string{"foo", "-ERR unknown command 'foo', with args beginning with: \r\n"}, // as Redis
		[2]string{"hello 3", "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time\r\n"},
		[2]string{"auth wrong", wrong},
		[2]string{"auth secre", wrong},
		[2]string{"auth secrett", wrong},
		[2]string{"auth \"\"", wrong},
		[2]string{"auth joe secret", wrong},
		[2]string{"hello 3 auth default wrong", wrong},
		[2]string{"ping", noauth},
	)
	if g.session.Authenticated() {
		t.Error("authenticated without the password")
	}
	g.expect([2]string{"auth secret", ok}, [2]string{"ping", "+PONG\r\n"}, [2]string{"reset", "+RESET\r\n"}, [2]string{"ping", noauth}, [2]string{"auth default secret", ok}, [2]string{"ping", "+PONG\r\n"})
	if got := h.guest().ask("hello 3 auth default secret"); !strings.HasPrefix(got, "%7\r\n") {
		t.Errorf("hello with the password = %q", got)
	}
	if got := h.guest().ask("quit"); got != ok+"(last)" {
		t.Errorf("quit without the password = %q, want OK and the end", got)
	}
}

func TestClosingASessionCancelsWhatIsUnderWay(t *testing.T) {
	h := newHouse(t, 3)
	g := h.guest()
	pause(h.fakes)
	replies := map[string]<-chan string{
		"set": g.begin("set", "k", "a", "nx", "px", "10000"), "keys": g.begin("keys", "*"), "get": g.begin("get", "k"),
	}
	g.session.Close()
	resume(h.fakes)
	for what, r := range replies {
		if got := g.answer(r, what); got == ok {
			t.Errorf("%s = %q, though it was cancelled", what, got)
		}
	}
	h.await("the lock to be free", func() bool { return h.guest().ask("exists k") == no })
	if got := g.ask("ping"); got != errLine(errHungUp) {
		t.Errorf("a command after Close = %q, want %q", got, errLine(errHungUp))
	}
	if got := h.guest().ask("client list"); strings.Count(got, "id=1 ") != 0 {
		t.Errorf("a closed connection is listed: %q", got)
	}
}

func TestClientsAreListedAndKilled(t *testing.T) {
	h := newHouse(t, 0)
	a, b, c := h.guest(), h.guest(), h.guest()
	a.expect([2]string{"client id", yes}, [2]string{"client setname joe", ok}, [2]string{"client setinfo LIB-NAME mylib", ok}, [2]string{"client setinfo lib-ver 1.2", ok}, [2]string{"select 3", ok})
	list := b.ask("client list")
	if !strings.Contains(list, "id=1 addr=10.0.0.1:50001 laddr=10.0.0.2:6380 name=joe ") || !strings.Contains(list, " db=3 ") || !strings.Contains(list, "lib-name=mylib lib-ver=1.2\n") || strings.Count(list, "\n") < 3 {
		t.Errorf("client list = %q", list)
	}
	if got := b.ask("client list id 2"); !strings.Contains(got, "id=2 ") || strings.Contains(got, "id=1 ") || !strings.Contains(got, "cmd=client|list") {
		t.Errorf("client list id 2 = %q", got)
	}
	b.expect([2]string{"client kill id 1", yes}, [2]string{"client kill addr 10.0.0.1:50003 id 1", no}, [2]string{"client kill type normal", ":2\r\n"})
	if !a.killed.Load() || !c.killed.Load() || b.killed.Load() {
		t.Errorf("killed %t, %t, %t, want the others only", a.killed.Load(), b.killed.Load(), c.killed.Load())
	}
	if got := b.ask("client kill 10.0.0.1:50002"); got != ok+"(last)" {
		t.Errorf("client kill of itself = %q, want OK and the end", got)
	}
}

func TestResetMakesAConnectionAsNew(t *testing.T) {
	g := newHouse(t, 0).guest()
	g.ask("hello 3 setname joe")
	g.ask("select 5")
	g.ask("set k five")
	g.expect([2]string{"reset", "+RESET\r\n"}, [2]string{"get k", null2}, [2]string{"client getname", null2})
}

func TestEveryCommandIsDescribed(t *testing.T) {
	h := newHouse(t, 0)
	g := h.guest()
	for name, c := range h.engine.commands {
		if c.summary == "" || c.name != name || c.arity == 0 {
			t.Errorf("command %q: summary %q, name %q, arity %d", name, c.summary, c.name, c.arity)
		}
		if c.run == nil && c.serve == nil && c.script == nil && c.start == nil && c.flags&container == 0 {
			t.Errorf("command %q does nothing", name)
		}
		if docs := g.do("command", "docs", name); !strings.Contains(docs, c.summary) {
			t.Errorf("command docs %s = %q", name, docs)
		}
		if c.isSub() && c.name != "client|help" && !strings.Contains(g.do(strings.Split(name, "|")[0], "help"), strings.ToUpper(strings.Split(name, "|")[1])) {
			t.Errorf("help does not name %s", name)
		}
	}
	if got, want := g.ask("command count"), fmt.Sprintf(":%d\r\n", len(h.engine.sorted())); got != want {
		t.Errorf("command count = %q, want %q", got, want)
	}
	if got := g.ask("command"); !strings.HasPrefix(got, fmt.Sprintf("*%d\r\n*10\r\n", len(h.engine.sorted()))) {
		t.Errorf("command = %.60q", got)
	}
	if got := g.ask("command docs"); !strings.HasPrefix(got, fmt.Sprintf("*%d\r\n", 2*len(h.engine.sorted()))) {
		t.Errorf("command docs = %.60q", got)
	}
}

func TestOurCommandsAreDescribedWithTheirArguments(t *testing.T) {
	g := newHouse(t, 0).guest()
	words := func(pairs ...string) (items string) {
		for i := 0; i < len(pairs); i += 2 {
			items += bulkOf(pairs[i]) + bulkOf(pairs[i+1])
		}
		return items
	}
	key := "*6\r\n" + words("name", "name", "type", "key") + bulkOf("key_spec_index") + no
	token := "*4\r\n" + words("name", "token", "type", "string")
	ttl := "*6\r\n" + words("name", "milliseconds", "type", "oneof") + bulkOf("arguments") + arrayOf(
		"*6\r\n"+words("name", "milliseconds", "type", "integer", "token", "PX"),
		"*6\r\n"+words("name", "seconds", "type", "integer", "token", "EX"))
	optional := bulkOf("flags") + arrayOf("+optional\r\n")
	for name, want := range map[string]string{
		"lock":     arrayOf(key, token, ttl),
		"extend":   arrayOf(key, token, ttl),
		"unlock":   arrayOf(key, token),
		"lockinfo": arrayOf(key),
		"locks": arrayOf("*8\r\n"+words("name", "pattern", "type", "pattern", "token", "MATCH")+optional,
			"*8\r\n"+words("name", "count", "type", "integer", "token", "COUNT")+optional),
	} {
		if got := g.ask("command docs " + name); !strings.HasSuffix(got, bulkOf("arguments")+want) {
			t.Errorf("command docs %s\n got %q\nwant the arguments %q", name, got, want)
		}
	}
	if got := g.ask("command docs stores"); strings.Contains(got, bulkOf("arguments")) {
		t.Errorf("command docs stores = %q, want no arguments", got)
	}
}

// A registrar notes who is listed when something is cancelled.
type registrar struct {
	Keeper
	cancelled func()
}

func (r *registrar) Cancel(op *quorum.Op) {
	r.cancelled()
	r.Keeper.Cancel(op)
}

func TestASessionIsListedUntilWhatItBeganIsCancelled(t *testing.T) {
	r := &registrar{}
	h := newHouse(t, 3, func(o *Options) { r.Keeper, o.Keeper = o.Keeper, r })
	var listed []int
	r.cancelled = func() { listed = append(listed, len(h.engine.everybody())) }
	g := h.guest()
	pause(h.fakes)
	reply := g.begin("set", "k", "a", "nx", "px", "10000")
	g.session.Close()
	resume(h.fakes)
	g.answer(reply, "set")
	if !slices.Equal(listed, []int{1}) {
		t.Errorf("%v sessions were listed at each cancel, want [1]", listed)
	}
	if n := len(h.engine.everybody()); n != 0 {
		t.Errorf("%d sessions are listed after Close, want none", n)
	}
}

func TestTimeIsTheWalls(t *testing.T) {
	h := newHouse(t, 0)
	h.clock.pass(1234567 * time.Microsecond)
	if got, want := h.guest().ask("time"), arrayOf(bulkOf("1700000001"), bulkOf("234567")); got != want {
		t.Errorf("time = %q, want %q", got, want)
	}
}
