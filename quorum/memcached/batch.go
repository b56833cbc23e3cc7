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

const (
	// maxLooks is how often a request looks after somebody was quicker between its
	// look and its write.
	maxLooks = 3
	// maxMoves is how often one looks after the server alone was in the way, see
	// [level.settle]. That lasts until a thread of the server's gets to run again,
	// which takes a busy machine as long as dozens of looks.
	maxMoves = 1000
)

var errQuicker = fmt.Errorf("somebody else was quicker %d times in a row", maxLooks)

// A task is one request on its way.
type task struct {
	request    *quorum.Request
	vote       *quorum.Vote
	key        string
	prev, next []byte // the copies' bytes; of no use where there is no copy
	seconds    int64  // what next is to be kept for
	grace      int64  // what a notice is to be kept for
	notice     *level // of the lock, if it is to be heeded or left
	mark       *level // of the lock's bucket, if the request minds it

	start time.Time
	item  *item  // what the last look saw, nil for nothing
	wrote uint64 // CAS number of the copy that was written, where it was asked for
	acted bool   // something may have been written for it
	done  bool   // it is answered
}

// plan turns requests into rounds, which are to be carried out one after the
// other: those of one name fall into different rounds, in their order. What is
// about the book has a round of its own, behind all that stands before it.
// Requests that cannot be asked are answered here, and are in none.
func plan(requests []quorum.Request, votes []quorum.Vote) [][]*task {
	var rounds [][]*task
	next := make(map[string]int, len(requests)) // the earliest round for a key
	first := 0                                  // and for any, since the last one about the book
	for i := range requests {
		votes[i] = quorum.Vote{}
		t := &task{request: &requests[i], vote: &votes[i]}
		if t.aboutBook() {
			rounds = append(rounds, []*task{t})
			first = len(rounds)
			continue
		}
		if err := t.prepare(); err != nil {
			t.silence(err, true)
			continue
		}
		n := max(first, next[t.key])
		next[t.key] = n + 1
		if n == len(rounds) {
			rounds = append(rounds, nil)
		}
		rounds[n] = append(rounds[n], t)
	}
	for _, round := range rounds {
		shareMarks(round)
	}
	return rounds
}

// shareMarks gives the tasks of a round that mind one mark the same level: it is
// raised once, for the greatest of their numbers.
func shareMarks(round []*task) {
	var marks map[string]*level
	for _, t := range round {
		if r := t.request; r.Action != quorum.Swap || !r.Mark || r.Next == nil {
			continue
		}
		if marks == nil {
			marks = make(map[string]*level, len(round))
		}
		key := markKey(t.request.Name)
		if marks[key] == nil {
			marks[key] = &level{key: key}
		}
		t.mark = marks[key]
	}
}

