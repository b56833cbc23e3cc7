package commands

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"holdfast/quorum"
)

func TestAnyStringIsReadBackAsItWasStored(t *testing.T) {
	h := newHouse(t, 3)
	g := h.guest()
	for _, text := range []string{"", "a", "\x00", "\x00s", "\x00h\x01a\x01b", "\x00z", "\x00l\x01x", "\x00S\x01x", "\x00s\x00s", "x~0000000000000007.0000000000000007"} {
		if got := g.do("set", "k", text, "px", "10000"); got != ok {
			t.Errorf("set %q = %q", text, got)
		}
		g.expect([2]string{"get k", bulkOf(text)}, [2]string{"type k", "+string\r\n"}, [2]string{"strlen k", ":" + itoa(int64(len(text))) + "\r\n"}, [2]string{"del k", yes})
	}
}

var collections = []struct {
	of    shape
	items []item
	bytes string
}{
	{hashShape, []item{{key: []byte("f"), value: []byte("v")}, {key: []byte{}, value: []byte{}}}, "\x00h\x01f\x01v\x00\x00"},
	{zsetShape, []item{{key: []byte("b"), score: math.Inf(-1)}, {key: []byte("a"), score: 1}, {key: []byte("b"), score: 1}}, "\x00z\xff\xf0\x00\x00\x00\x00\x00\x00\x01b\x3f\xf0\x00\x00\x00\x00\x00\x00\x01a\x3f\xf0\x00\x00\x00\x00\x00\x00\x01b"},
	{listShape, []item{{key: []byte("b")}, {key: []byte("a")}, {key: []byte("b")}}, "\x00l\x01b\x01a\x01b"},
	{setShape, []item{{key: []byte("10")}, {key: []byte("9")}}, "\x00S\x0210\x019"},
	{listShape, []item{{key: bytes.Repeat([]byte("x"), 300)}}, "\x00l\xac\x02" + strings.Repeat("x", 300)},
}

func TestACollectionHasOneEncoding(t *testing.T) {
	for _, c := range collections {
		got := encodeItems(c.of, c.items)
		if string(got) != c.bytes || sizeOf(c.of, c.items) != len(got) {
			t.Errorf("encodeItems(%s) = %q, %d bytes counted, want %q", shapes[c.of].name, got, sizeOf(c.of, c.items), c.bytes)
		}
		back, ok := decodeItems(c.of, got)
		if !ok || !slices.EqualFunc(back, c.items, func(a, b item) bool {
			return bytes.Equal(a.key, b.key) && bytes.Equal(a.value, b.value) && a.score == b.score
		}) {
			t.Errorf("decodeItems(%q) = %v, %t, want %v", got, back, ok, c.items)
		}
	}
	for _, broken := range []string{
		"\x00h", "\x00l", "\x00h\x01f", "\x00l\x02x", "\x00l\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x", "\x00l\x81\x00x", "\x00z\x00\x00", "\x00S\x01b\x01a", "\x00S\x01a\x01a",
		"\x00z\x7f\xf8\x00\x00\x00\x00\x00\x00\x01a", "\x00z\x3f\xf0\x00\x00\x00\x00\x00\x00\x01b\x3f\xf0\x00\x00\x00\x00\x00\x00\x01a", "\x00q\x01a", "\x00",
	} {
		if items, ok := decodeItems(shapeOf([]byte(broken)), []byte(broken)); ok {
			t.Errorf("decodeItems(%q) = %v, want it refused", broken, items)
		}
	}
}

func FuzzDecodeItems(f *testing.F) {
	for _, c := range collections {
		f.Add([]byte(c.bytes))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		of := shapeOf(value)
		if text, ok := decode(value); ok != (of == textShape) || ok && !bytes.Equal(encode(text), value) && value[0] != valueMark {
			t.Errorf("decode(%q) = %q, %t, of a %s", value, text, ok, shapes[of].name)
		}
		if items, ok := decodeItems(of, value); ok && !bytes.Equal(encodeItems(of, items), value) {
			t.Errorf("%q is read as %v, which is %q", value, items, encodeItems(of, items))
		}
	})
}

