package conf

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// check looks at what one setting alone can't tell.
func (c *Config) check() (wrong []error) {
	for _, address := range []struct{ name, value string }{{"listen", c.Listen}, {"admin", c.Admin}} {
		if _, _, err := net.SplitHostPort(address.value); err != nil && address.value != "" {
			wrong = append(wrong, fmt.Errorf("%s: %w", address.name, err))
		}
	}
	if c.Listen == "" {
		wrong = append(wrong, errors.New("listen: no address"))
	}
	if c.DataDir == "" {
		wrong = append(wrong, errors.New("data-dir: no folder"))
	}
	urls := make([]string, len(c.Stores))
	for i, store := range c.Stores {
		urls[i] = store.URL
	}
	wrong = append(wrong, checkURLs("store", urls)...)
	wrong = append(wrong, checkURLs("old store", c.OldStores)...)
	return append(wrong, c.checkPeers()...)
}

// checkURLs looks at URLs of one kind of stores.
func checkURLs(what string, urls []string) (wrong []error) {
	seen := map[string]bool{}
	for i, text := range urls {
		u, err := url.Parse(text)
		switch {
		case err != nil: // its text has the URL in it, and that may have a password
			wrong = append(wrong, fmt.Errorf("%s %d: not a URL; want redis://host:port or memcached://host:port", what, i+1))
		case u.Scheme == "" || u.Host == "":
			wrong = append(wrong, fmt.Errorf("%s %d, %q: want redis://host:port or memcached://host:port", what, i+1, u.Redacted()))
		case seen[u.Scheme+"://"+u.Host]:
			wrong = append(wrong, fmt.Errorf("%s %d, %q: listed twice; one server has one vote", what, i+1, u.Redacted()))
		default:
			seen[u.Scheme+"://"+u.Host] = true
		}
	}
	return wrong
}

// maxPeers leaves room in the one byte by which numbers tell their authors apart.
const maxPeers = 200

// checkPeers looks at the ids of this proxy and of the others.
func (c *Config) checkPeers() (wrong []error) {
	if c.ID != "" {
		if err := CheckID(c.ID); err != nil {
			wrong = append(wrong, fmt.Errorf("id: %w", err))
		}
	}
	for i, peer := range c.Peers {
		if err := CheckID(peer); err != nil {
			wrong = append(wrong, fmt.Errorf("peer: %w", err))
		}
		switch {
		case peer == c.ID:
			wrong = append(wrong, fmt.Errorf("peer %q: that is the id of this proxy; peers are the others", peer))
		case i > 0 && peer == c.Peers[i-1]:
			wrong = append(wrong, fmt.Errorf("peer %q: listed twice", peer))
		}
	}
	switch {
	case len(c.Peers) == 0:
		return wrong
	case len(c.Peers) > maxPeers:
		wrong = append(wrong, fmt.Errorf("peer: %d of them, at most %d", len(c.Peers), maxPeers))
	}
	if c.ID == "" {
		wrong = append(wrong, errors.New("peer: needs id too, the name by which the peers list this proxy"))
	}
	if len(c.Stores) == 0 {
		wrong = append(wrong, errors.New("peer: needs stores, which all peers ask: they know of each other's locks through nothing else"))
	}
	return wrong
}

// CheckID reports why a text is no proxy's id, nil if it is one.
func CheckID(id string) error {
	good := len(id) >= 1 && len(id) <= 64
	for i := range len(id) {
		c := id[i]
		good = good && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
			i > 0 && strings.IndexByte("._-", c) >= 0) // a flag begins with -
	}
	if !good {
		return fmt.Errorf("%.80q: want 1 to 64 letters, digits, '.', '_' or '-', the first a letter or a digit", id)
	}
	return nil
}
