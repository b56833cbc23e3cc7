package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"holdfast/quorum/storetest"
)

// A store is a real server and a way into it past the program.
type store struct {
	*storetest.Server
	t    testing.TB
	kind string        // the scheme of its URL
	db   *redis.Client // nil if it is no redis
	way  *relay        // that lockers take to it; nil: the straight one
}

// startStores starts one server for each kind, "redis" or "memcached".
func startStores(t testing.TB, kinds ...string) []*store {
	t.Helper()
	var all []*store
	for _, kind := range kinds {
		if kind == "redis" {
			all = append(all, newRedis(t, storetest.StartRedis(t)))
		} else {
			all = append(all, newMemcached(t))
		}
	}
	return all
}

func newRedis(t testing.TB, server *storetest.Server) *store {
	return &store{t: t, kind: "redis", Server: server, db: dial(t, server.Addr())}
}

func newMemcached(t testing.TB) *store {
	t.Helper()
	// -M: rather an error than an eviction.
	return &store{t: t, kind: "memcached", Server: storetest.StartMemcached(t, "-M")}
}

// door returns the address at which lockers reach the store.
func (s *store) door() string {
	if s.way != nil {
		return s.way.Addr().String()
	}
	return s.Addr()
}

func (s *store) url() string { return s.kind + "://" + s.door() }

// flags returns the flags that make the program use the stores.
func flags(stores []*store, more ...string) []string {
	for _, s := range stores {
		more = append(more, "--store", s.url())
	}
	return more
}

// look returns what the store has under name, and what is left of its TTL, 0 if
// it has none.
func (s *store) look(name string) (value string, left time.Duration, ok bool) {
	s.t.Helper()
	if s.db == nil {
		return s.lookMemcached(name)
	}
	ctx := s.t.Context()
	value, err := s.db.Get(ctx, name).Result()
	if err == redis.Nil {
		return "", 0, false
	}
	if err == nil {
		left, err = s.db.PTTL(ctx, name).Result()
	}
	if err != nil {
		s.t.Fatalf("look for %q in %s: %v", name, s.url(), err)
	}
	return value, max(left, 0), true
}

// lookMemcached asks for the value, which may be any bytes, and the TTL.
//
// Source: memcached's doc/protocol.txt, on meta get.
func (s *store) lookMemcached(name string) (value string, left time.Duration, ok bool) {
	s.t.Helper()
	s.converse("mg "+name+" t v\r\n", func(in *bufio.Reader) error {
		line, err := in.ReadString('\n')
		if err != nil || line == "EN\r\n" {
			return err
		}
		var size, seconds int
		if _, err := fmt.Sscanf(line, "VA %d t%d", &size, &seconds); err != nil {
			return fmt.Errorf("%q: %w", line, err)
		}
		bytes := make([]byte, size)
		_, err = io.ReadFull(in, bytes)
		value, left, ok = string(bytes), time.Duration(max(seconds, 0))*time.Second, true
		return err
	})
	return value, left, ok
}

// ask sends a memcached something that ends with a request answered by MN, END
// or OK, and returns the lines before that.
func (s *store) ask(request string) (lines []string) {
	s.t.Helper()
	s.converse(request, func(in *bufio.Reader) error {
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return fmt.Errorf("after %q: %w", lines, err)
			}
			line = strings.TrimSuffix(line, "\r\n")
			if line == "MN" || line == "END" || line == "OK" {
				return nil
			}
			lines = append(lines, line)
		}
	})
	return lines
}

// converse sends a memcached a request, and has the answer read.
func (s *store) converse(request string, read func(*bufio.Reader) error) {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		s.t.Fatalf("ask %s: %v", s.url(), err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err = conn.Write([]byte(request)); err == nil {
		err = read(bufio.NewReader(conn))
	}
	if err != nil {
		s.t.Fatalf("ask %s %q: %v", s.url(), request, err)
	}
}

// count returns one of memcached's statistics.
func (s *store) count(name string) int {
	s.t.Helper()
	for _, line := range s.ask("stats\r\n") {
		if value, ok := strings.CutPrefix(line, "STAT "+name+" "); ok {
			n, err := strconv.Atoi(value)
			if err != nil {
				s.t.Fatalf("%s: %q", s.url(), line)
			}
			return n
		}
	}
	s.t.Fatalf("%s has no statistic %q", s.url(), name)
	return 0
}

// flush empties the store and leaves it running.
func (s *store) flush() {
	s.t.Helper()
	if s.db == nil {
		s.ask("flush_all\r\n")
		return
	}
	if err := s.db.FlushAll(s.t.Context()).Err(); err != nil {
		s.t.Fatalf("flush %s: %v", s.url(), err)
	}
}

// forget deletes single names, whoever put them there.
func (s *store) forget(names ...string) {
	s.t.Helper()
	if s.db == nil {
		s.ask("delete " + strings.Join(names, "\r\ndelete ") + "\r\nmn\r\n")
		return
	}
	if err := s.db.Del(s.t.Context(), names...).Err(); err != nil {
		s.t.Fatalf("delete %q in %s: %v", names, s.url(), err)
	}
}

// save has a redis write everything to its disk, to come back with.
func (s *store) save() {
	s.t.Helper()
	if err := s.db.Save(s.t.Context()).Err(); err != nil {
		s.t.Fatalf("save %s: %v", s.url(), err)
	}
}

// has reports whether there is a copy of ours under name that carries token.
func (s *store) has(name, token string) bool {
	s.t.Helper()
	value, _, ok := s.look(name)
	return ok && strings.HasPrefix(value, token+"~")
}

// empty reports whether there is nothing under name.
func (s *store) empty(name string) bool {
	s.t.Helper()
	_, _, ok := s.look(name)
	return !ok
}

// everywhere waits until something is so in every store.
func everywhere(t testing.TB, what string, stores []*store, so func(*store) bool) {
	t.Helper()
	for _, s := range stores {
		storetest.Eventually(t, what+" in "+s.url(), func() bool { return so(s) })
	}
}

// port returns the port alone.
func port(s *store) string {
	s.t.Helper()
	_, port, err := net.SplitHostPort(s.Addr())
	if err != nil {
		s.t.Fatalf("split %q: %v", s.Addr(), err)
	}
	return port
}
