package commands

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"holdfast/quorum/storetest"
)

// pools are the words of which random command lines are made, by the letter that
// stands for one of them.
var pools = map[string][]string{
	"K": {"a", "b", "c", "d"},
	"F": {"f", "g", "h", "i", "", "a longer field \x00 with \r\n in it"},
	"V": {"1", "2", "-7", "10", "x", "", "3.5", "9223372036854775807", "-9223372036854775808", "\x00s\x00", "hello", "1e3", " 1", "0x10", "007"},
	"N": {"0", "1", "-1", "5", "100", "-3", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "1.5", "x", "", "+1", "01", " 1"},
	"I": {"0", "1", "2", "-1", "-2", "3", "10", "-10", "9223372036854775807", "-9223372036854775808", "x", "1.0"},
	"O": {"0", "1", "3", "10", "-1", "-9223372036854775808", "x", "1.0"},
	"C": {"0", "1", "2", "3", "100", "-1", "-2", "-100", "x", "-9223372036854775807"},
	"X": {"0", "1", "-1", "2.5", "0.1", "3.3", "1e3", "1e-7", "1e17", "-1.5e300", "1700000000123", "inf", "-inf", "+inf", "infinity", "nan", "x", "", " 1", "1 ", "0x1p3", "0x10", "1e400", "1e-400", ".5", "5.", "-0", "+3", "1_0", "1e", "0x", "."},
	"Y": {"0", "1", "-1", "2.5", "0.1", "3.3", "1e3", "1e-7", "1e17", "inf", "nan", "x", "", " 1", "0x1p3", "-0.30000000000000004", "1e-19"}, // nothing of 64 digits: Redis would shuffle the hash
	"B": {"-inf", "+inf", "inf", "0", "1", "2", "3", "(1", "(0", "(-inf", "(2.5", "2.5", "1e3", "1700000000123", "x", "", "(", "(x", " 1", "1e400", "nan", "-1"},
	"L": {"-", "+", "[a", "(a", "[b", "(c", "[", "(", "a", "", "++", "-x", "[\xff"},
	"M": {"a", "b", "c", "d", "e", "1", "2", "3", "-5", "10", "", "\x00"},
}

// sayings are what is sent: letters of pools, and words as they are. What answers
// in no order is compared sorted.
var sayings = strings.FieldsFunc(`hset K F V|hset K F V F V|hset K F V F|hsetnx K F V|hget K F|hmget K F F F|hmset K F V F V|hdel K F|hdel K F F F|hexists K F
hincrby K F N|hincrby K F 1|hincrby K F -1|hincrbyfloat K F Y|hgetall K|hkeys K|hvals K|hlen K|hstrlen K F
zadd K X M|zadd K 1 M 2 M|zadd K X M X M X M|zadd K nx X M|zadd K xx X M|zadd K gt X M|zadd K lt X M|zadd K ch 1 M 2 M|zadd K xx ch X M|zadd K incr X M|zadd K nx incr X M|zadd K xx incr X M|zadd K gt incr X M|zadd K lt incr 1 M
zadd K gt ch 3 M 1 M|zadd K nx xx 1 M|zadd K nx gt 1 M|zadd K gt lt 1 M|zadd K incr 1 M 2 M|zadd K X|zadd K nx 1|zincrby K X M|zincrby K 1 M|zscore K M|zmscore K M M|zrem K M|zrem K M M M|zcard K|zcount K B B
zrange K I I|zrange K 0 -1|zrange K B B byscore|zrange K B B byscore rev|zrange K B B byscore limit C C|zrange K B B rev byscore limit 1 2|zrange K L L bylex|zrange K L L bylex rev limit 0 2|zrange K I I rev|zrange K 0 -1 limit 1 2|zrange K 0 -1 limit 0 -1|zrange K 0 -1 foo|zrange K - + bylex withscores|zrange K 0 -1 bylex byscore|zrange K 0 -1 byscore limit 1
zrevrange K I I|zrangebyscore K B B|zrangebyscore K B B limit C C|zrevrangebyscore K B B|zrevrangebyscore K B B limit 0 1|zrangebyscore K 0 1 rev|zrevrange K 0 -1 limit 0 1|zrevrange K 0 -1 byscore
zrank K M|zrevrank K M|zremrangebyscore K B B|zremrangebyscore K -inf (1|zremrangebyrank K I I|zpopmin K|zpopmax K|zpopmin K 1 2
lpush K V|rpush K V V|lpush K V V V|rpush K V|lpushx K V|rpushx K V V|lpop K|rpop K|lpop K C|rpop K C|lpop K 1 2|llen K|lrange K I I|lrange K 0 -1|lindex K I|lset K I V|lrem K C V|lrem K 0 V|ltrim K I I|ltrim K 0 3
sadd K M|sadd K M M M|srem K M|srem K M M|sismember K M|smismember K M M|scard K|smembers K|spop K 100|spop K 0|spop K -1|spop K x|spop K 1 2|srandmember K 100|srandmember K 0|srandmember K x|srandmember K 1 2
incr K|decr K|incrby K N|decrby K N|incrbyfloat K X|append K V|setrange K O V|setrange K 3 V|getrange K I I|strlen K|get K|mget K K K|exists K K|type K|del K|del K K|del K|unlink K
getex K|getex K persist|getex K ex 100|getex K px 100000|getex K ex 0|getex K ex x|getex K exat 1|getex K pxat 1|getex K ex 10 persist|getex K persist persist|getex K foo|getdel K|setnx K V|set K V nx|set K V nx get|set K V get nx ex 100
expire K 100|expire K 100 nx|expire K 200 xx|pexpire K T gt|pexpire K T lt|expire K 50 lt|persist K|expire K 0|pexpire K T xx gt|expireat K 1 gt
!set K V|!setex K 100 V|!mset K V K V|!getset K V|!set K V get|!set K V xx|!psetex K 100000 V|!set K V keepttl|!msetnx K V K V|!append K V|!setrange K 0 V
!zrange K 0 -1 withscores|!zrevrange K I I withscores|!zrangebyscore K B B withscores limit C C|!zrevrangebyscore K B B withscores|!zrange K B B byscore rev withscores|!zpopmin K C|!zpopmax K C`, func(r rune) bool { return r == '|' || r == '\n' })

