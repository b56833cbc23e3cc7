package storetest

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"holdfast/quorum"
)

// A Fake is a server in memory. Each [Fake.Store] is a client of it with a
// connection of its own, so several proxies can share one fake. It keeps TTLs by
// the clock it is given, to the nanosecond. Its methods are safe for concurrent
// use.
type Fake struct {
	name  string
	clock quorum.Clock
	late  bool

	mu      sync.Mutex
	memory                // guarded by mu
	life    int           // guarded by mu; counts restarts
	skew    time.Duration // guarded by mu; by how much its clock has jumped so far
	jumps   int           // guarded by mu; counts the jumps
	paused  bool          // guarded by mu
	inbox   []*parcel     // guarded by mu; sent to a paused fake, in order
	held    bool          // guarded by mu; batches are held up on their way
	transit []*parcel     // guarded by mu; held up, in order
	refusal error         // guarded by mu; what Connect fails with, or nil
	deaf    int           // guarded by mu; so many batches are lost before they arrive
	mute    int           // guarded by mu; so many answers are lost after acting
	delay   time.Duration // guarded by mu; from acting to the answer
}

// NewFake returns an empty fake. Its incarnations are made of name, which should
// be another one for each fake in a test.
func NewFake(name string, clock quorum.Clock) *Fake {
	return &Fake{name: name, clock: clock, memory: blank(), life: 1}
}

// NewLateFake returns a fake that carries out what comes in on earlier
// connections too: [quorum.Traits] with Late.
func NewLateFake(name string, clock quorum.Clock) *Fake {
	f := NewFake(name, clock)
	f.late = true
	return f
}

// Restart kills the fake and starts it again, empty and not paused. What had
// been sent to it and not yet carried out is lost.
func (f *Fake) Restart() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.life++
	f.memory = blank()
	for _, p := range append(f.inbox, f.transit...) {
		p.lose()
	}
	f.inbox, f.transit = nil, nil
	f.paused = false
}

// Flush takes everything out; connections and incarnation stay.
func (f *Fake) Flush() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.memory = blank()
}

// Jump moves the fake's clock by d, from one moment to the next, forward or back.
// What runs out does so by that clock. A store that was connected before notices
// with its next batch: no vote of that counts, the connection is given up, and
// the next Connect returns another incarnation.
func (f *Fake) Jump(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.skew += d
	f.jumps++
}

// Pause stops the fake: what is sent to it waits.
func (f *Fake) Pause() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paused = true
}

// Resume carries out what was sent meanwhile, whether or not anybody still waits
// for the answer, and goes on.
func (f *Fake) Resume() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paused = false
	inbox := f.inbox
	f.inbox = nil
	for _, p := range inbox {
		f.arriveLocked(p)
	}
}

// Hold holds every batch up on its way, as a network may; new connections are
// made all the same.
func (f *Fake) Hold() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held = true
}

// Release lets them arrive, and those to come. A batch whose client has connected
// again meanwhile is lost, unless the fake is late.
func (f *Fake) Release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	transit := f.transit
	f.held, f.transit = false, nil
	for _, p := range transit {
		if p.call != p.from.call && !f.late {
			p.lose()
			continue
		}
		f.arriveLocked(p)
	}
}

// Refuse makes every Connect and Facts fail with err, until Refuse(nil).
func (f *Fake) Refuse(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refusal = err
}

// LoseRequests makes the next n batches vanish before they reach the fake.
func (f *Fake) LoseRequests(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deaf = n
}

// LoseReplies makes the fake act on the next n batches, and their answers vanish.
func (f *Fake) LoseReplies(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mute = n
}

// Delay makes every answer come d after the fake acted.
func (f *Fake) Delay(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.delay = d
}

// Plant puts value under name, whatever was there. A ttl of 0 is none.
func (f *Fake) Plant(name string, value []byte, ttl time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept[name] = kept{data: append([]byte{}, value...), timed: ttl > 0, until: f.nowLocked().Add(ttl)}
}

// PlantOpaque puts something under name that is no copy.
func (f *Fake) PlantOpaque(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept[name] = kept{opaque: true}
}

// Remove takes out what is under name, as an eviction or a stranger would.
func (f *Fake) Remove(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.kept, name)
}

// Fetch returns what is under name, and what is left of its TTL, 0 if it has none.
func (f *Fake) Fetch(name string) (value []byte, left time.Duration, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k, ok := f.lookLocked(name)
	return k.data, f.leftLocked(k), ok
}

// Copies returns every copy that is there, by name.
func (f *Fake) Copies() map[string]*quorum.Copy {
	f.mu.Lock()
	defer f.mu.Unlock()
	copies := map[string]*quorum.Copy{}
	for name := range maps.Clone(f.kept) { // looking drops what has run out
		if k, ok := f.lookLocked(name); ok {
			copies[name] = k.copy()
		}
	}
	return copies
}

// Incarnation returns what Connect would, if the clock never jumped.
func (f *Fake) Incarnation() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.incarnationLocked()
}

func (f *Fake) incarnationLocked() string { return fmt.Sprintf("%s/%d", f.name, f.life) }

// arriveLocked carries out the requests, or keeps them if the fake is paused.
func (f *Fake) arriveLocked(p *parcel) {
	if f.paused {
		f.inbox = append(f.inbox, p)
		return
	}
	for i := range p.requests {
		p.votes[i] = f.answerLocked(&p.requests[i])
	}
	p.jumped = len(p.requests) > 0 && p.from.jumpedLocked()
	close(p.done)
}
