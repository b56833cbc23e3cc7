package proxy

import (
	"strings"
	"testing"

	"holdfast/quorum/storetest"
)

// muted are what a client sends on a connection of its own: a reply too few or too many
// is taken for the reply to another command.
var muted = [][]string{
	{"client reply off", "set a 1", "get a", "nonsense", "client reply on", "get a"},
	{"client reply skip", "set b 1", "get b", "get b"},
	{"client reply skip", "nonsense", "echo a"},
	{"client reply skip", "client reply skip", "ping", "echo a"},
	{"client reply skip", "client reply on", "echo a"},
	{"client reply skip", "client reply off", "ping", "echo a", "client reply on"},
	{"client reply off", "client reply skip", "ping", "echo a", "client reply on", "echo b"},
	{"client reply off", "client reply off", "client reply on", "client reply on", "echo b"},
	{"client reply off", "ping", "reset", "echo a"},
	{"echo a", "client reply foo", "client reply", "client reply on off", "client reply skip", "client reply foo", "echo b"},
	{"client reply skip", "multi", "set c 1", "exec", "get c"},
	{"client reply off", "multi", "set d 1", "exec", "client reply on", "get d"},
	{"rpush l x y", "client reply skip", "blpop l 0", "blpop l 0"},
	{"client reply off", "blpop none 0.02", "client reply on", "echo a"},
	{"set e 1", "incr e", "client reply skip", "incr e", "incr e", "client reply off", "incr e", "del e", "client reply on", "eval \"return redis.call('client','reply','off')\" 0"},
}

func TestRepliesThatTheClientDoesNotWantAreLeftOutAsByRedis(t *testing.T) {
	redis := storetest.StartRedis(t)
	_, addr := startLocks(t, Options{})
	for _, lines := range muted {
		for how, pieces := range map[string][]string{"in one pipeline": {strings.Join(lines, "\r\n")}, "line by line": lines} {
			said := func(addr string) string {
				p := dial(t, addr)
				for _, piece := range pieces {
					p.send(piece + "\r\n")
				}
				return p.rest()
			}
			dial(t, redis.Addr()).call("flushall")
			want := said(redis.Addr())
			dial(t, addr).call("del a b c d e l")
			if got := said(addr); got != want {
				t.Errorf("%q, %s:\n   we said %q\nRedis says %q", lines, how, got, want)
			}
		}
	}
}

// Redis 7.0 forgets to close a connection whose last reply is one that it leaves out.
func TestAConnectionEndsWithAReplyThatIsLeftOut(t *testing.T) {
	_, addr := startLocks(t, Options{})
	for _, last := range []string{"quit", "echo \"x"} {
		p := dial(t, addr)
		p.send("echo a\r\nclient reply off\r\n" + last + "\r\n")
		p.expectEnd("$1\r\na\r\n")
	}
}

// rest says that nothing more is sent, and reads what comes.
func (p *peer) rest() string {
	p.t.Helper()
	p.send("client reply on\r\nquit\r\n")
	var got strings.Builder
	for {
		b, err := p.r.ReadByte()
		if err != nil {
			return got.String()
		}
		got.WriteByte(b)
	}
}

// Replies come when they are ready, and those that the client wants stay in order.
func TestRepliesThatAreLeftOutLeaveTheOthersInOrder(t *testing.T) {
	e := newEcho()
	_, addr := start(t, Options{Handler: e})
	p := dial(t, addr)
	p.send(resp("ECHO", "a") + resp("LATER", "b") + resp("LATER", "c") + resp("LATER", "d") + resp("LATER", "e"))
	p.expect("$1\r\na\r\n")
	e.awaitCommands(t, 0, 5)
	mute := e.session(t, 0).conn.Mute
	e.release(t, "b", false)
	mute(2) // c and d
	e.release(t, "e", false)
	e.release(t, "d", false)
	e.release(t, "c", false)
	p.expect("$1\r\nb\r\n$1\r\ne\r\n")
	p.send(resp("LATER", "f"))
	e.awaitCommands(t, 0, 6)
	mute(-1)
	e.release(t, "f", false)
	p.send(strings.Repeat(resp("ECHO", "x"), 3000) + resp("LATER", "g"))
	e.awaitCommands(t, 0, 3007)
	e.session(t, 0).conn.Push([]byte("+message\r\n"), nil)
	mute(0)
	e.release(t, "g", true)
	p.expectEnd("+message\r\n$1\r\ng\r\n")
}
