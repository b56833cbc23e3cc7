package commands

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

func errLine(s string) string { return "-" + s + "\r\n" }

func TestSetAcquiresRenewsAndRefuses(t *testing.T) {
	g := newHouse(t, 0).guest()
	g.expect(
		[2]string{"set k a nx px 10000", ok},
		[2]string{"set k a nx px 10000", null2}, // the same token is no second holder
		[2]string{"set k b nx px 10000", null2},
		[2]string{"set k a px 20000", ok}, // a renewal
		[2]string{"pttl k", ":20000\r\n"},
		[2]string{"set k b px 30000", errLine(errSteal)},
		[2]string{"pttl k", ":20000\r\n"},
		[2]string{"set k a xx", ok},
		[2]string{"ttl k", ":3600\r\n"},
		[2]string{"set k b xx", errLine(errSteal)},
		[2]string{"set none b xx", null2},
		[2]string{"set k a px 5000", ok},
		[2]string{"set k a keepttl", ok},
		[2]string{"pttl k", ":5000\r\n"},
		[2]string{"set k b get", errLine(errSteal)},
		[2]string{"set k a get", bulkOf("a")},
		[2]string{"set k b nx get", bulkOf("a")},
		[2]string{"get k", bulkOf("a")},
	)
}

func TestIfeqHandsOverOnlyFromTheHolder(t *testing.T) {
	g := newHouse(t, 0).guest()
	g.expect(
		[2]string{"set k b ifeq a px 1000", null2}, // never creates
		[2]string{"exists k", no},
		[2]string{"set k a px 1000", ok},
		[2]string{"set k b ifeq x px 2000", null2},
		[2]string{"set k c IFEQ a px 2000", ok},
		[2]string{"get k", bulkOf("c")},
		[2]string{"set k d px 3000 get ifeq x", bulkOf("c")},
		[2]string{"set k d px 3000 get ifeq c", bulkOf("c")},
		[2]string{"get k", bulkOf("d")},
		[2]string{"pttl k", ":3000\r\n"},
		[2]string{"set k d nx ifeq d", errLine(errSyntax)},
		[2]string{"set k d ifeq d xx", errLine(errSyntax)},
		[2]string{"set k d ifeq", errLine(errSyntax)},
		[2]string{"set k d ifeq d ifeq d", errLine(errSyntax)},
	)
}

// fence returns the fencing token of a lock by LOCKINFO.
func (g *guest) fence(key string) string {
	g.t.Helper()
	_, rest, found := strings.Cut(g.do("lockinfo", key), "fence\r\n:")
	if !found {
		g.t.Fatalf("lock %q is not held", key)
	}
	n, _, _ := strings.Cut(rest, "\r\n")
	return n
}

func TestTheFencingTokenIsTheHolders(t *testing.T) {
	const script = "return redis.call('set',KEYS[1],ARGV[1])"
	for _, c := range []struct {
		change string
		keeps  bool
	}{
		{"set k a px 5000", true},
		{"set k a xx", true},
		{"set k a ifeq a", true},
		{"set k a keepttl", true},
		{"psetex k 100 a", true},
		{"mset k a", true},
		{"pexpire k 5000", true},
		{"persist k", true},
		{"extend k a px 1000", true},
		{"eval \"" + script + "\" 1 k a", true},
		{"set k b ifeq a", false},
		{"eval \"" + script + "\" 1 k b", false},
		{"eval \"redis.call('del',KEYS[1]) return redis.call('set',KEYS[1],'a')\" 1 k", false},
	} {
		g := newHouse(t, 0).guest()
		g.ask("set k a px 10000")
		before := g.fence("k")
		g.ask(c.change)
		if after := g.fence("k"); (after == before) != c.keeps {
			t.Errorf("%s: fence %s becomes %s, want it kept: %t", c.change, before, after, c.keeps)
		}
	}
}

