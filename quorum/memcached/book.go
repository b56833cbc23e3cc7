package memcached

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"holdfast/quorum"
)

// signed is how the line of a signature begins that counts, see [quorum.Signature].
const signed = string(quorum.Signed) + " "

// roomSeconds is how long room is kept for a new book, if we do not live to use it.
const roomSeconds = 2

func (t *task) aboutBook() bool {
	a := t.request.Action
	return a == quorum.ReadBook || a == quorum.Sign || a == quorum.Tear
}

// keepBook answers a task about the book. It fails if the connection is of no
// use any more.
func (c *conn) keepBook(ctx context.Context, t *task) error {
	switch t.request.Action {
	case quorum.ReadBook:
		book, _, err := c.openBook(ctx, t)
		if !t.done {
			t.vote.Book = book
			t.answer(quorum.Granted)
		}
		return err
	case quorum.Sign:
		return c.sign(ctx, t)
	}
	return c.tear(ctx, t)
}

// openBook reads the book, and returns the CAS number of its item too, 0 if
// there is none. Where that cannot be done the task is answered.
func (c *conn) openBook(ctx context.Context, t *task) (quorum.Book, uint64, error) {
	replies, err := c.exchange(ctx, []command{{verb: get, key: bookKey}})
	rep := &replies[0]
	book, unreadable := decodeBook(rep.item.data)
	switch {
	case rep.err != nil:
		unreadable = rep.err
	case rep.item.large:
		unreadable = fmt.Errorf("it is longer than %d bytes", maxData)
	}
	if unreadable != nil {
		t.silence(fmt.Errorf("read the book at %s: %w", bookKey, unreadable), t.request.Action == quorum.Sign)
	}
	return book, rep.item.cas, err
}

// sign puts a line in the place of another: look, decide, and write what is tied
// to what was seen.
func (c *conn) sign(ctx context.Context, t *task) error {
	r := t.request
	for range maxLooks {
		book, cas, err := c.openBook(ctx, t)
		switch {
		case t.done:
			return err
		case !maySign(book, r):
			t.answer(quorum.Refused)
			return nil
		case r.Line == r.Was:
			t.answer(quorum.Granted)
			return nil
		case r.Line == "":
			delete(book, r.Name)
		default:
			book[r.Name] = r.Line
		}
		if err := c.writeBook(ctx, t, book, cas); err != nil || t.done {
			return err
		}
	}
	t.silence(errQuicker, true)
	return nil
}

// maySign reports whether the book is as the request wants it.
func maySign(book quorum.Book, r *quorum.Request) bool {
	if book[r.Name] != r.Was {
		return false
	}
	if r.Only == nil {
		return true
	}
	for id, line := range book {
		if strings.HasPrefix(line, signed) && id != r.Name && !slices.Contains(r.Only, id) {
			return false
		}
	}
	return true
}

// writeBook puts a book in the place of the one with that CAS number. The task
// is not answered if somebody was quicker.
//
// When there is no room for the new book the server drops the old one, and with
// it everybody's signature. So room is taken first, under another name, and
// given back right before the book. Should somebody be faster to use it the old
// book is lost, and is not put back: a flush may have come in between, and by the
// old book nobody would notice.
func (c *conn) writeBook(ctx context.Context, t *task, book quorum.Book, cas uint64) error {
	write := []command{{verb: remove, key: bookKey, cas: cas}}
	if len(book) > 0 {
		data := encodeBook(book)
		room, ok, err := c.makeRoom(ctx, t, data)
		if err != nil || !ok {
			return err
		}
		write = []command{room, {verb: set, key: bookKey, cas: cas, data: data}}
	}
	replies, err := c.exchange(ctx, write)
	switch rep := &replies[len(write)-1]; rep.outcome {
	case done:
		t.answer(quorum.Granted)
	case failed:
		t.silence(fmt.Errorf("write the book at %s, which may be lost by that: %w", bookKey, rep.err), false)
	case lost:
		t.silence(fmt.Errorf("write the book at %s: %w", bookKey, rep.err), false)
	}
	return err
}

