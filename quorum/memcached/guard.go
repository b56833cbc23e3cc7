package memcached

import (
	"context"
	"errors"
	"fmt"

	"holdfast/quorum"
)

// leavesNotice reports whether the request has a notice left, whatever then
// comes of it. Of somebody else's value there is no version to speak of.
func (t *task) leavesNotice() bool {
	r := t.request
	return r.Action == quorum.Swap && r.Gone > 0 && r.Prev != nil && r.Prev.Version != 0
}

// heedsNotice reports whether a notice may forbid what is to be written.
func (t *task) heedsNotice() bool {
	r := t.request
	return r.Action == quorum.Swap && r.Heed && r.Next != nil
}

// ended reports whether the notice says that what is to be written has ended.
func (t *task) ended() bool {
	return t.heedsNotice() && t.notice.stands >= t.request.Next.Version
}

// admitted reports whether the mark lets what is to be written pass, and tells
// the vote of it if not.
func (t *task) admitted() bool {
	t.vote.Mark = 0
	if t.mark == nil || t.mark.admits(t.request.Next.Version) {
		return true
	}
	t.vote.Mark = max(t.mark.stands, t.mark.target)
	return false
}

// levelError returns why a level of the task is not known, or nil.
func (t *task) levelError() error {
	for _, l := range t.levels() {
		if l != nil && l.err != nil {
			return l.err
		}
	}
	return nil
}

func (t *task) levels() [2]*level { return [...]*level{t.notice, t.mark} }

// levels returns the notices and marks for which wanted, each once: marks are
// shared.
func levels(tasks []*task, wanted func(t *task, l *level) bool) []*level {
	var all []*level
	var seen map[*level]bool
	for _, t := range tasks {
		for _, l := range t.levels() {
			if l == nil || seen[l] || !wanted(t, l) {
				continue
			}
			if seen == nil {
				seen = make(map[*level]bool)
			}
			seen[l] = true
			all = append(all, l)
		}
	}
	return all
}

// raise raises the marks and leaves the notices that the tasks are in need of,
// and returns the tasks that have something to write now. If somebody else was
// quicker a task is neither among them nor answered.
//
// Where a notice was left the copy is looked at again, behind it: one that
// somebody put back between the first look and the notice saw no notice, and
// would stay.
func (c *conn) raise(ctx context.Context, tasks []*task) ([]*task, error) {
	rising := levels(tasks, func(_ *task, l *level) bool { return l.target != 0 })
	if len(rising) == 0 {
		return tasks, nil
	}
	var commands []command
	for _, l := range rising {
		commands = append(commands, l.command(), command{verb: get, key: l.key})
	}
	for _, t := range tasks {
		if t.rises() && t.leavesNotice() {
			commands = append(commands, command{verb: get, key: t.key})
		}
	}
	replies, err := c.exchange(ctx, commands)
	copies := replies[2*len(rising):]
	for i, l := range rising {
		l.settle(&replies[2*i], &replies[2*i+1])
	}
	var left []*task
	for _, t := range tasks {
		var again *reply
		if t.acted = t.acted || t.rises(); t.rises() && t.leavesNotice() {
			again, copies = &copies[0], copies[1:]
		}
		if !t.rises() || t.goesOn(again) {
			left = append(left, t)
		}
	}
	return left, err
}

// rises reports whether a level of the task is being raised.
func (t *task) rises() bool {
	for _, l := range t.levels() {
		if l != nil && l.target != 0 {
			return true
		}
	}
	return false
}

// goesOn judges a task once more, after its levels were to be raised, and
// reports whether there is something left to write. Its copy may have been seen
// again.
func (t *task) goesOn(again *reply) bool {
	if err := t.levelError(); err != nil {
		t.silence(err, false)
		return false
	}
	for _, l := range t.levels() {
		if l != nil && l.missed {
			return false
		}
	}
	return (again == nil || t.see(again)) && t.judge()
}

// watched returns the levels that are looked at again once the copies are
// written.
//
// A notice: whoever ends a lease leaves the notice first and looks for the copy
// afterwards. So of him, looking for our copy behind his notice, and us, looking
// for his notice behind our copy, one at least finds the other's, and takes the
// copy out. Had we looked only before we wrote, both could miss each other. The
// look before saves a write, no more.
//
// A mark: it is looked at and raised before the swap, which keeps out every
// smaller number that comes later, and those that had looked before: their raise
// is tied to what they saw. Were it raised behind the swap instead, each number
// that is too small would have replaced a copy by then. But it does not keep out
// a greater number. With 10 for us and 20 for them, where there is no copy:
//
//	we:   no copy, mark 5; raise it to 10                           add 10
//	they:                                  raise it to 20, add, remove
//
// No CAS number tells a copy that has come and gone from none, so 10 would be
// granted after 20. That the mark still stands as we left it, looked at behind
// the swap, shows that nobody was granted anything in between.
func watched(tasks []*task) []*level {
	return levels(tasks, func(t *task, l *level) bool { return l == t.mark || t.heedsNotice() })
}

// confirm answers a task whose copy is written by what its levels show now, and
// returns false if the copy must be taken back.
func (t *task) confirm() bool {
	t.acted = true
	if err := t.levelError(); err != nil {
		t.silence(err, false)
		return true
	}
	if t.heedsNotice() {
		t.vote.Gone = t.notice.stands
	}
	switch {
	case t.ended(), !t.admitted():
		if t.wrote != 0 {
			return false
		}
		t.silence(errors.New("the server did not tell the CAS number of what it wrote"), false)
	case t.mark != nil && t.mark.stands < t.mark.raised:
		t.silence(fmt.Errorf("the server lost the mark of %d under %s", t.mark.raised, t.mark.key), false)
	default:
		t.answer(quorum.Granted)
	}
	return true
}

// takeBack takes out the copies that should not have been written, and answers
// their tasks. Where one came in the place of another that one comes back, so
// that nothing was changed; but not if there is a notice, which says that every
// earlier version has ended too. Should what was replaced be none of those, it is
// put back once it is missed.
func (c *conn) takeBack(ctx context.Context, tasks []*task) error {
	commands := make([]command, len(tasks))
	for i, t := range tasks {
		commands[i] = command{verb: remove, key: t.key}
		if t.item != nil && !t.ended() {
			commands[i] = t.former()
		}
		commands[i].cas = t.wrote
	}
	replies, err := c.exchange(ctx, commands)
	var dropped []*task
	for i, t := range tasks {
		if replies[i].err == nil { // it is out, or somebody else's is in its place
			t.answer(quorum.Refused)
			continue
		}
		t.silence(fmt.Errorf("take the copy back: %w", replies[i].err), false)
		if replies[i].outcome == failed && commands[i].verb == set {
			dropped = append(dropped, t)
		}
	}
	if err == nil && len(dropped) > 0 {
		err = c.restore(ctx, dropped)
	}
	return err
}
