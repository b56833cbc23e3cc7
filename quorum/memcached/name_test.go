package memcached

import (
	"strings"
	"testing"
)

func TestNamesThatFitAreKeptAsTheyAre(t *testing.T) {
	hash := "\x00hash" // stands for any
	for _, c := range []struct{ name, want string }{
		{"orders", "orders"},
		{"a", "a"},
		{"!~", "!~"},
		{"日本語", "日本語"},
		{"\x80\xff", "\x80\xff"},
		{strings.Repeat("k", 250), strings.Repeat("k", 250)},
		{strings.Repeat("k", 251), hash},
		{"", hash},
		{"a b", hash},
		{"a\tb", hash},
		{"a\r\nflush_all", hash},
		{"a\x00", hash},
		{"\x7f", hash},
		{"holdfast:db1:orders", "holdfast:db1:orders"}, // of another database
		{bookKey, hash},                                // what looks like a key of ours is hashed
		{markKey("orders"), hash},
		{noticeKey("orders"), hash},
		{key("a b"), hash},
	} {
		got := key(c.name)
		if c.want == hash {
			if !strings.HasPrefix(got, hashed) || len(got) != len(hashed)+64 || got == c.name || !fits(got) {
				t.Errorf("key(%.30q) = %q, want a hash", c.name, got)
			}
		} else if got != c.want {
			t.Errorf("key(%.30q) = %q, want it unchanged", c.name, got)
		}
	}
}

func FuzzKey(f *testing.F) {
	f.Add("orders", "orders ")
	f.Add("a b", key("a b"))
	f.Fuzz(func(t *testing.T, a, b string) {
		if !fits(key(a)) {
			t.Errorf("key(%q) = %q does not fit", a, key(a))
		}
		if (a == b) != (key(a) == key(b)) {
			t.Errorf("key(%q) = %q and key(%q) = %q", a, key(a), b, key(b))
		}
		if (a == b) != (noticeKey(a) == noticeKey(b)) || !fits(noticeKey(a)) {
			t.Errorf("noticeKey(%q) = %q and noticeKey(%q) = %q", a, noticeKey(a), b, noticeKey(b))
		}
		if strings.HasPrefix(key(a), hashed) != (!fits(a) || isOurs(a)) {
			t.Errorf("key(%q) = %q: a hash or not?", a, key(a))
		}
		if k := key(a); k == noticeKey(b) || k == markKey(b) || k == bookKey || k == tagKey {
			t.Errorf("key(%q) = %q is one of ours", a, k)
		}
	})
}
