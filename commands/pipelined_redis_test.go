package commands

import (
	"fmt"
	"io"
	"testing"

	"holdfast/quorum/storetest"
)

// atOnce sends all lines before it reads the first reply.
func (p *peer) atOnce(lines []string) (replies []string) {
	p.t.Helper()
	out := ""
	for _, line := range lines {
		args := words(p.t, line)
		out += fmt.Sprintf("*%d\r\n", len(args))
		for _, arg := range args {
			out += bulkOf(arg)
		}
	}
	if _, err := io.WriteString(p.conn, out); err != nil {
		p.t.Fatalf("send %q: %v", lines, err)
	}
	for range lines {
		replies = append(replies, p.reply())
	}
	return replies
}

// atOnce begins all lines before it waits for the first reply.
func (g *guest) atOnce(lines []string) (replies []string) {
	g.t.Helper()
	var under []<-chan string
	for _, line := range lines {
		under = append(under, g.begin(words(g.t, line)...))
	}
	for i, reply := range under {
		replies = append(replies, g.answer(reply, lines[i]))
	}
	return replies
}

const (
	// releaseAndList looks plain, and is not: of what LRANGE returns Lua makes a table.
	releaseAndList = `eval "if redis.call('get',KEYS[1])==ARGV[1] then redis.call('del',KEYS[1]) return redis.call('lrange',KEYS[2],0,-1) end return 0" 2 lock queue me`
	// releaseUnnamed uses a lock that it does not name.
	releaseUnnamed = `eval "local x=1+1 if redis.call('get',ARGV[1])==ARGV[2] then return redis.call('del',ARGV[1]) end return 0" 0 lock me`
)

// A client that does not wait for replies counts on the order of what it sends: it
// releases a lock, and takes the next one.
func TestWhatIsPipelinedIsDoneInItsOrder(t *testing.T) {
	server := storetest.StartRedis(t)
	for name, lines := range map[string][]string{
		"a script that returns an array": {"hset k f v", `eval "return redis.call('hgetall',KEYS[1])" 1 k`, "del k", "hset k f w", `eval "return redis.call('hgetall',KEYS[1])" 1 k`},
		"a script of which a call fails": {"rpush k v", `eval "return redis.call('incr',KEYS[1])" 1 k`, "del k"},
		"a release, then the next":       {"set lock me", releaseAndList, "set lock me2 nx", "get lock"},
		"a release of an unnamed lock":   {"set lock me", releaseUnnamed, "set lock me2 nx", "get lock"},
		"an unnamed lock, twice":         {`eval "local x=1 return redis.call('set',ARGV[1],'v')" 0 k`, "get k", "del k", `eval "local x=1 return redis.call('set',ARGV[1],'v')" 0 k`, "get k"},
		"an unnamed lock, plainly":       {`eval "return redis.call('set',ARGV[1],'v')" 0 k`, "get k"},
		"an unnamed lock, by its digest": {"script load \"local x=1 return redis.call('set',ARGV[1],'v')\"", "evalsha 71b31af1119ecc54b9018a970d6efbd5dfabaec7 0 k", "get k"},
		"a transaction":                  {"multi", `eval "local x=1 return redis.call('set',ARGV[1],'v')" 0 k`, "exec", "get k"},
		"before a transaction":           {"set k a", "multi", `eval "local x=1 return redis.call('get',ARGV[1])" 0 k`, "exec", "set k b", "get k"},
	} {
		for _, stores := range []int{0, 3} {
			h := newHouse(t, stores, func(o *Options) { o.Overwrite = true })
			redis, us, other := dialPeer(t, server.Addr()), h.guest(), h.guest()
			for round := range 20 {
				redis.do("flushall")
				for _, key := range []string{"k", "lock", "queue"} {
					other.do("del", key)
				}
				want, got := redis.atOnce(lines), us.atOnce(lines)
				for i, line := range lines {
					if got[i] != want[i] {
						t.Errorf("%s, %d stores, round %d: %s\n   we said %q\nRedis says %q", name, stores, round, line, got[i], want[i])
					}
				}
				if t.Failed() {
					break
				}
			}
		}
	}
}

