package redis

import (
	"net"
	"strings"
	"testing"

	"holdfast/quorum/storetest"
)

func TestFactsTellWhatMayGoWrong(t *testing.T) {
	server := storetest.StartRedis(t)
	direct := byHand(t, server)
	store := mustOpen(t, "redis://"+server.Addr())
	for _, c := range []struct {
		set                   [][]string
		persistence, eviction string
		may                   bool
	}{
		{nil, "none", "none (noeviction)", false},
		{[][]string{{"maxmemory-policy", "allkeys-lru"}}, "none", "never acts", false},
		{[][]string{{"maxmemory", "100mb"}}, "none", "allkeys-lru above 104857600 bytes", true},
		{[][]string{{"maxmemory-policy", "volatile-ttl"}}, "none", "volatile-ttl", true},
		{[][]string{{"maxmemory-policy", "noeviction"}, {"save", "60 1"}}, "snapshots at 60 1", "none", false},
		{[][]string{{"appendonly", "yes"}, {"appendfsync", "always"}}, "append-only file, fsync always; snapshots", "none", false},
		{[][]string{{"save", ""}}, "append-only file, fsync always", "none", false},
	} {
		for _, set := range c.set {
			if err := direct.ConfigSet(t.Context(), set[0], set[1]).Err(); err != nil {
				t.Fatalf("set %v: %v", set, err)
			}
		}
		facts, err := store.Facts(t.Context())
		if err != nil || len(facts.Problems) != 0 || facts.Role != "master" || facts.Kind != "redis" {
			t.Errorf("after %v: %+v, error %v, want a master without problems", c.set, facts, err)
		}
		if !strings.Contains(facts.Persistence, c.persistence) {
			t.Errorf("after %v: persistence %q, want %q in it", c.set, facts.Persistence, c.persistence)
		}
		if !strings.Contains(facts.Eviction, c.eviction) || facts.MayEvict != c.may {
			t.Errorf("after %v: eviction %q, %t, want %q in it, %t", c.set, facts.Eviction, facts.MayEvict, c.eviction, c.may)
		}
	}
}

func TestFactsDoWithoutCONFIG(t *testing.T) {
	server := storetest.StartRedis(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lfu")
	direct := byHand(t, server)
	if err := direct.Do(t.Context(), "ACL", "SETUSER", "locker", "on", ">secret", "~*", "+@all", "-config").Err(); err != nil {
		t.Fatalf("make a user: %v", err)
	}
	facts, err := mustOpen(t, "redis://locker:secret@"+server.Addr()).Facts(t.Context())
	if err != nil {
		t.Fatalf("facts: %v", err)
	}
	if len(facts.Problems) != 1 || !strings.Contains(facts.Problems[0], "CONFIG GET: NOPERM") {
		t.Errorf("problems %q, want the one that CONFIG is forbidden", facts.Problems)
	}
	if !facts.MayEvict || !strings.HasPrefix(facts.Eviction, "allkeys-lfu") {
		t.Errorf("eviction %q, %t, want what INFO tells: allkeys-lfu, true", facts.Eviction, facts.MayEvict)
	}
	if facts.Persistence != "snapshots unknown" {
		t.Errorf("persistence %q, want snapshots unknown", facts.Persistence)
	}
}

func TestAServerThatFollowsAnotherCannotVote(t *testing.T) {
	master := storetest.StartRedis(t)
	host, port, _ := net.SplitHostPort(master.Addr())
	for _, c := range []struct {
		what string
		args []string
		want string
	}{
		{"a replica", []string{"--replicaof", host + " " + port}, "it is a replica"},
		{"a cluster node", []string{"--cluster-enabled", "yes"}, "cluster mode"},
	} {
		server := storetest.StartRedis(t, c.args...)
		store := mustOpen(t, "redis://"+server.Addr())
		if _, err := store.Connect(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("connect to %s: %v, want %q", c.what, err, c.want)
		}
		facts, err := store.Facts(t.Context())
		if err != nil || len(facts.Problems) != 1 || !strings.Contains(facts.Problems[0], c.want) {
			t.Errorf("facts of %s: problems %q, error %v, want %q", c.what, facts.Problems, err, c.want)
		}
	}
}
