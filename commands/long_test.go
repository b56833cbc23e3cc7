package commands

import (
	"fmt"
	"strings"
	"testing"
)

func TestNoReplyIsLongerThanAllowed(t *testing.T) {
	g := newHouse(t, 0).guest()
	value := strings.Repeat("v", 64<<10)
	g.do("set", "k", value)
	if got, want := g.do(append([]string{"mget"}, strings.Fields(strings.Repeat("k ", 8000))...)...), errLine(errReply); got != want {
		t.Errorf("mget of 8000 long values = %.100q, want %q", got, want)
	}
	if got, want := g.ask("mget k k k"), arrayOf(bulkOf(value), bulkOf(value), bulkOf(value)); got != want {
		t.Errorf("mget of 3 long values = %d bytes, want %d", len(got), len(want))
	}
	for script, want := range map[string]string{
		`redis.call("set", KEYS[2], "a") local t = {} for i = 1, 100 do t[i] = ARGV[1] end return t`:                              errReply,
		`redis.call("set", KEYS[2], "a") local t = {} for i = 1, 100 do t[i] = {err = "ERR " .. ARGV[1]} end return t`:            errReply,
		`redis.call("set", KEYS[2], "a") local t = {} for i = 1, 100 do t[i] = KEYS[1] end return #redis.call("mget", unpack(t))`: errReply,
		`redis.call("set", KEYS[2], "a") local t = {ok = ARGV[1]} for i = 1, 7 do t = {t, t} end return t`:                        errReply,
	} {
		if got := g.eval(script, 2, "k", "n", value); !strings.HasPrefix(got, "-"+want) {
			t.Errorf("%s = %.100q, want %q", script, got, want)
		}
		g.expect([2]string{"exists n", no}) // what cannot be answered is not done
	}
}

func TestListingsAreNoLongerThanAllowed(t *testing.T) {
	g := newHouse(t, 0).guest()
	const locks = 80
	name := func(i int) string { return fmt.Sprintf("%02d", i) + strings.Repeat("n", 60_000) }
	for i := range locks {
		g.do("set", name(i), "v")
	}
	g.expect(
		[2]string{"keys *", errLine(errReply)},
		[2]string{"keys 07*", arrayOf(bulkOf(name(7)))},
		[2]string{"locks", errLine(errReply)},
	)
	if got := g.ask("locks count 3"); !strings.HasPrefix(got, "*3\r\n") || len(got) > 4*60_000 {
		t.Errorf("locks count 3 = %.60q and so on, %d bytes", got, len(got))
	}
	seen, cursor := map[string]bool{}, "0"
	for range locks {
		got := g.do("scan", cursor, "count", "1000")
		if len(got) > maxReply {
			t.Errorf("scan %s: a page of %d bytes, above %d", cursor, len(got), maxReply)
		}
		parts := strings.Split(got, "\r\n")
		cursor = parts[2]
		for _, part := range parts[3:] {
			if len(part) > 60_000 {
				seen[part[:2]] = true
			}
		}
		if cursor == "0" {
			break
		}
	}
	if len(seen) != locks || cursor != "0" {
		t.Errorf("scan found %d locks, want %d", len(seen), locks)
	}
}
