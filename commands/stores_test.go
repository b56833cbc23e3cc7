package commands

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast/quorum"
)

// plant puts what somebody who locks directly would into so many stores.
func (h *house) plant(stores int, name, value string) {
	for _, f := range h.fakes[:stores] {
		f.Plant(name, []byte(value), 10*time.Second)
	}
}

func TestLocksHeldDirectlyInTheStoresAreHeld(t *testing.T) {
	for _, c := range []struct {
		line, want string
		left       string // what the stores have afterwards, ours without its number; "" for nothing
	}{
		{"set k a nx px 1000", null2, "them"},
		{"set k them nx px 1000", null2, "them"},
		{"set k a nx get", bulkOf("them"), "them"},
		{"setnx k a", no, "them"},
		{"msetnx k a", no, "them"},
		{"lock k a px 1000", noArray, "them"},
		{"set k a px 1000", errLine(errSteal), "them"},
		{"set k them px 1000", ok, "them~"},
		{"mset k a", errLine(errSteal), "them"},
		{"set k a xx", errLine(errSteal), "them"},
		{"set k them xx", ok, "them~"},
		{"set k a ifeq x", null2, "them"},
		{"set k a ifeq them", ok, "a~"},
		{"get k", bulkOf("them"), "them"},
		{"strlen k", ":4\r\n", "them"},
		{"exists k", yes, "them"},
		{"type k", "+string\r\n", "them"},
		{"pexpire k 5000", yes, "them~"},
		{"unlock k a", no, "them"},
		{"unlock k them", yes, ""},
		{"del k", yes, ""},
		{"delifeq k them", yes, ""},
		{"extend k a px 1000", noArray, "them"},
		{"eval \"" + strings.ReplaceAll(compareAndDelete, `"`, `'`) + "\" 1 k them", yes, ""},
		{"eval \"" + strings.ReplaceAll(extendOrTake, `"`, `'`) + "\" 1 k a 1000", no, "them"},
		{"eval \"" + strings.ReplaceAll(manyAcquire, `"`, `'`) + "\" 2 k free a 1000", no, "them"},
	} {
		h := newHouse(t, 3)
		h.plant(3, "k", "them")
		g := h.guest()
		if got := g.ask(c.line); got != c.want {
			t.Errorf("%s = %q, want %q", c.line, got, c.want)
		}
		for _, f := range h.fakes {
			h.await(fmt.Sprintf("%q in the stores after %s", c.left, c.line), func() bool {
				kept, _, _ := f.Fetch("k")
				return string(kept) == c.left || (strings.HasSuffix(c.left, "~") && strings.HasPrefix(string(kept), c.left))
			})
		}
	}
}

func TestALeaseWhoseCopiesWereOverwrittenNeverReadsAsGone(t *testing.T) {
	for _, line := range []string{
		"pexpire k 5000", "expire k 5", "pexpireat k 1700000050000", "expireat k 1700000050", "persist k",
		"extend k a px 5000", "set k a px 5000", "set k a px 5000 xx", "set k b px 5000 ifeq a", "mset k a",
		`eval "return redis.call('pexpire',KEYS[1],5000)" 1 k`,
		"eval \"" + strings.ReplaceAll(extendOrTake, `"`, `'`) + "\" 1 k a 5000",
		`eval "redis.call('set',KEYS[2],'a','px',5000) return redis.call('del',KEYS[1])" 2 k other`,
	} {
		h := newHouse(t, 3)
		g := h.guest()
		g.ask("set k a px 10000")
		h.plant(3, "k", "them")
		if got := g.ask(line); got != errLine(errOverwritten) {
			t.Errorf("%s = %q, want %q", line, got, errLine(errOverwritten))
		}
		g.expect(
			[2]string{"get k", bulkOf("a")},
			[2]string{"pttl k", ":10000\r\n"},
			[2]string{"pexpire none 5000", no}, // as Redis, where there is no such key
			[2]string{"extend k x px 5000", noArray},
		)
	}
}

