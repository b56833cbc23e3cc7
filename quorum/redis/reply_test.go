package redis

import (
	"strings"
	"testing"
	"time"

	"holdfast/quorum"
	"holdfast/quorum/storetest"
)

// forms runs a test with a store that sends SET with NX and GET, and with one
// that sends scripts alone.
func forms(t *testing.T, test func(t *testing.T, server *storetest.Server, store *Store)) {
	for name, scripted := range map[string]bool{"direct": false, "scripted": true} {
		t.Run(name, func(t *testing.T) {
			server := storetest.StartRedis(t)
			store := mustOpen(t, "redis://"+server.Addr())
			store.scripted = scripted
			mustConnect(t, store)
			if store.link.direct == scripted {
				t.Errorf("SET with NX and GET is sent: %t, want %t", store.link.direct, !scripted)
			}
			test(t, server, store)
		})
	}
}

// do sends the requests and wants the connection to be in order afterwards.
func do(t *testing.T, store *Store, requests ...quorum.Request) []quorum.Vote {
	t.Helper()
	votes := make([]quorum.Vote, len(requests))
	if err := store.Do(t.Context(), requests, votes); err != nil {
		t.Fatalf("do: %v", err)
	}
	return votes
}

func TestAnErrorReplyIsSilenceForOneRequest(t *testing.T) {
	forms(t, func(t *testing.T, server *storetest.Server, store *Store) {
		direct := byHand(t, server)
		do(t, store, swap("there", nil, version(1)))
		if err := direct.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
			t.Fatalf("fill the memory: %v", err)
		}
		votes := do(t, store,
			read("there"), swap("orders", nil, version(1)), swap("there", version(1), version(2)),
			swap("orders", version(1), version(2)), swap("there", version(1), nil), read("orders"))
		want := []quorum.Verdict{
			quorum.Granted, quorum.Silent, quorum.Silent, // no memory to write with
			quorum.Refused, quorum.Granted, quorum.Granted, // nothing is written, or given back
		}
		if !store.link.direct {
			want[3] = votes[3].Verdict // whether a script that would refuse may start is the server's affair
		}
		for i, v := range votes {
			silent := v.Verdict == quorum.Silent
			if v.Verdict != want[i] || silent != (v.Err != nil) || silent && !strings.Contains(v.Err.Error(), "OOM") || v.Unsent {
				t.Errorf("out of memory, vote %d: %+v, want %s", i, v, want[i])
			}
		}
		if votes[5].Found != nil {
			t.Errorf("found %+v after OOM, want nothing", votes[5].Found)
		}
		if err := direct.ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
			t.Fatalf("free the memory: %v", err)
		}
		if v := do(t, store, swap("orders", nil, version(1)))[0]; v.Verdict != quorum.Granted {
			t.Errorf("memory again: %+v, want granted", v)
		}
	})
}

func TestAServerThatBecameAReplicaIsOfNoUse(t *testing.T) {
	forms(t, func(t *testing.T, server *storetest.Server, store *Store) {
		direct := byHand(t, server)
		first := mustConnect(t, store)
		// Of nobody: port 1 answers no one.
		if err := direct.ReplicaOf(t.Context(), "127.0.0.1", "1").Err(); err != nil {
			t.Fatalf("make it a replica: %v", err)
		}
		votes := make([]quorum.Vote, 1)
		err := store.Do(t.Context(), []quorum.Request{swap("orders", nil, version(1))}, votes)
		if err == nil || !strings.Contains(err.Error(), "READONLY") || votes[0].Verdict != quorum.Silent || votes[0].Err == nil {
			t.Errorf("asked a replica: %+v, error %v, want silent, READONLY", votes[0], err)
		}
		if _, err := store.Connect(t.Context()); err == nil {
			t.Error("connected to a replica")
		}
		if err := direct.ReplicaOf(t.Context(), "NO", "ONE").Err(); err != nil {
			t.Fatalf("make it a master: %v", err)
		}
		if second := mustConnect(t, store); second == first {
			t.Errorf("incarnation %q before it was a replica, and the same after", first)
		}
	})
}

