package proxy

import (
	"bytes"
	"errors"
	"sync"
	"time"
)

// errHTTP is why nothing more is read of a client that sends a request of HTTP. Line by
// line that reads as commands, the last of which may well be some: any web page can have
// a browser send a text of its choice to a port of the machine that it runs on, and a
// server that fetches what it is told to can be had to send it further.
var errHTTP = errors.New("a request of HTTP")

// isHTTP reports whether a command that begins with a word is part of such a request:
// POST is the method that carries a text, and every request names its host.
//
// Source: Redis 7.0, server.c, processCommand.
func isHTTP(word []byte) bool {
	return bytes.EqualFold(word, []byte("post")) || bytes.EqualFold(word, []byte("host:"))
}

// An alarm is given at most once a minute, or whoever gives cause for it fills the log.
type alarm struct {
	mu     sync.Mutex
	given  time.Time // guarded by mu; zero: never
	unsaid int       // guarded by mu; causes since then
}

// due reports whether it is to be given now, and how many causes passed unsaid.
func (a *alarm) due(now time.Time) (unsaid int, due bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.given.IsZero() && now.Sub(a.given) < time.Minute {
		a.unsaid++
		return 0, false
	}
	unsaid, a.given, a.unsaid = a.unsaid, now, 0
	return unsaid, true
}

// warnOfHTTP is for the operator. The client is told nothing: whoever is behind it must
// not learn that somebody listens here, let alone who.
func (c *client) warnOfHTTP() {
	c.server.protocolErrors.Add(1)
	if unsaid, due := c.server.attacked.due(time.Now()); due {
		c.logger().Warn("client cut off: it sends an HTTP request (POST or Host:), as a web page does that is made to reach us; nothing behind that is carried out",
			"others since the last warning", unsaid)
	}
}
