package redis

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"holdfast/quorum"
	"holdfast/quorum/storetest"
)

func TestStoreKeepsItsPromises(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Rig { return rig(t, func(*Store) {}) })
}

// Redis 6.2, KeyDB and others do not take SET with NX and GET.
func TestStoreKeepsItsPromisesByScriptsAlone(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Rig {
		return rig(t, func(store *Store) { store.scripted = true })
	})
}

func TestStoreKeepsItsPromisesTwice(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Rig { return rig(t, (*Store).KeepTwice) })
}

func rig(t *testing.T, as func(*Store)) storetest.Rig {
	t.Helper()
	server := storetest.StartRedis(t)
	another := func() quorum.Store {
		store := mustOpen(t, "redis://"+server.Addr())
		as(store)
		return store
	}
	direct := byHand(t, server)
	return storetest.Rig{
		Store:   another(),
		Another: another,
		Restart: server.Restart,
		Flush: func() {
			if err := direct.FlushAll(t.Context()).Err(); err != nil {
				t.Fatalf("flush: %v", err)
			}
		},
		Pause:  server.Pause,
		Resume: server.Resume,
		Plant: func(name string, value []byte, ttl time.Duration) {
			t.Helper()
			if err := direct.Set(t.Context(), name, value, ttl).Err(); err != nil {
				t.Fatalf("plant %q: %v", name, err)
			}
		},
		Fetch: func(name string) ([]byte, time.Duration, bool) {
			t.Helper()
			value, err := direct.Get(t.Context(), name).Bytes()
			if err == redis.Nil {
				return nil, 0, false
			}
			left, ttlErr := direct.PTTL(t.Context(), name).Result()
			if err != nil || ttlErr != nil {
				t.Fatalf("fetch %q: %v, %v", name, err, ttlErr)
			}
			return value, max(left, 0), true
		},
	}
}

// byHand returns an ordinary client, as a stranger would use it.
func byHand(t *testing.T, server *storetest.Server) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { client.Close() })
	return client
}

func mustOpen(t *testing.T, url string) *Store {
	t.Helper()
	store, err := New(url)
	if err != nil {
		t.Fatalf("open %s: %v", url, err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func mustConnect(t *testing.T, store *Store) string {
	t.Helper()
	incarnation, err := store.Connect(t.Context())
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	return incarnation
}

func swap(name string, prev, next *quorum.Copy) quorum.Request {
	return quorum.Request{Action: quorum.Swap, Name: name, Prev: prev, Next: next, TTL: time.Minute}
}

func read(name string) quorum.Request { return quorum.Request{Action: quorum.Read, Name: name} }

func version(n uint64) *quorum.Copy {
	return &quorum.Copy{Value: []byte("token"), Fence: quorum.MakeNumber(1, 0), Version: quorum.MakeNumber(n, 0)}
}