// orderless are the commands whose items may come in any order.
var orderless = []string{"smembers", "spop", "srandmember"}

// A speaker says random command lines, the same ones for the same seed.
type speaker struct {
	*rand.Rand
	said int // times
}

func newSpeaker(seed uint64) *speaker { return &speaker{Rand: rand.New(rand.NewPCG(seed, seed))} }

func pick[T any](s *speaker, from []T) T { return from[s.IntN(len(from))] }

// line returns a command line, and whether only a script may send it.
func (s *speaker) line(from []string) (args []string, scriptOnly bool) {
	saying, scriptOnly := strings.CutPrefix(pick(s, from), "!")
	for word := range strings.FieldsSeq(saying) {
		if pool := pools[word]; pool != nil {
			word = pick(s, pool)
		} else if word == "T" { // never the same: Redis's clock goes on, and ours does not
			s.said++
			word = strconv.Itoa(100_000 + 1000*s.said)
		}
		args = append(args, word)
	}
	if args[0] == "set" {
		return args, scriptOnly // without its options it would not be answered alike
	}
	switch s.IntN(60) {
	case 0:
		args = args[:max(1, len(args)-1)]
	case 1:
		args = append(args, pick(s, []string{"1", "x"}))
	}
	return args, scriptOnly
}

// sorted returns the lines of a reply that is an array of strings in order.
func sortedReply(reply string) string {
	head, rest, _ := strings.Cut(reply, "\r\n")
	if head == "" || !strings.ContainsAny(head[:1], "*~") {
		return reply
	}
	items := strings.SplitAfter(rest, "\r\n$")
	for i := range items {
		items[i] = strings.TrimPrefix(strings.TrimSuffix(items[i], "$"), "$")
	}
	slices.Sort(items)
	return head + strings.Join(items, "|")
}

func TestRandomCommandsAreAnsweredAsByRedis(t *testing.T) {
	server := storetest.StartRedis(t)
	groups := map[string][]string{} // by their first letter: most meet a value of their own type
	for _, saying := range sayings {
		name := strings.TrimPrefix(saying, "!")[:1]
		groups[name] = append(groups[name], saying)
	}
	for seed := uint64(1); seed <= 3; seed++ {
		for _, proto := range []string{"2", "3"} {
			t.Run(fmt.Sprintf("seed %d in RESP%s", seed, proto), func(t *testing.T) {
				differential(t, server.Addr(), proto, newSpeaker(seed), groups)
			})
		}
	}
}

func differential(t *testing.T, addr, proto string, s *speaker, groups map[string][]string) {
	redis, us := dialPeer(t, addr), newHouse(t, 0).guest()
	for _, setup := range [][]string{{"hello", proto}, {"select", proto}, {"flushdb"}} {
		redis.do(setup...)
		us.do(setup...)
	}
	var said []string
	from := sayings
	for i := range 1500 {
		if i%25 == 0 { // a while among one kind of commands, then all
			from = pick(s, [][]string{groups["h"], groups["z"], groups["z"], groups["l"], groups["s"], sayings, sayings})
		}
		args, scriptOnly := s.line(from)
		name := args[0]
		if scriptOnly || s.IntN(4) == 0 {
			args = slices.Concat([]string{"eval", "return redis.call(unpack(ARGV))", "0"}, args)
		}
		said = append(said, fmt.Sprintf("%q", args))
		got, want := us.do(args...), redis.do(args...)
		if slices.Contains(orderless, name) {
			got, want = sortedReply(got), sortedReply(want)
		}
		if got != want {
			t.Fatalf("after %s\n   we said %.300q\nRedis says %.300q", strings.Join(said[max(0, i-40):], "\n      "), got, want)
		}
	}
}
