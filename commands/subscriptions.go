package commands

import "sync/atomic"

// subscriptions are what one session asks for.
type subscriptions struct {
	names  [spaces]map[string]struct{} // guarded by hub.mu
	kept   int                         // guarded by hub.mu; bytes they count for
	counts [spaces]atomic.Int32        // of names; changed with hub.mu held
}

// subscribed reports whether messages may come.
func (s *subscriptions) subscribed() bool {
	return s.counts[channels].Load()+s.counts[patterns].Load()+s.counts[shards].Load() > 0
}

// counted is how many subscriptions a client is told that it has: of channels and
// patterns together, or of shard channels.
func (s *subscriptions) counted(k space) int64 {
	if k == shards {
		return int64(s.counts[shards].Load())
	}
	return int64(s.counts[channels].Load() + s.counts[patterns].Load())
}

func (s *subscriptions) has(k space, name string) bool {
	_, ok := s.names[k][name]
	return ok
}

// addLocked subscribes a session, unless it is already.
func (h *hub) addLocked(s *Session, k space, name string) {
	if s.has(k, name) {
		return
	}
	if s.names[k] == nil {
		s.names[k] = map[string]struct{}{}
	}
	readers := h.readers[k][name]
	if readers == nil {
		readers = map[*Session]struct{}{}
		h.readers[k][name] = readers
	}
	s.names[k][name], readers[s] = struct{}{}, struct{}{}
	h.noteLocked(s, k, 1, name)
}

// removeLocked ends a subscription, if there is one.
func (h *hub) removeLocked(s *Session, k space, name string) {
	if !s.has(k, name) {
		return
	}
	delete(s.names[k], name)
	delete(h.readers[k][name], s)
	if len(h.readers[k][name]) == 0 {
		delete(h.readers[k], name)
	}
	h.noteLocked(s, k, -1, name)
}

func (h *hub) noteLocked(s *Session, k space, change int, name string) {
	h.total.Add(int64(change))
	s.counts[k].Add(int32(change))
	bytes := change * (len(name) + subscriptionCost)
	s.kept += bytes
	s.conn.Keep(bytes)
}

// forget ends all subscriptions of a session that is closed. It always takes the mutex:
// a command of it may have seen it open, and be about to subscribe it.
func (h *hub) forget(s *Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forgetLocked(s)
}

func (h *hub) forgetLocked(s *Session) {
	for k := range spaces {
		for name := range s.names[k] {
			h.removeLocked(s, k, name)
		}
		s.names[k] = nil
	}
}
