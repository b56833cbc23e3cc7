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

func TestRueidislockIsWokenAtOnce(t *testing.T) {
	eachKind(t, func(t *testing.T, addr string) {
		a, b := rueidisLocker(t, addr, 30*time.Second), rueidisLocker(t, addr, 30*time.Second)
		_, release, err := a.WithContext(t.Context(), "orders")
		if err != nil {
			t.Fatalf("acquire: %v", err)
		}
		if _, _, err := b.TryWithContext(t.Context(), "orders"); !errors.Is(err, rueidislock.ErrNotLocked) {
			t.Errorf("try what is held: %v", err)
		}
		// The lock goes to and fro. One push that is missed costs half a minute.
		began := time.Now()
		for range 20 {
			granted := make(chan context.CancelFunc, 1)
			go func() {
				_, release, err := b.WithContext(t.Context(), "orders")
				if err != nil {
					t.Errorf("wait for what is held: %v", err)
				}
				granted <- release
			}()
			wantHeld(t, dial(t, addr), "rueidislock:0:orders")
			release()
			select {
			case release = <-granted:
			case <-time.After(20 * time.Second):
				t.Fatal("not woken by the release")
			}
			a, b = b, a
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("20 waits took %v", took)
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
					held, release, err := l.WithContext(context.Background(), "orders")
					if err != nil {
						t.Errorf("acquire: %v", err)
						return
					}
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
