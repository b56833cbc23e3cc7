package integration

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"holdfast/quorum/storetest"
)

func TestPipelinedRepliesKeepTheirOrder(t *testing.T) {
	t.Parallel()
	p := startHoldfast(t, flags(startStores(t, "redis", "redis", "redis"))...)
	const rounds = 200
	done := make(chan struct{})
	for _, client := range []string{"a", "b"} {
		w := dialRaw(t, p.addr)
		go func() { // waited for below
			defer func() { done <- struct{}{} }()
			var commands []string
			for i := range rounds {
				n := strconv.Itoa(i)
				commands = append(commands, "SET lock"+n+" "+client+" NX PX 60000", "ECHO "+client+n, "GET lock"+n, "PING")
			}
			w.send(commands...)
			for i := range rounds {
				granted, echo, holder, pong := w.must(), w.must(), w.must(), w.must()
				if want := client + strconv.Itoa(i); echo != want || pong != "+PONG" {
					t.Errorf("client %s, round %d: got %q, %q, want %q, +PONG", client, i, echo, pong, want)
					return
				}
				if (granted == "+OK") != (holder == client) || granted != "+OK" && granted != "$-1" || !strings.Contains("ab", holder) {
					t.Errorf("client %s, round %d: SET answers %q, then GET %q", client, i, granted, holder)
				}
			}
		}()
	}
	<-done
	<-done
}

func TestOnlyThePasswordLetsIn(t *testing.T) {
	t.Parallel()
	p := startHoldfast(t, "--requirepass", "open sesame")
	ctx := t.Context()
	stranger := dial(t, p.addr)
	if _, err := acquire(ctx, stranger, "orders", "t", time.Minute); err == nil || !strings.HasPrefix(err.Error(), "NOAUTH ") {
		t.Errorf("acquire without the password: %v, want NOAUTH", err)
	}
	for _, password := range []string{"open", "open sesame!"} {
		liar := connect(t, redis.Options{Addr: p.addr, Password: password})
		if _, err := acquire(ctx, liar, "orders", "t", time.Minute); err == nil || !strings.Contains(err.Error(), "WRONGPASS ") {
			t.Errorf("acquire with the password %q: %v, want WRONGPASS", password, err)
		}
	}
	for _, protocol := range []int{2, 3} {
		c := connect(t, redis.Options{Addr: p.addr, Password: "open sesame", Protocol: protocol})
		mustAcquire(t, c, "orders"+strconv.Itoa(protocol), time.Minute)
	}
}

func TestAClientThatVanishesLeavesNothingHeld(t *testing.T) {
	t.Parallel()
	all := startStores(t, "redis", "redis", "redis")
	p := startHoldfast(t, flags(all, "--store-timeout", "10s")...)
	c := strict(t, p.addr)
	warmUp(t, c, all)
	all[1].Pause()
	all[2].Pause()
	w := dialRaw(t, p.addr)
	w.send("CLIENT SETNAME goner", "SET orders token NX PX 60000")
	storetest.Eventually(t, "one store has granted", func() bool { return all[0].has("orders", "token") })
	w.Close()
	// It leaves the list a moment before what it waited for is cancelled.
	missed := 0
	storetest.Eventually(t, "it is noticed that the client is gone", func() bool {
		list, err := c.ClientList(t.Context()).Result()
		if err == nil && !strings.Contains(list, "name=goner") {
			missed++
		}
		return missed == 20
	})
	all[1].Resume()
	all[2].Resume()
	wantFree(t, c, "orders")
	everywhere(t, "the copy is undone", all, func(s *store) bool { return s.empty("orders") })
	mustAcquire(t, c, "orders", time.Minute)
}
