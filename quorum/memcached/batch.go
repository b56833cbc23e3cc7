package memcached

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"holdfast/quorum"
)

// maxLooks is how often a swap looks again after somebody was quicker between
// its look and its write.
const maxLooks = 3

// A task is one request on its way.
type task struct {
	request    *quorum.Request
	vote       *quorum.Vote
	key        string
	prev, next []byte // the copies' bytes; of no use where there is no copy
	seconds    int64  // what next is to be kept for
	start      time.Time
	item       *item // what the last look saw, nil for nothing
}

// plan turns requests into rounds, which are to be carried out one after the
// other: those of one name fall into different rounds, in their order. Requests
// that cannot be asked are answered here, and are in none.
func plan(requests []quorum.Request, votes []quorum.Vote) [][]*task {
	var rounds [][]*task
	seen := make(map[string]int, len(requests))
	for i := range requests {
		votes[i] = quorum.Vote{}
		t := &task{request: &requests[i], vote: &votes[i], key: key(requests[i].Name)}
		if err := t.prepare(); err != nil {
			t.silence(err, true)
			continue
		}
		n := seen[t.key]
		seen[t.key]++
		if n == len(rounds) {
			rounds = append(rounds, nil)
		}
		rounds[n] = append(rounds[n], t)
	}
	return rounds
}

// prepare encodes what is to be compared and written, and checks the limits.
func (t *task) prepare() (err error) {
	r := t.request
	if r.Action == quorum.Read {
		return nil
	}
	if r.Prev != nil {
		t.prev = r.Prev.Encode()
	}
	if r.Next == nil {
		return nil
	}
	t.next = r.Next.Encode()
	switch {
	case r.Next.Opaque:
		return errors.New("a copy that could not be read cannot be written")
	case len(t.next) > maxData:
		return fmt.Errorf("a copy of %d bytes is above the limit of %d", len(t.next), maxData)
	}
	t.seconds, err = seconds(r.TTL)
	return err
}

// abandon answers rounds of which nothing was written: for the store it is as if
// they had never been sent.
func abandon(rounds [][]*task, err error) {
	for _, round := range rounds {
		for _, t := range round {
			t.silence(err, true)
		}
	}
}

// carryOut answers the tasks, each of another name. It fails if the connection
// is of no use any more; all tasks are answered even so.
func (c *conn) carryOut(ctx context.Context, tasks []*task) error {
	start := time.Now()
	for _, t := range tasks {
		t.start = start
	}
	for range maxLooks {
		var err error
		if tasks, err = c.look(ctx, tasks); err != nil || len(tasks) == 0 {
			return err
		}
		if tasks, err = c.write(ctx, tasks); err != nil || len(tasks) == 0 {
			return err
		}
	}
	for _, t := range tasks {
		t.silence(fmt.Errorf("somebody else was quicker %d times in a row", maxLooks), true)
	}
	return nil
}

// look asks what is there and returns the tasks that have something to write.
// Nothing is written yet, so a swap that fails here is as good as unsent.
func (c *conn) look(ctx context.Context, tasks []*task) ([]*task, error) {
	commands := make([]command, len(tasks))
	for i, t := range tasks {
		commands[i] = command{verb: get, key: t.key}
	}
	replies, err := c.exchange(ctx, commands)
	var left []*task
	for i, t := range tasks {
		unsent := t.request.Action == quorum.Swap
		switch {
		case i >= len(replies):
			t.silence(err, unsent)
		case replies[i].outcome == failed:
			t.silence(replies[i].err, unsent)
		case t.judge(&replies[i]):
			left = append(left, t)
		}
	}
	if err != nil {
		abandon([][]*task{left}, err)
		return nil, err
	}
	return left, nil
}

// judge answers what can be answered by looking, and reports whether there is
// something left to write.
func (t *task) judge(rep *reply) bool {
	t.item = nil
	if rep.outcome == found {
		t.item = &rep.item
	}
	t.vote.Found = t.item.copy()
	t.vote.FoundLeft = t.item.left()
	switch {
	case t.request.Action == quorum.Read:
		t.answer(quorum.Granted)
	case !t.asAsked():
		t.answer(quorum.Refused)
	case t.item == nil && t.request.Next == nil:
		t.answer(quorum.Granted)
	default:
		return true
	}
	return false
}

// asAsked reports whether what was seen is what the request wants replaced.
func (t *task) asAsked() bool {
	prev := t.request.Prev
	if t.item == nil {
		return prev == nil || t.request.OrNone
	}
	return prev != nil && !prev.Opaque && !t.item.large && bytes.Equal(t.item.data, t.prev)
}

// write makes the changes, each only if nobody changed anything since the look,
// and returns the tasks for which somebody did.
func (c *conn) write(ctx context.Context, tasks []*task) ([]*task, error) {
	// No add comes behind a replacement: in a full server it would take the room
	// that the copy to be restored is in need of.
	slices.SortStableFunc(tasks, func(a, b *task) int { return a.appetite() - b.appetite() })
	commands := make([]command, len(tasks))
	for i, t := range tasks {
		commands[i] = t.command()
	}
	replies, err := c.exchange(ctx, commands)
	var again, dropped []*task
	for i, t := range tasks {
		switch {
		case i >= len(replies):
			t.silence(err, false)
		case replies[i].outcome == done:
			t.answer(quorum.Granted)
		case replies[i].outcome == failed:
			t.silence(replies[i].err, false)
			if commands[i].verb == set && t.item != nil {
				dropped = append(dropped, t)
			}
		default:
			again = append(again, t)
		}
	}
	if err == nil && len(dropped) > 0 {
		err = c.restore(ctx, dropped)
	}
	if err != nil {
		abandon([][]*task{again}, err) // the write found another item: nothing was changed
		return nil, err
	}
	return again, nil
}

// appetite ranks what a write does to the server's memory: it frees some, takes
// some, or takes some before it frees some.
func (t *task) appetite() int {
	switch {
	case t.request.Next == nil:
		return 0
	case t.item == nil:
		return 1
	}
	return 2
}

func (t *task) command() command {
	cmd := command{verb: set, key: t.key, data: t.next, seconds: t.seconds}
	if t.request.Next == nil {
		cmd = command{verb: remove, key: t.key}
	}
	if t.item != nil {
		cmd.cas = t.item.cas
	}
	return cmd
}

// restore puts back what the server drops when it has no room for what was to
// replace it, unless something is there. That freed just the room it needs.
func (c *conn) restore(ctx context.Context, tasks []*task) error {
	commands := make([]command, len(tasks))
	for i, t := range tasks {
		commands[i] = command{
			verb: set, key: t.key,
			data: t.item.data, seconds: max(t.item.seconds, 0), flags: t.item.flags,
		}
	}
	replies, err := c.exchange(ctx, commands)
	for i, t := range tasks {
		if i < len(replies) && replies[i].outcome == failed {
			t.vote.Err = fmt.Errorf("%w; the copy it was to replace is lost too: %w", t.vote.Err, replies[i].err)
		}
	}
	return err
}

func (t *task) answer(v quorum.Verdict) {
	t.vote.Verdict = v
	t.vote.Elapsed = time.Since(t.start)
}

func (t *task) silence(err error, unsent bool) {
	*t.vote = quorum.Vote{Err: err, Unsent: unsent}
}
