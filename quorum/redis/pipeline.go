package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"holdfast/quorum"
)

// Batches are written and read here and not by go-redis, on the connection that it
// has logged in: they are most of what is ever sent, and it takes three times as
// long for each command. It has read all that it was owed by then, see [guard].

// A judge returns what a reply that is no error means, nil for a null, and false
// if that is nothing at all.
type judge func(r *quorum.Request, reply any) (v quorum.Vote, ok bool)

// A pipeline is a batch under way: scripts to be loaded, if there are any; swaps
// that leave nothing, together; a command for each other request; and TIME.
type pipeline struct {
	out     []byte
	loads   int // of whose replies none is wanted
	cleared []int
	asked   []asked
	names   map[string]struct{} // of the requests so far
}

// An asked is a command of a pipeline, for the request of that index.
type asked struct {
	request int
	judge   judge
}

// commands returns how many replies there will be.
func (p *pipeline) commands() int {
	n := p.loads + len(p.asked) + 1
	if len(p.cleared) > 0 {
		n++
	}
	return n
}

// queue gets the pipeline for the requests ready, after the scripts if they are
// wanted. The room of the last one is used again.
func (l *link) queue(requests []quorum.Request, votes []quorum.Vote, load bool) *pipeline {
	p := &l.pipe
	*p = pipeline{out: p.out[:0], cleared: p.cleared[:0], asked: p.asked[:0], names: p.names}
	if load {
		for _, s := range scripts {
			p.out = appendCommand(p.out, "SCRIPT", "LOAD", s.text)
		}
		p.loads = len(scripts)
	}
	l.gather(p, requests)
	p.out = appendClear(p.out, requests, p.cleared)
	cleared := p.cleared
	for i := range requests {
		if len(cleared) > 0 && cleared[0] == i {
			cleared = cleared[1:]
			continue
		}
		if err := reserved(&requests[i]); err != nil {
			votes[i] = quorum.Vote{Err: err, Unsent: true}
			continue
		}
		b, judge := l.appendRequest(p.out, &requests[i])
		p.out, p.asked = b, append(p.asked, asked{i, judge})
	}
	p.out = appendCommand(p.out, "TIME")
	return p
}

// gather finds what can be cleared together, before all else: swaps that leave
// nothing, of names that no request before them is about.
func (l *link) gather(p *pipeline, requests []quorum.Request) {
	clearing := 0
	for i := range requests {
		if l.clears(&requests[i]) {
			clearing++
		}
	}
	if clearing < 2 {
		return
	}
	if p.names == nil {
		p.names = map[string]struct{}{}
	}
	clear(p.names)
	for i := range requests {
		r := &requests[i]
		if _, again := p.names[r.Name]; !again && l.clears(r) && len(p.cleared) < maxCleared {
			p.cleared = append(p.cleared, i)
		}
		p.names[r.Name] = struct{}{}
	}
	if len(p.cleared) == 1 {
		p.cleared = p.cleared[:0]
	}
}

// maxCleared is how many copies one script takes out: nobody else is served meanwhile.
const maxCleared = 256

// clears reports whether a request may be cleared along with others.
func (l *link) clears(r *quorum.Request) bool {
	return r.Action == quorum.Swap && r.Next == nil && r.Prev != nil && !r.Prev.Opaque && !l.twice && !isGuarded(r) && !isOurs(r.Name)
}

// exchange writes a pipeline, reads the answers, and makes votes of them. An error
// means that the connection is of no use any more; requests without an answer are
// then Silent because of it.
func (l *link) exchange(ctx context.Context, p *pipeline, requests []quorum.Request, votes []quorum.Vote) (reading, error) {
	sent := l.begin(p)
	if sent.err = l.alone(); sent.err == nil {
		_, sent.err = l.conn.Write(p.out)
	}
	return l.collect(ctx, sent, requests, votes)
}

// A sent is a pipeline that is about to be written, or was.
type sent struct {
	pipe    *pipeline
	answers int         // of the connection, once those to it have come
	before  quorum.Time // it was written
	err     error       // of writing it
}

// begin is called before a pipeline is written.
func (l *link) begin(p *pipeline) sent {
	l.wire.wrote.Store(false)
	return sent{pipe: p, answers: l.answers + p.commands(), before: l.pace.clock.Now()}
}

