package commands

import (
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"sync/atomic"
)

// A space is a kind of names by which messages are asked for.
type space uint8

const (
	channels space = iota
	patterns       // of channels
	shards         // channels apart from the others
	spaces
)

// Limits on what messages and those who ask for them may cost.
const (
	subscriptionCost = 256     // bytes of a subscription beside its name
	maxSubscribed    = 4 << 20 // bytes of the subscriptions of one session
	postCost         = 128     // bytes of a message beside channel and text
	maxScriptPosts   = 1 << 20 // bytes of the messages of one script
	maxPosted        = 4 << 20 // bytes of the messages that wait to be sent to anybody
	// maxMatching is how many steps one message's channel is compared with patterns
	// for: a hundred thousand ordinary ones, or a few that were made to be slow.
	maxMatching = 1 << 22
)

// A post is a message on its way.
type post struct {
	space   space // never patterns
	channel string
	message []byte // never altered
}

func (p *post) cost() int { return len(p.channel) + len(p.message) + postCost }

// A hub hands messages to the sessions that ask for them. They are sent one after
// the other, so all see them in the same order.
//
// Its mutex is held while a message is handed to every session, and while a
// session is told that it is subscribed, or no longer: so nothing comes before the
// one or after the other. Who cannot wait for that, as the keeper cannot, posts:
// what was posted is sent by the hub's own goroutine, or by who publishes next.
type hub struct {
	log   *slog.Logger
	total atomic.Int64 // of subscriptions: where there are none, nothing is to be done

	mu       sync.Mutex                               // taken behind the keeper's, and before the tracker's
	readers  [spaces]map[string]map[*Session]struct{} // guarded by mu; nobody's names are not in it
	cutShort bool                                     // guarded by mu; the last message was not compared with all patterns

	posts struct {
		sync.Mutex        // taken with mu held, never the other way round
		waiting    []post // guarded by it, as is what follows
		bytes      int    // what they count for
		refused    bool   // one was, and there have been others waiting ever since
	}
	work    chan struct{} // there are posts
	stop    chan struct{}
	ended   sync.Once // closes stop
	running sync.WaitGroup
}

// newHub returns a hub, which must be closed.
func newHub(log *slog.Logger) *hub {
	h := &hub{log: log, work: make(chan struct{}, 1), stop: make(chan struct{})}
	for i := range h.readers {
		h.readers[i] = map[string]map[*Session]struct{}{}
	}
	h.running.Go(h.run)
	return h
}

func (h *hub) close() {
	h.ended.Do(func() { close(h.stop) })
	h.running.Wait()
}

func (h *hub) run() {
	for {
		select {
		case <-h.work:
			for h.sendSome() {
			}
		case <-h.stop:
			return
		}
	}
}

// sendSome sends some of what was posted, so that others can have the mutex
// meanwhile, and reports whether there was any.
func (h *hub) sendSome() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	some := h.takePosts(64)
	for _, p := range some {
		h.deliver(p)
	}
	return len(some) > 0
}

// takePosts takes the first of what was posted, at most so many.
func (h *hub) takePosts(most int) []post {
	h.posts.Lock()
	defer h.posts.Unlock()
	n := min(most, len(h.posts.waiting))
	taken := h.posts.waiting[:n:n]
	h.posts.waiting = h.posts.waiting[n:]
	for i := range taken {
		h.posts.bytes -= taken[i].cost()
	}
	if len(h.posts.waiting) == 0 {
		h.posts.waiting, h.posts.refused = nil, false
	}
	return taken
}

// post has messages sent soon, in this order, and never waits. If more wait than
// can be kept they are dropped: a message is a hint, and never promised.
func (h *hub) post(all ...post) {
	if len(all) == 0 || h.total.Load() == 0 {
		return
	}
	if dropped := h.queue(all); dropped != nil {
		h.log.Warn("message.dropped", "channel", dropped.channel, "why",
			fmt.Sprintf("messages of %d bytes wait to be sent already; others may be dropped too", maxPosted))
	}
	select {
	case h.work <- struct{}{}:
	default: // it will look anyway
	}
}

