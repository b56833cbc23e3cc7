package quorum

import (
	"errors"
	"testing"
	"time"
)

// shows has each store answer a read, as a letter says: a lease of theirs or of
// another, opaque, none, one of ours that was left behind, silent, or _ never.
func (d *desk) shows(answers string) {
	found := map[rune]*Copy{
		't': foreignCopy("theirs"), 'o': foreignCopy("other"), '?': {Opaque: true}, '.': nil,
		'l': {Value: []byte("left"), Fence: MakeNumber(1000, 0), Version: MakeNumber(1000, 0)},
	}
	for store, letter := range answers {
		switch letter {
		case '_':
			d.next(store)
		case 's':
			d.mute(store)
		default:
			d.answer(store, Vote{Verdict: Granted, Found: found[letter], FoundLeft: 10 * time.Second})
		}
	}
}

func TestALeaseIsShownWhileItMayHaveAQuorum(t *testing.T) {
	for _, c := range []struct {
		answers string
		want    string // the value shown, "" for none
		err     error
		waits   bool // until patience ends
	}{
		{answers: "ttt", want: "theirs"},
		{answers: "tt.", want: "theirs"},
		{answers: "tts", want: "theirs"},
		{answers: "t.s", want: "theirs"}, // silence may have it
		{answers: "tos", want: "theirs"},
		{answers: "t..", want: ""}, // a minority
		{answers: "to.", want: ""},
		{answers: "...", want: ""},
		{answers: "..s", want: ""},
		{answers: ".._", want: ""}, // the third can't change that
		{answers: ".ss", err: ErrNoQuorum},
		{answers: "sss", err: ErrNoQuorum},
		{answers: "tt_", want: "theirs", waits: true}, // it may lengthen the time
		{answers: "t._", want: "theirs", waits: true},
		{answers: ".__", err: ErrNoQuorum, waits: true},
		{answers: "lll", want: ""}, // nobody holds by these
		{answers: "ll_", want: ""},
		{answers: "tl.", want: ""},
		{answers: "t", want: "theirs"},
		{answers: "s", err: ErrNoQuorum},
		{answers: "tt...", want: ""},
		{answers: "ttos.", want: "theirs"},
		{answers: "ootts", want: "other"},
		{answers: "tss..", want: "theirs"},
		{answers: "...ss", want: ""},
		{answers: "..sss", err: ErrNoQuorum},
	} {
		d := newDesk(t, len(c.answers))
		var got *Lease
		op := d.submit(looking("orders", func(l *Lease) { got = l }))
		d.shows(c.answers)
		if c.waits {
			d.waits(op, c.answers)
			d.pass(250 * time.Millisecond)
		}
		r := d.result(op)
		if !errors.Is(r.Err, c.err) || c.err == nil && r.Outcome != Unchanged {
			t.Errorf("%s: %v (%v), want error %v", c.answers, r.Outcome, r.Err, c.err)
		}
		value := ""
		if got != nil {
			value = string(got.Value)
		}
		if value != c.want || got != nil && (!got.Foreign || got.Opaque) {
			t.Errorf("%s: shown %q (%+v), want %q", c.answers, value, got, c.want)
		}
	}
}

func TestSomethingOpaqueIsShownAsHeld(t *testing.T) {
	d := newDesk(t, 3)
	var got *Lease
	d.submit(looking("orders", func(l *Lease) { got = l }))
	d.shows("??.")
	if got == nil || !got.Opaque || !got.Foreign {
		t.Errorf("shown %+v, want a foreign lease that cannot be read", got)
	}
}

func TestTheTimeShownIsWhatAQuorumGuarantees(t *testing.T) {
	for _, c := range []struct {
		left    []time.Duration // by store; 0: no TTL, -1: no copy
		want    time.Duration
		untimed bool
	}{
		{[]time.Duration{10 * time.Second, 9 * time.Second, 8 * time.Second}, 9 * time.Second, false},
		{[]time.Duration{10 * time.Second, time.Second, -1}, time.Second, false},
		{[]time.Duration{5 * time.Second, 5 * time.Second, time.Hour}, 5 * time.Second, false},
		{[]time.Duration{0, 0, 0}, 24 * time.Hour, true},
		{[]time.Duration{0, 10 * time.Second, -1}, 10 * time.Second, false},
		{[]time.Duration{48 * time.Hour, 48 * time.Hour, 48 * time.Hour}, 24 * time.Hour, true},
	} {
		d := newDesk(t, 3)
		var got *Lease
		d.submit(looking("orders", func(l *Lease) { got = l }))
		for store, left := range c.left {
			vote := Vote{Verdict: Granted, Found: foreignCopy("theirs"), FoundLeft: left}
			if left < 0 {
				vote = Vote{Verdict: Granted}
			}
			d.answer(store, vote)
		}
		if got == nil || got.TTL != c.want || got.Ends() != d.now.Add(c.want) || got.Untimed != c.untimed {
			t.Errorf("left in the stores %v: shown %+v, want %v, untimed %t", c.left, got, c.want, c.untimed)
		}
	}
}