// collect reads the answers to a pipeline, and makes votes of them.
func (l *link) collect(ctx context.Context, sent sent, requests []quorum.Request, votes []quorum.Vote) (reading, error) {
	p, answers, err := sent.pipe, sent.answers, sent.err
	var now reading
	now.Before = sent.before
	for i := 0; i < p.loads && err == nil; i++ {
		_, err = l.reply()
	}
	// next reads a reply, unless the connection broke before.
	next := func() (reply any) {
		if err == nil {
			reply, err = l.reply()
		}
		return reply
	}
	// vote makes a vote of what is said to a request.
	vote := func(i int, judge judge, reply any) (ok bool) {
		if err != nil {
			votes[i] = quorum.Vote{Err: l.broken(ctx, err), Unsent: !l.wire.wrote.Load()}
			return true
		}
		if failed, isError := reply.(replyError); isError {
			votes[i] = failure(&requests[i], failed)
			return true
		}
		votes[i], ok = judge(&requests[i], reply)
		return ok
	}
	if len(p.cleared) > 0 {
		reply := next()
		said, isArray := reply.([]any)
		_, isError := reply.(replyError)
		all := reply == int64(len(p.cleared))
		if err == nil && !isError && !all && len(said) != len(p.cleared) {
			return now, nonsense(reply)
		}
		for k, i := range p.cleared {
			one := reply // an error, for all of them
			switch {
			case isArray:
				one = said[k]
			case all:
				one = int64(1)
			}
			if !vote(i, swapVote, one) {
				return now, nonsense(reply)
			}
		}
	}
	for _, a := range p.asked {
		if reply := next(); !vote(a.request, a.judge, reply) {
			return now, nonsense(reply)
		}
	}
	var clock any
	if err == nil {
		clock, err = l.reply()
	}
	switch {
	case err != nil:
		return now, l.broken(ctx, err)
	case !l.guard.settled(answers):
		return now, void{errTooMuch}
	}
	l.answers = answers
	now.After = l.pace.clock.Now()
	failed, _ := clock.(error)
	now.Shown, now.err = sinceEpoch(clock, failed)
	return now, nil
}

// nonsense: whatever this is, it may have shifted the other answers too.
func nonsense(reply any) error {
	return void{fmt.Errorf("a reply that means nothing: %.60q", fmt.Sprint(reply))}
}

// broken returns what is behind an error of the connection.
func (l *link) broken(ctx context.Context, err error) error {
	if l.guard.err != nil {
		return void{l.guard.err}
	}
	return explain(ctx, err)
}

// alone returns an error if the server has hung up, or sent what nobody asked for.
// What is encrypted is only looked into while it is read.
func (l *link) alone() error {
	p, ok := l.conn.(*plain)
	if !ok {
		return nil
	}
	raw, err := p.SyscallConn()
	if err != nil {
		return err
	}
	var n int
	var peek error
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		n, _, peek = unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return true
	})
	switch {
	case err != nil:
		return err
	case n > 0:
		return void{errTooMuch}
	case peek == nil:
		return io.EOF
	case errors.Is(peek, syscall.EAGAIN), errors.Is(peek, syscall.EINTR):
		return nil
	}
	return peek
}

// A replyError is an error reply: the connection is in order.
type replyError string

func (e replyError) Error() string { return string(e) }

// RedisError makes it a redis.Error.
func (replyError) RedisError() {}

// reply reads one reply: nil for a null, a string, an int64, a []any of such, or a
// [replyError]. How long and how deep it may be is the guard's business.
func (l *link) reply() (any, error) {
	line, err := l.in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	if len(line) < 3 {
		return nil, void{fmt.Errorf("the server does not speak RESP: %q", line)}
	}
	kind, rest := line[0], line[1:len(line)-2]
	switch kind {
	case '+':
		return string(rest), nil
	case '-':
		return replyError(rest), nil
	}
	n, err := strconv.ParseInt(string(rest), 10, 64)
	switch {
	case err != nil:
		return nil, void{fmt.Errorf("the server sent %.60q, want a number", line)}
	case kind == ':':
		return n, nil
	case n < 0:
		return nil, nil
	case kind == '$':
		return l.bulk(int(n))
	}
	items := make([]any, n)
	for i := range items {
		if items[i], err = l.reply(); err != nil {
			return nil, err
		}
	}
	return items, nil
}

func (l *link) bulk(n int) (any, error) {
	b := make([]byte, n+len("\r\n"))
	if _, err := io.ReadFull(l.in, b); err != nil {
		return nil, err
	}
	return string(b[:n]), nil
}
