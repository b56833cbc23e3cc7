package memcached

import (
	"fmt"
	"strings"
	"testing"

	"holdfast/quorum"
)

// full returns a server that may not evict, with one of our copies, what else was
// asked of it, and no room for another copy of that size.
func full(t *testing.T, there *quorum.Copy, first ...quorum.Request) (server, *Store) {
	t.Helper()
	s := startServer(t, "-m", "1", "-M", "-I", "512k")
	store := s.open()
	for i, v := range do(t, store, append(first, swap("orders", nil, there))...) {
		must(t, fmt.Sprint("request ", i), v, quorum.Granted, nil)
	}
	for i := range 10_000 {
		v := do(t, store, swap(fmt.Sprint("filler", i), nil, there))[0]
		if v.Verdict == quorum.Granted {
			continue
		}
		if v.Verdict != quorum.Silent || v.Unsent || !strings.Contains(fmt.Sprint(v.Err), "SERVER_ERROR out of memory") {
			t.Fatalf("filler %d: %v, unsent %t, error %v, want silence for want of memory", i, v.Verdict, v.Unsent, v.Err)
		}
		return s, store
	}
	t.Fatal("the server does not get full")
	return s, nil
}

// memcached frees what is under a name when it has no room for what is to be
// added there or to replace it.
func TestAFullServerKeepsWhatItHas(t *testing.T) {
	there := ours(strings.Repeat("x", 1000), 1)
	s, store := full(t, there)
	if v := do(t, store, swap("orders", nil, ours(strings.Repeat("y", 1000), 2)))[0]; v.Verdict != quorum.Refused {
		t.Errorf("took a held lock: %v, error %v, want refused", v.Verdict, v.Err)
	}
	for range 3 { // the server moves in its LRU what is read more than once
		must(t, "after an add", do(t, store, read("orders"))[0], quorum.Granted, there)
	}

	votes := do(t, store, swap("orders", there, ours(strings.Repeat("x", 1000), 2)), read("other"))
	v := votes[0]
	if v.Verdict != quorum.Silent || v.Unsent || !strings.Contains(fmt.Sprint(v.Err), "SERVER_ERROR out of memory") {
		t.Errorf("replaced a copy: %v, unsent %t, error %v, want silence for want of memory", v.Verdict, v.Unsent, v.Err)
	}
	must(t, "its neighbour in the batch", votes[1], quorum.Granted, nil)
	after := do(t, store, read("orders"))[0]
	must(t, "after a replacement", after, quorum.Granted, there)
	if after.FoundLeft <= 0 || after.FoundLeft > 61e9 {
		t.Errorf("after a replacement: %v left, want what was left before", after.FoundLeft)
	}

	votes = do(t, store, swap("orders", there, ours(strings.Repeat("x", 1000), 2)), swap("parcels", nil, there))
	if ballot(votes) != "ss" {
		t.Errorf("replaced a copy and added one: votes %s, want both silent", ballot(votes))
	}
	must(t, "after both", do(t, store, read("orders"))[0], quorum.Granted, there)

	// A stranger's item keeps its flags, and has no TTL afterwards if it had none.
	s.ask("delete orders\r\n")
	s.tell("set orders 77 0 1000\r\n"+strings.Repeat("z", 1000)+"\r\n", "STORED\r\n")
	foreign := &quorum.Copy{Value: []byte(strings.Repeat("z", 1000))}
	if v := do(t, store, swap("orders", foreign, there))[0]; v.Verdict != quorum.Silent {
		t.Fatalf("replaced a stranger's: %v, error %v, want silence", v.Verdict, v.Err)
	}
	s.tell("mg orders f t\r\n", "HD f77 t-1\r\n")

	must(t, "room is made", do(t, store, swap("orders", foreign, nil))[0], quorum.Granted, foreign)
	must(t, "room is used", do(t, store, swap("orders", nil, there))[0], quorum.Granted, nil)
}

func TestACopyTooLargeForTheServerDoesNoHarm(t *testing.T) {
	s := startServer(t, "-I", "8k", "-o", "slab_chunk_max=4096")
	store := s.open()
	there := ours("a", 1)
	must(t, "a small one", do(t, store, swap("orders", nil, there))[0], quorum.Granted, nil)
	v := do(t, store, swap("orders", there, ours(strings.Repeat("x", 10_000), 2)))[0]
	if v.Verdict != quorum.Silent || !strings.Contains(fmt.Sprint(v.Err), "too large") {
		t.Errorf("a large one: %v, error %v, want silence because it is too large", v.Verdict, v.Err)
	}
	must(t, "the small one", do(t, store, read("orders"))[0], quorum.Granted, there)
	facts, err := store.Facts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(facts.Problems, "; "); !strings.Contains(got, "no values above 8192 bytes") {
		t.Errorf("problems %q, want that values are limited to 8192 bytes", got)
	}
}

func TestALostCopyIsToldOf(t *testing.T) {
	sets := 0
	there := ours("a", 1)
	store := scripted(t, func(line string) (string, error) {
		switch {
		case strings.HasPrefix(line, "mg orders "):
			return fmt.Sprintf("VA %d c1 f0 t5 %s\r\n%s\r\n", len(there.Encode()), opaqueOf(line), there.Encode()), nil
		case strings.HasPrefix(line, "ms orders "):
			sets++
			return fmt.Sprintf("SERVER_ERROR out of memory, attempt %d\r\n", sets), nil
		case strings.HasPrefix(line, "a~"): // the value
			return "", nil
		}
		return polite(line), nil
	})
	mustConnect(t, store)
	v := do(t, store, swap("orders", there, ours("a", 2)))[0]
	const want = `attempt 1"; the copy it was to replace is lost too: the server answered "SERVER_ERROR out of memory, attempt 2"`
	if v.Verdict != quorum.Silent || v.Unsent || !strings.HasSuffix(fmt.Sprint(v.Err), want) {
		t.Errorf("%v, unsent %t, error %v, want silence that ends with %s", v.Verdict, v.Unsent, v.Err, want)
	}
}
