package memcached

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/quorum"
)

// threeRequests are answered by a refusal at once, by a grant after a write, and
// by a read.
func threeRequests() []quorum.Request {
	return []quorum.Request{swap("taken", nil, ours("a", 1)), swap("free", nil, ours("a", 1)), read("quiet")}
}

// ordinary answers like a server that has "taken" and nothing else.
func ordinary(line string) (string, error) {
	switch {
	case strings.HasPrefix(line, "mg taken "):
		return "VA 1 c1 f0 t5 " + opaqueOf(line) + "\r\nx\r\n", nil
	case strings.HasPrefix(line, "a~"): // the value
		return "", nil
	}
	return polite(line), nil
}

// spoilt returns a script like ordinary, but for lines with prefix.
func spoilt(prefix string, by func(line string) (string, error)) script {
	return func(line string) (string, error) {
		if strings.HasPrefix(line, prefix) {
			return by(line)
		}
		return ordinary(line)
	}
}

func TestNonsenseEndsTheConnectionAndGrantsNothing(t *testing.T) {
	says := func(answer string) func(string) (string, error) {
		return func(string) (string, error) { return answer, nil }
	}
	hangsUp := func(string) (string, error) { return "", errHangUp }
	for _, c := range []struct {
		what    string
		script  script
		ballot  string // granted, refused, silent or unsent, for each of the three
		wantErr string
	}{
		{"nothing is wrong", ordinary, "rgg", ""},
		{"it babbles", spoilt("mg taken", says("220 mail.example.com ESMTP\r\n")), "uus", "220 mail.example.com"},
		{"it babbles at the second", spoilt("mg free", says("ERROR\r\n")), "rus", `"ERROR"`},
		{"it hangs up at once", spoilt("mg taken", hangsUp), "uus", io.EOF.Error()},
		{"it hangs up after the first", spoilt("mg free", hangsUp), "rus", io.EOF.Error()},
		{"it cuts an answer short", spoilt("mg quiet", says("VA 10 c1 f0 t5 O5\r\nx\r\nEN O6\r\n")), "rus", "wait for the server"},
		{"an answer is missing", spoilt("mg taken", says("")), "uus", "out of step"},
		{"an answer comes twice", spoilt("mg taken", says("EN O3\r\nEN O3\r\n")), "uus", "out of step"},
		{"an answer is not numbered", spoilt("mg free", says("EN\r\n")), "rus", "out of step"},
		{"the write is answered by nonsense", spoilt("ms free", says("STORED\r\n")), "rsg", "STORED"},
		{"the write is called malformed", spoilt("ms free", says("CLIENT_ERROR bad data chunk\r\n")), "rsg", "bad data chunk"},
		{"the write is answered out of step", spoilt("ms free", says("HD O1\r\n")), "rsg", "out of step"},
		{"it hangs up on the write", spoilt("ms free", hangsUp), "rsg", io.EOF.Error()},
		{"it gives no CAS numbers", spoilt("mg free", says("VA 1 c0 f0 t5 O4\r\nx\r\n")), "rus", "no CAS number"},
		{"one look fails", spoilt("mg taken", says("SERVER_ERROR busy\r\n")), "ugg", ""},
		{"one read fails", spoilt("mg quiet", says("SERVER_ERROR busy\r\n")), "rgs", ""},
		{"one write fails", spoilt("ms free", says("SERVER_ERROR busy\r\n")), "rsg", ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := scripted(t, c.script)
				defer store.Close()
				mustConnect(t, store)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				votes := make([]quorum.Vote, 3)
				err := store.Do(ctx, threeRequests(), votes)
				if got := ballot(votes); got != c.ballot {
					t.Errorf("votes %s, want %s, error %v", got, c.ballot, err)
				}
				if (err == nil) != (c.wantErr == "") || err != nil && !strings.Contains(err.Error(), c.wantErr) {
					t.Errorf("error %v, want one with %q", err, c.wantErr)
				}
				for i, v := range votes {
					if (v.Verdict == quorum.Silent) != (v.Err != nil) {
						t.Errorf("vote %d is %v with error %v", i, v.Verdict, v.Err)
					}
				}
				if err == nil {
					return
				}
				if again := store.Do(ctx, threeRequests(), votes); again == nil || ballot(votes) != "uuu" {
					t.Errorf("used the connection again: votes %s, error %v", ballot(votes), again)
				}
				mustConnect(t, store)
			})
		})
	}
}

