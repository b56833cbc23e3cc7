package proxy

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
)

var acquire = resp("SET", "orders:1234", "0123456789abcdef", "NX", "PX", "30000")

func BenchmarkGuard(b *testing.B) {
	const depth = 64
	burst := []byte(strings.Repeat(acquire, depth))
	g := newGuard(Options{}.withDefaults().Limits, func() bool { return true })
	b.ReportAllocs()
	b.SetBytes(int64(len(burst)))
	for b.Loop() {
		for rest := burst; len(rest) > 0; {
			n, _, err := g.next(rest)
			if n == 0 || err != nil {
				b.Fatalf("next = %d, %v", n, err)
			}
			rest = rest[n:]
		}
	}
}

// An instant session answers during Begin, or from another goroutine.
type instant struct {
	elsewhere chan func([]byte, bool)
}

var ok = []byte("+OK\r\n")

func (h instant) Open(Conn) Session { return h }
func (h instant) NoMore()           {}
func (h instant) Close()            {}
func (h instant) Begin(args [][]byte, reply func([]byte, bool)) {
	if h.elsewhere != nil {
		h.elsewhere <- reply
		return
	}
	reply(ok, false)
}

// answerer returns where an instant session may have its commands answered.
func answerer(b *testing.B) chan func([]byte, bool) {
	replies := make(chan func([]byte, bool), 1024)
	b.Cleanup(func() { close(replies) })
	go func() {
		for reply := range replies {
			reply(ok, false)
		}
	}()
	return replies
}

func BenchmarkTCP(b *testing.B) {
	for _, when := range []string{"at once", "elsewhere"} {
		for _, depth := range []int{1, 16, 64, 512} {
			b.Run(fmt.Sprintf("%s/%d", when, depth), func(b *testing.B) {
				h := instant{}
				if when == "elsewhere" {
					h.elsewhere = answerer(b)
				}
				_, addr := start(b, Options{Handler: h})
				benchmarkPipeline(b, dial(b, addr), depth)
			})
		}
	}
}

// benchmarkPipeline sends bursts of depth commands and reads their replies.
func benchmarkPipeline(b *testing.B, p *peer, depth int) {
	burst := []byte(strings.Repeat(acquire, depth))
	replies := make([]byte, depth*len(ok))
	b.ReportAllocs()
	commands := 0
	for b.Loop() {
		if commands += depth; commands%1000 < depth {
			p.extend()
		}
		if _, err := p.Write(burst); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(p, replies); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(commands)/b.Elapsed().Seconds(), "commands/s")
}

// BenchmarkIdle measures what a connection costs that has had one command
// answered and waits for the next, the test's own end included.
func BenchmarkIdle(b *testing.B) {
	const conns = 2000
	for name, answered := range map[string]func(h *instant){
		"at once":   func(*instant) {},
		"elsewhere": func(h *instant) { h.elsewhere = answerer(b) },
	} {
		b.Run(name, func(b *testing.B) {
			h := instant{}
			answered(&h)
			_, addr := start(b, Options{Handler: h})
			for b.Loop() {
				peers := make([]net.Conn, conns)
				before := footprint()
				for i := range peers {
					peers[i] = idler(b, addr)
				}
				b.ReportMetric(float64(footprint()-before)/conns, "B/conn")
				for _, p := range peers {
					p.Close()
				}
			}
		})
	}
}

// idler returns a connection that had one command answered.
func idler(b *testing.B, addr string) net.Conn {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.WriteString(conn, acquire); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, len(ok))); err != nil {
		b.Fatal(err)
	}
	return conn
}

// footprint returns the memory in use.
func footprint() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what lies in a pool outlives the first
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
