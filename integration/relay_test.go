package integration

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
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
	weather weather            // guarded by mu
	victim  int                // guarded by mu; the process that alone meets the weather, 0: all do
	changed chan struct{}      // guarded by mu; closed when the weather changes
	links   map[*link]struct{} // guarded by mu
}

// A link is one connection, from a client to the server.
type link struct {
	client, server net.Conn
	hit            bool // guarded by relay.mu; it meets the weather
}

func (l *link) close() {
	l.client.Close()
	l.server.Close()
}

// startRelay starts a relay that is stopped when the test ends.
func startRelay(t testing.TB, to string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("start a relay to %s: %v", to, err)
	}
	r := &relay{Listener: l, to: to, changed: make(chan struct{}), links: map[*link]struct{}{}}
	r.running.Go(r.serve)
	t.Cleanup(func() {
		l.Close()
		r.set(cut)
		r.running.Wait()
	})
	return r
}

// set changes the weather for everybody.
func (r *relay) set(w weather) { r.setFor(0, w) }

// setFor changes the weather for one process, by its id, and makes it fair for
// all others. Where replies were lost the connections break: what would come next
// is no answer to what was asked last.
func (r *relay) setFor(victim int, w weather) {
	of := portsOf(victim)
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.weather
	r.weather, r.victim = w, victim
	for l := range r.links {
		was := l.hit
		l.hit = victim == 0 || of[portOf(l.client)]
		if was && before == mute || l.hit && w == cut {
			l.close()
		}
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

func portOf(client net.Conn) int { return client.RemoteAddr().(*net.TCPAddr).Port }

// portsOf returns the ports of this machine that a process is connected from.
// Proxies over one store must name it alike, so what the weather is for one of
// them cannot be told from the address that it dials. Process 0 is nobody.
//
// Source: proc(5), /proc/pid/fd and /proc/pid/net/tcp.
func portsOf(pid int) map[int]bool {
	ports := map[int]bool{}
	if pid == 0 {
		return ports
	}
	sockets := map[string]bool{}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid)) // the pattern is sound
	for _, file := range files {
		to, _ := os.Readlink(file) // it may be closed by now
		if inode, ok := strings.CutPrefix(to, "socket:["); ok {
			sockets[strings.TrimSuffix(inode, "]")] = true
		}
	}
	table, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", pid)) // none: the process is gone
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 9 && sockets[f[9]] {
			var address, port int
			if n, _ := fmt.Sscanf(f[1], "%X:%X", &address, &port); n == 2 {
				ports[port] = true
			}
		}
	}
	return ports
}

// now returns the weather of a connection, and what is closed when it changes.
func (r *relay) now(l *link) (weather, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !l.hit {
		return fair, r.changed
	}
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
	l := &link{client: client, server: server}
	if !r.enter(l) {
		return
	}
	defer r.leave(l)
	var pumps sync.WaitGroup
	defer pumps.Wait()
	pumps.Go(func() { r.pump(l, client, server, false) })
	pumps.Go(func() { r.pump(l, server, client, true) })
}

// enter notes a connection, unless the network is cut for it.
func (r *relay) enter(l *link) bool {
	r.mu.Lock()
	victim := r.victim
	r.mu.Unlock()
	hit := victim == 0 || portsOf(victim)[portOf(l.client)]
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.victim != victim { // the weather has changed: whoever is left out here dials again
		return false
	}
	if l.hit = hit; hit && r.weather == cut {
		return false
	}
	r.links[l] = struct{}{}
	return true
}

func (r *relay) leave(l *link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.links, l)
}

// pump forwards one direction of a connection, and ends both with it.
func (r *relay) pump(l *link, from, to net.Conn, replies bool) {
	defer from.Close()
	defer to.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && r.carry(l, replies) {
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
func (r *relay) carry(l *link, reply bool) bool {
	for {
		weather, changed := r.now(l)
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

func TestARelayKnowsWhoMeetsItsWeather(t *testing.T) {
	t.Parallel()
	s := startStores(t, "redis")[0]
	r := startRelay(t, s.Addr())
	w := dialRaw(t, r.Addr().String())
	ping := func(what, want string) {
		t.Helper()
		w.Write([]byte("PING\r\n")) // what is cut off may fail
		if got, _ := w.reply(); got != want {
			t.Errorf("%s: answer %q, want %q", what, got, want)
		}
	}
	ping("in fair weather", "+PONG")
	r.setFor(os.Getppid(), cut)
	ping("while another process is cut off", "+PONG")
	dialRaw(t, r.Addr().String()).Close()
	r.setFor(os.Getpid(), cut)
	ping("while this process is cut off", "")
}
