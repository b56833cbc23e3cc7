package redis

import (
	"strings"
	"testing"
)

func TestURLNamesTheServer(t *testing.T) {
	for url, want := range map[string]target{
		"redis://localhost":                        {addr: "localhost:6379"},
		"redis://10.0.0.1:7000/":                   {addr: "10.0.0.1:7000"},
		"redis://[::1]":                            {addr: "[::1]:6379"},
		"redis://h:1/15":                           {addr: "h:1", db: 15},
		"redis://:secret@h":                        {addr: "h:6379", password: "secret"},
		"redis://user:secret@h/2":                  {addr: "h:6379", user: "user", password: "secret", db: 2},
		"redis://user:p%40%2F%23%3F%3A%25@h":       {addr: "h:6379", user: "user", password: "p@/#?:%"},
		"redis://h?name=north":                     {addr: "h:6379"},
		"rediss://h?insecure_skip_verify=false":    {addr: "h:6379"},
		"rediss://h/1?insecure_skip_verify=1&name": {addr: "h:6379", db: 1},
	} {
		got, err := parse(url)
		secure := strings.HasPrefix(url, "rediss")
		if err != nil || (got.tls != nil) != secure {
			t.Errorf("%s: error %v, TLS %t, want none, %t", url, err, got.tls != nil, secure)
			continue
		}
		if secure && (got.tls.ServerName != "h" || got.tls.InsecureSkipVerify != strings.Contains(url, "=1")) {
			t.Errorf("%s: verifies %q, or not: %t", url, got.tls.ServerName, got.tls.InsecureSkipVerify)
		}
		got.tls = nil
		if got != want {
			t.Errorf("%s: %+v, want %+v", url, got, want)
		}
	}
}

func TestABadURLSaysWhyAndShowsNoPassword(t *testing.T) {
	for url, want := range map[string]string{
		"":                                    "scheme",
		"localhost:6379":                      "scheme",
		"memcached://h":                       "scheme",
		"redis://":                            "no host",
		"redis://:6379":                       "no host",
		"redis://h:port":                      "percent-encoded",
		"redis://h/one":                       `database "one"`,
		"redis://h/-1":                        `database "-1"`,
		"redis://h/1/2":                       `database "1/2"`,
		"redis://h?timeout=1":                 `unknown parameter "timeout"`,
		"redis://h?insecure_skip_verify=true": "rediss",
		"rediss://h?insecure_skip_verify=si":  "neither true nor false",
		"redis://h#1":                         "#",
		"redis://user@h":                      "without a password",
		"redis://u:se/cret@h":                 "percent-encoded",
		"redis://u:se#cret@h":                 "percent-encoded",
		"redis://u:se?cret@h":                 "percent-encoded",
		"redis://u:se%cret@h":                 "percent-encoded",
		"redis://:5e#cret@h":                  "percent-encoded",
		"redis://:55#cret@h":                  "percent-encoded",
		"redis://:55/cret@h":                  "percent-encoded",
		"redis://:55?cret@h":                  "percent-encoded",
		"redis://u:secret@h?password=se":      `unknown parameter "password"`,
		"redis://u:secret@h/x":                `database "x"`,
	} {
		_, err := New(url)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", url, err, want)
			continue
		}
		for _, secret := range []string{"se/", "se#", "se?", "cret", "5e", "55", "=se"} {
			if strings.Contains(url, secret) && strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error shows %q: %v", url, secret, err)
			}
		}
	}
}
