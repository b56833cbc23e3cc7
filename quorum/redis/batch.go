package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"holdfast/quorum"
)

// A void is an error for which no vote of a batch counts, not even one that was
// answered: answers may be out of step, or the store has forgotten.
type void struct{ error }

func (v void) Unwrap() error { return v.error }

// ask sends the requests as one pipeline and fills in the votes, Elapsed left
// out. An error means that the connection is of no use any more.
func (l *link) ask(ctx context.Context, requests []quorum.Request, votes []quorum.Vote) error {
	err := l.send(ctx, requests, votes, false)
	if err == nil && slices.ContainsFunc(votes, isForgotten) {
		err = l.askAgain(ctx, requests, votes)
	}
	var all void
	if errors.As(err, &all) {
		silence(votes, all.error, false)
	}
	return err
}

// isForgotten reports whether a request was not carried out for want of a script.
func isForgotten(v quorum.Vote) bool { return v.Err != nil && redis.HasErrorPrefix(v.Err, noScript) }

// askAgain loads the scripts once more, since somebody flushed them, and sends
// what was not carried out for want of them. A batch keeps its order for each
// name, so a request is left alone, Silent and as good as unsent, if a later one
// for its name was carried out already.
func (l *link) askAgain(ctx context.Context, requests []quorum.Request, votes []quorum.Vote) error {
	var places []int // of what is sent again, last one first
	overtaken := map[string]bool{}
	for i := len(requests) - 1; i >= 0; i-- {
		if !isForgotten(votes[i]) {
			overtaken[requests[i].Name] = true
			continue
		}
		votes[i].Unsent = true
		if !overtaken[requests[i].Name] {
			places = append(places, i)
		}
	}
	rest := make([]quorum.Request, len(places))
	answers := make([]quorum.Vote, len(places))
	for i, place := range places {
		rest[len(rest)-1-i] = requests[place]
	}
	err := l.send(ctx, rest, answers, true)
	for i, v := range answers {
		v.Unsent = v.Unsent || isForgotten(v)
		votes[places[len(places)-1-i]] = v
	}
	return err
}

// send writes one command for each request, after the scripts if they are wanted,
// and makes votes of the replies. An error means that the connection is of no use
// any more; requests without a reply are then Silent because of it.
func (l *link) send(ctx context.Context, requests []quorum.Request, votes []quorum.Vote, scripts bool) error {
	pipe := l.client.Pipeline()
	if scripts {
		load(ctx, pipe)
	}
	cmds := make([]command, len(requests))
	for i := range requests {
		cmds[i] = l.command(ctx, &requests[i])
		pipe.Process(ctx, &cmds[i]) // queues it: there is no error yet
	}
	l.wire.wrote.Store(false)
	now, err := l.execTimed(ctx, pipe)
	unsent := !l.wire.wrote.Load()
	for i := range cmds {
		if err != nil && !cmds[i].answered() {
			votes[i] = quorum.Vote{Err: err, Unsent: unsent}
			continue
		}
		v, ok := cmds[i].vote(&requests[i])
		if !ok {
			// Whatever this is, it may have shifted the other answers too.
			return void{fmt.Errorf("a reply that means nothing: %.60q", fmt.Sprint(cmds[i].Val()))}
		}
		votes[i] = v
	}
	if err != nil {
		return err
	}
	if why := hopeless(votes); why != nil && now.err != nil {
		return why // the clock could not be read either
	}
	if err := l.pace.follow(now); err != nil {
		return void{err}
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
