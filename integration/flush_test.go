package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast/quorum/storetest"
)

// logged waits until the log, which comes through a pipe, has all the words.
func (p *program) logged(words ...string) {
	p.t.Helper()
	for _, word := range words {
		storetest.Eventually(p.t, fmt.Sprintf("%q is logged", word), func() bool { return strings.Contains(p.logs.String(), word) })
	}
}

func TestAFlushThatIsAllowedFreesEveryLockForGood(t *testing.T) {
	t.Parallel()
	all := startStores(t, "redis", "redis", "memcached")
	p := startHoldfast(t, flags(all, "--allow-flush")...)
	c := strict(t, p.addr)
	names := []string{"orders", "parcels", "invoices"}
	for _, name := range names {
		mustAcquire(t, c, name, time.Minute)
	}
	if err := c.FlushDB(t.Context()).Err(); err != nil {
		t.Errorf("flushdb: %v", err)
	}
	mustAcquire(t, c, "later", time.Minute) // with which the journal has all before it
	p.logged("locks.flushed", "FLUSHDB by connection", "ends 3 leases")
	p.kill()
	p.start()
	p.settle()
	c = strict(t, p.addr)
	wantHeld(t, c, "later")
	for _, name := range names {
		mustAcquire(t, c, name, time.Minute)
	}
}

func TestSetTakesALockOnlyWhereThatIsAllowed(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"refuse", "allow"} {
		p := startHoldfast(t, flags(startStores(t, "redis", "redis", "memcached"), "--overwrite", how, "--redis-version", "7.2.4")...)
		holder, c := strict(t, p.addr), strict(t, p.addr)
		token := mustAcquire(t, holder, how, time.Minute)
		err := c.Set(t.Context(), how, "another", time.Minute).Err()
		if allowed := how == "allow"; allowed != (err == nil) {
			t.Errorf("--overwrite %s: SET over a lock: %v", how, err)
		} else if allowed {
			token = "another"
			p.logged("lock.taken_out")
		}
		wantHolder(t, c, how, token)
		wantWords(t, "INFO", c.Info(t.Context(), "server").Val(), "redis_version:7.2.4")
	}
}
