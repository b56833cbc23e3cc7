package integration

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// lockDirectly locks as a program does that does not know of us.
func lockDirectly(t *testing.T, name, token string, in ...*store) {
	t.Helper()
	for _, s := range in {
		if ok, err := acquire(t.Context(), s.db, name, token, 2*time.Minute); !ok || err != nil {
			t.Fatalf("lock %q in %s: %t, %v, want it granted", name, s.url(), ok, err)
		}
	}
}

func TestDirectLockersAreKeptOutAndRespected(t *testing.T) {
	t.Parallel()
	all := startStores(t, "redis", "redis", "redis")
	p := startHoldfast(t, flags(all)...)
	c, ctx := strict(t, p.addr), t.Context()
	warmUp(t, c, all)

	t.Run("a majority of theirs is a lock", func(t *testing.T) {
		lockDirectly(t, "theirs", "foreign", all[0], all[2])
		wantHeld(t, c, "theirs")
		wantHolder(t, c, "theirs", "foreign")
		if left, err := c.PTTL(ctx, "theirs").Result(); err != nil || left < time.Minute || left > 2*time.Minute {
			t.Errorf("PTTL of a foreign lock: %v, %v, want almost 2m", left, err)
		}
		if ok, err := release(ctx, c, "theirs", newToken()); ok || err != nil {
			t.Errorf("release a foreign lock with another token: %t, %v, want 0", ok, err)
		}
		wantHolder(t, c, "theirs", "foreign")
		if ok, err := release(ctx, c, "theirs", "foreign"); !ok || err != nil {
			t.Errorf("release a foreign lock with its token: %t, %v, want 1", ok, err)
		}
		everywhere(t, "the foreign lock is gone", all, func(s *store) bool { return s.empty("theirs") })
		mustAcquire(t, c, "theirs", time.Minute)
	})
	t.Run("a minority of theirs is none", func(t *testing.T) {
		lockDirectly(t, "loser", "foreign", all[1])
		if err := c.Get(ctx, "loser").Err(); err != redis.Nil {
			t.Errorf("GET what one of three stores has: %v, want null", err)
		}
		token := mustAcquire(t, c, "loser", time.Minute)
		everywhere(t, "our copy", []*store{all[0], all[2]}, func(s *store) bool { return s.has("loser", token) })
		if value, _, _ := all[1].look("loser"); value != "foreign" {
			t.Errorf("%s has %q, want what somebody else put there", all[1].url(), value)
		}
	})
	t.Run("ours is a lock for them", func(t *testing.T) {
		token := mustAcquire(t, c, "ours", time.Minute)
		everywhere(t, "our copy", all, func(s *store) bool { return s.has("ours", token) })
		for _, s := range all {
			if ok, err := acquire(ctx, s.db, "ours", "foreign", time.Minute); ok || err != nil {
				t.Errorf("lock directly in %s: %t, %v, want null", s.url(), ok, err)
			}
		}
	})
}
