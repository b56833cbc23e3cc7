package redis

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
)

// serve hands every connection to handle, which has to end when it is closed, and
// returns the address.
func serve(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed, below
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			wg.Go(func() {
				defer conn.Close()
				handle(conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, conn := range conns {
			conn.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

// A relay stands between a store and its server, and does harm.
type relay struct {
	addr string

	mu    sync.Mutex
	heard func(upstream net.Conn, request []byte) (pass bool) // guarded by mu
	told  func(reply []byte) []byte                           // guarded by mu
}

// relayTo returns a relay that passes on everything until it is told otherwise.
func relayTo(t *testing.T, server string) *relay {
	r := &relay{}
	r.addr = serve(t, func(client net.Conn) {
		upstream, err := net.Dial("tcp", server)
		if err != nil {
			return // the server is down: hang up
		}
		var wg sync.WaitGroup
		defer wg.Wait()
		defer upstream.Close()
		wg.Go(func() {
			defer client.Close()
			pump(upstream, func(b []byte) error {
				_, err := client.Write(r.tell(b))
				return err
			})
		})
		pump(client, func(b []byte) error {
			if !r.hear(upstream, b) {
				return nil
			}
			_, err := upstream.Write(b)
			return err
		})
	})
	return r
}

// pump hands over what comes in until either side is gone.
func pump(from io.Reader, pass func([]byte) error) {
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if n > 0 && pass(b[:n]) != nil || err != nil {
			return
		}
	}
}

// onRequest makes hear decide about every request from now on: whether to pass it.
func (r *relay) onRequest(hear func(upstream net.Conn, request []byte) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = hear
}

// onReply makes tell put something in the place of every reply from now on.
func (r *relay) onReply(tell func(reply []byte) []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = tell
}

func (r *relay) hear(upstream net.Conn, request []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.heard == nil || r.heard(upstream, request)
}

func (r *relay) tell(reply []byte) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.told == nil {
		return reply
	}
	return r.told(reply)
}

// clockIn returns the end of a reply to a batch, which tells the server's time.
func clockIn(reply []byte) []byte {
	return bytes.Clone(reply[bytes.LastIndex(reply, []byte("*2\r\n$10\r\n")):])
}
