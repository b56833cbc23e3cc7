package integration

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/redis/rueidis/rueidislock"

	"holdfast/quorum/storetest"
)

// rueidisLocker returns a locker, which is one client. It waits by pushes alone,
// and each lock is one name.
func rueidisLocker(t *testing.T, addr string, validity time.Duration) rueidislock.Locker {
	t.Helper()
	l, err := rueidislock.NewLocker(rueidislock.LockerOption{
		ClientOption: rueidis.ClientOption{InitAddress: []string{addr}},
		KeyMajority:  1, KeyValidity: validity, ExtendInterval: validity / 4, NoLoopTracking: true,
		TryNextAfter: validity, // rather than the 20 ms it gives a server by default
	})
	if err != nil {
		t.Fatalf("make a rueidislock: %v", err)
	}
	t.Cleanup(l.Close)
	return l
}

// rueidisTake waits for a lock, and says how often it gave up waiting to ask anew.
// rueidislock 1.0.79 at times waits for a push that it has no ear for any more, with
// Redis too: of eight that contend one sleeps on, in one of some hundred grants.
func rueidisTake(t *testing.T, l rueidislock.Locker) (held context.Context, release func(), missed int) {
	t.Helper()
	for ; missed < 10; missed++ {
		ctx, giveUp := context.WithCancel(context.Background())
		patience := time.AfterFunc(3*time.Second, giveUp)
		held, release, err := l.WithContext(ctx, "orders")
		switch stopped := patience.Stop(); {
		case stopped && err == nil:
			return held, func() { release(); giveUp() }, missed
		case stopped:
			giveUp()
			t.Errorf("acquire: %v", err)
			return ctx, func() {}, missed
		case err == nil:
			release()
		}
	}
	t.Error("not woken by ten releases")
	return context.Background(), func() {}, missed
}

func TestRueidislockIsWokenAtOnce(t *testing.T) {
	eachKind(t, func(t *testing.T, addr string) {
		a, b := rueidisLocker(t, addr, 30*time.Second), rueidisLocker(t, addr, 30*time.Second)
		_, release, _ := rueidisTake(t, a)
		if _, _, err := b.TryWithContext(t.Context(), "orders"); !errors.Is(err, rueidislock.ErrNotLocked) {
			t.Errorf("try what is held: %v", err)
		}
		// The lock goes to and fro.
		const times = 20
		missed := 0
		for range times {
			granted := make(chan func(), 1)
			go func() {
				_, release, times := rueidisTake(t, b)
				missed += times
				granted <- release
			}()
			wantHeld(t, dial(t, addr), "rueidislock:0:orders")
			release()
			release = <-granted
			a, b = b, a
		}
		release()
		if missed > times/4 {
			t.Errorf("not woken by %d of %d releases", missed, times)
		}
	})
}

func TestRueidislockHoldsWhileItExtends(t *testing.T) {
	eachKind(t, func(t *testing.T, addr string) {
		const validity = 2 * time.Second
		a, b := rueidisLocker(t, addr, validity), rueidisLocker(t, addr, validity)
		held, release, err := a.WithContext(t.Context(), "orders")
		if err != nil {
			t.Fatalf("acquire: %v", err)
		}
		for until := time.Now().Add(2 * validity); time.Now().Before(until); {
			if _, _, err := b.TryWithContext(t.Context(), "orders"); !errors.Is(err, rueidislock.ErrNotLocked) {
				t.Fatalf("try what is held: %v", err)
			}
		}
		if held.Err() != nil {
			t.Errorf("the holder was told that it lost the lock: %v", held.Err())
		}
		release()
		storetest.Eventually(t, "it can be had", func() bool {
			_, release, err := b.TryWithContext(t.Context(), "orders")
			if err == nil {
				release()
			}
			return err == nil
		})
	})
}

func TestRueidislockIsToldOfItsLossAtOnce(t *testing.T) {
	for what, lose := range map[string]func(t *testing.T, addr string){
		"by DEL": func(t *testing.T, addr string) {
			if n, err := dial(t, addr).Del(t.Context(), "rueidislock:0:orders").Result(); n != 1 || err != nil {
				t.Errorf("del: %d, %v", n, err)
			}
		},
		"by force": func(t *testing.T, addr string) {
			if _, _, err := rueidisLocker(t, addr, 30*time.Second).ForceWithContext(t.Context(), "orders"); err != nil {
				t.Errorf("force: %v", err)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			eachKind(t, func(t *testing.T, addr string) {
				held, _, err := rueidisLocker(t, addr, 30*time.Second).WithContext(t.Context(), "orders")
				if err != nil {
					t.Fatalf("acquire: %v", err)
				}
				lose(t, addr)
				select {
				case <-held.Done():
				case <-time.After(5 * time.Second): // it would extend only in seven
					t.Error("the holder was not told")
				}
			})
		})
	}
}

func TestRueidislockLosesNoUpdate(t *testing.T) {
	eachKind(t, func(t *testing.T, addr string) {
		var guarded counter
		var all sync.WaitGroup
		for range workers {
			l := rueidisLocker(t, addr, time.Minute)
			all.Go(func() {
				for range rounds {
					held, release, _ := rueidisTake(t, l)
					guarded.add()
					if held.Err() != nil {
						t.Errorf("a worker lost the lock: %v", held.Err())
					}
					release()
				}
			})
		}
		all.Wait()
		if got := guarded.n.Load(); got != workers*rounds {
			t.Errorf("%d updates are left of %d", got, workers*rounds)
		}
	})
}
