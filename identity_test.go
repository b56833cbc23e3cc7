package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"holdfast/conf"
	"holdfast/persist"
	"holdfast/quorum"
)

// openMemory opens the journal in a folder in memory.
func openMemory(t *testing.T, fs vfs.FS) *persist.Journal {
	t.Helper()
	j, _, err := persist.Open("data", persist.Options{
		Clock: quorum.BootClock{}, BootID: "boot", Wall: time.Now, FS: fs,
		Fatal: func(err error) { t.Errorf("fatal: %v", err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func TestAProxyKeepsItsName(t *testing.T) {
	for _, c := range []struct {
		what         string
		first, again string // --id at two starts
		want         string // a pattern of the name at the second; "" if that is refused
	}{
		{"none is made, once", "", "", `^[a-z]{5}-[a-z]{5}$`},
		{"one that was said stays", "a.b_c-1", "", `^a\.b_c-1$`},
		{"said again", "a", "a", `^a$`},
		{"another one", "a", "b", ""},
		{"another one than was made", "", "b", ""},
	} {
		fs := vfs.NewMem()
		j := openMemory(t, fs)
		first, err := ownName(j, conf.Config{ID: c.first, DataDir: "data"})
		if err != nil || conf.CheckID(first) != nil {
			t.Errorf("%s: at first %q, %v, %v", c.what, first, err, conf.CheckID(first))
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := ownName(openMemory(t, fs), conf.Config{ID: c.again, DataDir: "data"})
		switch {
		case c.want == "" && (err == nil || !strings.Contains(err.Error(), `"`+c.again+`"`) || !strings.Contains(err.Error(), `"`+first+`"`)):
			t.Errorf("%s: %q, %v, want it refused with both names, %q and %q", c.what, got, err, c.again, first)
		case c.want != "" && (err != nil || got != first || !regexp.MustCompile(c.want).MatchString(got)):
			t.Errorf("%s: %q and then %q, %v, want the same, %s", c.what, first, got, err, c.want)
		}
	}
}

func TestNamesAndNoncesDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		for _, made := range []string{madeName(), nonce()} {
			if seen[made] {
				t.Errorf("%q was made twice", made)
			}
			seen[made] = true
		}
	}
	if n := nonce(); !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(n) {
		t.Errorf("nonce %q, want 16 hex digits", n)
	}
}

func TestAuthorsOfAGroupDiffer(t *testing.T) {
	for id, c := range map[string]struct {
		peers []string
		want  uint8
	}{
		"a":    {[]string{"b", "c"}, 1},
		"b":    {[]string{"a", "c"}, 2},
		"c":    {[]string{"a", "b"}, 3},
		"solo": {nil, 0},
	} {
		if got := author(conf.Config{ID: id, Peers: c.peers}); got != c.want {
			t.Errorf("author of %s among %q = %d, want %d", id, c.peers, got, c.want)
		}
	}
}

func storesOf(urls ...string) (all []conf.Store) {
	for _, url := range urls {
		all = append(all, conf.Store{URL: url})
	}
	return all
}

func mustMembers(t *testing.T, urls ...string) []quorum.Member {
	t.Helper()
	all, err := members(conf.Config{Stores: storesOf(urls...)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, m := range all {
			m.Store.Close()
		}
	})
	return all
}

func TestAllPeersPrintOneConfigurationAlike(t *testing.T) {
	want := "majority of memcached://c:11211, redis://a:6379, redis://b:6379/2; max-ttl 1h0m0s"
	for what, urls := range map[string][]string{
		"as said":     {"redis://a:6379", "redis://b:6379/2", "memcached://c:11211"},
		"abbreviated": {"memcached://C", "redis://b/2", "redis://user:secret@A/0"},
	} {
		c := newConfiguration(conf.Config{Strategy: "majority", MaxTTL: time.Hour}, mustMembers(t, urls...))
		if got := c.print(); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
		if got := printedTTL(c.print()); got != time.Hour {
			t.Errorf("%s: max-ttl of it = %v, want 1h", what, got)
		}
	}
	if got := printedTTL("something else"); got != 0 {
		t.Errorf("max-ttl of no configuration = %v, want 0", got)
	}
}

func TestTheIdentityIsTheJournalsAndTheFlags(t *testing.T) {
	j := openMemory(t, vfs.NewMem())
	c := conf.Config{ID: "b", Peers: []string{"a", "c"}, New: true, Strategy: "unanimous", MaxTTL: time.Minute, DataDir: "data"}
	got, err := identify(j, c, newConfiguration(c, mustMembers(t, "redis://a:1", "redis://b:1")))
	if err != nil || got.ID != "b" || got.Instance != j.Instance() || len(got.Peers) != 2 || !got.New || got.Nonce == nil ||
		got.Print != "unanimous of redis://a:1, redis://b:1; max-ttl 1m0s" {
		t.Errorf("identity = %+v, %v", got, err)
	}
	if got, err := identify(j, conf.Config{}, configuration{}); err != nil || got.ID != "" || got.Peers != nil {
		t.Errorf("without stores: identity = %+v, %v, want none", got, err)
	}
}
