package redis

import (
	"net"
	"reflect"
	"strings"
	"testing"

	"holdfast/quorum"
	"holdfast/quorum/storetest"
)

// Whatever is there, swaps that leave nothing say and do in one script what each
// says and does by itself, and stay behind what comes before them for their name.
func TestWhatIsClearedTogetherIsAsIfAlone(t *testing.T) {
	clearing := func(name string, prev *quorum.Copy, orNone bool) quorum.Request {
		r := swap(name, prev, nil)
		r.OrNone = orNone
		return r
	}
	batch := []quorum.Request{
		clearing("held", version(1), false),
		clearing("held-or-none", version(1), true),
		clearing("changed", version(1), false),
		clearing("changed-or-none", version(1), true),
		clearing("free", version(1), false),
		clearing("free-or-none", version(1), true),
		clearing("a hash", version(1), true),
		clearing("opaque", &quorum.Copy{Opaque: true}, false),
		clearing("direct", &quorum.Copy{Value: []byte("1")}, false),
		swap("taken", nil, version(3)),
		clearing("taken", version(3), false),
		clearing("again", version(1), false),
		swap("again", nil, version(4)),
		clearing("again", version(4), false),
		read("held"), read("changed"), read("taken"), read("again"),
	}
	forms(t, func(t *testing.T, server *storetest.Server, store *Store) {
		direct := byHand(t, server)
		prepare := func() {
			direct.FlushAll(t.Context())
			do(t, store,
				swap("held", nil, version(1)), swap("held-or-none", nil, version(1)), swap("again", nil, version(1)),
				swap("changed", nil, version(2)), swap("changed-or-none", nil, version(2)), swap("opaque", nil, version(1)))
			direct.HSet(t.Context(), "a hash", "field", "value")
			direct.Set(t.Context(), "direct", "1", 0)
		}
		prepare()
		var want []quorum.Vote
		for _, r := range batch {
			want = append(want, do(t, store, r)...)
		}
		prepare()
		got := do(t, store, batch...)
		for i := range batch {
			got[i].Elapsed, want[i].Elapsed = 0, 0
			if near := got[i].FoundLeft - want[i].FoundLeft; near.Abs().Seconds() < 5 {
				got[i].FoundLeft = want[i].FoundLeft
			}
			if !reflect.DeepEqual(got[i], want[i]) {
				t.Errorf("%q, request %d: %+v together, %+v alone", batch[i].Name, i, got[i], want[i])
			}
		}
	})
}

func TestAnAnswerForTooFewIsNone(t *testing.T) {
	server := storetest.StartRedis(t)
	middle := relayTo(t, server.Addr())
	for _, answer := range []string{":1\r\n", "$-1\r\n", "*0\r\n", "*-1\r\n", "*1\r\n:1\r\n", "*3\r\n:1\r\n:1\r\n:1\r\n", "*2\r\n:1\r\n:7\r\n"} {
		store := mustOpen(t, "redis://"+middle.addr)
		mustConnect(t, store)
		middle.onReply(func(whole []byte) []byte { return append([]byte(answer), clockIn(whole)...) })
		votes := make([]quorum.Vote, 2)
		err := store.Do(t.Context(), []quorum.Request{swap("orders", version(1), nil), swap("parcels", version(1), nil)}, votes)
		middle.onReply(nil)
		if err == nil || votes[0].Verdict != quorum.Silent || votes[1].Verdict != quorum.Silent {
			t.Errorf("answered %q: %+v, error %v, want silence and the connection given up", answer, votes, err)
		}
	}
}

// One that is alone in its batch is spared the longer script.
func TestSeveralAreClearedByOneCommand(t *testing.T) {
	server := storetest.StartRedis(t)
	middle := relayTo(t, server.Addr())
	store := mustOpen(t, "redis://"+middle.addr)
	mustConnect(t, store)
	sent := ""
	middle.onRequest(func(_ net.Conn, request []byte) bool { sent += string(request); return true })
	defer middle.onRequest(nil)
	for names, commands := range map[string]int{"a": 1, "a b": 1, "a b c": 1, "a b a": 2} {
		sent = ""
		var requests []quorum.Request
		for name := range strings.FieldsSeq(names) {
			requests = append(requests, swap(name, version(1), nil))
		}
		do(t, store, requests...)
		if got := strings.Count(sent, "EVALSHA"); got != commands {
			t.Errorf("to clear %s takes %d commands, want %d", names, got, commands)
		}
	}
}
