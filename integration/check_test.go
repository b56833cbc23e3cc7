package integration

import (
	"testing"

	"holdfast/quorum/storetest"
)

func TestCheckSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	good := startStores(t, "redis", "redis", "memcached")
	gone := startStores(t, "redis")[0]
	gone.Kill()
	evicting := "redis://" + storetest.StartRedis(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru").Addr()
	evictingToo := "memcached://" + storetest.StartMemcached(t).Addr()
	locked := "redis://:secret@" + storetest.StartRedis(t, "--requirepass", "other").Addr()
	for _, c := range []struct {
		what   string
		args   []string
		status int
		words  []string // of what it prints
	}{
		{"no stores", nil, 0, []string{"the journal", "alone decides"}},
		{"good ones", flags(good), 0, []string{good[0].url(), good[1].url(), good[2].url(), "redis 7.", "memcached 1.", "3 of 3 stores answered; majority needs 2", "All is well"}},
		{"an even number", flags(good[:2]), 0, []string{"Note: an even number of stores"}},
		{"one that is down", append(flags(good[:2]), flags([]*store{gone})...), 1, []string{gone.url() + "\n  NOT REACHED: ", "refused", "2 of 3 stores answered"}},
		{"one server twice", flags(good[:2], "--store", "redis://localhost:"+port(good[0])), 1, []string{"are the same server", "vote twice"}},
		{"an evicting redis", flags(good[:2], "--store", evicting), 1, []string{evicting, "may drop locks", "allkeys-lru", "--allow-eviction"}},
		{"an evicting redis that is allowed", flags(good[:2], "--store", evicting, "--allow-eviction"), 0, []string{"allkeys-lru", "All is well"}},
		{"an evicting memcached, as they all are unless told otherwise", flags(good[:2], "--store", evictingToo), 0, []string{evictingToo, "-M", "All is well"}},
		{"a wrong password", flags(good[:2], "--store", locked), 1, []string{"NOT REACHED", "WRONGPASS"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			o := holdfast(t, append([]string{"check"}, c.args...)...)
			if o.status != c.status {
				t.Errorf("status %d, want %d\n%s%s", o.status, c.status, o.out, o.err)
			}
			wantWords(t, "it prints", o.out, c.words...)
			wantNoWord(t, "it prints", o.out+o.err, "secret")
			if (o.err == "") != (c.status == 0) {
				t.Errorf("on stderr it says %q with status %d", o.err, o.status)
			}
		})
	}
}

func TestServeRefusesStoresThatCannotBeTrusted(t *testing.T) {
	t.Parallel()
	good := startStores(t, "redis", "redis")
	evicting := "redis://" + storetest.StartRedis(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru").Addr()
	for what, c := range map[string]struct {
		store string
		word  string
	}{
		"one server twice":  {"redis://localhost:" + port(good[0]), "are the same server"},
		"an evicting redis": {evicting, "may drop locks"},
	} {
		o := holdfast(t, flags(good, "serve", "--listen", "127.0.0.1:0", "--store", c.store)...)
		if o.status != 1 || o.out != "" {
			t.Errorf("serve with %s: status %d, says %q, want it to refuse with 1", what, o.status, o.out)
		}
		wantWords(t, "serve with "+what, o.err, "refused to start", c.word)
	}
}