func TestTTLsAreCheckedBeforeAnythingIsDone(t *testing.T) {
	invalid := func(name string) string { return errLine("ERR invalid expire time in '" + name + "' command") }
	above := func(name, ms string) string {
		return errLine("ERR invalid expire time in '" + name + "' command: " + ms + " ms is more than max-ttl, 3600000 ms")
	}
	now := epoch.UnixMilli()
	for _, c := range []struct{ line, want string }{
		{"set k a px 0", invalid("set")},
		{"set k a px 3", ok},
		{"set k a px 999", ok},
		{"set k a px 1000", ok},
		{"set k a px 3600000", ok},
		{"set k a px 3600001", above("set", "3600001")},
		{"set k a px 2147483648", above("set", "2147483648")},
		{"set k a px 31535999999", above("set", "31535999999")},
		{"set k a px 9223372036854775807", invalid("set")},
		{"set k a px -1", invalid("set")},
		{"set k a ex 3600", ok},
		{"set k a ex 3601", above("set", "3601000")},
		{"set k a ex 9223372036854776", invalid("set")}, // times 1000 overflows
		{"set k a ex 9223372036854775", invalid("set")}, // plus now overflows
		{"set k a ex -9223372036854775807", invalid("set")},
		{"set k a pxat " + itoa(now), invalid("set")},
		{"set k a pxat " + itoa(now+3), ok},
		{"set k a exat " + itoa(now/1000+3600), ok},
		{"set k a exat " + itoa(now/1000+3601), above("set", "3601000")},
		{"setex k 0 a", invalid("setex")},
		{"psetex k 3600001 a", above("psetex", "3600001")},
		{"lock k a px 0", invalid("lock")},
		{"lock k a px 3600001", above("lock", "3600001")},
		{"lock k a px x", errLine(errNotInteger)},
		{"lock k a", errLine("ERR wrong number of arguments for 'lock' command")},
		{"lock k a nx 5", errLine(errSyntax)},
		{"extend k a pxat 5", errLine(errSyntax)},
	} {
		g := newHouse(t, 0).guest()
		if got := g.ask(c.line); got != c.want {
			t.Errorf("%s\n got %q\nwant %q", c.line, got, c.want)
		}
		want := no
		if c.want == ok {
			want = yes
		}
		if got := g.ask("exists k"); got != want {
			t.Errorf("%s: the lock exists %q, want %q", c.line, got, want)
		}
	}
}

