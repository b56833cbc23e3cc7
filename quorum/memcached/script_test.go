package memcached

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

// errHangUp is what a script returns to close the connection.
var errHangUp = errors.New("hang up")

// A script answers one command line, with its value if it has one. What it
// leaves to a well-behaved server is handed to polite.
type script func(line string) (answer string, err error)

// scripted returns a store whose server is the script, on a pipe.
func scripted(t *testing.T, s script) *Store {
	t.Helper()
	store, err := New("memcached://scripted")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	store.dial = func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go s.serve(far) // ends with the pipe, which the store closes
		return near, nil
	}
	return store
}

func (s script) serve(nc net.Conn) {
	r := bufio.NewReader(nc)
	answers := make(chan string)
	defer close(answers)
	go func() { // a pipe holds nothing: let at least one answer wait to be read
		defer nc.Close()
		for a := range answers {
			io.WriteString(nc, a)
		}
	}()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSuffix(line, "\r\n")
		answer, err := s(line)
		if err != nil {
			return
		}
		answers <- answer
	}
}

// polite answers what a store asks when it connects, and finds nothing.
func polite(line string) string {
	switch {
	case line == "version":
		return "VERSION 1.6.18\r\n"
	case line == "stats":
		return "STAT pid 7\r\nSTAT uptime 30\r\nSTAT time 1000\r\nEND\r\n"
	case line == "stats settings":
		return "STAT cas_enabled yes\r\nEND\r\n"
	case strings.HasPrefix(line, "mg "):
		return "EN " + opaqueOf(line) + "\r\n"
	}
	return "HD " + opaqueOf(line) + "\r\n"
}

func opaqueOf(line string) string { return line[strings.LastIndexByte(line, ' ')+1:] }
