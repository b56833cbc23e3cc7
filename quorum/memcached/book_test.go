package memcached

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"

	"holdfast/quorum"
)

func TestTheBookIsLegible(t *testing.T) {
	for _, c := range []struct {
		book quorum.Book
		want string
	}{
		{quorum.Book{}, ""},
		{
			quorum.Book{"b": `signed {"nonce":"x"}`, "a": "pending {}"},
			"a pending {}\nb signed {\"nonce\":\"x\"}\n",
		},
		{quorum.Book{"": "x"}, "\"\" x\n"},
		{quorum.Book{"a b": "x"}, "\"a b\" x\n"},
		{quorum.Book{`"a`: `"x`}, `"\"a" "\"x"` + "\n"},
		{quorum.Book{"a": "x\ny"}, `a "x\ny"` + "\n"},
		{quorum.Book{"日本": " \xff "}, "日本  \xff \n"},
		{quorum.Book{"a\x7f": "\r"}, `"a\x7f" "\r"` + "\n"},
	} {
		got := string(encodeBook(c.book))
		if got != c.want {
			t.Errorf("%q is kept as %q, want %q", c.book, got, c.want)
		}
		if back, err := decodeBook([]byte(got)); err != nil || !maps.Equal(back, c.book) {
			t.Errorf("%q is read as %q, %v, want %q", got, back, err, c.book)
		}
	}
}

func TestWhatIsNoBookIsRefused(t *testing.T) {
	for kept, want := range map[string]string{
		"a x":          "no line end",
		"a\n":          "no blank behind an id",
		"\n":           "no blank behind an id",
		"a \n":         "an empty line",
		"a \"\"\n":     "an empty line",
		"a \"x\n":      "line: invalid syntax",
		"\"a x\n":      "id: invalid syntax",
		"\"a\"x\n":     "no blank behind an id",
		"a x\na y\n":   `"a" signed it twice`,
		"a x\n\"a\" y": "no line end",
	} {
		if book, err := decodeBook([]byte(kept)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is read as %q, %v, want an error with %q", kept, book, err, want)
		}
	}
}

func FuzzBook(f *testing.F) {
	f.Add([]byte("a signed {}\n\"b c\" pending {}\n"), "a", "signed {}")
	f.Fuzz(func(t *testing.T, kept []byte, id, line string) {
		book, err := decodeBook(kept)
		if err != nil {
			book = quorum.Book{}
		}
		if line != "" {
			book[id] = line
		}
		if back, err := decodeBook(encodeBook(book)); err != nil || !maps.Equal(back, book) {
			t.Errorf("%q comes back as %q, %v", book, back, err)
		}
	})
}

func TestSigningSeesWhoeverComesBetween(t *testing.T) {
	const theirs = "set holdfast:book 0 0 8\r\na 1\nc x\n\r\n" // they sign, and leave us our line
	s := startServer(t)
	for _, c := range []struct {
		what    string
		lines   []string // sent before each change: the room, then the book
		verdict quorum.Verdict
		after   quorum.Book
	}{
		{"nobody", nil, quorum.Granted, quorum.Book{"a": "2"}},
		{"another signs", []string{"", theirs}, quorum.Granted, quorum.Book{"a": "2", "c": "x"}},
		{"another signs our line", []string{"", "set holdfast:book 0 0 4\r\na 3\n\r\n"}, quorum.Refused, quorum.Book{"a": "3"}},
		{"another tears it", []string{"", "delete holdfast:book\r\n"}, quorum.Refused, quorum.Book{}},
		{"it is flushed", []string{"", "flush_all\r\n"}, quorum.Refused, quorum.Book{}},
		{"it is flushed before there is room", []string{"flush_all\r\n"}, quorum.Refused, quorum.Book{}},
		{"others are quicker each time", []string{"", theirs, "", theirs, "", theirs}, quorum.Silent, quorum.Book{"a": "1", "c": "x"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := server{s.Server, t}
			s.ask("set holdfast:book 0 0 4\r\na 1\n\r\n")
			v := do(t, meddled(s, c.lines...), sign("a", "1", "2"))[0]
			if v.Verdict != c.verdict || v.Unsent != (c.verdict == quorum.Silent) {
				t.Errorf("%v, unsent %t, error %v, want %v", v.Verdict, v.Unsent, v.Err, c.verdict)
			}
			if got := do(t, s.open(), readBook())[0]; !maps.Equal(got.Book, c.after) {
				t.Errorf("the book is %q, want %q", got.Book, c.after)
			}
		})
	}
}

func TestAFlushBehindASwapShowsInTheBook(t *testing.T) {
	s := startServer(t)
	must(t, "sign", do(t, s.open(), sign("a", "", "signed 1"))[0], quorum.Granted, nil)
	writes := 0
	store := through(s, meddler{meddle: nothing, behind: func(string) {
		writes++
		s.awaits("lock", ours("a", 1))
		s.tell("flush_all\r\n", "OK\r\n")
	}})
	votes := do(t, store, heeding(swap("lock", nil, ours("a", 1))), readBook())
	must(t, "the swap", votes[0], quorum.Granted, nil)
	if v := votes[1]; writes != 1 || v.Verdict != quorum.Granted || len(v.Book) != 0 {
		t.Errorf("after %d writes and a flush behind: %v, book %q, error %v, want it granted and empty", writes, v.Verdict, v.Book, v.Err)
	}
}