func TestWhatIsNoStringRefusesAndIsOpaque(t *testing.T) {
	forms(t, func(t *testing.T, server *storetest.Server, store *Store) {
		direct := byHand(t, server)
		if err := direct.HSet(t.Context(), "orders", "field", "value").Err(); err != nil {
			t.Fatalf("plant a hash: %v", err)
		}
		either := swap("orders", version(1), version(2))
		either.OrNone = true
		requests := []quorum.Request{
			swap("orders", nil, version(1)), swap("orders", version(1), version(2)),
			swap("orders", version(1), nil), swap("orders", nil, nil), either,
		}
		for i, v := range do(t, store, requests...) {
			if v.Verdict != quorum.Refused || v.Found == nil || !v.Found.Opaque {
				t.Errorf("request %d on a hash: %+v, want refused by something opaque", i, v)
			}
		}
		if v := do(t, store, read("orders"))[0]; v.Verdict != quorum.Granted || v.Found == nil || !v.Found.Opaque {
			t.Errorf("read of a hash: %+v, want granted, something opaque", v)
		}
		if got := direct.HGet(t.Context(), "orders", "field").Val(); got != "value" {
			t.Errorf("the hash has %q, want it untouched", got)
		}
	})
}

func TestForgottenScriptsAreLoadedAgain(t *testing.T) {
	forms(t, func(t *testing.T, server *storetest.Server, store *Store) {
		direct := byHand(t, server)
		do(t, store, swap("orders", nil, version(1)), swap("parcels", nil, version(1)))
		if err := direct.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatalf("flush the scripts: %v", err)
		}
		votes := do(t, store,
			swap("orders", version(1), version(2)), swap("parcels", version(2), nil), read("orders"),
			swap("orders", version(2), version(3)), read("orders"))
		for i, want := range []quorum.Vote{
			{Verdict: quorum.Granted},
			{Verdict: quorum.Refused, Found: version(1)},
			{Verdict: quorum.Granted, Found: version(2)},
			{Verdict: quorum.Granted},
			{Verdict: quorum.Granted, Found: version(3)},
		} {
			told := i != 0 && i != 3
			if v := votes[i]; v.Verdict != want.Verdict || told && !v.Found.Equal(want.Found) {
				t.Errorf("vote %d after a script flush: %+v, want %+v", i, v, want)
			}
		}
	})
}

// A script that was not carried out must not be carried out after a later request
// for the same name: the release below would be undone by the swap before it.
func TestAForgottenScriptKeepsTheOrder(t *testing.T) {
	server := storetest.StartRedis(t)
	store := mustOpen(t, "redis://"+server.Addr())
	mustConnect(t, store)
	direct := byHand(t, server)
	do(t, store, swap("orders", nil, version(1)), swap("parcels", nil, version(1)))
	if err := direct.ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatalf("flush the scripts: %v", err)
	}
	votes := do(t, store,
		swap("orders", version(1), nil),         // a script, forgotten
		swap("parcels", version(1), version(2)), // a script, forgotten
		swap("orders", nil, version(2)),         // no script: it is carried out
		swap("orders", version(1), version(3)))  // a script, forgotten
	if v := votes[0]; v.Verdict != quorum.Silent || !v.Unsent || v.Err == nil {
		t.Errorf("overtaken: %+v, want silent and unsent", v)
	}
	if v := votes[1]; v.Verdict != quorum.Granted {
		t.Errorf("of another name: %+v, want granted", v)
	}
	if v := votes[2]; v.Verdict != quorum.Refused || !v.Found.Equal(version(1)) {
		t.Errorf("carried out at once: %+v, want refused by version 1", v)
	}
	if v := votes[3]; v.Verdict != quorum.Granted {
		t.Errorf("the last of its name: %+v, want granted", v)
	}
	if v := do(t, store, read("orders"))[0]; !v.Found.Equal(version(3)) {
		t.Errorf("found %+v in the end, want version 3", v.Found)
	}
}

func TestTTLIsRoundedUpToMilliseconds(t *testing.T) {
	for ttl, want := range map[time.Duration]int64{
		0:                            1,
		1:                            1,
		time.Millisecond:             1,
		time.Millisecond + 1:         2,
		1999 * time.Microsecond:      2,
		24 * time.Hour:               86_400_000,
		24*time.Hour - 1:             86_400_000,
		24*time.Hour - 1_000_000 + 1: 86_400_000,
	} {
		if got := millis(ttl); got != want {
			t.Errorf("millis(%d ns) = %d, want %d", ttl, got, want)
		}
	}
}

func TestRemainingTellsNoTTLFromNearlyNone(t *testing.T) {
	for pttl, want := range map[int64]time.Duration{-1: 0, 0: 1, 1: time.Millisecond, 60_000: time.Minute} {
		if got := remaining(pttl); got != want {
			t.Errorf("remaining(%d) = %v, want %v", pttl, got, want)
		}
	}
}
