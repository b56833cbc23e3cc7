package integration

import (
	"fmt"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	"holdfast/quorum/storetest"
)

// groupNames are the proxies of a group.
var groupNames = []string{"a", "b", "c"}

// startGroup starts proxies that are each other's peers over the same stores, and
// waits until all of them serve.
func startGroup(t testing.TB, stores []*store, args ...string) []*program {
	t.Helper()
	var group []*program
	for _, id := range groupNames {
		group = append(group, newHoldfast(t, memberFlags(id, groupNames, stores, args...)...))
	}
	startAll(group)
	for _, p := range group {
		p.settle()
	}
	return group
}

// memberFlags are the flags of one proxy of a group.
func memberFlags(id string, group []string, stores []*store, more ...string) []string {
	all := append(flags(stores), "--id", id)
	for _, peer := range group {
		if peer != id {
			all = append(all, "--peer", peer)
		}
	}
	return append(all, more...)
}

// startAll starts programs at the same time: peers wait a moment for each other
// before they say that they listen.
func startAll(programs []*program) {
	for _, p := range programs {
		p.begin()
	}
	for _, p := range programs {
		if !p.came() {
			p.start()
		}
	}
}

// addresses returns where programs listen.
func addresses(programs []*program) (all []string) {
	for _, p := range programs {
		all = append(all, p.addr)
	}
	return all
}

// settle waits until the program knows of every store whether it votes.
func (p *program) settle() {
	p.t.Helper()
	if !slices.Contains(p.args, "--store") {
		return
	}
	c := connect(p.t, redis.Options{Addr: p.addr, MaxRetries: -1})
	defer c.Close()
	storetest.Eventually(p.t, "each store votes, or is known to be down", func() bool {
		return !slices.ContainsFunc(seen(p.t, c), func(s storeSeen) bool { return !s.whole && s.err == "" })
	})
}

// A storeSeen is what a program says of one store.
type storeSeen struct {
	name, err, waitsFor string
	whole               bool
	granted             int64
}

// seen returns what a program says of its stores.
func seen(t testing.TB, c *redis.Client) (all []storeSeen) {
	t.Helper()
	stores, err := c.Do(t.Context(), "STORES").Slice()
	if err != nil {
		t.Fatalf("STORES: %v", err)
	}
	for _, one := range stores {
		told, ok := one.(map[any]any)
		if !ok {
			t.Fatalf("STORES: %v, want maps", stores)
		}
		var s storeSeen
		s.name, s.err, s.waitsFor = fmt.Sprint(told["name"]), fmt.Sprint(told["error"]), fmt.Sprint(told["waits-for"])
		s.whole, _ = told["whole"].(bool)
		s.granted, _ = told["granted"].(int64)
		all = append(all, s)
	}
	return all
}

// seenOf returns what a program says of one store.
func seenOf(t testing.TB, c *redis.Client, s *store) storeSeen {
	t.Helper()
	all := seen(t, c)
	i := slices.IndexFunc(all, func(one storeSeen) bool { return one.name == s.url() })
	if i < 0 {
		t.Fatalf("STORES: %v, want something of %s", all, s.url())
	}
	return all[i]
}