func TestTheBookIsReadBehindAllThatWasAskedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []string
		refusals := 2
		store := scripted(t, func(line string) (string, error) {
			if word, _, _ := strings.Cut(line, " O"); !strings.HasPrefix(line, "a~") {
				lines = append(lines, word)
			}
			if strings.HasPrefix(line, "ms slow ") && refusals > 0 {
				refusals--
				return "NS " + opaqueOf(line) + "\r\n", nil
			}
			return ordinary(line)
		})
		mustConnect(t, store)
		lines = nil
		votes := do(t, store, swap("slow", nil, ours("a", 1)), readBook(), swap("fast", nil, ours("a", 1)), read("slow"))
		if got := ballot(votes); got != "gggg" {
			t.Errorf("votes %s, want all granted", got)
		}
		var order []string
		for _, line := range lines {
			order = append(order, strings.Join(strings.Fields(line)[:2], " "))
		}
		const want = "mg slow, ms slow, mg slow, ms slow, mg slow, ms slow, mg holdfast:book, mg fast, mg slow, ms fast"
		if got := strings.Join(order, ", "); got != want {
			t.Errorf("sent %s, want %s", got, want)
		}
	})
}

func TestABookThatCannotBeReadIsNamed(t *testing.T) {
	s := startServer(t)
	store := s.open()
	for _, c := range []struct{ kept, want string }{
		{"nonsense", `read the book at holdfast:book: no line end behind "nonsense"`},
		{strings.Repeat("x", maxData+1), "longer than"},
	} {
		s.tell(fmt.Sprintf("set holdfast:book 0 0 %d\r\n%s\r\n", len(c.kept), c.kept), "STORED\r\n")
		for i, v := range do(t, store, readBook(), sign("a", "", "signed 1")) {
			if v.Verdict != quorum.Silent || v.Unsent != (i == 1) || !strings.Contains(fmt.Sprint(v.Err), c.want) {
				t.Errorf("request %d with %.20q there: %v, unsent %t, error %v, want silence because of %q", i, c.kept, v.Verdict, v.Unsent, v.Err, c.want)
			}
		}
		must(t, "tear it", do(t, store, tear())[0], quorum.Granted, nil)
		must(t, "sign it then", do(t, store, sign("a", "", "signed 1"))[0], quorum.Granted, nil)
	}
	v := do(t, store, sign("b", "", strings.Repeat("x", maxData)))[0]
	if v.Verdict != quorum.Silent || !v.Unsent || !strings.Contains(fmt.Sprint(v.Err), "above the limit") {
		t.Errorf("a line that is too long: %v, unsent %t, error %v, want it unsent", v.Verdict, v.Unsent, v.Err)
	}
}

// Lines as long as the copies that fill the server, so that they compete for one
// kind of room.
func TestAFullServerKeepsItsBook(t *testing.T) {
	there := ours(strings.Repeat("x", 1000), 1)
	s, store := full(t, there, sign("a", "", "signed "+strings.Repeat("1", 1000)))
	was := do(t, store, readBook())[0].Book
	for range 3 {
		v := do(t, store, sign("a", was["a"], "signed "+strings.Repeat("2", 1000)))[0]
		if v.Verdict != quorum.Silent || !v.Unsent || !strings.Contains(fmt.Sprint(v.Err), "make room for a book of") {
			t.Errorf("sign: %v, unsent %t, error %v, want silence for want of room", v.Verdict, v.Unsent, v.Err)
		}
		if got := do(t, store, readBook())[0].Book; !maps.Equal(got, was) {
			t.Fatalf("afterwards the book is %.40q, want it as it was", got)
		}
	}
	must(t, "strike the line", do(t, store, sign("a", was["a"], ""))[0], quorum.Granted, nil)
	must(t, "make room", do(t, store, swap("orders", there, nil))[0], quorum.Granted, there)
	must(t, "sign again", do(t, store, sign("a", "", was["a"]))[0], quorum.Granted, nil)
	for range 20 { // each beat finds the room that the one before it left
		must(t, "beat", do(t, store, sign("a", was["a"], was["a"][:999]+"x"))[0], quorum.Granted, nil)
		must(t, "beat", do(t, store, sign("a", was["a"][:999]+"x", was["a"]))[0], quorum.Granted, nil)
	}
	if said := s.ask("mg holdfast:room v\r\n"); said != "EN\r\n" {
		t.Errorf("what made room is still there: %q", said)
	}
}

// A book that the server dropped stays lost: put back behind a flush it would
// hide that.
func TestALostBookIsNotPutBack(t *testing.T) {
	writes := 0
	store := scripted(t, func(line string) (string, error) {
		switch {
		case strings.HasPrefix(line, "mg holdfast:book "):
			return "VA 4 c7 f0 t-1 " + opaqueOf(line) + "\r\na 1\n\r\n", nil
		case strings.HasPrefix(line, "ms holdfast:book "):
			writes++
			return "SERVER_ERROR out of memory storing object\r\n", nil
		case line == "a 2\n", line == "": // the new book, and the room for it
			return "", nil
		}
		return polite(line), nil
	})
	mustConnect(t, store)
	v := do(t, store, sign("a", "1", "2"))[0]
	if v.Verdict != quorum.Silent || v.Unsent || !strings.Contains(fmt.Sprint(v.Err), "which may be lost") || writes != 1 {
		t.Errorf("%v, unsent %t, error %v, after %d writes, want silence after one", v.Verdict, v.Unsent, v.Err, writes)
	}
}
