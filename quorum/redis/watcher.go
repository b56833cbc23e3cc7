package redis

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"holdfast/quorum"
)

// A watcher is one connection to which the server reports what is written, and on
// which it is asked for what is there. Answers and reports come in the order in
// which the server acted, so an answer tells which reports it is to be believed
// over.
type watcher struct {
	conn net.Conn
	in   resp3
	cut  func() // breaks the connection under whoever uses it
	own  *own
	gone func(name string)
	pace time.Duration // between two rounds

	broad bool // every name is reported, and not only those that were looked at

	asked    chan []check  // what was asked and is not answered yet: one round at most
	answered chan struct{} // gets one when it is

	// Of the goroutine that reads.
	round []check // that is being answered
	next  int     // of round; those before it are answered, or need no look
	flood flood
	name  [maxName + 1]byte // room for one that is reported
}

const (
	maxName  = 64 << 10 // of a lock; what is longer is of no concern
	maxFlood = 10_000   // names of others in a second

	// roundEvery is how often checks go out at the most: what is taken and released
	// between two of them needs no look. One proxy on its own does not depend on what
	// it hears; where votes rest on copies, see KeepTwice, it is to hear soon.
	roundEvery     = 20 * time.Millisecond
	roundEverySoon = 2 * time.Millisecond
)

// tailLen is the length of what makes each of our copies its own, at their end:
// "~<fence>.<version>".
const tailLen = 34

func openWatcher(ctx context.Context, t target, clock quorum.Clock, gone func(string)) (*watcher, error) {
	wire, encrypted, err := dial(ctx, t)
	if err != nil {
		return nil, err
	}
	w := &watcher{
		conn:     wire.TCPConn,
		cut:      func() { wire.TCPConn.Close() },
		gone:     gone,
		pace:     roundEvery,
		asked:    make(chan []check, 1),
		answered: make(chan struct{}, 1),
		flood:    flood{clock: clock},
	}
	if encrypted != nil {
		w.conn = encrypted
	}
	w.own = newOwn(w.cut)
	w.in = resp3{bufio.NewReaderSize(impatient{w.conn}, bufferSize)}
	return w, nil
}

// An impatient connection is read from for so long and no longer.
type impatient struct{ net.Conn }

func (c impatient) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

// explain returns what is behind err, nil if there is none.
func (w *watcher) explain(ctx context.Context, err error) error {
	if err != nil && w.own.overflowed() {
		return fmt.Errorf("more than %d names written and not yet looked at", maxTraces)
	}
	if err != nil {
		return explain(ctx, err)
	}
	return nil
}

// login also finds out whether the user may look.
func (w *watcher) login(t target) error {
	hello := []string{"HELLO", "3"}
	if t.password != "" {
		hello = append(hello, "AUTH", cmp.Or(t.user, "default"), t.password)
	}
	commands := [][]string{hello, look(probeName)}
	if t.db != 0 {
		commands = append(commands, []string{"SELECT", strconv.Itoa(t.db)})
	}
	for _, args := range commands {
		if err := w.ask(args...); err != nil && !strings.HasPrefix(err.Error(), wrongType) {
			return fmt.Errorf("%s: %w", args[0], err)
		}
	}
	return nil
}

// track asks for the reports.
func (w *watcher) track() error {
	how := []string{"CLIENT", "TRACKING", "ON"}
	if w.broad {
		how = append(how, "BCAST")
	}
	if err := w.ask(how...); err != nil {
		return fmt.Errorf("CLIENT TRACKING: %w", err)
	}
	return nil
}

// ask sends a command and waits for an answer that is no error.
func (w *watcher) ask(args ...string) error {
	if _, err := w.conn.Write(appendCommand(nil, args...)); err != nil {
		return err
	}
	return w.in.okay()
}

// look is the command that reads as much of what is under a name as tells copies
// apart.
func look(name string) []string {
	return []string{"GETRANGE", name, strconv.Itoa(-tailLen), "-1"}
}

// run reads until that fails or ctx is done.
func (w *watcher) run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer w.cut() // it may be stuck in a write
	checking, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(ctx, w.cut)()
	wg.Go(func() { w.check(checking) })
	w.gone("")
	for {
		if err := w.read(); err != nil {
			return w.explain(ctx, err)
		}
	}
}

// check asks what is under the names that Do is done with, and now and then
// whether anybody is there, until ctx is done or the connection breaks.
func (w *watcher) check(ctx context.Context) {
	beat := time.NewTicker(patience / 4)
	defer beat.Stop()
	pause := time.NewTimer(0)
	defer pause.Stop()
	round := []check{}
	var b []byte
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.own.wake:
		case <-beat.C:
		}
		var more bool
		if round, more = w.own.take(round[:0]); more {
			w.own.ring()
		}
		pause.Reset(w.pace)
		w.asked <- round // has room: the last one is answered
		b = b[:0]
		for _, c := range round {
			if c.copy != nil {
				b = appendCommand(b, look(c.trace.name)...)
			}
		}
		b = appendCommand(b, "PING") // behind all reports of what needs no look
		if _, err := w.conn.Write(b); err != nil {
			w.cut()
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-w.answered:
		}
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
	}
}

// read takes one report or one answer.
func (w *watcher) read() error {
	kind, rest, err := w.in.header()
	if err != nil {
		return err
	}
	switch kind {
	case '>':
		return w.report(rest)
	case '$':
		n, err := length(kind, rest)
		if err != nil {
			return err
		}
		if n < 0 || n > tailLen {
			return fmt.Errorf("%d bytes where up to %d were asked for", n, tailLen)
		}
		tail, err := w.in.body(n, w.name[:])
		if err != nil {
			return err
		}
		return w.looked(tail)
	case '-':
		if bytes.HasPrefix(rest, []byte(wrongType)) {
			return w.looked(nil)
		}
		return errors.New(string(rest))
	case '+':
		return w.finish()
	}
	return fmt.Errorf("an answer to nothing: %c%.60q", kind, rest)
}

// looked takes the tail of what is under the next name of the round.
func (w *watcher) looked(tail []byte) error {
	if !w.await() {
		return errTooMuch
	}
	c := w.round[w.next]
	w.next++
	if w.own.checked(c, bytes.Equal(tail, tailOf(c.copy))) {
		w.gone(c.trace.name)
	}
	return nil
}

func tailOf(c *quorum.Copy) []byte {
	b := c.Encode()
	return b[max(len(b)-tailLen, 0):]
}

// await finds the next name of the round that is looked at, false if there is none.
func (w *watcher) await() bool {
	if w.round == nil {
		select {
		case w.round = <-w.asked:
			w.next = 0
		default:
			return false
		}
	}
	for w.next < len(w.round) && w.round[w.next].copy == nil {
		w.next++
	}
	return w.next < len(w.round)
}

// finish ends a round, and with it the checks that needed no look.
func (w *watcher) finish() error {
	if w.await() || w.round == nil {
		return errors.New("an answer is missing")
	}
	for _, c := range w.round {
		if c.copy == nil && w.own.checked(c, false) {
			w.gone(c.trace.name)
		}
	}
	w.round = nil
	w.answered <- struct{}{}
	return nil
}
