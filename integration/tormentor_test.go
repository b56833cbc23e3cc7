package integration

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// A seat is one place in a set of stores: a server, and where that is no redis
// another one that suffers the same, for clients that speak to redis alone.
type seat struct {
	store *store
	spare *store              // nil if store is a redis
	shift func(time.Duration) // moves the clock of store; may be nil
	ahead bool                // the clock was moved
}

func (s *seat) each(suffer func(*store)) {
	suffer(s.store)
	if s.spare != nil {
		suffer(s.spare)
	}
}

func (s *seat) kill()   { s.each(func(s *store) { s.Kill() }) }
func (s *seat) start()  { s.each(func(s *store) { s.Start() }) }
func (s *seat) pause()  { s.each(func(s *store) { s.Pause() }) }
func (s *seat) resume() { s.each(func(s *store) { s.Resume() }) }
func (s *seat) flush()  { s.each((*store).flush) }

// redis returns the seat's store for clients that speak to redis alone.
func (s *seat) redis() *store {
	if s.spare != nil {
		return s.spare
	}
	return s.store
}

// A tormentor makes stores and programs suffer. What it does depends on the dice
// alone; whose turn it is goes round.
type tormentor struct {
	*rand.Rand
	t       *testing.T
	seats   []*seat
	proxies []*program
	locks   []string      // that are fought for
	most    time.Duration // the longest TTL there is
	saves   bool          // stores are saved now and then, and come back with that
	once    bool          // see set.once
	turn    int
}

// dice returns dice for somebody else to throw.
func (x *tormentor) dice() *rand.Rand { return rand.New(rand.NewPCG(x.Uint64(), x.Uint64())) }

// run inflicts a fault again and again until it is over. Each leaves everything
// running.
func (x *tormentor) run(inflict func(*tormentor), over func() bool) {
	for !over() {
		if x.saves && x.IntN(2) == 0 {
			for _, s := range x.seats {
				s.each((*store).save)
			}
		}
		inflict(x)
		x.breathe()
	}
}

// breathe gives everybody a moment.
func (x *tormentor) breathe() {
	pause(x.t.Context(), time.Duration(50+x.IntN(250))*time.Millisecond)
}

// recover gives everybody a moment, and several proxies mostly the time to find
// each other again: who is back for less than that might as well have stayed
// away, and locks that are not granted can't be granted twice.
func (x *tormentor) recover() {
	if len(x.proxies) > 1 && x.IntN(4) > 0 {
		p := x.proxies[x.IntN(len(x.proxies))]
		c := connect(x.t, redis.Options{Addr: p.addr, DialerRetries: 1})
		defer c.Close()
		const patience = 10 * time.Second // somebody must see that nothing goes on
		for start := time.Now(); time.Since(start) < patience && !quorate(seen(x.t, c)) && pause(x.t.Context(), 10*time.Millisecond); {
		}
	}
	x.breathe()
}

// quorate reports whether most stores vote.
func quorate(stores []storeSeen) bool {
	votes := 0
	for _, s := range stores {
		if s.whole {
			votes++
		}
	}
	return votes > len(stores)/2
}

// next returns the seat whose turn it is.
func (x *tormentor) next() *seat {
	x.turn++
	return x.seats[x.turn%len(x.seats)]
}

func (x *tormentor) restartOne() {
	s := x.next()
	s.kill()
	x.breathe()
	s.start()
}

func (x *tormentor) flushOne() { x.next().flush() }

// outage takes every store down, all of them empty or old when it is over.
func (x *tormentor) outage() {
	for _, s := range x.seats {
		s.kill()
	}
	x.breathe()
	for _, s := range x.seats {
		s.start()
	}
}

// restartStores leaves more time than others do, as restartAll does.
func (x *tormentor) restartStores() {
	x.outage()
	x.recover()
}

func (x *tormentor) restartAll() {
	for _, p := range x.proxies {
		p.kill()
	}
	x.outage()
	startAll(x.proxies)
	x.breathe()
	x.recover()
}

// nextProxy returns the proxy whose turn it is.
func (x *tormentor) nextProxy() *program {
	x.turn++
	return x.proxies[x.turn%len(x.proxies)]
}

// restartProxy kills a proxy, and brings it back with its data folder.
func (x *tormentor) restartProxy() {
	p := x.nextProxy()
	p.kill()
	x.breathe()
	p.start()
	x.recover()
}

// pauseStores stops one store, or two: a majority.
func (x *tormentor) pauseStores() {
	some := []*seat{x.next()}
	if x.IntN(2) == 0 {
		some = append(some, x.next())
	}
	for _, s := range some {
		s.pause()
	}
	x.breathe()
	x.breathe()
	for _, s := range some {
		s.resume()
	}
}

// pauseProxy stops a proxy until every lease that it granted has run out.
func (x *tormentor) pauseProxy() {
	p := x.nextProxy()
	p.pause()
	pause(x.t.Context(), x.most+x.most/10)
	p.resume()
}

// shiftClock sets the clocks forward one after the other, and then back.
func (x *tormentor) shiftClock() {
	switch s := x.next(); {
	case s.shift == nil: // time is what the kernel counts there
	case s.ahead:
		s.shift(-time.Hour)
		s.ahead = false
	default:
		s.shift(time.Hour)
		s.ahead = true
	}
	x.recover()
}

// deleteNames deletes the copies of every lock, in one store after the other.
func (x *tormentor) deleteNames() {
	for range x.seats {
		x.next().each(func(s *store) { s.forget(x.locks...) })
		pause(x.t.Context(), time.Duration(x.IntN(10))*time.Millisecond)
	}
}

// cutOff is what the network between lockers and one store can do.
func (x *tormentor) cutOff() {
	s := x.next()
	worse := weather(1 + x.IntN(4))
	s.each(func(s *store) { s.way.set(worse) })
	x.breathe()
	x.breathe()
	s.each(func(s *store) { s.way.set(fair) })
}

// cutOffOne is what the network between one proxy and one store can do. To all
// others that store is there.
func (x *tormentor) cutOffOne() {
	s, p := x.next(), x.proxies[x.IntN(len(x.proxies))]
	worse := weather(1 + x.IntN(4))
	s.store.way.setFor(p.cmd.Process.Pid, worse)
	x.breathe()
	x.breathe()
	s.store.way.set(fair)
}

// anything is one of what needs no preparation, or two stores at a time. Names
// are deleted where that loses no lock: see loses.
func (x *tormentor) anything() {
	deeds := 7
	if len(x.proxies) > 1 && x.once {
		deeds--
	}
	switch x.IntN(deeds) {
	case 0:
		x.restartOne()
	case 1: // a majority forgets
		one, other := x.next(), x.next()
		one.kill()
		other.kill()
		x.breathe()
		one.start()
		other.start()
		x.recover()
	case 2:
		x.pauseStores()
	case 3:
		x.next().flush()
		x.next().flush()
	case 4:
		x.restartProxy()
	case 5:
		x.restartAll()
	case 6:
		x.deleteNames()
	}
}
