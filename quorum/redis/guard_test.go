package redis

import (
	"strings"
	"testing"
)

func TestGuardStopsWhatWouldCostTooMuch(t *testing.T) {
	for sent, want := range map[string]string{ // "" lets it pass
		"+OK\r\n":                             "",
		"-ERR no\r\n:1\r\n":                   "",
		"$-1\r\n*-1\r\n*0\r\n":                "",
		"$0\r\n\r\n$5\r\n*9\r\n9\r\n+OK\r\n":  "",
		"$536870912\r\n":                      "",
		"*2\r\n*2\r\n:1\r\n:2\r\n$1\r\nx\r\n": "",
		strings.Repeat("*1\r\n:1\r\n", 100):   "",
		strings.Repeat("*1\r\n", 8) + ":1\r\n" + strings.Repeat("*1\r\n", 8): "",
		strings.Repeat("*1\r\n", 9):          "nested",
		strings.Repeat("*2\r\n:1\r\n", 9):    "nested",
		"$536870913\r\n":                     "announced",
		"$9223372036854775807\r\n":           "announced",
		"*4097\r\n":                          "announced",
		"$-2\r\n":                            "announced",
		"$\r\n":                              "announced",
		"*x\r\n":                             "announced",
		"\r\n":                               "does not speak RESP",
		"\n":                                 "empty line",
		"HTTP/1.1 400 Bad Request\r\n":       "does not speak RESP",
		">3\r\n":                             "does not speak RESP",
		"%1\r\n":                             "does not speak RESP",
		"+" + strings.Repeat("x", maxLine+1): "a line of more than",
		"-" + strings.Repeat("x", maxLine+1) + "\r\n": "a line of more than",
		"$1\r\nx\r\n*1000000\r\n":                     "announced",
		"*2\r\n$1\r\nx\r\n$99999999999999999999\r\n":  "announced",
	} {
		for _, piece := range []int{1, 2, 3, 7, len(sent)} {
			var g guard
			var err error
			for at := 0; at < len(sent) && err == nil; at += piece {
				b := []byte(sent[at:min(at+piece, len(sent))])
				_, err = g.pass(b, len(b), nil)
			}
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%.40q in pieces of %d: error %v, want %q", sent, piece, err, want)
			}
			if err != nil {
				if n, again := g.pass([]byte("+OK\r\n"), 5, nil); n != 0 || again == nil {
					t.Errorf("%.40q: read on after %v", sent, err)
				}
			}
		}
	}
}
