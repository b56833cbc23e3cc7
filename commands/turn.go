package commands

// inTurn starts a command that must come after what the session did before it, and
// in whose way nothing is: what is pipelined behind it begins meanwhile. Many
// clients share one connection, and one's message should not keep the others'
// locks waiting for a slow store.
func inTurn(s *Session, cmd *command, r request) {
	c := &call{session: s, cmd: cmd, request: r, proto: s.protocol(), turns: true}
	if !s.queueUp(c) {
		c.takeTurn()
	}
}

// queueUp notes that a call is under way that waits for those before it, and
// reports whether there are any. One that waited itself stands for all before it.
func (s *Session) queueUp(c *call) (waits bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for before := s.under; before != nil; before = before.next {
		before.heirs = append(before.heirs, c)
		c.awaits++
		if before.turns {
			break
		}
	}
	s.addLocked(c)
	return c.awaits > 0
}

// releaseLocked returns those that waited for a call, which is over, and for no
// other any more. s.mu is held.
func (c *call) releaseLocked() (ready []*call) {
	for _, heir := range c.heirs {
		if heir.awaits--; heir.awaits == 0 {
			ready = append(ready, heir)
		}
	}
	return ready
}

func (c *call) takeTurn() {
	s := c.session
	reply := c.cmd.serve(s, c.request.args).bounded()
	s.engine.slow.look(s, c.cmd, c.request)
	c.request.answer(reply, c.proto)
	s.remove(c)
}
