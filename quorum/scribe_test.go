package quorum_test

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/quorum"
)

// A clerk counts what the journal is asked for.
type clerk struct {
	*paper
	commits, records atomic.Int64
}

func (c *clerk) Commit(records []quorum.Record, sync bool) error {
	c.commits.Add(1)
	c.records.Add(int64(len(records)))
	return c.paper.Commit(records, sync)
}

// An immortal is a clerk that is told of each sync, and never dies.
type immortal struct{ *clerk }

func (i immortal) Start(records []quorum.Record, done func()) error {
	err := i.Commit(records, true)
	done()
	return err
}

func (immortal) Died() <-chan struct{} { return nil }
func (immortal) Why() error            { return nil }

func TestOneProcessorSyncsTogetherWhatIsAskedTogether(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for name, journal := range map[string]func(*clerk) quorum.Journal{
		"a journal that may die": func(c *clerk) quorum.Journal { return immortal{c} },
		"any other":              func(c *clerk) quorum.Journal { return c },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { syncsTogether(t, journal) })
		})
	}
}

func syncsTogether(t *testing.T, journal func(*clerk) quorum.Journal) {
	const clients = 64
	var j *clerk
	h := openHouse(t, 0, func(h *house, o *quorum.Options) {
		j = &clerk{paper: h.journal}
		o.Journal = journal(j)
	})
	// Its deadline is the next thing that is due: the clients wake the scribe and nobody else.
	h.takes(0, acquiring("first", "token", 100*time.Millisecond), quorum.Changed)
	before := j.commits.Load()
	for i := range clients {
		go func() {
			if got := h.keeper.Do(acquiring(fmt.Sprint("lock", i), "token", time.Minute)); got.Outcome != quorum.Changed {
				t.Errorf("client %d got %+v, want its lock", i, got)
			}
		}()
	}
	synctest.Wait()
	if got := j.commits.Load() - before; got > clients/8 {
		t.Errorf("%d commits for %d clients that asked at the same time, want few", got, clients)
	}
}

func TestTheEndOfALeaseIsWrittenWithWhatIsSyncedNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j *clerk
		h := openHouse(t, 0, func(h *house, o *quorum.Options) {
			j = &clerk{paper: h.journal}
			o.Journal = j
		})
		h.takes(0, acquiring("first", "token", time.Minute), quorum.Changed)
		before := j.commits.Load()
		for i := range 10 {
			name := fmt.Sprint("lock", i)
			h.takes(0, acquiring(name, "token", time.Minute), quorum.Changed)
			h.takes(0, releasing(name, "token"), quorum.Changed)
		}
		if got := j.commits.Load() - before; got != 10 {
			t.Errorf("%d commits for 10 leases that came and went, want one each", got)
		}
		pass(time.Second) // nobody locks, and it is written all the same
		if left := h.journal.history().Entries; len(left) != 1 || left[0].Name != "first" {
			t.Errorf("a second later the journal holds %+v, want the first lease alone", left)
		}
	})
}

func TestWhatNobodyWaitsForIsWrittenAtOnceIfItIsMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const leases = 4000
		h := openHouse(t, 0)
		for i := range leases {
			h.begin(acquiring(fmt.Sprint("lock", i), "token", time.Hour))
		}
		synctest.Wait()
		for i := range leases {
			h.begin(releasing(fmt.Sprint("lock", i), "token"))
		}
		synctest.Wait()
		if left := len(h.journal.history().Entries); left > leases/2 {
			t.Errorf("the end of %d of %d leases is not written, want most of them to be", left, leases)
		}
	})
}

func TestWhatWaitsForTheJournalIsWrittenBeforeTheKeeperIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, 0)
		h.takes(0, acquiring("orders", "token", time.Minute), quorum.Changed)
		h.takes(0, releasing("orders", "token"), quorum.Changed)
		if err := h.keeper.Close(); err != nil {
			t.Fatal(err)
		}
		if left := h.journal.history().Entries; len(left) > 0 {
			t.Errorf("the journal holds %+v, want nothing", left)
		}
	})
}

// A mortal is a journal that hangs in the commit that it dies of, until freed.
type mortal struct {
	*paper
	died, freed chan struct{}
}

var errHung = errors.New("the disk hangs")

func (m mortal) Commit(records []quorum.Record, sync bool) error {
	if err := m.paper.Commit(records, sync); err != nil {
		close(m.died)
		<-m.freed
	}
	return nil
}

func (m mortal) Start(records []quorum.Record, done func()) error {
	if err := m.Commit(records, true); err != nil {
		return err
	}
	done()
	return nil
}

func (m mortal) Died() <-chan struct{} { return m.died }
func (mortal) Why() error              { return errHung }

func TestAJournalThatHangsAsItDiesHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mortal{died: make(chan struct{}), freed: make(chan struct{})}
		failed := make(chan error, 8)
		h := openHouse(t, 0, func(h *house, o *quorum.Options) {
			m.paper = h.journal
			o.Journal = m
			o.Failed = func(err error) { failed <- err }
		})
		h.takes(0, acquiring("kept", "token", time.Minute), quorum.Changed)
		h.journal.fail(errRefused)
		for _, name := range []string{"orders", "parcels"} {
			r := h.takes(0, acquiring(name, "token", time.Minute), quorum.Failed)
			if !errors.Is(r.Err, quorum.ErrJournal) || !errors.Is(r.Err, errHung) {
				t.Errorf("%s: %v, want what the journal died of", name, r.Err)
			}
		}
		h.takes(0, releasing("kept", "token"), quorum.Changed)
		if err := h.keeper.Close(); err != nil {
			t.Fatal(err)
		}
		close(m.freed) // whoever comes back from there finds all told
		synctest.Wait()
		if len(failed) != 1 || !errors.Is(h.keeper.Dead(), errHung) {
			t.Errorf("told %d times, dead: %v, want once and why", len(failed), h.keeper.Dead())
		}
	})
}
