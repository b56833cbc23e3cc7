package integration

import (
	"math/rand/v2"
	"testing"
	"time"
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

// restartStores leaves more time than others do, as restartAll does: who is back
// for less than it takes to be found again might as well have stayed away.
func (x *tormentor) restartStores() {
	x.outage()
	x.breathe()
}

func (x *tormentor) restartAll() {
	for _, p := range x.proxies {
		p.kill()
	}
	x.outage()
	for _, p := range x.proxies {
		p.start()
	}
	x.breathe()
	x.breathe()
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

// pauseProxy stops a program until every lease that it granted has run out.
func (x *tormentor) pauseProxy() {
	p := x.proxies[x.IntN(len(x.proxies))]
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

// anything is one of what needs no preparation, or two stores at a time.
func (x *tormentor) anything() {
	switch x.IntN(7) {
	case 0:
		x.restartOne()
	case 1: // a majority forgets
		one, other := x.next(), x.next()
		one.kill()
		other.kill()
		x.breathe()
		one.start()
		other.start()
	case 2:
		x.pauseStores()
	case 3:
		x.next().flush()
		x.next().flush()
	case 4:
		x.deleteNames()
	case 5:
		p := x.proxies[x.IntN(len(x.proxies))]
		p.restart()
	case 6:
		x.restartAll()
	}
}
