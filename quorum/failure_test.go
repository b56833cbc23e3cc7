package quorum

import (
	"errors"
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
