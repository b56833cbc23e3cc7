package quorum

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestAJournalThatFailsFailsWhatIsUnderWayAndWhatComes(t *testing.T) {
	d := newDesk(t, 3)
	d.hold("kept", "token", time.Minute)
	voted := d.submit(acquiring("token", time.Second, "orders"))
	d.grant(0, 1)
	d.asked[2] = nil
	unvoted := d.submit(acquiring("token", time.Second, "parcels"))
	behind := d.submit(acquiring("token", time.Second, "parcels"))
	d.waits(voted, "the journal has not answered")
	d.breakDisk()
	later := d.submit(acquiring("token", time.Second, "letters"))
	extension := d.submit(extending("kept", "token", 2*time.Minute))
	for what, op := range map[string]*Op{
		"voted": voted, "not voted yet": unvoted, "behind that": behind, "later": later, "an extension": extension,
	} {
		if r := d.ends(op, Failed); !errors.Is(r.Err, errDisk) {
			t.Errorf("%s: %v, want the journal's error", what, r.Err)
		}
	}
	for store := range 3 {
		for len(d.asked[store]) > 0 {
			d.grant(store) // votes come in still
		}
	}
	if len(d.core.leases) != 1 {
		t.Errorf("%d leases, want the one from before to stay as it is", len(d.core.leases))
	}
	d.ends(d.submit(acquiring("other", time.Second, "kept")), Unchanged)
}

func TestOpsThatWaitForNumbersFailWithTheJournal(t *testing.T) {
	d := openDesk(t, deskConfig(1), History{Birth: deskBirth, Limit: deskBirth})
	op := d.submit(acquiring("token", time.Second, "orders"))
	behind := d.submit(acquiring("token", time.Second, "orders"))
	d.breakDisk()
	for _, op := range []*Op{op, behind} {
		if r := d.ends(op, Failed); !errors.Is(r.Err, errDisk) {
			t.Errorf("error %v, want the journal's", r.Err)
		}
	}
	d.quiet("no number was to be had")
	if d.core.Reserve(); len(d.written) > 0 {
		t.Errorf("a journal that failed is asked for %+v", d.written)
	}
}

func TestAFailedJournalIsCheckpointedNoMore(t *testing.T) {
	d := newDesk(t, 0)
	d.hold("orders", "token", time.Minute)
	d.submit(acquiring("token", time.Second, "parcels"))
	d.breakDisk()
	for range 20 {
		d.pass(250 * time.Millisecond)
	}
	if len(d.written) > 0 {
		t.Errorf("it is asked for %+v, want nothing", d.written)
	}
}

func TestChangesWaitWhileTheJournalIsFull(t *testing.T) {
	d := newDesk(t, 0)
	d.full = true
	op := d.submit(acquiring("token", time.Minute, "orders"))
	if len(d.core.thirst) != 1 {
		t.Fatalf("%d changes wait for the journal, want 1", len(d.core.thirst))
	}
	d.full = false
	d.core.Written(d.now, &Want{}, nil) // anything
	d.sync()
	d.ends(op, Changed)
}

func TestChangesThatWaitForTheJournalNeedNobodyElse(t *testing.T) {
	d := newDesk(t, 0)
	d.full = true
	op := d.submit(acquiring("token", time.Minute, "orders"))
	d.full = false // what was queued is written, and none of it was to be told
	d.core.Tick(d.now)
	d.sync()
	d.ends(op, Changed)
	d.full = true
	d.submit(acquiring("token", time.Minute, "parcels"))
	if next := d.core.Tick(d.now); next.Sub(d.now) > time.Second {
		t.Errorf("while a change waits: again in %v, want soon", next.Sub(d.now))
	}
}

func TestAReleaseIsSyncedWithinASecond(t *testing.T) {
	d := newDesk(t, 0)
	d.hold("orders", "token", time.Minute)
	d.submit(releasing("orders", "token"))
	if !d.core.unsynced {
		t.Fatal("a release alone waits for no sync")
	}
	d.pass(time.Second)
	d.core.Tick(d.now)
	if d.core.unsynced {
		t.Error("the last release was never synced: a crash days later would bring its lease back")
	}
	if next := d.core.Tick(d.now); next != d.now.Add(time.Hour) {
		t.Errorf("with nothing left to sync: again in %v, want in an hour", next.Sub(d.now))
	}
}

func TestNothingIsWrittenWhereNoVoteCanBeWon(t *testing.T) {
	d := newDesk(t, 3)
	d.core.Down(0, errLost)
	d.core.Down(2, errLost)
	before := len(d.disk)
	op := d.submit(acquiring("token", time.Minute, "orders"))
	r := d.ends(op, Failed)
	if !errors.Is(r.Err, ErrNoQuorum) || !strings.Contains(r.Err.Error(), "s0: it is down: connection lost; s2: it is down: connection lost") {
		t.Errorf("error %v, want no quorum, naming s0 and s2", r.Err)
	}
	if len(d.disk) != before || len(d.asked[1]) != 0 {
		t.Errorf("%d records and %d requests for it, want none", len(d.disk)-before, len(d.asked[1]))
	}
}
