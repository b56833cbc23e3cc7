package quorum

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

// numbersAtOnce is how many numbers are reserved in the journal at a time. A
// restart skips those that were not used.
const numbersAtOnce = 1 << 16

// Above returns a number above all that the writer of a mark may have used since
// it wrote that: its line is written anew every second.
func Above(mark Number) Number { return mark + numbersAtOnce<<authorBits }

// Reserve asks the journal for numbers if fewer than half a reserve are left.
func (c *Core) Reserve() {
	if c.dead == nil && c.asked <= c.limit && c.count+numbersAtOnce/2 > c.limit.Count() {
		c.asked = MakeNumber(max(c.count, c.limit.Count())+numbersAtOnce, 0)
		if c.breaks&breakReserve != 0 {
			c.limit = c.asked
			return
		}
		c.write(Record{Limit: c.asked}, true, &Want{limit: c.asked})
	}
}
