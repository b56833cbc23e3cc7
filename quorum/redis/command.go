package redis

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"holdfast/quorum"
)

// A command is what is sent for one request, and the reply to it.
type command struct {
	*redis.Cmd
	// judge returns what a reply that is no error means, nil for a null, and false
	// if that is nothing at all.
	judge   func(r *quorum.Request, reply any) (v quorum.Vote, ok bool)
	settled bool // has a reply, or never will
}

// SetErr keeps the first error, nil included, that is set once a reply was read:
// when a connection breaks, go-redis sets the error of commands too that had been
// answered before.
func (c *command) SetErr(err error) {
	if !c.settled {
		c.settled = true
		c.Cmd.SetErr(err)
	}
}

// answered reports whether there is a reply, an error reply included.
func (c *command) answered() bool {
	return c.settled && (c.Err() == nil || isReply(c.Err()))
}

// vote returns what the reply means, and false if that is nothing at all.
func (c *command) vote(r *quorum.Request) (v quorum.Vote, ok bool) {
	reply, err := c.Result()
	if err != nil && err != redis.Nil {
		return failure(r, err), true
	}
	return c.judge(r, reply)
}

// command returns what is sent for a request.
func (l *link) command(ctx context.Context, r *quorum.Request) command {
	switch r.Action {
	case quorum.Read:
		return l.readCommand(ctx, r)
	case quorum.Check:
		if l.twice {
			return command{Cmd: redis.NewCmd(ctx, l.heedingArgs(r)...), judge: twiceCheckVote}
		}
		return command{Cmd: redis.NewCmd(ctx, "GET", r.Name), judge: checkVote}
	case quorum.ReadBook:
		return command{Cmd: redis.NewCmd(ctx, "HGETALL", bookKey), judge: bookVote}
	case quorum.Sign:
		return command{Cmd: redis.NewCmd(ctx, signArgs(r)...), judge: signVote}
	case quorum.Tear:
		return command{Cmd: redis.NewCmd(ctx, "DEL", bookKey), judge: tearVote}
	}
	if l.twice || isGuarded(r) {
		return command{Cmd: redis.NewCmd(ctx, l.guardedArgs(r)...), judge: guardedVote}
	}
	if l.direct && r.Prev == nil && r.Next != nil {
		cmd := redis.NewCmd(ctx, "SET", r.Name, r.Next.Encode(), "PX", millis(r.TTL), "NX", "GET")
		return command{Cmd: cmd, judge: directVote}
	}
	accepts, prev := accepted(r)
	if r.Next == nil {
		return command{Cmd: redis.NewCmd(ctx, "EVALSHA", swapScript.hash, 1, r.Name, accepts, prev, 0), judge: swapVote}
	}
	cmd := redis.NewCmd(ctx, "EVALSHA", swapScript.hash, 1, r.Name, accepts, prev, millis(r.TTL), r.Next.Encode())
	return command{Cmd: cmd, judge: swapVote}
}

func (l *link) readCommand(ctx context.Context, r *quorum.Request) command {
	if l.twice || r.Heed {
		return command{Cmd: redis.NewCmd(ctx, l.heedingArgs(r)...), judge: heedingVote}
	}
	return command{Cmd: redis.NewCmd(ctx, "EVALSHA", readScript.hash, 1, r.Name), judge: readVote}
}

// accepted returns what a swap may replace. An opaque Prev equals nothing.
func accepted(r *quorum.Request) (accepts string, prev []byte) {
	switch {
	case r.Prev == nil, r.Prev.Opaque && r.OrNone:
		return acceptsNone, nil
	case r.Prev.Opaque:
		return acceptsNothing, nil
	case r.OrNone:
		return acceptsEither, r.Prev.Encode()
	}
	return acceptsPrev, r.Prev.Encode()
}

// millis rounds up: a store never keeps a copy for less than it was asked to.
func millis(ttl time.Duration) int64 {
	return int64(max(ttl+time.Millisecond-1, time.Millisecond) / time.Millisecond)
}

// leavesNotice: of a copy without a number nothing can be said.
func leavesNotice(r *quorum.Request) bool { return r.Gone != 0 && r.Prev != nil && r.Prev.Version != 0 }

// isGuarded reports whether a swap is about more than the copy.
func isGuarded(r *quorum.Request) bool {
	return r.Next != nil && (r.Heed || r.Mark) || leavesNotice(r)
}

// heedingArgs is the command for the heeding script.
func (l *link) heedingArgs(r *quorum.Request) []any {
	if l.twice {
		return []any{"EVALSHA", heedingScript.hash, 3, r.Name, goneBefore + r.Name, copyBefore + r.Name}
	}
	return []any{"EVALSHA", heedingScript.hash, 2, r.Name, goneBefore + r.Name}
}

// guardedArgs is the command for the guarded script.
func (l *link) guardedArgs(r *quorum.Request) []any {
	accepts, prev := accepted(r)
	var ttl, stays int64
	var next []byte
	var ended, version string
	heed, bucket := 0, any("")
	if leavesNotice(r) {
		stays, ended = millis(r.Gone), r.Prev.Version.String()
	}
	if r.Next != nil {
		ttl, next, version = millis(r.TTL), r.Next.Encode(), r.Next.Version.String()
		if r.Heed {
			heed = 1
		}
		if r.Mark {
			bucket = quorum.Bucket(r.Name)
		}
	}
	args := []any{"EVALSHA", guardedScript.hash, 3, r.Name, goneBefore + r.Name, marksKey}
	if l.twice {
		args[2] = 4
		args = append(args, copyBefore+r.Name)
	}
	return append(args, accepts, prev, ttl, next, stays, ended, heed, bucket, version)
}

// signArgs is the command for the sign script.
func signArgs(r *quorum.Request) []any {
	only := 0
	if r.Only != nil {
		only = 1
	}
	args := []any{"EVALSHA", signScript.hash, 1, bookKey, r.Name, r.Was, r.Line, only}
	for _, id := range r.Only {
		args = append(args, id)
	}
	return args
}
