package integration

import (
	"net"
	"strings"
	"testing"

	"holdfast/quorum/storetest"
)

// session is what somebody types at redis-cli whose every answer Redis and we
// should word alike.
const session = `PING
PING hello
ECHO "two words"
SET orders token NX PX 60000
SET orders other NX PX 60000
SET orders token XX PX 60000
SET orders token XX PX 60000 GET
SET free token XX PX 60000
GET orders
GET free
EXISTS orders free orders
MGET orders free
TYPE orders
TYPE free
STRLEN orders
TTL orders
TTL free
PTTL free
PEXPIRE orders 30000
TTL orders
EXPIRE free 10
EXPIRE orders nine
SETNX orders other
SETNX parcels token
DEL parcels
DBSIZE
KEYS *
EVAL "if redis.call('get',KEYS[1]) == ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end" 1 orders other
EVAL "return {1, 2.9, 'three', false, {ok='four'}}" 0
EVAL "return redis.error_reply('MINE own words')" 0
EVALSHA ffffffffffffffffffffffffffffffffffffffff 0
SCRIPT EXISTS ffffffffffffffffffffffffffffffffffffffff
SELECT 1
GET orders
SELECT 0
SELECT 16
SET orders
GET
SET orders token NX XX
SET orders token PX 0
SET orders token PX soon
SET orders token EX 10 PX 10
NOSUCHCOMMAND one two
CLIENT NOSUCH
CLIENT GETNAME
CLIENT SETNAME me
CLIENT GETNAME
CONFIG GET databases
DEL orders free
GET orders
GETDEL orders
ROLE nonsense
QUIT
`

func TestRedisCLIShowsWhatRedisWouldSay(t *testing.T) {
	t.Parallel()
	p := startHoldfast(t, flags(startStores(t, "redis", "redis", "redis"))...)
	model := storetest.StartRedis(t)
	for _, protocol := range []string{"-2", "-3"} {
		want := typed(t, model.Addr(), protocol, session)
		got := typed(t, p.addr, protocol, session)
		commands, wants, gots := lines(session), lines(want.out), lines(got.out)
		if got.err != want.err || got.status != want.status {
			t.Errorf("redis-cli %s: status %d, %q on stderr, want %d, %q", protocol, got.status, got.err, want.status, want.err)
		}
		if len(wants) < len(commands) {
			t.Fatalf("redis-cli %s: %d answers of Redis to %d commands:\n%s", protocol, len(wants), len(commands), want.out)
		}
		for i := range max(len(wants), len(gots)) {
			if i >= len(wants) || i >= len(gots) || wants[i] != gots[i] {
				t.Errorf("redis-cli %s: answers part at line %d\ngot:\n%s\nwant:\n%s",
					protocol, i+1, from(gots, i), from(wants, i))
				break
			}
		}
	}
}

// typed returns what redis-cli prints if input is typed at its prompt.
func typed(t *testing.T, addr, protocol, input string) outcome {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatalf("split %q: %v", addr, err)
	}
	return execute(t, input, "redis-cli", "-h", host, "-p", port, protocol)
}

func lines(text string) []string { return strings.Split(strings.TrimSpace(text), "\n") }

// from returns a few lines from the i-th on.
func from(lines []string, i int) string {
	return strings.Join(lines[min(i, len(lines)):min(i+4, len(lines))], "\n")
}

func TestRedisCLIStartsWithoutAnError(t *testing.T) {
	t.Parallel()
	p := startHoldfast(t)
	for _, protocol := range []string{"-2", "-3"} {
		// At its start it asks for the commands, to help with them.
		o := typed(t, p.addr, protocol, "HELP LOCK\nPING\n")
		if o.status != 0 || o.err != "" || !strings.HasSuffix(strings.TrimSpace(o.out), "PONG") {
			t.Errorf("redis-cli %s: status %d, %q on stderr, it prints %q, want PONG at its end", protocol, o.status, o.err, o.out)
		}
		wantWords(t, "the help for LOCK", o.out, "LOCK", "Acquires a lock")
		wantNoWord(t, "redis-cli "+protocol, strings.ToLower(o.out), "error")
	}
}