func TestTheTimeShownCountsTheWaitForTheOthers(t *testing.T) {
	d := newDesk(t, 3)
	var got *Lease
	d.submit(looking("orders", func(l *Lease) { got = l }))
	vote := Vote{Verdict: Granted, Found: foreignCopy("theirs"), FoundLeft: 10 * time.Second}
	d.answer(0, vote)
	d.answer(1, vote)
	d.pass(200 * time.Millisecond)
	d.answer(2, Vote{Verdict: Granted})
	if want := 9800 * time.Millisecond; got == nil || got.TTL != want {
		t.Errorf("shown %+v, want %v left", got, want)
	}
}

func TestOnlyLocksThatTheTableHasNotAreLookedFor(t *testing.T) {
	d := newDesk(t, 3)
	lease := d.hold("orders", "token", 10*time.Second)
	var shown []*Lease
	op := d.submit(&Op{Names: []string{"orders", "parcels"}, Reads: true, Decide: func(v *View) Plan {
		for _, name := range []string{"orders", "parcels"} {
			l, _ := v.Lease(name)
			shown = append(shown, l)
		}
		return Plan{}
	}})
	for store := range 3 {
		if ask := d.answer(store, Vote{Verdict: Granted}); ask.Name != "parcels" || ask.Action != Read {
			t.Errorf("store %d is asked %s, want parcels read", store, showAsk(ask))
		}
		if len(d.asked[store]) > 0 {
			t.Errorf("store %d is asked for %q too", store, d.asked[store][0].Name)
		}
		if store == 1 {
			d.ends(op, Unchanged) // two of three have none
		}
	}
	if len(shown) != 2 || shown[0] != lease || shown[1] != nil {
		t.Errorf("shown %v, want our lease and none", shown)
	}
	d.ends(d.submit(looking("orders", func(*Lease) {})), Unchanged)
	d.quiet("the table has it")
}

func TestAReaderWithoutStoresNeedsNobody(t *testing.T) {
	d := newDesk(t, 0)
	d.ends(d.submit(looking("orders", func(*Lease) {})), Unchanged)
}

func TestALeftoverThatIsReadIsSwept(t *testing.T) {
	d := newDesk(t, 1)
	d.submit(looking("orders", func(*Lease) {}))
	d.shows("l")
	if ask := d.next(0); ask.Prev == nil || string(ask.Prev.Value) != "left" || ask.Next != nil {
		t.Errorf("store 0 is asked %s, want the leftover taken out", showAsk(ask))
	}
}

func TestAReadThatFailsNamesEachSilentStore(t *testing.T) {
	d := newDesk(t, 3)
	op := d.submit(looking("orders", func(*Lease) {}))
	d.mute(0)
	d.answer(1, Vote{Verdict: Refused})
	d.pass(250 * time.Millisecond)
	want := `read "orders": 0 of 3 stores answered, need 2: no quorum: ` +
		`s0: connection lost; s1: it refused to be read; s2: no answer within 250ms`
	if r := d.ends(op, Failed); r.Err.Error() != want || r.Took != 250*time.Millisecond {
		t.Errorf("error\n got %v\nwant %s", r.Err, want)
	}
	d.hold("parcels", "token", time.Second)
}

func TestAForeignLeaseIsReleasedByAVote(t *testing.T) {
	for votes, want := range map[string]Outcome{"gg": Changed, "rr": Held, "ss": Failed} {
		d := newDesk(t, 3)
		op := releasing("orders", "theirs")
		op.Reads = true
		d.submit(op)
		d.shows("ttt")
		d.sync()
		for store, vote := range votes {
			if ask := d.asked[store][0]; !ask.Prev.Equal(foreignCopy("theirs")) || ask.Next != nil || !ask.OrNone {
				t.Errorf("store %d is asked %s, want their copy taken out, if it is still there", store, showAsk(ask))
			}
			switch vote {
			case 'g':
				d.grant(store)
			case 'r':
				d.refuse(foreignCopy("other"), store)
			case 's':
				d.mute(store)
			}
		}
		d.ends(op, want)
	}
}
