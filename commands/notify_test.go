package commands

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"holdfast/quorum"
)

// Of what a peer did the values before and after are all that is known.
func TestChangesOfPeersAreToldByTheirDifference(t *testing.T) {
	text := func(s string) []byte { return encode([]byte(s)) }
	of := func(s shape, keys ...string) []byte {
		var items []item
		for i, key := range keys {
			items = append(items, item{key: []byte(key), value: []byte("v"), score: float64(i)})
		}
		return encodeItems(s, items)
	}
	const goes, begins = 7, 8 // the fencing token of a lease that goes on, and of another
	for _, c := range []struct {
		prev, lease []byte // nil: free
		fence       quorum.Number
		want        string
	}{
		{nil, text("a"), goes, "new set"},
		{text("a"), text("b"), begins, "set"},
		{text("a"), nil, goes, "del"},
		{text("1"), text("2"), goes, "incrby"},
		{text("a"), text("ab"), goes, "append"},
		{text("abc"), text("axc"), goes, "setrange"},
		{text("a"), of(hashShape, "f"), begins, "hset"},
		{nil, of(hashShape, "f"), goes, "new hset"},
		{of(hashShape, "f"), of(hashShape, "f", "g"), goes, "hset"},
		{of(hashShape, "f", "g"), of(hashShape, "g"), goes, "hdel"},
		{of(hashShape, "f"), nil, goes, "del"},
		{of(zsetShape, "a"), of(zsetShape, "a", "b"), goes, "zadd"},
		{of(zsetShape, "a", "b"), of(zsetShape, "a"), goes, "zrem"},
		{of(setShape, "a"), of(setShape, "a", "b"), goes, "sadd"},
		{of(setShape, "a", "b"), of(setShape, "b"), goes, "srem"},
		{nil, of(listShape, "a"), goes, "new rpush"},
		{of(listShape, "a"), of(listShape, "a", "b"), goes, "rpush"},
		{of(listShape, "a"), of(listShape, "b", "a"), goes, "lpush"},
		{of(listShape, "a", "b", "c"), of(listShape, "b", "c"), goes, "lpop"},
		{of(listShape, "a", "b", "c"), of(listShape, "a"), goes, "rpop"},
		{of(listShape, "a", "b", "c"), of(listShape, "a", "c"), goes, "lrem"},
		{of(listShape, "a", "b"), of(listShape, "a", "c"), goes, "lset"},
	} {
		news := quorum.News{Name: "k", Why: quorum.ByLoss}
		if c.prev != nil {
			news.Prev = &quorum.Lease{Name: "k", Value: c.prev, Fence: goes, Version: 1, Untimed: true}
		}
		if c.lease != nil {
			news.Lease = &quorum.Lease{Name: "k", Value: c.lease, Fence: c.fence, Version: 2, Untimed: true}
		}
		var got []string
		for _, o := range occurrences(news) {
			got = append(got, o.event)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q became %q: told %q, want %q", c.prev, c.lease, got, c.want)
		}
	}
}

// Many change locks at once, in pipelines: each deed is told once, and those of one lock
// in their order.
func TestDeedsOfManyAreToldOnceAndInOrder(t *testing.T) {
	h := newHouse(t, 3)
	ear := h.guest()
	ear.ask("config set notify-keyspace-events KA")
	ear.ask("psubscribe __key*")
	const many, rounds = 8, 50
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			g, key := h.guest(), fmt.Sprint("k", i)
			var replies []<-chan string
			for range rounds {
				replies = append(replies, g.begin("rpush", key, "a", "b"), g.begin("lpop", key), g.begin("get", key), g.begin("rpop", key))
			}
			for _, r := range replies {
				g.answer(r, key)
			}
		})
	}
	all.Wait()
	h.guest().ask("publish __key_end x")
	heard := ""
	h.await("the end", func() bool { heard += ear.heard(); return strings.Contains(heard, "__key_end") })
	for i := range many {
		var got []string
		for message := range strings.SplitSeq(heard, bulkOf(fmt.Sprint("__keyspace@0__:k", i))) {
			got = append(got, strings.Split(message, "\r\n")[1])
		}
		if got, want := strings.Join(got[1:], " "), strings.TrimSpace(strings.Repeat("rpush lpop rpop del ", rounds)); got != want {
			t.Errorf("of k%d is told %q, want %q", i, got, want)
		}
	}
}
