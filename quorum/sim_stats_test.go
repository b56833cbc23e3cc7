package quorum

// A simStats counts what happened in histories.
type simStats struct {
	granted, held, failed, extended, released, pairs int // of locks that one holds
	joined, left                                     int // of those that several hold
	direct                                           int // grants to those who lock in the stores
	batches, late                                    int // late: a request came in after a later connection's
	crashes, pauses, lost, cuts, strangers, moves    int // of proxies
	forgot, flushed, restarted, restored, jumps      int // of stores
	deleted                                          int // single copies, by somebody
	storms                                           int
}

// each returns all counts by their names.
func (s *simStats) each() map[string]int {
	return map[string]int{
		"granted": s.granted, "held": s.held, "failed": s.failed, "extended": s.extended, "released": s.released, "pairs": s.pairs,
		"joined": s.joined, "left": s.left, "direct": s.direct, "batches": s.batches, "late": s.late,
		"crashes": s.crashes, "pauses": s.pauses, "lost": s.lost, "cuts": s.cuts, "strangers": s.strangers, "moves": s.moves,
		"forgot": s.forgot, "flushed": s.flushed, "restarted": s.restarted, "restored": s.restored, "jumps": s.jumps, "deleted": s.deleted, "storms": s.storms,
	}
}

func (s *simStats) add(t simStats) {
	s.granted += t.granted
	s.held += t.held
	s.failed += t.failed
	s.crashes += t.crashes
	s.forgot += t.forgot
	s.extended += t.extended
	s.released += t.released
	s.direct += t.direct
	s.pauses += t.pauses
	s.jumps += t.jumps
	s.lost += t.lost
	s.cuts += t.cuts
	s.strangers += t.strangers
	s.moves += t.moves
	s.batches += t.batches
	s.flushed += t.flushed
	s.restarted += t.restarted
	s.restored += t.restored
	s.late += t.late
	s.storms += t.storms
	s.deleted += t.deleted
	s.joined += t.joined
	s.left += t.left
	s.pairs += t.pairs
}