func TestATTLThatLeavesNoValidityIsOverAtOnce(t *testing.T) {
	for _, stores := range []int{0, 3} {
		g := newHouse(t, stores).guest()
		for _, c := range [][2]string{
			{"set k a px 1", ok}, {"set k a px 2 nx", ok}, {"psetex k 1 a", ok}, {"set k a px 2 nx get", null2},
			{`eval "return redis.call('set',KEYS[1],'a','px',1)" 1 k`, ok},
			{`eval "redis.call('set',KEYS[1],'a','px',1) return redis.call('get',KEYS[1])" 1 k`, bulkOf("a")},
		} {
			g.expect(c, [2]string{"exists k", no})
		}
		g.expect([2]string{"set k a px 10000", ok}, [2]string{"set k b px 1 nx", null2}, [2]string{"pexpire k 2", yes}, [2]string{"exists k", no})
		if got := g.ask("lock k a px 1"); !strings.HasPrefix(got, "-TOOSLOW ") {
			t.Errorf("lock k a px 1 = %q, want TOOSLOW: there is no fencing token for a moment", got)
		}
		g.expect([2]string{"exists k", no})
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func TestNamesAndValuesAreBounded(t *testing.T) {
	g := newHouse(t, 0).guest()
	long, longer := strings.Repeat("x", 64<<10), strings.Repeat("x", 64<<10+1)
	zero := "\x00" + long[1:] // takes two bytes more than it has
	for _, c := range []struct{ what, got, want string }{
		{"name of 64 KiB", g.do("set", long, "v"), ok},
		{"longer name", g.do("set", longer, "v"), errLine("ERR the name of a lock has 1 to 65536 bytes, not 65537: out of range")},
		{"value of 64 KiB", g.do("set", "v", long), ok},
		{"longer value", g.do("set", "w", longer), errLine("ERR a value of 65537 bytes is longer than 65536")},
		{"value that grows", g.do("set", "z", zero), errLine("ERR a value of 65536 bytes is longer than 65536")},
		{"no name", g.do("set", "", "v"), errLine("ERR the name of a lock has 1 to 65536 bytes, not 0: out of range")},
		{"our name", g.do("del", "holdfast:book"), errLine("ERR names that begin with \"holdfast:\" are holdfast's own: out of range")},
		{"one of several", g.do("mset", "m", "1", "n", longer), errLine("ERR a value of 65537 bytes is longer than 65536")},
		{"the others", g.do("exists", "m", "n", "w"), no},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %.200q, want %.200q", c.what, c.got, c.want)
		}
	}
	many := []string{"mget"}
	for i := range 1025 {
		many = append(many, "k"+strconv.Itoa(i))
	}
	if got, want := g.do(many...), errLine("ERR mget names 1025 locks, above 1024: out of range"); got != want {
		t.Errorf("mget of 1025 locks = %.100q, want %q", got, want)
	}
	if got := g.do(many[:1025]...); !strings.HasPrefix(got, "*1024\r\n") {
		t.Errorf("mget of 1024 locks = %.100q", got)
	}
}

func TestValuesThatLookTaggedComeBackAsTheyWere(t *testing.T) {
	g := newHouse(t, 0).guest()
	for _, value := range []string{"\x00", "\x00s", "\x00hash", ""} {
		g.do("del", "k")
		if got := g.do("set", "k", value, "nx"); got != ok {
			t.Fatalf("set %q = %q", value, got)
		}
		if got, want := g.do("get", "k"), bulkOf(value); got != want {
			t.Errorf("get after set %q = %q, want %q", value, got, want)
		}
		if got := g.do("unlock", "k", value); got != yes {
			t.Errorf("unlock with %q = %q, want %q", value, got, yes)
		}
	}
}

func TestSeveralLocksAreAcquiredTogetherOrNotAtAll(t *testing.T) {
	g := newHouse(t, 0).guest()
	g.expect(
		[2]string{"msetnx a 1 b 2", yes},
		[2]string{"msetnx b 2 c 3", no},
		[2]string{"exists c", no},
		[2]string{"mset a 1 d 4", ok},
		[2]string{"mset e 5 b x", errLine(errSteal)},
		[2]string{"exists e", no},
		[2]string{"mset f 1 f 2", ok},
		[2]string{"get f", bulkOf("2")},
	)
}

func TestReleasesAskForTheHolder(t *testing.T) {
	g := newHouse(t, 0).guest()
	for _, c := range []struct {
		line, want string
		gone       bool
	}{
		{"unlock k x", no, false}, {"unlock k a", yes, true}, {"unlock none a", no, false},
		{"delifeq k x", no, false}, {"delifeq k a", yes, true},
		{"delex k ifeq x", no, false}, {"delex k ifeq a", yes, true}, {"delex k IFNE a", no, false}, {"delex k ifne x", yes, true}, {"delex k", yes, true},
		{"delex k foo a", errLine(errSyntax), false}, {"delex k ifeq", errLine(errSyntax), false}, {"delex none ifne x", no, false},
		{"del k none k", yes, true}, {"unlink k", yes, true}, {"getdel k", bulkOf("a"), true}, {"getdel none", null2, false},
		{"expire k 0", yes, true}, {"pexpireat k 1", yes, true},
	} {
		g.ask("del k")
		g.ask("set k a px 1000")
		if got := g.ask(c.line); got != c.want {
			t.Errorf("%s = %q, want %q", c.line, got, c.want)
		}
		if got := g.ask("exists k") == no; got != c.gone {
			t.Errorf("%s: the lock is gone: %t, want %t", c.line, got, c.gone)
		}
	}
}

func TestTimeLeftIsToldInEveryUnit(t *testing.T) {
	h := newHouse(t, 0)
	g := h.guest()
	g.ask("set k a px 10000")
	h.clock.pass(2600 * time.Millisecond)
	now := epoch.UnixMilli() + 2600
	g.expect(
		[2]string{"pttl k", ":7400\r\n"},
		[2]string{"ttl k", ":7\r\n"},
		[2]string{"pexpiretime k", ":" + itoa(now+7400) + "\r\n"},
		[2]string{"expiretime k", ":" + itoa((now+7400+500)/1000) + "\r\n"},
		[2]string{"expire k 100 lt", no},
		[2]string{"pexpire k 7400 gt", no},
		[2]string{"pexpire k 7401 gt", yes},
		[2]string{"pttl k", ":7401\r\n"},
		[2]string{"persist k", yes},
		[2]string{"pttl k", ":3600000\r\n"},
		[2]string{"expire k 10 nx", yes}, // a TTL that nobody asked for is none
		[2]string{"expire k 10 nx", no},
	)
	h.clock.pass(11 * time.Second)
	g.expect([2]string{"get k", null2}, [2]string{"pttl k", ":-2\r\n"}, [2]string{"set k b nx", ok})
}
