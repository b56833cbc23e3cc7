package memcached

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"holdfast/quorum"
)

// Limits on what is read. The longest line of use is a statistic, far below.
const (
	maxLine = 16 << 10
	maxData = quorum.MaxValue + 64 // the value and what a copy adds to it
	maxItem = 1 << 30              // memcached's own limit, the highest -I there is
)

// A verb is one of the four meta commands that we use.
type verb string

const (
	get    verb = "mg"
	set    verb = "ms"
	remove verb = "md"
	raise  verb = "ma"
)

// A command is one question to the server.
type command struct {
	verb verb
	key  string
	// cas ties the command to the item that was seen with this number. A set
	// with 0 writes only where there is nothing, and so does a raise.
	cas     uint64
	anyway  bool   // of a remove: whatever is there
	data    []byte // of a set
	seconds int64  // of a set: how long it is kept; 0 is for ever. Of a raise: 0 leaves that as it is
	flags   uint64 // of a set: a number that clients attach
	tell    bool   // of a set: the answer tells the CAS number of what was written
	keep    bool   // of a get: to the server the item is in use, and others go first
	number  uint64 // of a raise: what is to be added, or where it begins
}

// writeTo writes the command under a number that the answer will repeat. An
// error stays with w, and comes out when it is flushed.
func (c *command) writeTo(w *bufio.Writer, opaque uint64) {
	b := w.AvailableBuffer()
	b = append(b, c.verb...)
	b = append(b, ' ')
	b = append(b, c.key...)
	switch c.verb {
	case get:
		b = append(b, " c f t v"...)
		if !c.keep {
			b = append(b, " u"...)
		}
	case set:
		b = appendNumber(b, " ", uint64(len(c.data)))
		b = appendNumber(b, " T", uint64(c.seconds))
		if c.flags != 0 {
			b = appendNumber(b, " F", c.flags)
		}
		if c.cas == 0 {
			b = append(b, " ME"...)
		} else {
			b = appendNumber(b, " C", c.cas)
		}
		if c.tell {
			b = append(b, " c"...)
		}
	case remove:
		if !c.anyway {
			b = appendNumber(b, " C", c.cas)
		}
	case raise:
		b = c.appendRaise(b)
	}
	b = appendNumber(b, " O", opaque)
	b = append(b, "\r\n"...)
	w.Write(b)
	if c.verb == set {
		w.Write(c.data)
		w.WriteString("\r\n")
	}
}

// appendRaise appends the flags of a raise. Where there is nothing, the server
// begins with the number and adds none; should there be something after all, it
// adds nothing to that either.
func (c *command) appendRaise(b []byte) []byte {
	if c.cas == 0 {
		b = appendNumber(b, " N", uint64(c.seconds))
		b = appendNumber(b, " J", c.number)
		return append(b, " D0"...)
	}
	b = appendNumber(b, " C", c.cas)
	b = appendNumber(b, " D", c.number)
	if c.seconds > 0 {
		b = appendNumber(b, " T", uint64(c.seconds))
	}
	return b
}

func appendNumber(b []byte, before string, n uint64) []byte {
	return strconv.AppendUint(append(b, before...), n, 10)
}

// An outcome is what the server says of one command.
type outcome uint8

const (
	done    outcome = iota + 1 // written or removed
	found                      // there is an item
	absent                     // there is none
	differs                    // there is another than the one named, or one at all
	failed                     // the server could not, see reply.err; it stays in step
	lost                       // no answer came, see reply.err; the connection is closed
)

// A reply is the answer to one command.
type reply struct {
	outcome outcome
	item    item  // if found; of a set that tells, its CAS number
	err     error // if failed or lost
}

// An item is what the server keeps under one key.
type item struct {
	data    []byte
	large   bool // longer than anything of ours: data was skipped
	cas     uint64
	seconds int64 // what is left of its TTL; -1: it has none
	flags   uint64
}

// copy returns the item as a copy, nil for no item.
func (it *item) copy() *quorum.Copy {
	switch {
	case it == nil:
		return nil
	case it.large:
		return &quorum.Copy{Opaque: true}
	}
	return quorum.DecodeCopy(it.data)
}

// outcomes says which answers each command may have.
//
// Source: doc/protocol.txt, under the names of the commands.
var outcomes = map[verb]map[string]outcome{
	get:    {"VA": found, "EN": absent},
	set:    {"HD": done, "NS": differs, "EX": differs, "NF": absent},
	remove: {"HD": done, "EX": differs, "NF": absent},
	raise:  {"HD": done, "NS": differs, "EX": differs, "NF": absent},
}

