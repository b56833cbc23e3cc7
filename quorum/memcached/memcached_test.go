package memcached

import (
	"strings"
	"testing"
)

func TestURLNamesOneServer(t *testing.T) {
	for url, want := range map[string]string{
		"memcached://cache1":        "cache1:11211",
		"memcached://cache1/":       "cache1:11211",
		"memcached://cache1:":       "cache1:11211",
		"memcached://10.0.0.1:2222": "10.0.0.1:2222",
		"memcached://[::1]":         "[::1]:11211",
		"memcached://[::1]:2222":    "[::1]:2222",
	} {
		store, err := New(url)
		if err != nil {
			t.Errorf("New(%q): %v", url, err)
		} else if store.addr != want {
			t.Errorf("New(%q) is for %s, want %s", url, store.addr, want)
		}
	}
}

func TestURLThatMeansNothingIsRefused(t *testing.T) {
	for url, want := range map[string]string{
		"":                               "scheme",
		"redis://cache1":                 "scheme",
		"cache1:11211":                   "scheme",
		"memcached://":                   "no host",
		"memcached://:11211":             "no host",
		"memcached://cache1:0":           "port",
		"memcached://cache1:65536":       "port",
		"memcached://cache1:x":           "port",
		"memcached://cache1/0":           "path",
		"memcached://cache1?timeout=1s":  "options",
		"memcached://cache1#a":           "options",
		"memcached://me:secret@cache1":   "user",
		"memcached://me:secret@cache1:x": "port",
		"memcached://me:secret@%zz":      "escape",
	} {
		_, err := New(url)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New(%q): error %v, want one about %q", url, err, want)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("New(%q): the error tells the password: %v", url, err)
		}
	}
}
