package proxy

import (
	"io"
	"strings"
	"testing"
)

// A web page may have a browser send any text to us, and a server that fetches what it
// is told to may be had to send headers: neither is to be taken for a client.
func TestRequestsOfHTTPAreNotCarriedOut(t *testing.T) {
	const order = "SET orders thief NX PX 60000\r\n"
	for name, test := range map[string]struct {
		sent  string
		begun string // of it
	}{
		"a form of a web page":   {"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n\r\n" + order, ""},
		"another method":         {"PUT /x HTTP/1.1\r\nHost: x\r\n\r\n" + order, "PUT /x HTTP/1.1"},
		"in any case":            {"pOsT / HTTP/1.1\r\n" + order, ""},
		"a header in lower case": {"GET / HTTP/1.1\nhost: x\n\n" + order, "GET / HTTP/1.1"},
		"quoted":                 {"\"post\" x\r\n" + order, ""},
		"as an array":            {resp("POST", "/") + order, ""},
		"a header as an array":   {resp("ECHO", "a") + resp("HOST:") + order, "ECHO a"},
	} {
		for how, pieces := range map[string][]string{"at once": {test.sent}, "byte by byte": strings.Split(test.sent, "")} {
			e, logged := newEcho(), &logBook{}
			s, addr := start(t, Options{Handler: e, Log: logged.logger()})
			p := dial(t, addr)
			for _, piece := range pieces {
				if _, err := io.WriteString(p, piece); err != nil {
					break // it is closed already
				}
			}
			e.awaitClosed(t, 1)
			if got, _ := io.ReadAll(p.r); strings.Contains(string(got), "OK") || how == "at once" && len(got) > 0 {
				t.Errorf("%s, %s: the answer is %q, want none", name, how, got)
			}
			if got := e.commands(t, 0); got != test.begun {
				t.Errorf("%s, %s: begun %q, want %q", name, how, got, test.begun)
			}
			if got := s.Stats().ProtocolErrors; got != 1 {
				t.Errorf("%s, %s: %d protocol errors, want 1", name, how, got)
			}
			if got := logged.String(); !strings.Contains(got, "level=WARN") || !strings.Contains(got, "remote="+p.LocalAddr().String()) || !strings.Contains(got, "HTTP") {
				t.Errorf("%s, %s: logged %q, want a warning that names the client and what it sent", name, how, got)
			}
		}
	}
}

func TestWordsThatOnlyBeginAsHTTPDoesAreCommands(t *testing.T) {
	e := newEcho()
	_, addr := start(t, Options{Handler: e})
	p := dial(t, addr)
	p.send(resp("POSTS") + resp("HOST") + resp("ECHO", "POST") + "ECHO Host:\r\n")
	p.expect(strings.Repeat("-ERR unknown command\r\n", 2) + string(bulk([]byte("POST"))) + string(bulk([]byte("Host:"))))
}

func TestRequestsOfHTTPDoNotFillTheLog(t *testing.T) {
	logged := &logBook{}
	s, addr := start(t, Options{Handler: newEcho(), Log: logged.logger()})
	for range 20 {
		p := dial(t, addr)
		p.send("POST / HTTP/1.1\r\n")
		io.ReadAll(p.r)
	}
	poll(t, "all are gone", func() bool { return s.Stats().Connections == 0 })
	if got := strings.Count(logged.String(), "level=WARN"); got != 1 {
		t.Errorf("%d warnings, want 1:\n%s", got, logged)
	}
}
