package commands

import (
	"errors"
	"fmt"
	"strings"

	"holdfast/quorum"
)

// flushShare is how many locks FLUSHDB frees by one change.
const flushShare = 256

const flushedKind = "locks.flushed"

// flush refuses to end every lock there is, unless that is allowed: commands that
// clear a cache get sent to the wrong server. Where there is none, there is
// nothing to refuse.
func flush(s *Session, c *command, r request) {
	args := r.args
	if len(args) > 2 || (len(args) == 2 && !is(args[1], "async") && !is(args[1], "sync")) {
		r.answer(sayFailure(errSyntax), s.protocol())
		return
	}
	match := func(string) bool { return true }
	if c.name == "flushdb" {
		match = s.matching(everything)
	}
	n := s.engine.countLocks(match)
	switch {
	case n == 0:
		r.answer(sayOK(), s.protocol())
	case s.engine.mayFlush:
		s.flushAll(c, r, match)
	default:
		s.engine.log.Warn("flush refused", "command", c.name, "locks", n, "client", s.conn.Remote)
		held := fmt.Sprintf("%d locks are held; DEL ends them", n)
		if n == 1 {
			held = "1 lock is held; DEL ends it"
		}
		r.answer(sayFailure(fmt.Sprintf("ERR %s refused: %s by name", strings.ToUpper(c.name), held)), s.protocol())
	}
}

// flushAll ends the leases of all locks that match, a share at a time. Locks that
// are acquired meanwhile stay.
func (s *Session) flushAll(cmd *command, r request, match func(string) bool) {
	leases := s.engine.keeper.Leases(match, 0)
	why := fmt.Sprintf("%s by connection %d from %s ends %d leases", strings.ToUpper(cmd.name), s.conn.ID, s.conn.Remote, len(leases))
	s.engine.log.Warn(flushedKind, "why", why)
	s.engine.happened(flushedKind)
	s.engine.Tell(quorum.Event{Kind: flushedKind, Store: -1, Text: why}, "")
	c := &call{session: s, cmd: cmd, request: r, proto: s.proto, db: s.db, holds: true}
	s.add(c)
	c.flushSome(leases)
}

// flushSome ends the first of the leases, and then the others. Who hung up meant it.
func (c *call) flushSome(leases []*quorum.Lease) {
	share := leases[:min(len(leases), flushShare)]
	op := &quorum.Op{Names: make([]string, len(share))}
	for i, l := range share {
		op.Names[i] = l.Name
	}
	op.Decide = func(view *quorum.View) (plan quorum.Plan) {
		for _, l := range share {
			if now, _ := view.Lease(l.Name); now != nil && now.Fence == l.Fence {
				plan.Parts = append(plan.Parts, quorum.Part{Name: l.Name, Prev: now, Drop: true})
			}
		}
		return plan
	}
	op.Done = func(result quorum.Result) {
		rest, err := leases[len(share):], result.Err
		if result.Outcome == quorum.Held {
			err = errors.New("stores have something else there by now")
		}
		if err == nil && len(rest) > 0 {
			c.flushSome(rest)
			return
		}
		reply := sayOK()
		if err != nil {
			reply = sayFailure(errorLine(fmt.Errorf("%d locks are not flushed: %w", len(leases), err)))
		}
		c.request.answer(reply, c.proto)
		c.session.remove(c)
	}
	c.op.Store(op)
	c.session.engine.keeper.Submit(op)
}
