package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"holdfast/conf"
	"holdfast/quorum"
	"holdfast/quorum/memcached"
	"holdfast/quorum/redis"
)

// drivers are the kinds of store there are, by the scheme of their URLs.
var drivers = map[string]func(url string) (quorum.Store, error){
	"redis":     func(url string) (quorum.Store, error) { return redis.New(url) },
	"rediss":    func(url string) (quorum.Store, error) { return redis.New(url) },
	"memcached": func(url string) (quorum.Store, error) { return memcached.New(url) },
}

// members makes the stores of a configuration. None of them is asked anything yet.
func members(c conf.Config) ([]quorum.Member, error) {
	var all []quorum.Member
	var wrong []error
	for i, s := range c.Stores {
		m, err := openStore(s.URL)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("store %d: %w", i+1, err))
			continue
		}
		if twice, ok := m.Store.(interface{ KeepTwice() }); ok && len(c.Peers) > 0 {
			twice.KeepTwice() // there the stores' votes are all there is to go by
		}
		if s.AllowEviction {
			m.Store = allowEviction(m.Store)
		}
		all = append(all, m)
	}
	return all, errors.Join(wrong...)
}

// openStore makes the store at a URL, which is not asked anything yet.
func openStore(raw string) (quorum.Member, error) {
	u, err := url.Parse(raw)
	if err != nil { // its text has the URL in it, and that may have a password
		return quorum.Member{}, errors.New("not a URL")
	}
	open, ok := drivers[u.Scheme]
	if !ok {
		return quorum.Member{}, fmt.Errorf("%s: no driver for %s://; there are redis://, rediss:// and memcached://", u.Redacted(), u.Scheme)
	}
	store, err := open(raw)
	return quorum.Member{Name: storeName(u), Store: store}, err
}

// defaultPorts are those of the drivers.
var defaultPorts = map[string]string{"redis": "6379", "rediss": "6379", "memcached": "11211"}

// storeName is a store's URL without user and password, in the one form that all
// proxies compare: the port said, the default database not.
func storeName(u *url.URL) string {
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), defaultPorts[u.Scheme])
	}
	path := strings.TrimSuffix(u.Path, "/")
	if path == "/0" {
		path = ""
	}
	return u.Scheme + "://" + strings.ToLower(host) + path
}

// A tolerated store may drop locks to make room, and its line of the
// configuration says that this is known: copies that vanish are put back.
type tolerated struct{ quorum.Store }

func (s tolerated) Facts(ctx context.Context) (quorum.Facts, error) {
	facts, err := s.Store.Facts(ctx)
	if facts.MayEvict {
		facts.MayEvict = false
		facts.Problems = append(facts.Problems, "may drop locks to make room ("+facts.Eviction+"), which its allow_eviction takes")
	}
	return facts, err
}

// allowEviction returns a store that is taken although it may drop locks.
func allowEviction(s quorum.Store) quorum.Store {
	switch s := s.(type) {
	case quorum.Watcher:
		return struct {
			tolerated
			quorum.Watcher
		}{tolerated{s.(quorum.Store)}, s}
	case quorum.Evicter:
		return struct {
			tolerated
			quorum.Evicter
		}{tolerated{s.(quorum.Store)}, s}
	}
	return tolerated{s}
}

// A visit is what a store said of itself.
type visit struct {
	name  string
	facts quorum.Facts
	err   error
	took  time.Duration
}

// visitAll asks every store for its facts, all at once.
func visitAll(ctx context.Context, stores []quorum.Member, patience time.Duration) []visit {
	visits := make([]visit, len(stores))
	var wg sync.WaitGroup
	for i, m := range stores {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			start := time.Now()
			facts, err := m.Store.Facts(ctx)
			visits[i] = visit{m.Name, facts, err, time.Since(start)}
		})
	}
	wg.Wait()
	return visits
}

// refusals are the reasons not to start with these stores. One that could not
// be asked is no reason: it may be back in a moment.
func refusals(visits []visit, c conf.Config) (reasons []error) {
	for i, v := range visits {
		if v.err != nil {
			continue
		}
		if err := refusal(v.facts, c); err != nil {
			reasons = append(reasons, fmt.Errorf("%s %w", v.name, err))
		}
		for _, earlier := range visits[:i] {
			if earlier.err == nil && v.facts.RunID != "" && earlier.facts.RunID == v.facts.RunID {
				reasons = append(reasons, fmt.Errorf("%s and %s are the same server (run id %s): it would vote twice", earlier.name, v.name, v.facts.RunID))
			}
		}
	}
	return reasons
}

// refusal is the reason why a store may not vote, nil if there is none.
func refusal(facts quorum.Facts, c conf.Config) error {
	switch {
	// Memcached evicts unless it is told not to, and copies that vanish are put
	// back: for it that is a note. Whoever sets a policy in Redis meant a cache.
	case facts.MayEvict && !c.AllowEviction && facts.Kind != "memcached":
		return fmt.Errorf("may drop locks to make room (%s); turn that off there, or say --allow-eviction: copies that vanish are then put back", facts.Eviction)
	case facts.Role != "" && facts.Role != "master":
		return fmt.Errorf("is a %s and can't vote", facts.Role)
	}
	return nil
}

// advice is what is allowed but worth a word about a set of so many stores.
func advice(n int, strategy quorum.Strategy) string {
	need := strategy.Need(n)
	switch {
	case n == 0:
		return ""
	case n == 1:
		return "one store: while it is down nothing is granted; three under majority let one be down"
	case strategy == quorum.Unanimous:
		return fmt.Sprintf("unanimous over %d stores: while any of them is down nothing is granted", n)
	case n%2 == 0:
		return fmt.Sprintf("an even number of stores: %d tolerate %d down, as %d do, and need one vote more", n, n-need, n-1)
	}
	return ""
}

// names are the stores' names.
func names(stores []quorum.Member) []string {
	names := make([]string, len(stores))
	for i, m := range stores {
		names[i] = m.Name
	}
	return names
}