// readReply reads the answer to a command that was sent under opaque. After an
// error nobody knows where the next answer begins.
func readReply(r *bufio.Reader, v verb, opaque uint64) (reply, error) {
	line, err := readLine(r)
	if err != nil {
		return reply{}, err
	}
	word, rest, _ := bytes.Cut(line, []byte(" "))
	o, ok := outcomes[v][string(word)]
	if !ok {
		return readFailure(line, v)
	}
	out := reply{outcome: o}
	size := 0
	if o == found {
		var digits []byte
		digits, rest, _ = bytes.Cut(rest, []byte(" "))
		if size, err = strconv.Atoi(string(digits)); err != nil || size < 0 || size > maxItem {
			return reply{}, unexpected(line, "no size of a value")
		}
	}
	if err := out.item.readFlags(line, rest, o, opaque); err != nil {
		return reply{}, err
	}
	if o == found {
		err = out.item.readData(r, size)
	}
	return out, err
}

// readFailure sorts the lines that are no outcome. They carry no number, so
// they count only where the server certainly took the command as a whole. A set
// that it calls malformed is not of that kind: it reads the value as commands.
func readFailure(line []byte, v verb) (reply, error) {
	switch {
	case bytes.HasPrefix(line, []byte("SERVER_ERROR ")),
		bytes.HasPrefix(line, []byte("CLIENT_ERROR ")) && v != set:
		return reply{outcome: failed, err: fmt.Errorf("the server answered %.80q", line)}, nil
	}
	return reply{}, unexpected(line, "no answer to "+string(v))
}

// readFlags reads the one-letter flags of an answer. Those that we did not ask
// for are let pass: the server adds some when other clients marked the item.
func (it *item) readFlags(line, rest []byte, o outcome, opaque uint64) error {
	numbered := false
	for flag := range bytes.FieldsSeq(rest) {
		digits := string(flag[1:])
		var err error
		switch flag[0] {
		case 'O':
			var n uint64
			if n, err = strconv.ParseUint(digits, 10, 64); err == nil && n != opaque {
				return unexpected(line, fmt.Sprintf("out of step: answers another command than O%d", opaque))
			}
			numbered = true
		case 'c':
			it.cas, err = strconv.ParseUint(digits, 10, 64)
		case 't':
			it.seconds, err = strconv.ParseInt(digits, 10, 64)
		case 'f':
			it.flags, err = strconv.ParseUint(digits, 10, 64)
		}
		if err != nil {
			return unexpected(line, "bad flag "+strconv.Quote(string(flag)))
		}
	}
	switch {
	case !numbered:
		return unexpected(line, fmt.Sprintf("out of step: no O%d", opaque))
	case o == found && it.cas == 0:
		// A set under 0 would be one without condition.
		return unexpected(line, "no CAS number")
	}
	return nil
}

// readData reads the value and the line end behind it. What is too long to be a
// copy is skipped, so that nobody's large value stops other locks.
func (it *item) readData(r *bufio.Reader, size int) error {
	if size > maxData {
		it.large = true
		if _, err := r.Discard(size); err != nil {
			return fmt.Errorf("skip a value of %d bytes: %w", size, whole(err))
		}
	} else {
		it.data = make([]byte, size)
		if _, err := io.ReadFull(r, it.data); err != nil {
			return fmt.Errorf("read a value of %d bytes: %w", size, whole(err))
		}
	}
	end, err := readLine(r)
	if err != nil {
		return fmt.Errorf("read the end of a value of %d bytes: %w", size, err)
	}
	if len(end) > 0 {
		return unexpected(end, fmt.Sprintf("not the end of a value of %d bytes", size))
	}
	return nil
}

// readLine returns the next line without its end, good until the next read.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, unexpected(line, fmt.Sprintf("no line end in %d bytes", len(line)))
	case err != nil && len(line) > 0:
		return nil, fmt.Errorf("read a line that begins %.40q: %w", line, whole(err))
	case err != nil:
		return nil, err
	}
	line, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok {
		return nil, unexpected(line, "a line must end with CR LF")
	}
	return line, nil
}

// whole turns an end of file in the middle of something into what it is.
func whole(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func unexpected(line []byte, why string) error {
	return fmt.Errorf("the server sent %.80q: %s", line, why)
}