func TestWhatCannotBeReadIsOfAWrongType(t *testing.T) {
	h := newHouse(t, 3)
	g := h.guest()
	number := strings.Repeat("0", 15) + "7"
	for _, value := range []string{"\x00h\x05", "\x00q"} {
		h.plant(3, "k", value+"~"+number+"."+number)
		for _, line := range []string{"hget k f", "hset k f v", "get k", "lpush k x", "incr k"} {
			if got := g.ask(line); got != errLine(errWrongType) {
				t.Errorf("%s of %q = %q, want %q", line, value, got, errLine(errWrongType))
			}
		}
	}
	h.plant(3, "theirs", "\x00h\x01f\x01v") // who knows nothing of us has a string
	g.expect([2]string{"get theirs", bulkOf("\x00h\x01f\x01v")}, [2]string{"hget theirs f", errLine(errWrongType)})
}

// theirs is a copy as a peer writes it.
func theirs(of shape, items ...item) string {
	number := strings.Repeat("0", 15) + "7"
	return string(encodeItems(of, items)) + "~" + number + "." + number
}

func TestCollectionsOfPeersAreReadAndGoOn(t *testing.T) {
	h := newHouse(t, 3)
	g := h.guest()
	h.plant(3, "k", theirs(hashShape, item{key: []byte("them"), value: []byte("1")}))
	g.expect([2]string{"hgetall k", arrayOf(bulkOf("them"), bulkOf("1"))}, [2]string{"hincrby k me 1", yes}, [2]string{"hincrby k them 1", ":2\r\n"})
	if got := g.fence("k"); got != "7" {
		t.Errorf("the fencing token is %s, want their 7", got)
	}
	h.plant(3, "z", theirs(zsetShape, item{key: []byte("them"), score: 5}))
	g.expect([2]string{"zadd z xx ch 6 them", yes}, [2]string{"zscore z them", bulkOf("6")}, [2]string{"zrem z them", yes}, [2]string{"exists z", no})
}

func TestAChangeOfWhatIsSharedKeepsTheFencingToken(t *testing.T) {
	for _, c := range []struct{ before, change string }{
		{"hset k f 1", "hincrby k f 1"}, {"hset k f 1", "hset k g 1"}, {"hset k f 1 g 2", "hdel k f"}, {"hset k f 1", "pexpire k 5000"},
		{"zadd k 1 a", "zadd k 2 b"}, {"zadd k 1 a 2 b", "zpopmin k"}, {"rpush k a", "lpush k b"}, {"sadd k a", "sadd k b"},
		{"set k 1", "incr k"}, {"set k 1", "append k 2"}, {"set k 1", "setrange k 0 2"}, {"set k 1 px 1000", "getex k px 5000"},
	} {
		g := newHouse(t, 0).guest()
		g.ask(c.before)
		fence := g.fence("k")
		g.ask(c.change)
		if got := g.fence("k"); got != fence {
			t.Errorf("%s; %s: the fencing token becomes %s, was %s", c.before, c.change, got, fence)
		}
	}
	g := newHouse(t, 0).guest()
	g.ask("hset k f 1")
	fence := g.fence("k")
	g.ask("hdel k f") // a release
	g.ask("hset k f 1")
	if g.fence("k") == fence {
		t.Errorf("a lock that was free has the fencing token %s as before", fence)
	}
}

func TestTheLeaseOfACollectionEnds(t *testing.T) {
	h := newHouse(t, 0)
	g := h.guest()
	g.expect([2]string{"hset k f 1", yes}, [2]string{"pttl k", ":3600000\r\n"})
	h.clock.pass(1000e6)
	g.expect(
		[2]string{"hset k f 2", no}, [2]string{"pttl k", ":3600000\r\n"}, // in use
		[2]string{"expire k 10 gt", no}, [2]string{"pexpire k 10000 nx", yes}, [2]string{"hset k g 1", yes}, [2]string{"pttl k", ":10000\r\n"},
		[2]string{"persist k", yes}, [2]string{"pttl k", ":3600000\r\n"}, [2]string{"pexpire k 10000", yes},
	)
	h.clock.pass(4000e6)
	g.expect([2]string{"hincrby k f 1", ":3\r\n"}, [2]string{"pttl k", ":6000\r\n"})
	h.clock.pass(7000e6)
	g.expect([2]string{"hgetall k", "*0\r\n"}, [2]string{"exists k", no}, [2]string{"type k", "+none\r\n"})
}

