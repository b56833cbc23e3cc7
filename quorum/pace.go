package quorum

import "time"

// A pace is the hybrid clock of numbers that peers share: it goes on from the
// highest number that was ever seen, as fast as [FirstNumber] does, by our own
// clock's rate and not by what that clock shows. So a proxy that heard nothing of
// another for a while is ahead of it all the same, unless that made more than
// that many changes a second.
//
// Source: Kulkarni and others, "Logical Physical Clocks", 2014, for the idea of
// a counter that follows both the messages and the time.
type pace struct {
	count uint64
	at    Time
}

const numbersASecond = 1 << 12

// paceEvery is how often the count follows the time at the least, so that the
// journal is asked for numbers before a change needs them.
const paceEvery = time.Second / 2

// now returns the count that the pace has reached.
func (p pace) now(now Time) uint64 {
	return p.count + uint64(max(now.Sub(p.at), 0)/(time.Second/numbersASecond))
}

// learn takes note of a number that somebody else has used.
func (c *Core) learn(now Time, n Number) {
	if n.Count() > c.count {
		c.count = n.Count()
	}
	if c.count > c.pace.now(now) {
		c.pace = pace{c.count, now}
	}
	if c.peered() && c.count > c.limit.Count() && c.breaks&breakMarks == 0 {
		c.Reserve() // what we heard is to be known after a crash too
	}
}

// keepPace lets the numbers follow the time.
func (c *Core) keepPace(now Time) {
	if c.peered() && c.breaks&breakMarks == 0 {
		c.count = max(c.count, c.pace.now(now))
		c.Reserve()
	}
}
