package integration

import (
	"strings"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"

	"holdfast/quorum/storetest"
)

func TestScriptsInUseOutliveTheProgram(t *testing.T) {
	t.Parallel()
	p := startHoldfast(t)
	c := strict(t, p.addr)
	loaded, err := c.ScriptLoad(t.Context(), compareAndDelete).Result()
	if err != nil {
		t.Fatalf("load a script: %v", err)
	}
	release := func(c *redis.Client) error { return c.EvalSha(t.Context(), loaded, []string{"orders"}, "token").Err() }
	p.signal(syscall.SIGTERM)
	if status := p.wait(); status != 0 {
		t.Errorf("holdfast ends with %d", status)
	}
	p.start()
	if err := release(strict(t, p.addr)); err != nil {
		t.Errorf("evalsha after a restart: %v", err)
	}
	// What is called is kept a moment later, and no crash takes it away then.
	extend, again := redis.NewScript(compareAndExpire), 0
	storetest.Eventually(t, "a script outlives a crash", func() bool {
		c := strict(t, p.addr)
		err := extend.EvalSha(t.Context(), c, []string{"orders"}, "token", 10).Err()
		switch {
		case err == nil && again > 0:
			return true
		case err == nil || !strings.HasPrefix(err.Error(), "NOSCRIPT "):
			t.Errorf("evalsha: %v, want NOSCRIPT", err)
		}
		again++
		if err := extend.Eval(t.Context(), c, []string{"orders"}, "token", 10).Err(); err != nil {
			t.Errorf("eval: %v", err)
		}
		if err := extend.EvalSha(t.Context(), c, []string{"orders"}, "token", 10).Err(); err != nil {
			t.Errorf("evalsha after eval: %v", err)
		}
		mustAcquire(t, c, newToken(), 1e9) // takes about as long as what is written beside it
		p.kill()
		p.start()
		return false
	})
}
