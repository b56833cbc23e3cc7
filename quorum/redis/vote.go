package redis

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"holdfast/quorum"
)

// Error replies that mean more than their words. The first word is protocol.
const (
	wrongType = "WRONGTYPE" // something is there, and it is of another type
	noScript  = "NOSCRIPT"  // not carried out: the server does not know the script
	spoiled   = "SPOILED"   // from our scripts: what is under a key of ours is not ours
)

// failure is the vote for an error reply.
func failure(r *quorum.Request, err error) quorum.Vote {
	switch {
	case r.Action == quorum.ReadBook, r.Action == quorum.Sign, r.Action == quorum.Tear:
		return quorum.Vote{Err: fmt.Errorf("%s: %w", bookKey, err)}
	case redis.HasErrorPrefix(err, spoiled):
		return quorum.Vote{Err: spoiltKey(r, err)}
	case redis.HasErrorPrefix(err, wrongType):
		return found(r, &quorum.Copy{Opaque: true}, 0)
	}
	return quorum.Vote{Err: err}
}

// spoiltKey names the key that a script told of: it says which of ours it is, and
// then what is wrong.
func spoiltKey(r *quorum.Request, err error) error {
	_, said, _ := strings.Cut(err.Error(), spoiled+" ")
	which, why, _ := strings.Cut(said, " ")
	key := marksKey
	if which == "gone" {
		key = goneBefore + r.Name
	}
	return fmt.Errorf("%.100q: %w", key, errors.New(why))
}

// found is the vote of a request that came upon a copy: the answer to a read, and
// what a swap is refused for.
func found(r *quorum.Request, c *quorum.Copy, left time.Duration) quorum.Vote {
	if r.Action == quorum.Read {
		return quorum.Vote{Verdict: quorum.Granted, Found: c, FoundLeft: left}
	}
	return quorum.Vote{Verdict: quorum.Refused, Found: c}
}

// directVote: a null says that nothing was there, which is what SET with NX wants.
func directVote(r *quorum.Request, reply any) (v quorum.Vote, ok bool) {
	switch reply := reply.(type) {
	case nil:
		return quorum.Vote{Verdict: quorum.Granted}, true
	case string:
		return found(r, quorum.DecodeCopy([]byte(reply)), 0), true
	}
	return quorum.Vote{}, false
}

func swapVote(r *quorum.Request, reply any) (v quorum.Vote, ok bool) {
	switch reply := reply.(type) {
	case nil:
		return quorum.Vote{Verdict: quorum.Refused}, true
	case string:
		return found(r, quorum.DecodeCopy([]byte(reply)), 0), true
	case int64:
		v := quorum.Vote{Verdict: quorum.Granted}
		if reply == 1 {
			v.Found = r.Prev
		}
		return v, reply == 0 || reply == 1
	}
	return quorum.Vote{}, false
}

func guardedVote(r *quorum.Request, reply any) (v quorum.Vote, ok bool) {
	parts, refused := reply.([]any)
	if !refused {
		_, done := reply.(int64)
		v, ok = swapVote(r, reply)
		return v, ok && done
	}
	if len(parts) != 4 {
		return quorum.Vote{}, false
	}
	there, ok1 := copyIn(parts[0], parts[3])
	gone, ok2 := numberIn(parts[1])
	mark, ok3 := numberIn(parts[2])
	v = found(r, there, 0)
	v.Gone, v.Mark = gone, mark
	return v, ok1 && ok2 && ok3
}

func readVote(r *quorum.Request, reply any) (v quorum.Vote, ok bool) {
	if reply == nil {
		return found(r, nil, 0), true
	}
	pair, _ := reply.([]any)
	if len(pair) != 2 {
		return quorum.Vote{}, false
	}
	value, ok1 := pair[0].(string)
	pttl, ok2 := pair[1].(int64)
	return found(r, quorum.DecodeCopy([]byte(value)), remaining(pttl)), ok1 && ok2
}

func heedingVote(r *quorum.Request, reply any) (v quorum.Vote, ok bool) {
	parts, _ := reply.([]any)
	if len(parts) != 4 {
		return quorum.Vote{}, false
	}
	there, ok1 := copyIn(parts[0], parts[3])
	pttl, ok2 := parts[1].(int64)
	gone, ok3 := numberIn(parts[2])
	v = found(r, there, 0)
	if there != nil && !there.Opaque {
		v.FoundLeft = remaining(pttl)
	}
	if r.Heed {
		v.Gone = gone
	}
	return v, ok1 && ok2 && ok3
}

// twiceCheckVote is checkVote where copies are kept twice.
func twiceCheckVote(r *quorum.Request, reply any) (v quorum.Vote, ok bool) {
	v, ok = heedingVote(r, reply)
	if v.FoundLeft = 0; v.Found.Equal(r.Prev) {
		v.Verdict, v.Found = quorum.Granted, r.Prev
	}
	return v, ok
}

// checkVote compares here: GET brings what is there anyway.
func checkVote(r *quorum.Request, reply any) (v quorum.Vote, ok bool) {
	there, ok := copyIn(reply, int64(0))
	v = found(r, there, 0)
	if there.Equal(r.Prev) {
		v.Verdict = quorum.Granted
	}
	return v, ok
}

func bookVote(_ *quorum.Request, reply any) (v quorum.Vote, ok bool) {
	parts, ok := reply.([]any)
	if !ok || len(parts)%2 != 0 {
		return quorum.Vote{}, false
	}
	book := make(quorum.Book, len(parts)/2)
	for i := 0; i < len(parts); i += 2 {
		id, ok1 := parts[i].(string)
		line, ok2 := parts[i+1].(string)
		if !ok1 || !ok2 {
			return quorum.Vote{}, false
		}
		book[id] = line
	}
	return quorum.Vote{Verdict: quorum.Granted, Book: book}, true
}

func signVote(_ *quorum.Request, reply any) (v quorum.Vote, ok bool) {
	switch reply {
	case int64(1):
		return quorum.Vote{Verdict: quorum.Granted}, true
	case int64(0):
		return quorum.Vote{Verdict: quorum.Refused}, true
	}
	return quorum.Vote{}, false
}

// tearVote: a 0 says that there was no book.
func tearVote(_ *quorum.Request, reply any) (v quorum.Vote, ok bool) {
	ok = reply == int64(0) || reply == int64(1)
	return quorum.Vote{Verdict: quorum.Granted}, ok
}

// copyIn returns the copy that a reply tells of, nil for none.
func copyIn(there, opaque any) (c *quorum.Copy, ok bool) {
	value, isString := there.(string)
	switch {
	case isString && opaque == int64(0):
		return quorum.DecodeCopy([]byte(value)), true
	case there == nil && opaque == int64(1):
		return &quorum.Copy{Opaque: true}, true
	}
	return nil, there == nil && opaque == int64(0)
}

// numberIn returns the number that a reply tells of, 0 for none.
func numberIn(reply any) (quorum.Number, bool) {
	s, ok := reply.(string)
	if s == "" {
		return 0, ok
	}
	n, err := strconv.ParseUint(s, 16, 64)
	return quorum.Number(n), err == nil
}

// remaining returns the TTL that PTTL means: 0 for none, but never for one that
// has less than a millisecond left.
func remaining(pttl int64) time.Duration {
	if pttl < 0 {
		return 0
	}
	return max(time.Duration(pttl)*time.Millisecond, 1)
}
