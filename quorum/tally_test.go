package quorum

import "testing"

func TestNeedIsCountedOverTheStoresConfigured(t *testing.T) {
	for strategy, want := range map[Strategy][]int{ // by how many stores there are
		Majority:  {0, 1, 2, 2, 3, 3, 4, 4},
		Unanimous: {0, 1, 2, 3, 4, 5, 6, 7},
	} {
		for stores, need := range want {
			if got := strategy.Need(stores); got != need {
				t.Errorf("%v of %d stores = %d, want %d", strategy, stores, got, need)
			}
		}
	}
}

func TestStrategiesAreKnownByName(t *testing.T) {
	for _, s := range []Strategy{Majority, Unanimous} {
		if got, err := ParseStrategy(s.String()); got != s || err != nil {
			t.Errorf("ParseStrategy(%q) = %v, %v, want %v", s.String(), got, err, s)
		}
	}
	for _, name := range []string{"", "Majority", "any", "most"} {
		if got, err := ParseStrategy(name); err == nil {
			t.Errorf("ParseStrategy(%q) = %v, want an error", name, got)
		}
	}
}

// ballots are written as letters: granted, refused, silent, and _ for a vote
// that is not in yet.
func countOf(ballots string) (c Count) {
	for _, b := range ballots {
		switch b {
		case 'g':
			c.Granted++
		case 'r':
			c.Refused++
		case 's':
			c.Silent++
		}
	}
	return c
}

func TestTally(t *testing.T) {
	for _, c := range []struct {
		strategy Strategy
		ballots  string
		want     Standing
	}{
		{Majority, "", Won}, // without stores the journal alone decides
		{Majority, "_", Undecided},
		{Majority, "g", Won},
		{Majority, "r", LostHeld},
		{Majority, "s", LostMute},

		{Majority, "__", Undecided},
		{Majority, "g_", Undecided}, // half is not a majority
		{Majority, "gg", Won},
		{Majority, "r_", LostHeld}, // one refusal of two leaves no majority
		{Majority, "gr", LostHeld},
		{Majority, "gs", LostMute},
		{Majority, "rs", LostHeld},

		{Majority, "___", Undecided},
		{Majority, "g__", Undecided},
		{Majority, "gg_", Won}, // the last vote can't change it
		{Majority, "ggr", Won},
		{Majority, "ggs", Won},
		{Majority, "gr_", Undecided},
		{Majority, "gs_", Undecided},
		{Majority, "r__", Undecided},
		{Majority, "s__", Undecided},
		{Majority, "rr_", LostHeld},
		{Majority, "grr", LostHeld},
		{Majority, "grs", LostMute},  // silence is no refusal, but no grant either
		{Majority, "rs_", Undecided}, // the vote still out can't make two, but may say that it is held
		{Majority, "rsg", LostMute},
		{Majority, "rrs", LostHeld},
		{Majority, "ss_", LostMute},

		{Majority, "gg__", Undecided},
		{Majority, "ggg_", Won},
		{Majority, "rr__", LostHeld},
		{Majority, "ggrr", LostHeld},
		{Majority, "ggss", LostMute},
		{Majority, "rs__", Undecided},
		{Majority, "rsg_", Undecided},
		{Majority, "rsgs", LostMute},

		{Majority, "ggg__", Won},
		{Majority, "gg___", Undecided},
		{Majority, "rrr__", LostHeld},
		{Majority, "rr___", Undecided},
		{Majority, "rs___", Undecided},
		{Majority, "rrs__", Undecided},
		{Majority, "rrsg_", Undecided},
		{Majority, "rrsgg", LostMute},
		{Majority, "sss__", LostMute},
		{Majority, "ggrss", LostMute},
		{Majority, "ggrrs", LostMute},
		{Majority, "gggss", Won},

		{Unanimous, "", Won},
		{Unanimous, "g", Won},
		{Unanimous, "g_", Undecided},
		{Unanimous, "gg_", Undecided},
		{Unanimous, "ggg", Won},
		{Unanimous, "r__", LostHeld},
		{Unanimous, "s__", Undecided}, // one that refuses would say that it is held
		{Unanimous, "sgg", LostMute},
		{Unanimous, "sr_", LostHeld},
		{Unanimous, "ggggs", LostMute},
		{Unanimous, "gggg_", Undecided},
		{Unanimous, "ggggg", Won},
	} {
		stores := len(c.ballots)
		if got := Tally(stores, c.strategy.Need(stores), countOf(c.ballots)); got != c.want {
			t.Errorf("%v of %q: %v, want %v", c.strategy, c.ballots, got, c.want)
		}
	}
}

func TestNoLaterVoteChangesWhatTallyDecided(t *testing.T) {
	for stores := range 6 {
		for _, strategy := range []Strategy{Majority, Unanimous} {
			need := strategy.Need(stores)
			eachCount(stores, func(c Count) {
				now := Tally(stores, need, c)
				if out := stores - c.Granted - c.Refused - c.Silent; out == 0 {
					if now == Undecided {
						t.Errorf("%v of %d stores: %+v is undecided though all votes are in", strategy, stores, c)
					}
					return
				}
				for _, later := range []Count{
					{c.Granted + 1, c.Refused, c.Silent},
					{c.Granted, c.Refused + 1, c.Silent},
					{c.Granted, c.Refused, c.Silent + 1},
				} {
					then := Tally(stores, need, later)
					if (now == Won) != (then == Won) && now != Undecided {
						t.Errorf("%v of %d stores: %+v is %v, and %+v is %v", strategy, stores, c, now, later, then)
					}
				}
			})
		}
	}
}

// eachCount calls f with every way in which up to so many stores can have voted.
func eachCount(stores int, f func(Count)) {
	for granted := range stores + 1 {
		for refused := range stores + 1 - granted {
			for silent := range stores + 1 - granted - refused {
				f(Count{granted, refused, silent})
			}
		}
	}
}
