package integration

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// A weather is what the network does to whoever crosses it.
type weather int

const (
	fair    weather = iota
	cut             // connections break, and no new ones are made
	stalled         // nothing arrives; all of it does once that is over, wanted or not
	slow            // everything arrives late
	mute            // requests arrive, replies are lost
)

// slowBy is how late what crosses a slow network arrives, each way.
const slowBy = 80 * time.Millisecond

// A relay forwards bytes between its own address and a server, in any weather.
type relay struct {
	net.Listener
	to      string
	running sync.WaitGroup

	mu      sync.Mutex
	weather weather               // guarded by mu
	changed chan struct{}         // guarded by mu; closed when the weather changes
	links   map[net.Conn]struct{} // guarded by mu; both ends of every connection
}

// startRelay starts a relay that is stopped when the test ends.
func startRelay(t testing.TB, to string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("start a relay to %s: %v", to, err)
	}
	r := &relay{Listener: l, to: to, changed: make(chan struct{}), links: map[net.Conn]struct{}{}}
	r.running.Go(r.serve)
	t.Cleanup(func() {
		l.Close()
		r.set(cut)
		r.running.Wait()
	})
	return r
}

// set changes the weather. Where replies were lost the connections break: what
// would come next is no answer to what was asked last.
func (r *relay) set(w weather) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w == cut || r.weather == mute {
		for conn := range r.links {
			conn.Close()
		}
	}
	r.weather = w
	close(r.changed)
	r.changed = make(chan struct{})
}

// now returns the weather, and what is closed when it changes.
func (r *relay) now() (weather, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.weather, r.changed
}

func (r *relay) serve() {
	for {
		conn, err := r.Accept()
		if err != nil {
			return
		}
		r.running.Go(func() { r.link(conn) })
	}
}

// link connects a client with the server until one of them hangs up.
func (r *relay) link(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", r.to)
	if err != nil {
		return
	}
	defer server.Close()
	if !r.enter(client, server) {
		return
	}
	defer r.leave(client, server)
	var pumps sync.WaitGroup
	defer pumps.Wait()
	pumps.Go(func() { r.pump(client, server, false) })
	pumps.Go(func() { r.pump(server, client, true) })
}

// enter notes both ends of a connection, unless the network is cut.
func (r *relay) enter(ends ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.weather == cut {
		return false
	}
	for _, conn := range ends {
		r.links[conn] = struct{}{}
	}
	return true
}

func (r *relay) leave(ends ...net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, conn := range ends {
		delete(r.links, conn)
	}
}

// pump forwards one direction of a connection, and ends both with it.
func (r *relay) pump(from, to net.Conn, replies bool) {
	defer from.Close()
	defer to.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && r.carry(replies) {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// carry waits as long as the weather holds something up, and reports whether it
// is to arrive.
func (r *relay) carry(reply bool) bool {
	for {
		weather, changed := r.now()
		switch weather {
		case stalled:
			<-changed
		case slow:
			<-time.After(slowBy)
			return true
		default:
			return weather != mute || !reply
		}
	}
}

func TestARelayIsAsBadAsItsWeather(t *testing.T) {
	t.Parallel()
	s := startStores(t, "redis")[0]
	for what, c := range map[string]struct {
		weather weather
		first   string // the answer in this weather, "" if none comes
		acts    bool   // the server acts in this weather
		after   string // the answer that comes when it is over, "" if the connection breaks
	}{
		"fair":    {fair, "+OK", true, ""},
		"slow":    {slow, "+OK", true, ""},
		"cut":     {cut, "", false, ""},
		"stalled": {stalled, "", false, "+OK"},
		"mute":    {mute, "", true, ""},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := startRelay(t, s.Addr())
			w := dialRaw(t, r.Addr().String())
			w.send("PING")
			if got := w.must(); got != "+PONG" {
				t.Fatalf("before: got %q, want +PONG", got)
			}
			r.set(c.weather)
			start := time.Now()
			w.Write([]byte("SET " + what + " token\r\n")) // where the network is cut this may fail
			w.SetReadDeadline(start.Add(4 * slowBy))
			if got, err := w.reply(); got != c.first {
				t.Errorf("answer %q, %v, want %q", got, err, c.first)
			}
			if took := time.Since(start); c.weather == slow && took < 2*slowBy {
				t.Errorf("the answer took %v, want at least %v", took, 2*slowBy)
			}
			if acts := !s.empty(what); acts != c.acts {
				t.Errorf("the server acted: %t, want %t", acts, c.acts)
			}
			r.set(fair)
			if c.first != "" {
				return
			}
			w.SetReadDeadline(time.Now().Add(10 * time.Second))
			got, err := w.reply()
			if got != c.after || err != nil && strings.Contains(err.Error(), "timeout") {
				t.Errorf("once it is over: %q, %v, want %q", got, err, c.after)
			}
		})
	}
}
