package quorum

// number returns a number that no change ever had, or none if the journal must
// first allow more of them.
func (c *Core) number() (Number, bool) {
	n := MakeNumber(c.count+1, c.cfg.Author)
	if n >= c.limit {
		return 0, false
	}
	c.count++
	return n, true
}

// numbersAtOnce is how many numbers are reserved in the journal at a time. A
// restart skips those that were not used.
const numbersAtOnce = 1 << 16

// Reserve asks the journal for numbers if fewer than half a reserve are left.
func (c *Core) Reserve() {
	if c.dead == nil && c.asked <= c.limit && c.count+numbersAtOnce/2 > c.limit.Count() {
		c.asked = MakeNumber(max(c.count, c.limit.Count())+numbersAtOnce, 0)
		if c.breaks&breakReserve != 0 {
			c.limit = c.asked
			return
		}
		c.out.Write(Record{Limit: c.asked}, true, &Want{limit: c.asked})
	}
}