func ballot(votes []quorum.Vote) string {
	var b strings.Builder
	for _, v := range votes {
		switch {
		case v.Unsent:
			b.WriteByte('u')
		default:
			b.WriteString(v.Verdict.String()[:1])
		}
	}
	return b.String()
}

func TestABlackHoleCostsItsDeadlineAndNoMore(t *testing.T) {
	for _, prefix := range []string{"mg", "ms", "version", "stats"} {
		synctest.Test(t, func(t *testing.T) {
			swallow := false
			store := scripted(t, func(line string) (string, error) {
				if swallow && strings.HasPrefix(line, prefix) {
					return "", nil
				}
				return ordinary(line)
			})
			defer store.Close()
			mustConnect(t, store)
			swallow = true
			ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
			defer cancel()
			start := time.Now()
			var err error
			if votes := make([]quorum.Vote, 3); strings.HasPrefix(prefix, "m") {
				err = store.Do(ctx, threeRequests(), votes)
			} else {
				_, err = store.Connect(ctx)
			}
			if took := time.Since(start); took != 250*time.Millisecond || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("no answer to %s: gave up after %v with %v, want 250ms and the deadline", prefix, took, err)
			}
		})
	}
}

// Both sides would wait for ever for the other to read, were a batch written
// whole before its answers are read.
func TestAServerThatReadsOnlyWhenReadFromIsNoTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := scripted(t, ordinary)
		defer store.Close()
		mustConnect(t, store)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		votes := make([]quorum.Vote, 2000)
		if err := store.Do(ctx, manyReads(len(votes)), votes); err != nil || ballot(votes) != strings.Repeat("g", len(votes)) {
			t.Errorf("%d reads: error %v, want them all granted", len(votes), err)
		}
	})
}

func TestNonsenseEndsTheSendingToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		enough := make(chan struct{})
		defer close(enough)
		store := scripted(t, func(line string) (string, error) {
			switch {
			case strings.HasPrefix(line, "mg lock0 "):
				return "220 mail.example.com ESMTP\r\n", nil
			case strings.HasPrefix(line, "mg lock"):
				<-enough // and reads no more
			}
			return polite(line), nil
		})
		mustConnect(t, store)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		votes := make([]quorum.Vote, 2000)
		err := store.Do(ctx, manyReads(len(votes)), votes)
		if took := time.Since(start); err == nil || took != 0 || ballot(votes) != strings.Repeat("s", len(votes)) {
			t.Errorf("gave up after %v with %v, want it at once, and all silent", took, err)
		}
	})
}

func manyReads(n int) []quorum.Request {
	var requests []quorum.Request
	for i := range n {
		requests = append(requests, read(fmt.Sprint("lock", i)))
	}
	return requests
}

func TestWhoeverWasToGoOnIsAnsweredWhenTheConnectionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := scripted(t, func(line string) (string, error) {
			switch {
			case strings.HasPrefix(line, "ms lost "):
				return "NS " + opaqueOf(line) + "\r\n", nil
			case strings.HasPrefix(line, "ms free "):
				return "", errHangUp
			}
			return ordinary(line)
		})
		defer store.Close()
		mustConnect(t, store)
		votes := make([]quorum.Vote, 4)
		err := store.Do(t.Context(), []quorum.Request{
			swap("lost", nil, ours("a", 1)), // would look again
			swap("free", nil, ours("a", 1)),
			swap("free", ours("a", 1), nil), // is not begun
			read("free"),
		}, votes)
		if got := ballot(votes); err == nil || got != "usuu" {
			t.Errorf("votes %s, error %v, want usuu and an error", got, err)
		}
		for i, v := range votes {
			if v.Err == nil {
				t.Errorf("vote %d: no error", i)
			}
		}
	})
}

func TestCloseEndsABatchUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := scripted(t, spoilt("mg taken", func(string) (string, error) { return "", nil }))
		mustConnect(t, store)
		time.AfterFunc(time.Second, func() { store.Close() })
		votes := make([]quorum.Vote, 1)
		err := store.Do(t.Context(), threeRequests()[:1], votes)
		if err == nil || ballot(votes) != "u" {
			t.Errorf("closed under way: votes %s, error %v, want unsent with an error", ballot(votes), err)
		}
		if _, err := store.Connect(t.Context()); !errors.Is(err, errClosed) {
			t.Errorf("connect after close: %v, want %v", err, errClosed)
		}
		if _, err := store.Facts(t.Context()); !errors.Is(err, errClosed) {
			t.Errorf("facts after close: %v, want %v", err, errClosed)
		}
	})
}

func TestAServerThatCannotVoteIsRefused(t *testing.T) {
	for _, c := range []struct{ line, answer, want string }{
		{"version", "VERSION 1.6.0\r\n", ""},
		{"version", "VERSION 1.12.3-beta2\r\n", ""},
		{"version", "VERSION 2.0\r\n", ""},
		{"version", "VERSION 1.5.22\r\n", "memcached 1.5.22 is too old: it takes 1.6 or later"},
		{"version", "VERSION next\r\n", `version "next"`},
		{"version", "CLIENT_ERROR unauthenticated\r\n", "unauthenticated"},
		{"version", "-ERR unknown command\r\n", "-ERR unknown command"},
		{"stats", "END\r\n", "no pid"},
		{"stats", "STAT pid 7\r\nSTAT time x\r\nEND\r\n", "no time"},
		{"stats", "ERROR\r\n", `"ERROR": no statistic`},
		{"stats", strings.Repeat("STAT a b\r\n", maxStats+1), "more than 1000 statistics"},
		{"stats settings", "STAT cas_enabled no\r\nEND\r\n", "without -C"},
		{"mg " + tagKey, "ERROR\r\n", "try the meta commands on memcached 1.6.18"},
		{"mg " + tagKey, "EN\r\n", "out of step"},
		{"mg " + tagKey, "CLIENT_ERROR invalid flag\r\n", "invalid flag"},
		{"ma " + probeKey, "ERROR\r\n", "no answer to ma"},
		{"ma " + probeKey, "CLIENT_ERROR bad command line format\r\n", "bad command line format"},
	} {
		synctest.Test(t, func(t *testing.T) {
			store := scripted(t, func(line string) (string, error) {
				if line == c.line || strings.HasPrefix(line, c.line+" ") {
					return c.answer, nil
				}
				return polite(line), nil
			})
			defer store.Close()
			_, err := store.Connect(t.Context())
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s answered %.60q: error %v, want one with %q", c.line, c.answer, err, c.want)
			}
			if err != nil && store.conn != nil {
				t.Errorf("%s answered %.60q: there is a connection", c.line, c.answer)
			}
		})
	}
}

func TestARealServerWithoutCASIsRefused(t *testing.T) {
	store := startServer(t, "-C").unconnected()
	if _, err := store.Connect(t.Context()); err == nil || !strings.Contains(err.Error(), "without -C") {
		t.Errorf("connect to a server with -C: %v, want it refused", err)
	}
	if _, err := store.Facts(t.Context()); err == nil || !strings.Contains(err.Error(), "without -C") {
		t.Errorf("facts of a server with -C: %v, want it refused", err)
	}
}

func TestNobodyThereIsSaid(t *testing.T) {
	s := startServer(t)
	s.Kill()
	_, err := s.unconnected().Connect(t.Context())
	if err == nil || !strings.Contains(fmt.Sprint(err), s.Addr()) {
		t.Errorf("connect to nobody: %v, want an error with %s", err, s.Addr())
	}
}
