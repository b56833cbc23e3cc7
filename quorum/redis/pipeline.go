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

// A pipeline is a batch under way: a command for each request, and TIME.
type pipeline struct {
	out    []byte
	first  int     // commands before those, of whose replies none is wanted
	judges []judge // by request; nil: it is not sent
	sent   int     // commands
}

// add queues the command for a request.
func (p *pipeline) add(b []byte, j judge) {
	p.out = b
	p.judges = append(p.judges, j)
	p.sent++
}

// skip leaves a request out.
func (p *pipeline) skip() { p.judges = append(p.judges, nil) }

// queue gets the pipeline for the requests ready, after the scripts if they are
// wanted. The room of the last one is used again.
func (l *link) queue(requests []quorum.Request, votes []quorum.Vote, load bool) *pipeline {
	p := &l.pipe
	*p = pipeline{out: p.out[:0], judges: p.judges[:0]}
	if load {
		for _, s := range scripts {
			p.out = appendCommand(p.out, "SCRIPT", "LOAD", s.text)
		}
		p.first, p.sent = len(scripts), len(scripts)
	}
	for i := range requests {
		if err := reserved(&requests[i]); err != nil {
			votes[i] = quorum.Vote{Err: err, Unsent: true}
			p.skip()
			continue
		}
		p.add(l.appendRequest(p.out, &requests[i]))
	}
	p.out = appendCommand(p.out, "TIME")
	p.sent++
	return p
}

// exchange writes a pipeline, reads the answers, and makes votes of them. An error
// means that the connection is of no use any more; requests without an answer are
// then Silent because of it.
func (l *link) exchange(ctx context.Context, p *pipeline, requests []quorum.Request, votes []quorum.Vote) (reading, error) {
	answers := l.guard.answers + p.sent
	now := reading{before: l.pace.clock.Now()}
	l.wire.wrote.Store(false)
	err := l.alone()
	if err == nil {
		_, err = l.conn.Write(p.out)
	}
	unsent := !l.wire.wrote.Load()
	for i := 0; i < p.first && err == nil; i++ {
		_, err = l.reply()
	}
	for i := range requests {
		if p.judges[i] == nil {
			continue // its vote says why
		}
		var reply any
		if err == nil {
			reply, err = l.reply()
		}
		if err != nil {
			votes[i] = quorum.Vote{Err: l.broken(ctx, err), Unsent: unsent}
			continue
		}
		ok := true
		if failed, isError := reply.(replyError); isError {
			votes[i] = failure(&requests[i], failed)
		} else if votes[i], ok = p.judges[i](&requests[i], reply); !ok {
			// Whatever this is, it may have shifted the other answers too.
			return now, void{fmt.Errorf("a reply that means nothing: %.60q", fmt.Sprint(reply))}
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
	now.after = l.pace.clock.Now()
	failed, _ := clock.(error)
	now.shown, now.err = sinceEpoch(clock, failed)
	return now, nil
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
