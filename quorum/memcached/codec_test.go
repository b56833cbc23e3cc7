package memcached

import (
	"bufio"
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestCommandsOnTheWire(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 100_000)
	for _, c := range []struct {
		command command
		want    string
	}{
		{command{verb: get, key: "k"}, "mg k c f t v u O7\r\n"},
		{command{verb: get, key: "k", keep: true}, "mg k c f t v O7\r\n"},
		{command{verb: set, key: "k", data: []byte("a\r\nb"), seconds: 2}, "ms k 4 T2 ME O7\r\na\r\nb\r\n"},
		{command{verb: set, key: "k", seconds: 2, flags: 5}, "ms k 0 T2 F5 ME O7\r\n\r\n"},
		{command{verb: set, key: "k", data: []byte("a"), seconds: 2, cas: 9}, "ms k 1 T2 C9 O7\r\na\r\n"},
		{command{verb: set, key: "k", data: long, seconds: 2, cas: 9}, "ms k 100000 T2 C9 O7\r\n" + string(long) + "\r\n"},
		{command{verb: set, key: "k", data: []byte("a"), seconds: 2, tell: true}, "ms k 1 T2 ME c O7\r\na\r\n"},
		{command{verb: set, key: "k", data: []byte("a"), cas: 9, tell: true}, "ms k 1 T0 C9 c O7\r\na\r\n"},
		{command{verb: remove, key: "k", cas: 1<<64 - 1}, "md k C18446744073709551615 O7\r\n"},
		{command{verb: remove, key: "k", anyway: true}, "md k O7\r\n"},
		{command{verb: raise, key: "k", number: 1<<64 - 1, seconds: 2}, "ma k N2 J18446744073709551615 D0 O7\r\n"},
		{command{verb: raise, key: "k", number: 5}, "ma k N0 J5 D0 O7\r\n"},
		{command{verb: raise, key: "k", cas: 9, number: 5}, "ma k C9 D5 O7\r\n"},
		{command{verb: raise, key: "k", cas: 9, number: 5, seconds: 2}, "ma k C9 D5 T2 O7\r\n"},
	} {
		var b bytes.Buffer
		w := bufio.NewWriter(&b)
		c.command.writeTo(w, 7)
		w.Flush()
		if b.String() != c.want {
			t.Errorf("%s: wrote %.60q, want %.60q", c.command.verb, b.String(), c.want)
		}
	}
}

// answer reads one reply as if to a command with number 7.
func answer(v verb, sent string) (reply, *bufio.Reader, error) {
	r := bufio.NewReaderSize(strings.NewReader(sent), maxLine)
	rep, err := readReply(r, v, 7)
	return rep, r, err
}

func TestAnswersAreReadWhole(t *testing.T) {
	huge := strings.Repeat("x", maxData+1)
	for _, c := range []struct {
		verb verb
		sent string
		want reply
	}{
		{get, "EN O7\r\n", reply{outcome: absent}},
		{get, "VA 4 c1 f0 t-1 O7\r\na\r\nb\r\n", reply{outcome: found, item: item{data: []byte("a\r\nb"), cas: 1, seconds: -1}}},
		{get, "VA 0 O7 c2 f3 t60 W Z\r\n\r\n", reply{outcome: found, item: item{data: []byte{}, cas: 2, flags: 3, seconds: 60}}},
		{get, fmt.Sprintf("VA %d c1 f0 t5 O7\r\n%s\r\n", len(huge), huge), reply{outcome: found, item: item{large: true, cas: 1, seconds: 5}}},
		{set, "HD O7\r\n", reply{outcome: done}},
		{set, "NS O7\r\n", reply{outcome: differs}},
		{set, "EX O7\r\n", reply{outcome: differs}},
		{set, "NF O7\r\n", reply{outcome: absent}},
		{set, "HD c9 O7\r\n", reply{outcome: done, item: item{cas: 9}}},
		{remove, "HD O7\r\n", reply{outcome: done}},
		{remove, "EX O7\r\n", reply{outcome: differs}},
		{remove, "NF O7\r\n", reply{outcome: absent}},
		{raise, "HD O7\r\n", reply{outcome: done}},
		{raise, "NS O7\r\n", reply{outcome: differs}},
		{raise, "EX O7\r\n", reply{outcome: differs}},
		{raise, "NF O7\r\n", reply{outcome: absent}},
	} {
		got, r, err := answer(c.verb, c.sent+"next")
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s answered %.40q: %+v, %v, want %+v", c.verb, c.sent, got, err, c.want)
		}
		if rest, _ := r.Peek(r.Buffered()); string(rest) != "next" {
			t.Errorf("%s answered %.40q: left %.40q, want \"next\"", c.verb, c.sent, rest)
		}
	}
}

func TestAServersFailureIsOneCommandsOwn(t *testing.T) {
	for _, c := range []struct {
		verb verb
		sent string
	}{
		{get, "SERVER_ERROR out of memory writing get response\r\n"},
		{get, "CLIENT_ERROR bad command line format\r\n"},
		{set, "SERVER_ERROR out of memory storing object\r\n"},
		{remove, "CLIENT_ERROR bad command line format\r\n"},
		{raise, "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"},
		{raise, "SERVER_ERROR Out of memory allocating new item\r\n"},
	} {
		got, _, err := answer(c.verb, c.sent)
		said := strings.TrimSpace(c.sent)
		if err != nil || got.outcome != failed || !strings.Contains(fmt.Sprint(got.err), said) {
			t.Errorf("%s answered %q: %+v, %v, want it failed with those words", c.verb, c.sent, got, err)
		}
	}
}

