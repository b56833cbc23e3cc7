package quorum

import "time"

// dry reports whether a change must wait for the journal: until that allows
// more numbers, or has written some of what is queued for it. Votes may fail
// faster than a disk writes, and what failed was to be written too.
func (c *Core) dry() bool {
	return MakeNumber(c.count+MaxNames, c.cfg.Author) >= c.limit || c.out.Full()
}

// number returns a number that no change ever had.
func (c *Core) number() Number {
	c.count++
	n := MakeNumber(c.count, c.cfg.Author)
	if c.births.Author() != c.cfg.Author {
		// The group has changed since, and with it who has which author: what somebody
		// else made as this one is not ours to sweep.
		c.births = n
		c.write(Record{Birth: n}, false, nil)
	}
	return n
}

const (
	// reserveAlone is how many numbers are reserved in the journal at a time. A restart
	// skips those that were not used.
	reserveAlone = 1 << 16
	// reservePeered is so small because a proxy that comes back is ahead of the others by
	// it. Should they not hear of that, and it die, and all stores forget: they have passed
	// it by the time that they take it for dead.
	reservePeered = 2 * numbersASecond
	// perLine is above how many numbers a proxy uses until its line is written anew,
	// which is once a second.
	perLine = 1 << 16
)

// reserve returns how many numbers are reserved at a time.
func (c *Core) reserve() uint64 {
	if c.peered() {
		return reservePeered
	}
	return reserveAlone
}

// reserveMost returns how many numbers are reserved at a time however slow the disk is.
// With peers it is what they pass until they take us for dead.
func (c *Core) reserveMost() uint64 {
	if c.peered() {
		return min(uint64((c.silence()-beatEvery)/(time.Second/numbersASecond)), reserveAlone)
	}
	return reserveAlone
}

// Above returns a number above all that the writer of a mark may have used since
// it wrote that.
func Above(mark Number) Number { return mark + perLine<<authorBits }

// Beyond returns a number above all that peers may have used whom we have not heard of,
// for somebody who leaves them for good: their books may have forgotten what they used,
// and other stores know nothing of it. With peers that stay nobody may go so far ahead,
// since they may not hear of it.
func Beyond(n Number) Number { return n + 16*perLine<<authorBits }

// Reserve asks the journal for numbers if fewer than half a reserve are left.
func (c *Core) Reserve() {
	if c.dead == nil && c.asked <= c.limit && c.count+c.reserve()/2 > c.limit.Count() {
		c.asked = MakeNumber(c.count+min(c.reserve()<<c.parched, c.reserveMost()), 0)
		if c.breaks&breakReserve != 0 {
			c.limit = c.asked
			return
		}
		c.write(Record{Limit: c.asked}, true, &Want{limit: c.asked})
	}
}

// allowed is told that the journal allows numbers up to a limit. It may have taken so
// long that the pace has left no more than before: then more are asked for.
func (c *Core) allowed(now Time, limit Number) {
	c.limit = max(c.limit, limit)
	if c.peered() && c.breaks&breakMarks == 0 {
		c.count = max(c.count, c.pace.now(now))
	}
	switch {
	case c.dry():
		c.parched = min(c.parched+1, 3)
	case c.count+c.reserve() <= c.limit.Count(): // as much as is asked for without haste
		c.parched = max(c.parched-1, 0)
	}
}
