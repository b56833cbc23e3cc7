package proxy

import (
	"cmp"
	"slices"
	"sync/atomic"
)

const (
	// share is what a connection may have under way and waiting and still begin a
	// command, however large, whatever the others hold: it has arrived whole, and
	// the sooner it is begun the sooner it is gone.
	share = 16 << 10
	// slack is by how much what a connection holds may differ from what is counted
	// for it, so that a small burst does not touch the counter that all use.
	slack = 4 << 10
)

// A budget counts the bytes held for all connections together: received and not
// taken, of commands under way, of replies and messages not written, kept by
// sessions that said so. Connections that are closed are not counted.
type budget struct {
	most int64
	held atomic.Int64
}

// add reports whether too much is held now.
func (b *budget) add(n int) (exceeded bool) { return b.held.Add(int64(n)) > b.most }

func (b *budget) exceeded() bool { return b.held.Load() > b.most }

// scarce reports whether connections are held to their share.
func (b *budget) scarce() bool { return b.held.Load() > b.most/4*3 }

// accountLocked has the budget know what the connection holds. It lets go of the
// mutex while it has connections closed, perhaps this one, if that is too much.
func (c *client) accountLocked() {
	holds := c.received + c.held + c.owed + c.pushed - c.shared + c.kept
	change := holds - c.charged
	if c.closed || -slack < change && change < slack {
		return
	}
	c.charged = holds
	if c.server.budget.add(change) {
		c.mu.Unlock()
		c.server.relieve()
		c.mu.Lock()
	}
}

// dischargeLocked is for a connection that is closed. What it held is about to go.
func (c *client) dischargeLocked() {
	c.server.budget.add(-c.charged)
	c.charged = 0
}

// relieve cuts off those who hold most, until nobody is held to a share. It does
// more than it must, so that it need not be done again soon.
func (s *Server) relieve() {
	s.relief.Lock() // or two would cut off twice as many
	defer s.relief.Unlock()
	if !s.budget.exceeded() {
		return
	}
	for _, h := range s.holders() {
		if !s.budget.scarce() {
			return
		}
		h.client.cutOff("it holds most, and all hold too much")
	}
}

// A holder is a client and what it holds.
type holder struct {
	client *client
	bytes  int
}

// holders returns the clients, those who hold most first.
func (s *Server) holders() []holder {
	var all []holder
	for _, c := range s.everyone() {
		c.mu.Lock()
		all = append(all, holder{c, c.charged + c.shared}) // or those would be spared who keep messages from ending
		c.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b holder) int { return cmp.Compare(b.bytes, a.bytes) })
	return all
}
