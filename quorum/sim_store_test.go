package quorum

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// A simStore keeps copies by a clock of its own, loses them when it restarts
// or is flushed, and acts on what reaches it.
type simStore struct {
	index int
	simMemory
	saved       simMemory // as it was on disk some time ago
	incarnation int
	jumps       int           // of its clock
	ahead       time.Duration // which they made together
	rate        float64       // of its clock, against ours
	dead        bool
	twice       bool        // it keeps copies twice
	blank       bool        // it lost its data while a proxy was about to leave it
	opened      map[int]int // connections so far, by node: a request of an older one may still arrive
}

// A simMemory is what a store forgets.
type simMemory struct {
	copies  map[string]simCopy
	seconds map[string]simCopy // the same once more, under names that strangers do not know
	gone    map[string]simGone
	marks   map[int]Number
	book    Book
}

type simCopy struct {
	bytes string
	until Time
}

type simGone struct {
	version Number
	until   Time
}

func newMemory() simMemory {
	return simMemory{map[string]simCopy{}, map[string]simCopy{}, map[string]simGone{}, map[int]Number{}, Book{}}
}

func (m simMemory) clone() simMemory {
	return simMemory{maps.Clone(m.copies), maps.Clone(m.seconds), maps.Clone(m.gone), maps.Clone(m.marks), maps.Clone(m.book)}
}

// jump sets the store's clock forward, or back.
func (s *simStore) jump(by time.Duration) {
	s.jumps++
	s.ahead += by
	for _, copies := range s.each() {
		for name, c := range copies {
			c.until = c.until.Add(-by)
			copies[name] = c
		}
	}
	for name, g := range s.gone {
		g.until = g.until.Add(-by)
		s.gone[name] = g
	}
}

// shows returns what a proxy reads of its clock.
func (s *simStore) shows(now Time) *ClockReading {
	return &ClockReading{Shown: time.Duration(float64(now)*s.rate) + s.ahead, Before: now, After: now}
}

// each returns the copies, and the second ones.
func (m simMemory) each() [2]map[string]simCopy { return [...]map[string]simCopy{m.copies, m.seconds} }

func (s *simStore) get(now Time, name string) *Copy {
	c, _ := s.find(now, name)
	return c
}

// find returns the copy of a name, the second one if somebody deleted the first,
// and when it runs out.
func (s *simStore) find(now Time, name string) (*Copy, Time) {
	for _, copies := range s.each() {
		if c, ok := copies[name]; ok && now < c.until {
			return DecodeCopy([]byte(c.bytes)), c.until
		}
		delete(copies, name)
	}
	return nil, 0
}

// takeOut leaves no copy of a name.
func (s *simStore) takeOut(name string) {
	delete(s.copies, name)
	delete(s.seconds, name)
}

// ended returns the notice that is there for a name.
func (s *simStore) ended(now Time, name string) Number {
	if g, ok := s.gone[name]; ok && now < g.until {
		return g.version
	}
	return 0
}

func (s *simStore) put(now Time, name string, c *Copy, ttl time.Duration) {
	s.takeOut(name)
	kept := simCopy{string(c.Encode()), now.Add(time.Duration(float64(ttl) / s.rate))}
	if s.copies[name] = kept; s.twice && c.Version != 0 {
		s.seconds[name] = kept
	}
}

func (s *simStore) do(now Time, r Request) Vote {
	switch r.Action {
	case ReadBook:
		return Vote{Verdict: Granted, Book: maps.Clone(s.book), Clock: s.shows(now)}
	case Sign:
		return s.sign(r)
	case Tear:
		clear(s.book)
		return Vote{Verdict: Granted}
	}
	found, until := s.find(now, r.Name)
	v := Vote{Verdict: Granted, Found: found}
	switch {
	case r.Action == Read:
		if found != nil {
			v.FoundLeft = until.Sub(now)
		}
		if r.Heed {
			v.Gone = s.ended(now, r.Name)
		}
		return v
	case r.Action == Check:
		if !found.Equal(r.Prev) {
			v.Verdict = Refused
		}
		return v
	}
	if _, first := s.copies[r.Name]; !first && r.Next != nil && found.Equal(r.Next) {
		found, v.Found = nil, nil // the second copy is not in the way of the first
	}
	if r.Gone > 0 && r.Prev.Version >= s.ended(now, r.Name) {
		until := now.Add(time.Duration(float64(r.Gone) / s.rate))
		s.gone[r.Name] = simGone{r.Prev.Version, max(until, s.gone[r.Name].until)}
	}
	if !(found.Equal(r.Prev) || found == nil && r.OrNone) {
		v.Verdict = Refused
		if second, ok := s.seconds[r.Name]; ok && r.Prev != nil && second.bytes == string(r.Prev.Encode()) {
			delete(s.seconds, r.Name) // or it would come back when what is in the way goes
		}
	}
	if gone := s.ended(now, r.Name); r.Heed && r.Next != nil {
		v.Gone = gone // some stores tell of it even where it forbids nothing
		if gone >= r.Next.Version {
			v.Verdict = Refused
		}
	}
	if mark := s.marks[Bucket(r.Name)]; r.Mark && mark >= r.Next.Version {
		v.Verdict, v.Mark = Refused, mark
	}
	if v.Verdict == Refused {
		return v
	}
	if r.Mark {
		s.marks[Bucket(r.Name)] = r.Next.Version
	}
	if r.Next == nil {
		s.takeOut(r.Name)
	} else {
		s.put(now, r.Name, r.Next, r.TTL)
	}
	return v
}

func (s *simStore) sign(r Request) Vote {
	if s.book[r.Name] != r.Was {
		return Vote{Verdict: Refused}
	}
	if r.Only != nil {
		for id, line := range s.book {
			if id != r.Name && !slices.Contains(r.Only, id) && strings.HasPrefix(line, "signed ") {
				return Vote{Verdict: Refused}
			}
		}
	}
	if s.book[r.Name] = r.Line; r.Line == "" {
		delete(s.book, r.Name)
	}
	return Vote{Verdict: Granted}
}