// prepare encodes what is to be compared and written, and checks the limits.
func (t *task) prepare() (err error) {
	r := t.request
	if err := checkName(r); err != nil {
		return err
	}
	t.key = key(r.Name)
	if r.Heed || t.leavesNotice() {
		t.notice = &level{key: noticeKey(r.Name)}
	}
	if t.leavesNotice() {
		if t.grace, err = seconds(r.Gone); err != nil {
			return fmt.Errorf("notice: %w", err)
		}
	}
	if r.Prev != nil {
		t.prev = r.Prev.Encode()
	}
	if r.Action != quorum.Swap || r.Next == nil {
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
	if tasks[0].aboutBook() {
		return c.keepBook(ctx, tasks[0])
	}
	for looks, moves := 0, 0; looks < maxLooks && moves < maxMoves; {
		err := c.lookAndWrite(ctx, tasks)
		tasks = slices.DeleteFunc(tasks, func(t *task) bool { return t.done })
		if err != nil || len(tasks) == 0 {
			abandon([][]*task{tasks}, err)
			return err
		}
		if slices.ContainsFunc(tasks, func(t *task) bool { return t.notice != nil && t.notice.moved }) {
			moves++
		} else {
			looks++
		}
	}
	abandon([][]*task{tasks}, errQuicker)
	return nil
}

// lookAndWrite carries the tasks out once. Those for which somebody else was
// quicker, or the connection broke before they had written anything, are not
// answered.
func (c *conn) lookAndWrite(ctx context.Context, tasks []*task) error {
	left, err := c.look(ctx, tasks)
	if err == nil && len(left) > 0 {
		left, err = c.raise(ctx, left)
	}
	if err == nil && len(left) > 0 {
		err = c.write(ctx, left)
	}
	return err
}

// look asks what is there and returns the tasks that have something to write. A
// notice that is to be left is looked at before the copy: if it stands there
// already, the copy was seen behind it, see [conn.raise]. Any other is looked at
// behind the copy: it comes before the copy goes, so that whoever no longer sees
// the copy sees the notice.
func (c *conn) look(ctx context.Context, tasks []*task) ([]*task, error) {
	before := levels(tasks, func(t *task, l *level) bool { return l == t.notice && t.leavesNotice() })
	behind := levels(tasks, func(t *task, l *level) bool { return l == t.mark || !t.leavesNotice() })
	commands := make([]command, 0, len(before)+len(tasks)+len(behind))
	for _, l := range before {
		commands = append(commands, command{verb: get, key: l.key})
	}
	for _, t := range tasks {
		commands = append(commands, command{verb: get, key: t.key})
	}
	for _, l := range behind {
		commands = append(commands, command{verb: get, key: l.key})
	}
	replies, err := c.exchange(ctx, commands)
	copies := replies[len(before):]
	for i, l := range before {
		l.take(&replies[i])
	}
	for i, l := range behind {
		l.take(&copies[len(tasks)+i])
	}
	var left []*task
	for i, t := range tasks {
		if t.see(&copies[i]) && t.judge() {
			left = append(left, t)
		}
	}
	return left, err
}

// see takes what was seen of the copy. It answers and returns false if that, or
// a level, could not be looked at: nothing of a swap is written yet, so then it
// is as good as unsent.
func (t *task) see(rep *reply) bool {
	err := rep.err
	if err == nil {
		err = t.levelError()
	}
	if err != nil {
		t.silence(err, t.request.Action == quorum.Swap)
		return false
	}
	t.item = nil
	if rep.outcome == found {
		t.item = &rep.item
	}
	return true
}

// judge answers what can be answered by looking, and reports whether there is
// something left to write: a copy, or a notice first.
func (t *task) judge() bool {
	r := t.request
	t.vote.Found, t.vote.FoundLeft = t.item.copy(), t.item.left()
	if r.Heed {
		t.vote.Gone = t.notice.stands
	}
	allowed := t.admitted() && !t.ended() && t.asAsked()
	if allowed && t.mark != nil && t.mark.raised == 0 {
		t.mark.target = r.Next.Version
	}
	switch {
	case t.leavesNotice() && t.notice.lacks(r.Prev.Version, t.grace):
		return true
	case !allowed:
		t.answer(quorum.Refused)
	case r.Action != quorum.Swap, t.item == nil && r.Next == nil:
		t.answer(quorum.Granted)
	default:
		return true
	}
	return false
}

// asAsked reports whether what was seen is what the request wants to be there.
func (t *task) asAsked() bool {
	r := t.request
	switch {
	case r.Action == quorum.Read:
		return true
	case t.item == nil:
		return r.Prev == nil || r.OrNone && r.Action == quorum.Swap
	}
	return r.Prev != nil && !r.Prev.Opaque && !t.item.large && bytes.Equal(t.item.data, t.prev)
}

// write makes the changes, each only if nobody changed anything since the look.
// Tasks for which somebody did are not answered.
func (c *conn) write(ctx context.Context, tasks []*task) error {
	// No add comes behind a replacement: in a full server it would take the room
	// that the copy to be restored is in need of.
	slices.SortStableFunc(tasks, func(a, b *task) int { return a.appetite() - b.appetite() })
	behind := watched(tasks)
	commands := make([]command, 0, len(tasks)+len(behind))
	for _, t := range tasks {
		commands = append(commands, t.command())
	}
	for _, l := range behind {
		commands = append(commands, command{verb: get, key: l.key})
	}
	replies, err := c.exchange(ctx, commands)
	for i, l := range behind {
		l.take(&replies[len(tasks)+i])
	}
	var dropped, wrong []*task
	for i, t := range tasks {
		switch rep := &replies[i]; rep.outcome {
		case done:
			if t.wrote = rep.item.cas; !t.confirm() {
				wrong = append(wrong, t)
			}
		case failed:
			t.silence(rep.err, false)
			if commands[i].verb == set && t.item != nil {
				dropped = append(dropped, t)
			}
		case lost:
			t.silence(rep.err, false)
		}
	}
	if err == nil && len(dropped) > 0 {
		err = c.restore(ctx, dropped)
	}
	if err == nil && len(wrong) > 0 {
		err = c.takeBack(ctx, wrong)
	}
	return err
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
	cmd := command{verb: set, key: t.key, data: t.next, seconds: t.seconds, tell: t.mark != nil || t.heedsNotice()}
	if t.request.Next == nil {
		cmd = command{verb: remove, key: t.key}
	}
	if t.item != nil {
		cmd.cas = t.item.cas
	}
	return cmd
}

// former returns what puts back what was there.
func (t *task) former() command {
	cmd := command{verb: set, key: t.key, data: t.item.data, flags: t.item.flags}
	if t.item.seconds >= 0 {
		cmd.seconds = max(t.item.seconds, 1) // 0 would be for ever
	}
	return cmd
}

// restore puts back what the server drops when it has no room for what was to
// replace it, unless something is there. That freed just the room it needs.
func (c *conn) restore(ctx context.Context, tasks []*task) error {
	commands := make([]command, len(tasks))
	for i, t := range tasks {
		commands[i] = t.former()
	}
	replies, err := c.exchange(ctx, commands)
	for i, t := range tasks {
		if replies[i].outcome == failed {
			t.vote.Err = fmt.Errorf("%w; the copy it was to replace is lost too: %w", t.vote.Err, replies[i].err)
		}
	}
	return err
}

func (t *task) answer(v quorum.Verdict) {
	t.done = true
	t.vote.Verdict = v
	t.vote.Elapsed = time.Since(t.start)
}

// silence answers that nobody can tell, or that it is as if the request had
// never been sent, unless something was written for it.
func (t *task) silence(err error, unsent bool) {
	t.done = true
	*t.vote = quorum.Vote{Err: err, Unsent: unsent && !t.acted}
}
