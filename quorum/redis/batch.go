package redis

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"holdfast/quorum"
)

// A void is an error for which no vote of a batch counts, not even one that was
// answered: answers may be out of step, or the store has forgotten.
type void struct{ error }

func (v void) Unwrap() error { return v.error }

// ask sends the requests as one pipeline and fills in the votes, Elapsed left
// out. An error means that the connection is of no use any more. Whoever calls it
// cuts the connection when ctx is done.
func (l *link) ask(ctx context.Context, requests []quorum.Request, votes []quorum.Vote) error {
	return l.again(ctx, time.Time{}, l.send(ctx, requests, votes, false), requests, votes)
}

// end is ask for a pipeline that is on its way, which nobody cuts the connection for:
// it is read from until the deadline, as whoever sent it has seen to, and what has to
// be sent again is written until then.
func (l *link) end(deadline time.Time, sent sent, requests []quorum.Request, votes []quorum.Vote) error {
	ctx := context.Background()
	now, err := l.collect(ctx, sent, requests, votes)
	return l.again(ctx, deadline, l.weigh(now, err, votes), requests, votes)
}

// again asks again for what was forgotten, unless the pipeline before came to an
// error. It writes until the deadline, unless that is zero.
func (l *link) again(ctx context.Context, deadline time.Time, err error, requests []quorum.Request, votes []quorum.Vote) error {
	if err == nil && slices.ContainsFunc(votes, isForgotten) {
		l.conn.SetWriteDeadline(deadline)
		err = l.askAgain(ctx, requests, votes)
		l.conn.SetWriteDeadline(time.Time{}) // the next batch has its own, or none
	}
	var all void
	if errors.As(err, &all) {
		silence(votes, all.error, false)
	}
	return err
}

// isForgotten reports whether a request was not carried out for want of a script.
func isForgotten(v quorum.Vote) bool { return v.Err != nil && redis.HasErrorPrefix(v.Err, noScript) }

// errOvertaken is why a request was not sent again.
var errOvertaken = errors.New("the server had forgotten our scripts, and a later request was carried out first")

// askAgain loads the scripts once more, since somebody flushed them, and sends
// what was not carried out for want of them. A batch keeps its order in each
// place, so a request is left alone, Silent and as good as unsent, if a later one
// for its place was carried out already.
//
// What changes nothing is asked again too, even where it was answered: a reading
// of the book speaks for the swaps before it, and those are only carried out now.
func (l *link) askAgain(ctx context.Context, requests []quorum.Request, votes []quorum.Vote) error {
	var again []int // what is sent again, last one first
	overtaken := map[place]bool{}
	for i := len(requests) - 1; i >= 0; i-- {
		r, forgotten := &requests[i], isForgotten(votes[i])
		switch {
		case votes[i].Unsent: // reserved
		case overtaken[placeOf(r)]:
			if forgotten || r.Action == quorum.ReadBook {
				votes[i] = quorum.Vote{Err: errOvertaken, Unsent: true}
			}
		case forgotten, !changes(r):
			again = append(again, i)
		default:
			overtaken[placeOf(r)] = true
		}
	}
	slices.Reverse(again)
	return l.sendAgain(ctx, requests, votes, again)
}

// sendAgain sends the requests with these indices, after the scripts.
func (l *link) sendAgain(ctx context.Context, requests []quorum.Request, votes []quorum.Vote, again []int) error {
	rest := make([]quorum.Request, len(again))
	answers := make([]quorum.Vote, len(again))
	for i, at := range again {
		rest[i] = requests[at]
	}
	err := l.send(ctx, rest, answers, true)
	for i, v := range answers {
		v.Unsent = v.Unsent || isForgotten(v)
		votes[again[i]] = v
	}
	return err
}

// A place is what requests of one batch are kept in order for.
type place struct {
	book bool
	name string // of a lock
}

func placeOf(r *quorum.Request) place {
	switch r.Action {
	case quorum.ReadBook, quorum.Sign, quorum.Tear:
		return place{book: true}
	}
	return place{name: r.Name}
}

func changes(r *quorum.Request) bool {
	return r.Action == quorum.Swap || r.Action == quorum.Sign || r.Action == quorum.Tear
}

// send writes one command for each request, after the scripts if they are wanted,
// and makes votes of the replies. An error means that the connection is of no use
// any more; requests without a reply are then Silent because of it.
func (l *link) send(ctx context.Context, requests []quorum.Request, votes []quorum.Vote, scripts bool) error {
	now, err := l.exchange(ctx, l.queue(requests, votes, scripts), requests, votes)
	return l.weigh(now, err, votes)
}

// weigh returns why a pipeline that was answered at a reading of the clock is of no
// use all the same.
func (l *link) weigh(now reading, err error, votes []quorum.Vote) error {
	if err != nil {
		return err
	}
	if why := hopeless(votes); why != nil && now.err != nil {
		return why // the clock could not be read either
	}
	if err := l.pace.follow(now); err != nil {
		return void{err}
	}
	for i := range votes {
		if votes[i].Book != nil {
			votes[i].Clock = &now.ClockReading
		}
	}
	return hopeless(votes)
}

// hopeless returns an error reply of a server that will answer nothing else for a
// while, to anybody, if there is one: it has become a replica, it loads its data,
// it wants a password that it did not want before.
func hopeless(votes []quorum.Vote) error {
	for i := range votes {
		err := votes[i].Err
		if err == nil {
			continue
		}
		for _, prefix := range []string{"READONLY", "LOADING", "MASTERDOWN", "NOAUTH"} {
			if redis.HasErrorPrefix(err, prefix) {
				return err
			}
		}
	}
	return nil
}