func TestNonsenseIsRefusedWithWhatCame(t *testing.T) {
	for _, c := range []struct {
		verb       verb
		sent, want string
	}{
		{get, "", "EOF"},
		{get, "EN O", `line that begins "EN O": unexpected EOF`},
		{get, "EN O7\n", "must end with CR LF"},
		{get, "\r\n", "no answer to mg"},
		{get, "HTTP/1.1 400 Bad Request\r\n", `"HTTP/1.1 400 Bad Request": no answer to mg`},
		{get, "HD O7\r\n", "no answer to mg"},
		{get, "ERROR\r\n", "no answer to mg"},
		{set, "VA 1 c1 O7\r\nx\r\n", "no answer to ms"},
		{set, "CLIENT_ERROR bad data chunk\r\n", "no answer to ms"},
		{remove, "NS O7\r\n", "no answer to md"},
		{raise, "VA 1 c1 O7\r\n5\r\n", "no answer to ma"},
		{get, "EN O8\r\n", `"EN O8": out of step: answers another command than O7`},
		{get, "EN\r\n", "out of step: no O7"},
		{get, "EN O\r\n", `bad flag "O"`},
		{get, "EN O-7\r\n", `bad flag "O-7"`},
		{get, "VA\r\n", "no size"},
		{get, "VA x c1 t1 O7\r\n", "no size"},
		{get, "VA -1 c1 t1 O7\r\n", "no size"},
		{get, "VA 9999999999 c1 t1 O7\r\n", "no size"},
		{get, "VA 1 t1 O7\r\nx\r\n", "no CAS number"},
		{get, "VA 1 c0 t1 O7\r\nx\r\n", "no CAS number"},
		{get, "VA 1 c1 tx O7\r\nx\r\n", `bad flag "tx"`},
		{get, "VA 1 c1 t1 fx O7\r\nx\r\n", `bad flag "fx"`},
		{get, "VA 3 c1 t1 O7\r\nx", "value of 3 bytes: unexpected EOF"},
		{get, "VA 1 c1 t1 O7\r\nx", "end of a value of 1 bytes: EOF"},
		{get, "VA 1 c1 t1 O7\r\nxy\r\n", `"y": not the end of a value of 1 bytes`},
		{get, "VA 70000 c1 t1 O7\r\nxy\r\n", "skip a value of 70000 bytes: unexpected EOF"},
		{get, strings.Repeat("x", maxLine+1), "no line end in 16384 bytes"},
	} {
		got, _, err := answer(c.verb, c.sent)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s answered %.40q: %+v, error %v, want %q", c.verb, c.sent, got, err, c.want)
		}
		if err != nil && len(err.Error()) > 500 {
			t.Errorf("%s answered %.40q: an error of %d bytes", c.verb, c.sent, len(err.Error()))
		}
	}
}

// FuzzReadReply reads one reply after the other until the reader refuses.
func FuzzReadReply(f *testing.F) {
	f.Fuzz(func(t *testing.T, v uint8, sent []byte) {
		verb := []verb{get, set, remove, raise}[v%4]
		src := bytes.NewReader(sent)
		r := bufio.NewReaderSize(src, maxLine)
		for {
			before := len(sent) - src.Len() - r.Buffered()
			rep, err := readReply(r, verb, 7)
			if err != nil {
				return
			}
			raw := sent[before : len(sent)-src.Len()-r.Buffered()]
			checkReply(t, verb, raw, rep)
		}
	})
}

func checkReply(t *testing.T, v verb, raw []byte, rep reply) {
	if !bytes.HasSuffix(raw, []byte("\r\n")) {
		t.Errorf("%q was taken for a whole reply", raw)
	}
	line, _, _ := bytes.Cut(raw, []byte("\r\n"))
	switch {
	case rep.outcome == 0:
		t.Errorf("%q: no outcome", raw)
	case (rep.outcome == failed) != (rep.err != nil):
		t.Errorf("%q: outcome %d with error %v", raw, rep.outcome, rep.err)
	case rep.outcome != failed && !repeats(line, "7"):
		t.Errorf("%q: answers no O7", raw)
	case rep.outcome == found:
		if rep.item.cas == 0 || len(rep.item.data) > maxData || v != get {
			t.Errorf("%q as answer to %s: %+v", raw, v, rep.item)
		}
		if !rep.item.large && !bytes.HasSuffix(raw, append(append([]byte("\r\n"), rep.item.data...), "\r\n"...)) {
			t.Errorf("%q: read the value %q", raw, rep.item.data)
		}
	}
}

func repeats(line []byte, opaque string) bool {
	for field := range bytes.FieldsSeq(line) {
		if digits, ok := bytes.CutPrefix(field, []byte("O")); ok && string(bytes.TrimLeft(digits, "0")) == opaque {
			return true
		}
	}
	return false
}
