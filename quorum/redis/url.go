package redis

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// A target is a store URL, read.
type target struct {
	addr           string // host:port
	user, password string
	db             int
	tls            *tls.Config // nil: no TLS
}

const defaultPort = "6379"

// errUnreadable stands for what package url would say: that quotes the part it
// stumbled over, which may be half a password.
var errUnreadable = errors.New("not a URL; a password with any of /?#@:% in it must be percent-encoded")

// parse reads a store URL. Its errors show no more of it than scheme and host.
func parse(raw string) (target, error) {
	u, err := url.Parse(raw)
	// An @ to the right of the host was meant to end a password, which was cut in
	// two: what looks like a host is then its first half.
	if err != nil || strings.Contains(u.EscapedPath()+u.RawQuery+u.EscapedFragment(), "@") {
		return target{}, fmt.Errorf("read a redis URL: %w", errUnreadable)
	}
	t, err := fromURL(u)
	if err != nil {
		return target{}, fmt.Errorf("read redis URL %s://%s: %w", u.Scheme, u.Host, err)
	}
	return t, nil
}

func fromURL(u *url.URL) (target, error) {
	if u.Scheme != "redis" && u.Scheme != "rediss" {
		return target{}, errors.New("the scheme is neither redis nor rediss")
	}
	if u.Hostname() == "" {
		return target{}, errors.New("no host")
	}
	if u.Fragment != "" {
		return target{}, errors.New("a # and what follows it mean nothing here")
	}
	port := u.Port()
	if port == "" {
		port = defaultPort
	}
	t := target{addr: net.JoinHostPort(u.Hostname(), port), user: u.User.Username()}
	t.password, _ = u.User.Password()
	if t.user != "" && t.password == "" {
		return target{}, errors.New("a user without a password")
	}
	var err error
	if t.db, err = database(u.Path); err != nil {
		return target{}, err
	}
	if u.Scheme == "rediss" {
		t.tls = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	}
	return t, t.parameters(u)
}

func database(path string) (int, error) {
	path = strings.TrimPrefix(path, "/")
	if path == "" {
		return 0, nil
	}
	db, err := strconv.ParseUint(path, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("database %q: not a number", path)
	}
	return int(db), nil
}

// parameters reads what follows the question mark.
func (t *target) parameters(u *url.URL) error {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("cannot read what follows the ?")
	}
	for key, values := range query {
		switch key {
		case "name": // for whoever lists the stores
		case "insecure_skip_verify":
			skip, err := strconv.ParseBool(values[0])
			if err != nil {
				return fmt.Errorf("insecure_skip_verify=%q: neither true nor false", values[0])
			}
			if t.tls == nil {
				return errors.New("insecure_skip_verify means nothing without TLS: rediss://")
			}
			t.tls.InsecureSkipVerify = skip
		default:
			return fmt.Errorf("unknown parameter %q", key)
		}
	}
	return nil
}
