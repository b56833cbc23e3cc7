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
	jumps       int     // of its clock
	rate        float64 // of its clock, against ours
	dead        bool
	blank       bool        // it lost its data while a proxy was about to leave it
	opened      map[int]int // connections so far, by node: a request of an older one may still arrive
}

// A simMemory is what a store forgets.
type simMemory struct {
	copies map[string]simCopy
	gone   map[string]simGone
	marks  map[int]Number
	book   Book
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
	return simMemory{map[string]simCopy{}, map[string]simGone{}, map[int]Number{}, Book{}}
}

func (m simMemory) clone() simMemory {
	return simMemory{maps.Clone(m.copies), maps.Clone(m.gone), maps.Clone(m.marks), maps.Clone(m.book)}
}

// jump sets the store's clock forward, or back.
func (s *simStore) jump(by time.Duration) {
	s.jumps++
	for name, c := range s.copies {
		c.until = c.until.Add(-by)
		s.copies[name] = c
	}
	for name, g := range s.gone {
		g.until = g.until.Add(-by)
		s.gone[name] = g
	}
}

func (s *simStore) get(now Time, name string) *Copy {
	c, ok := s.copies[name]
	if !ok || now >= c.until {
		delete(s.copies, name)
		return nil
	}
	return DecodeCopy([]byte(c.bytes))
}

// ended returns the notice that is there for a name.
func (s *simStore) ended(now Time, name string) Number {
	if g, ok := s.gone[name]; ok && now < g.until {
		return g.version
	}
	return 0
}

func (s *simStore) put(now Time, name string, c *Copy, ttl time.Duration) {
	s.copies[name] = simCopy{string(c.Encode()), now.Add(time.Duration(float64(ttl) / s.rate))}
}

func (s *simStore) do(now Time, r Request) Vote {
	switch r.Action {
	case ReadBook:
		return Vote{Verdict: Granted, Book: maps.Clone(s.book)}
	case Sign:
		return s.sign(r)
	case Tear:
		clear(s.book)
		return Vote{Verdict: Granted}
	}
	found := s.get(now, r.Name)
	v := Vote{Verdict: Granted, Found: found}
	switch {
	case r.Action == Read:
		if found != nil {
			v.FoundLeft = s.copies[r.Name].until.Sub(now)
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
	if r.Gone > 0 && r.Prev.Version >= s.ended(now, r.Name) {
		until := now.Add(time.Duration(float64(r.Gone) / s.rate))
		s.gone[r.Name] = simGone{r.Prev.Version, max(until, s.gone[r.Name].until)}
	}
	if !(found.Equal(r.Prev) || found == nil && r.OrNone) {
		v.Verdict = Refused
	}
	if gone := s.ended(now, r.Name); r.Heed && r.Next != nil && gone >= r.Next.Version {
		v.Verdict, v.Gone = Refused, gone
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
		delete(s.copies, r.Name)
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