// queue queues posts. It returns the first that there was no room for, unless
// that was said of another lately.
func (h *hub) queue(all []post) (dropped *post) {
	h.posts.Lock()
	defer h.posts.Unlock()
	for i := range all {
		p := &all[i]
		if h.posts.bytes+p.cost() <= maxPosted {
			h.posts.waiting = append(h.posts.waiting, *p)
			h.posts.bytes += p.cost()
		} else if !h.posts.refused {
			h.posts.refused, dropped = true, p
		}
	}
	return dropped
}

// publish sends a message, and returns how many times it was sent.
func (h *hub) publish(p post) (receivers int) {
	if h.total.Load() == 0 {
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, before := range h.takePosts(math.MaxInt) { // its client may have had them posted
		h.deliver(before)
	}
	return h.deliver(p)
}

// deliver is publish with the mutex held. A session gets the message once for its
// channel, and once for each pattern that matches.
func (h *hub) deliver(p post) (receivers int) {
	if readers := h.readers[p.space][p.channel]; len(readers) > 0 {
		word := "message"
		if p.space == shards {
			word = "smessage"
		}
		receivers = send(readers, sayText(word), sayText(p.channel), sayBytes(p.message))
	}
	h.eachMatch(p, func(pattern string, readers map[*Session]struct{}) {
		receivers += send(readers, sayText("pmessage"), sayText(pattern), sayText(p.channel), sayBytes(p.message))
	})
	return receivers
}

// count returns how many times a message would be sent now.
func (h *hub) count(p post) (receivers int) {
	if h.total.Load() == 0 {
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	receivers = len(h.readers[p.space][p.channel])
	h.eachMatch(p, func(_ string, readers map[*Session]struct{}) { receivers += len(readers) })
	return receivers
}

// eachMatch calls f with each pattern that matches the channel of a message, and
// who asks for it. It gives up after maxMatching steps: patterns can be such that
// comparing one with one long name takes seconds.
func (h *hub) eachMatch(p post, f func(pattern string, readers map[*Session]struct{})) {
	if p.space != channels {
		return
	}
	steps := maxMatching
	for pattern, readers := range h.readers[patterns] {
		if globWithin(&steps, pattern, p.channel) {
			f(pattern, readers)
		}
	}
	if tooMany := steps < 0; tooMany != h.cutShort {
		h.cutShort = tooMany
		h.log.Warn("message.patterns", "given up", tooMany, "channel bytes", len(p.channel), "patterns", len(h.readers[patterns]))
	}
}

func send(readers map[*Session]struct{}, items ...Reply) (receivers int) {
	l := letter{content: sayPush(items...)}
	for s := range readers {
		l.sendTo(s)
	}
	return len(readers)
}

// A letter is one message, for any number of sessions. It is put into each of the
// protocols at most once.
type letter struct {
	content Reply
	parcels [2]*parcel // for RESP2 and RESP3
}

// A parcel is a letter in one protocol.
type parcel struct {
	bytes   []byte
	sharers atomic.Int64 // see [Conn]
}

func (l *letter) sendTo(s *Session) {
	proto := s.protocol()
	p := l.parcels[proto-2]
	if p == nil {
		p = &parcel{bytes: l.content.appendTo(make([]byte, 0, l.content.size()), proto)}
		l.parcels[proto-2] = p
	}
	s.conn.Push(p.bytes, &p.sharers) // if it is gone, it will soon be forgotten
}

// list returns the names of a space that somebody asks for.
func (h *hub) list(k space) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	names := make([]string, 0, len(h.readers[k]))
	for name := range h.readers[k] {
		names = append(names, name)
	}
	return names
}

// lookup returns how many sessions ask for each of names.
func (h *hub) lookup(k space, names [][]byte) []int {
	h.mu.Lock()
	defer h.mu.Unlock()
	counts := make([]int, len(names))
	for i, name := range names {
		counts[i] = len(h.readers[k][string(name)])
	}
	return counts
}

// describe writes its part of INFO.
func (h *hub) describe(b *strings.Builder) {
	h.mu.Lock()
	defer h.mu.Unlock()
	fmt.Fprintf(b, "pubsub_channels:%d\r\npubsub_patterns:%d\r\npubsubshard_channels:%d\r\n",
		len(h.readers[channels]), len(h.readers[patterns]), len(h.readers[shards]))
}