func TestValuesStayBelowTheirLimit(t *testing.T) {
	long := strings.Repeat("x", quorum.MaxValue-10)
	tooLong := func(n int) string { return errLine(fmt.Sprintf("ERR a value of %d bytes is longer than 65536", n)) }
	for _, c := range []struct {
		before, change []string
		want           string
		after          [2]string
	}{
		{[]string{"hset", "k", "f", long}, []string{"hset", "k", "g", "123456"}, tooLong(2 + 2 + 3 + len(long) + 2 + 7), [2]string{"hlen k", yes}},
		{[]string{"rpush", "k", long}, []string{"lpush", "k", "123456"}, tooLong(2 + 3 + len(long) + 7), [2]string{"llen k", yes}},
		{[]string{"zadd", "k", "1", "a"}, []string{"zadd", "k", "2", long}, tooLong(2 + 10 + 11 + len(long)), [2]string{"zcard k", yes}},
		{[]string{"sadd", "k", "a"}, []string{"sadd", "k", long + "1234567"}, tooLong(2 + 2 + 3 + len(long) + 7), [2]string{"scard k", yes}},
		{[]string{"set", "k", long}, []string{"append", "k", "12345678901"}, tooLong(len(long) + 11), [2]string{"strlen k", ":65526\r\n"}},
		{[]string{"set", "k", "1"}, []string{"setrange", "k", "9223372036854775807", "x"}, tooLong(math.MaxInt - quorum.MaxValue + 1), [2]string{"get k", bulkOf("1")}},
		{[]string{"set", "k", "1"}, []string{"eval", "redis.call('append',KEYS[1],'x') return redis.pcall('setrange',KEYS[1],70000,'x').err", "1", "k"}, bulkOf("ERR a value of 70001 bytes is longer than 65536"), [2]string{"get k", bulkOf("1x")}},
	} {
		g := newHouse(t, 0).guest()
		if got := g.do(c.before...); strings.HasPrefix(got, "-") {
			t.Errorf("%.60q = %q", c.before, got)
		}
		if got := g.do(c.change...); got != c.want {
			t.Errorf("%.60q = %q, want %q", c.change, got, c.want)
		}
		g.expect(c.after)
	}
}

func TestSetsAreChosenFromByChance(t *testing.T) {
	g := newHouse(t, 0).guest()
	g.ask("sadd k a b c d e")
	for range 20 {
		if got := g.ask("srandmember k 3"); !strings.HasPrefix(got, "*3\r\n") {
			t.Errorf("srandmember k 3 = %q", got)
		}
		if got := g.ask("srandmember k -7"); !strings.HasPrefix(got, "*7\r\n") {
			t.Errorf("srandmember k -7 = %q", got)
		}
	}
	g.expect([2]string{"srandmember k -9223372036854775807", errLine(errReply)}, [2]string{"scard k", ":5\r\n"})
	if got := g.ask("spop k 2"); !strings.HasPrefix(got, "*2\r\n") {
		t.Errorf("spop k 2 = %q", got)
	}
	g.ask("spop k")
	g.expect([2]string{"scard k", ":2\r\n"}, [2]string{"spop k 5", g.ask("smembers k")}, [2]string{"exists k", no})
}

func TestObjectTellsHowRedisWouldKeepAValue(t *testing.T) {
	for _, c := range [][2]string{
		{"set k 12", "int"}, {"set k 012", "embstr"}, {"set k " + strings.Repeat("x", 45), "raw"}, {"sadd k 1 2", "intset"}, {"sadd k a", "listpack"}, {"rpush k a", "listpack"},
		{"hset k f v", "listpack"}, {"hset k f " + strings.Repeat("x", 65), "hashtable"}, {"zadd k 1 a", "listpack"}, {"zadd k 1 " + strings.Repeat("x", 65), "skiplist"},
	} {
		g := newHouse(t, 0).guest()
		g.ask(c[0])
		g.expect([2]string{"object encoding k", bulkOf(c[1])}, [2]string{"object refcount k", yes}, [2]string{"object encoding none", null2})
	}
}

func TestRenameIsRefused(t *testing.T) {
	g := newHouse(t, 0).guest()
	g.ask("set k v")
	for _, line := range []string{"rename k j", "renamenx k j"} {
		if got := g.ask(line); !strings.HasPrefix(got, "-ERR RENAME") || !strings.Contains(got, "refused") {
			t.Errorf("%s = %q, want it refused", line, got)
		}
	}
	g.expect([2]string{"exists k", yes})
}