func TestForeignLeasesAreDescribedAsSuch(t *testing.T) {
	h := newHouse(t, 3)
	h.plant(3, "k", "\x00them") // whatever it looks like, it is a plain value
	g := h.guest()
	got := g.ask("lockinfo k")
	for _, want := range []string{bulkOf("token") + bulkOf("\x00them"), bulkOf("state") + bulkOf("foreign"), bulkOf("fence") + ":0\r\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("lockinfo = %q, which lacks %q", got, want)
		}
	}
	for _, f := range h.fakes {
		f.PlantOpaque("o")
	}
	if got := g.ask("lockinfo o"); !strings.Contains(got, bulkOf("state")+bulkOf("opaque")) {
		t.Errorf("lockinfo of what is no value = %q", got)
	}
	g.expect(
		[2]string{"get o", errLine(errWrongType)},
		[2]string{"mget o", arrayOf(null2)},
		[2]string{"type o", "+opaque\r\n"},
		[2]string{"exists o", yes},
		[2]string{"set o a nx", null2},
		[2]string{"set o a", errLine(errSteal)},
		[2]string{"delifeq o a", errLine(errWrongType)},
		[2]string{"unlock o a", no},
		[2]string{"del o", no}, // what we cannot read we do not delete
	)
}

func TestAStoreThatAloneHasAnothersCopyDeniesNothing(t *testing.T) {
	h := newHouse(t, 3)
	h.plant(1, "k", "them")
	g := h.guest()
	if got := g.ask("set k a nx px 10000"); got != ok {
		t.Errorf("set nx with one store of three refusing = %q, want %q", got, ok)
	}
}

func TestAnOutageIsAnErrorOfItsOwn(t *testing.T) {
	h := newHouse(t, 3)
	g := h.guest()
	for _, f := range h.fakes[:2] {
		f.Refuse(errors.New("connection refused\r\nby test"))
		f.Restart()
	}
	h.await("two stores to be down", func() bool {
		g.ask("get probe") // who is down is found out by asking
		down := 0
		for _, s := range h.keeper.Status().Stores {
			if !s.Up {
				down++
			}
		}
		return down == 2
	})
	for _, line := range []string{"set k a nx px 1000", "set k a", "lock k a px 1000", "eval \"return redis.call('set',KEYS[1],'a','nx')\" 1 k"} {
		got := g.ask(line)
		if !strings.HasPrefix(got, "-NOQUORUM ") || strings.Count(got, "\r\n") != 1 {
			t.Errorf("%s = %q, want one line of NOQUORUM", line, got)
		}
	}
	got := g.ask("stores")
	if !strings.HasPrefix(got, "*3\r\n") || strings.Count(got, bulkOf("up")+no) != 2 || !strings.Contains(got, "connection refused  by test") {
		t.Errorf("stores = %q, want two of them down, and why", got)
	}
	if got := g.ask("wait 2 0"); got != yes {
		t.Errorf("wait = %q, want the one store that is up", got)
	}
	if got := g.ask("info stores"); !strings.Contains(got, "stores:3\r\nstrategy:majority\r\nstores_needed:2\r\nstores_tolerated:1\r\nstore0:name=store0,state=down,") {
		t.Errorf("info stores = %q", got)
	}
}

func TestErrorsBecomeOneLineWithTheirCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("acquire %q: 1 of 3 stores granted, need 2: %w", "orders", quorum.ErrNoQuorum), `NOQUORUM acquire "orders": 1 of 3 stores granted, need 2: no quorum`},
		{fmt.Errorf("x: %w", quorum.ErrTooSlow), "TOOSLOW x: too slow"},
		{quorum.ErrStale, "ERR changed meanwhile"},
		{quorum.ErrClosed, "ERR shutting down"},
		{errors.New("two\r\nlines\n"), "ERR two  lines"},
	} {
		if got := errorLine(c.err); got != c.want {
			t.Errorf("errorLine(%v) = %q, want %q", c.err, got, c.want)
		}
	}
}
