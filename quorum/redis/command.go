package redis

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"holdfast/quorum"
)

// Error replies that mean more than their words. The first word is protocol.
const (
	wrongType = "WRONGTYPE" // something is there, and it is no string
	noScript  = "NOSCRIPT"  // not carried out: the server does not know the script
)

// A command is what is sent for one request, and the reply to it.
type command struct {
	*redis.Cmd
	direct  bool // SET with NX and GET, not a script
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

// command returns what is sent for a request.
func (l *link) command(ctx context.Context, r *quorum.Request) command {
	if r.Action == quorum.Read {
		return command{Cmd: redis.NewCmd(ctx, "EVALSHA", readHash, 1, r.Name)}
	}
	if l.direct && r.Prev == nil && r.Next != nil {
		cmd := redis.NewCmd(ctx, "SET", r.Name, r.Next.Encode(), "PX", millis(r.TTL), "NX", "GET")
		return command{Cmd: cmd, direct: true}
	}
	accepts, prev := accepted(r)
	if r.Next == nil {
		return command{Cmd: redis.NewCmd(ctx, "EVALSHA", swapHash, 1, r.Name, accepts, prev, 0)}
	}
	cmd := redis.NewCmd(ctx, "EVALSHA", swapHash, 1, r.Name, accepts, prev, millis(r.TTL), r.Next.Encode())
	return command{Cmd: cmd}
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

// vote returns what the reply means, and false if that is nothing at all.
func (c *command) vote(r *quorum.Request) (v quorum.Vote, ok bool) {
	reply, err := c.Result()
	switch {
	case err == redis.Nil && (c.direct || r.Action == quorum.Read):
		// Nothing was there: what SET with NX wants, and a read's whole answer.
		return quorum.Vote{Verdict: quorum.Granted}, true
	case err == redis.Nil:
		return quorum.Vote{Verdict: quorum.Refused}, true
	case err != nil && redis.HasErrorPrefix(err, wrongType):
		return found(r, &quorum.Copy{Opaque: true}, 0), true
	case err != nil:
		return quorum.Vote{Err: err}, true
	case r.Action == quorum.Read:
		return readVote(r, reply)
	}
	switch reply := reply.(type) {
	case string:
		return found(r, quorum.DecodeCopy([]byte(reply)), 0), true
	case int64:
		v := quorum.Vote{Verdict: quorum.Granted}
		if reply == 1 {
			v.Found = r.Prev
		}
		return v, !c.direct && (reply == 0 || reply == 1)
	}
	return quorum.Vote{}, false
}

// readVote returns what the read script told.
func readVote(r *quorum.Request, reply any) (v quorum.Vote, ok bool) {
	pair, _ := reply.([]any)
	if len(pair) != 2 {
		return quorum.Vote{}, false
	}
	value, ok1 := pair[0].(string)
	pttl, ok2 := pair[1].(int64)
	return found(r, quorum.DecodeCopy([]byte(value)), remaining(pttl)), ok1 && ok2
}

// found is the vote of a request that came upon a copy: the answer to a read, and
// what a swap is refused for.
func found(r *quorum.Request, c *quorum.Copy, left time.Duration) quorum.Vote {
	if r.Action == quorum.Read {
		return quorum.Vote{Verdict: quorum.Granted, Found: c, FoundLeft: left}
	}
	return quorum.Vote{Verdict: quorum.Refused, Found: c}
}

// remaining returns the TTL that PTTL means: 0 for none, but never for one that
// has less than a millisecond left.
func remaining(pttl int64) time.Duration {
	if pttl < 0 {
		return 0
	}
	return max(time.Duration(pttl)*time.Millisecond, 1)
}