// makeRoom takes as much room as a book needs, and returns what gives it back.
// If there is none the task is answered.
func (c *conn) makeRoom(ctx context.Context, t *task, book []byte) (giveBack command, ok bool, err error) {
	if len(book) > maxData {
		err := fmt.Errorf("a book of %d bytes is above the limit of %d", len(book), maxData)
		t.silence(err, true)
		return command{}, false, nil
	}
	// The server keeps items of one size together, and counts the name: what it
	// frees of this one fits the book.
	key := roomPrefix + rand.Text()
	data := book[:max(len(book)-len(key)+len(bookKey), 0)]
	replies, err := c.exchange(ctx, []command{{verb: set, key: key, data: data, seconds: roomSeconds}})
	if rep := &replies[0]; rep.err != nil {
		t.silence(fmt.Errorf("make room for a book of %d bytes: %w", len(book), rep.err), true)
		return command{}, false, err
	}
	return command{verb: remove, key: key, anyway: true}, true, nil
}

// tear takes out the book, whatever stands in it.
func (c *conn) tear(ctx context.Context, t *task) error {
	replies, err := c.exchange(ctx, []command{{verb: remove, key: bookKey, anyway: true}})
	if rep := &replies[0]; rep.err != nil {
		t.silence(fmt.Errorf("take out the book at %s: %w", bookKey, rep.err), false)
	} else {
		t.answer(quorum.Granted)
	}
	return err
}

// encodeBook returns the bytes that the server keeps: "<id> <line>\n" for each
// signer, by id. What does not fit that form is quoted as in Go.
func encodeBook(book quorum.Book) []byte {
	var b []byte
	for _, id := range slices.Sorted(maps.Keys(book)) {
		b = append(appendField(b, id, " "), ' ')
		b = append(appendField(b, book[id], ""), '\n')
	}
	return b
}

// appendField appends s, quoted if it contains what ends the field.
func appendField(b []byte, s, end string) []byte {
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	if s == "" || s[0] == '"' || strings.ContainsFunc(s, control) || end != "" && strings.Contains(s, end) {
		return strconv.AppendQuote(b, s)
	}
	return append(b, s...)
}

// decodeBook reads what encodeBook wrote. No bytes are an empty book.
func decodeBook(b []byte) (quorum.Book, error) {
	book := make(quorum.Book)
	for len(b) > 0 {
		row, rest, ok := bytes.Cut(b, []byte("\n"))
		if !ok {
			return nil, fmt.Errorf("no line end behind %.40q", row)
		}
		id, line, err := decodeRow(string(row))
		if err != nil {
			return nil, fmt.Errorf("%.40q: %w", row, err)
		}
		if book[id] != "" {
			return nil, fmt.Errorf("%.40q signed it twice", id)
		}
		book[id], b = line, rest
	}
	return book, nil
}

func decodeRow(row string) (id, line string, err error) {
	if !strings.HasPrefix(row, `"`) {
		var ok bool
		if id, line, ok = strings.Cut(row, " "); !ok {
			return "", "", errors.New("no blank behind an id")
		}
	} else {
		quoted, err := strconv.QuotedPrefix(row)
		if err != nil {
			return "", "", fmt.Errorf("id: %w", err)
		}
		if id, err = strconv.Unquote(quoted); err != nil {
			return "", "", fmt.Errorf("id: %w", err)
		}
		if line = row[len(quoted):]; !strings.HasPrefix(line, " ") {
			return "", "", errors.New("no blank behind an id")
		}
		line = line[1:]
	}
	if strings.HasPrefix(line, `"`) {
		if line, err = strconv.Unquote(line); err != nil {
			return "", "", fmt.Errorf("line: %w", err)
		}
	}
	if line == "" {
		return "", "", errors.New("an empty line")
	}
	return id, line, nil
}