// What others hold directly in the stores turns a change down: it is looked at and done
// all the same, and what is behind it finds that.
func TestWhatIsPipelinedOnAStrangersLockIsDoneInItsOrder(t *testing.T) {
	server := storetest.StartRedis(t)
	redis := dialPeer(t, server.Addr())
	for there, lines := range map[string][]string{
		"5":    {"incr k", "get k", "incr k", "get k"},
		"text": {"hset k f v", "del k", "type k"},
	} {
		for range 5 {
			h := newHouse(t, 3)
			h.plant(3, "k", there)
			redis.do("flushall")
			redis.do("set", "k", there)
			want, got := redis.atOnce(lines), h.guest().atOnce(lines)
			for i, line := range lines {
				if got[i] != want[i] {
					t.Errorf("%q is there: %s\n   we said %q\nRedis says %q", there, line, got[i], want[i])
				}
			}
		}
	}
}

// A script that used no such lock the last time may do so now.
func TestWhatIsPipelinedBehindAScriptThatRanBeforeIsDoneInItsOrder(t *testing.T) {
	server := storetest.StartRedis(t)
	redis := dialPeer(t, server.Addr())
	for what, c := range map[string]struct{ before, lines []string }{
		"it went another way": {
			[]string{`eval "if ARGV[1] == 'go' then return redis.call('del',ARGV[2]) end return 0" 0 no lock`},
			[]string{`eval "if ARGV[1] == 'go' then return redis.call('del',ARGV[2]) end return 0" 0 go lock`, "set lock me2 nx", "get lock"},
		},
		"it failed": {
			[]string{"rpush list x", `eval "local x=1+1 redis.call('incr',KEYS[1]) return redis.call('del',ARGV[1])" 1 list lock`},
			[]string{"del list", `eval "local x=1+1 redis.call('incr',KEYS[1]) return redis.call('del',ARGV[1])" 1 list lock`, "set lock me2 nx", "get lock"},
		},
		"another command named the lock": {
			[]string{"multi", "get lock", `eval "local x=1+1 return redis.call('del',ARGV[1])" 0 lock`, "exec", "set lock me"},
			[]string{`eval "local x=1+1 return redis.call('del',ARGV[1])" 0 lock`, "set lock me2 nx", "get lock"},
		},
	} {
		for _, stores := range []int{0, 3} {
			h := newHouse(t, stores, func(o *Options) { o.Overwrite = true })
			us := h.guest()
			redis.do("flushall")
			redis.do("script", "flush")
			for _, line := range append([]string{"set lock me"}, c.before...) {
				redis.do(words(t, line)...)
				us.ask(line)
			}
			want, got := redis.atOnce(c.lines), us.atOnce(c.lines)
			for i, line := range c.lines {
				if got[i] != want[i] {
					t.Errorf("%s, %d stores: %s\n   we said %q\nRedis says %q", what, stores, line, got[i], want[i])
				}
			}
		}
	}
}

func TestPlainScriptsAreSeenToUseOnlyWhatTheyName(t *testing.T) {
	for text, named := range map[string]bool{
		compareAndDelete:                    true,
		"return redis.call('del', KEYS[1])": true,
		"local key = KEYS[1] local same = key return redis.call('GET', same)": true,
		"return redis.call('set', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])":     true,
		"return redis.call('mset', KEYS[1], ARGV[1], KEYS[2], ARGV[2])":       true,
		"return redis.call('del', KEYS[1], KEYS[2])":                          true,
		"return 1": true,
		"return redis.call('del', KEYS[1], ARGV[1])":                                          false,
		"return redis.call('mset', KEYS[1], ARGV[1], ARGV[2], ARGV[2])":                       false,
		"local key = ARGV[1] return redis.call('get', key)":                                   false,
		"if ARGV[1] then local k = KEYS[1] end local k = ARGV[1] return redis.call('get', k)": false,
		"return redis.call('get', 'orders')":                                                  false,
		"return redis.call(ARGV[1], KEYS[1])":                                                 false,
		"return redis.call('nonsense', KEYS[1])":                                              false,
	} {
		_, plain, err := compile([]byte(text))
		if err != nil || plain == nil || plain.named != named {
			t.Errorf("%s: plain %v, named %t, error %v, want %t", text, plain != nil, plain != nil && plain.named, err, named)
		}
	}
}
