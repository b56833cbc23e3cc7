package proxy

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"holdfast/commands"
	"holdfast/quorum"
)

type deafJournal struct{}

func (deafJournal) Commit([]quorum.Record, bool) error { return nil }

// startLocks serves locks that no store and no disk knows of.
func startLocks(t *testing.T, options Options) (*Server, string) {
	t.Helper()
	first := quorum.FirstNumber(time.Now(), 0)
	keeper, err := quorum.Open(quorum.Options{
		Timeout: time.Second, MaxTTL: time.Hour, Journal: deafJournal{}, Past: quorum.History{Birth: first, Limit: first},
		Clock: quorum.BootClock{}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatalf("open the keeper: %v", err)
	}
	t.Cleanup(func() {
		if err := keeper.Close(); err != nil {
			t.Errorf("close the keeper: %v", err)
		}
	})
	s, _, addr := startCommands(t, options, commands.Options{Keeper: keeper, MaxTTL: time.Hour})
	return s, addr
}

func TestAClientThatTracksAndNeverReadsCostsOnlyItself(t *testing.T) {
	s, addr := startLocks(t, Options{MaxPushBytes: 256 << 10, WriteTimeout: time.Hour})
	stuck, other, good := dial(t, addr), dial(t, addr), dial(t, addr)
	for _, p := range []*peer{stuck, good} {
		p.call("hello 3")
		p.call("client tracking on bcast")
	}
	name := strings.Repeat("x", 50_000)
	for i := range 400 {
		if s.Stats().CutOff > 0 {
			break
		}
		if got := other.call(fmt.Sprintf("set %s%d a px 10000", name, i)); got != "+OK\r\n" {
			t.Fatalf("set = %.100q", got)
		}
		good.expect(invalidation(fmt.Sprint(name, i)))
	}
	if got := s.Stats().CutOff; got != 1 {
		t.Errorf("CutOff = %d, want 1: the one that does not read", got)
	}
	other.call("set k a px 10000")
	good.expect(invalidation("k"))
}

func invalidation(key string) string {
	return fmt.Sprintf(">2\r\n$10\r\ninvalidate\r\n*1\r\n$%d\r\n%s\r\n", len(key), key)
}

func TestAnInvalidationFollowsTheReplyOfTheReadThatItIsAbout(t *testing.T) {
	_, addr := startLocks(t, Options{})
	reader, writer := dial(t, addr), dial(t, addr)
	reader.call("hello 3")
	reader.call("client tracking on")
	value, told := "", true // what the reader has, and whether it knows that it is old
	for i := range 300 {
		writer.send(fmt.Sprintf("SET k %d PX 10000 IFEQ %d\r\nSET k %d NX PX 10000\r\n", i, i-1, i))
		// A read beside it. Whatever comes in whichever order, who goes by it never
		// believes in a value that is old.
		for _, line := range strings.Split(reader.call("GET k"), "\r\n") {
			switch {
			case line == "invalidate":
				told = true
			case line != "" && strings.Trim(line, "0123456789") == "":
				value, told = line, false
			case line == "_":
				value, told = "", false
			}
		}
		writer.call("")
		if strings.Contains(reader.call(""), "invalidate") {
			told = true
		}
		if want := fmt.Sprint(i); value != want && !told {
			t.Fatalf("the reader believes in %q and was told of nothing, want %q", value, want)
		}
	}
}
