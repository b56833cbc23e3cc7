package integration

import "testing"

var node = []string{"node", "testdata/node/driver.js"}

// What node_modules has; redlock-4/redis is redlock 4 over node-redis.
var nodeLibraries = []library{
	{name: "ioredis-4", key: "NAME"},
	{name: "ioredis-5", key: "NAME"},
	{name: "ioredis-6", key: "NAME"},
	{name: "redis-5", key: "NAME"},
	{name: "redis-5-resp3", key: "NAME"},
	{name: "redis-6", key: "NAME"},
	{name: "redlock-4/ioredis", key: "NAME"},
	{name: "redlock-4/redis", key: "NAME"},
	{name: "redlock-5", key: "NAME"},
	{name: "sesamecare-redlock", key: "NAME"},
	{name: "redlock-universal/ioredis", key: "NAME"},
	{name: "redlock-universal/redis", key: "NAME"},
	{name: "redis-semaphore/mutex", key: "mutex:NAME", noTell: true},
	{name: "redis-semaphore/semaphore", key: "semaphore:NAME", noTell: true},
	{name: "ioredis-lock", key: "NAME"},
	{name: "redislock", key: "NAME"},
	{name: "node-redis-warlock", key: "NAME:lock"},
	{name: "redis-lock", key: "lock.NAME", noExtend: true, noOwner: true, noError: true},
	{name: "simple-redis-mutex", key: "@simple-redis-mutex:lock-NAME", noExtend: true, noTell: true},
}

func TestNodeLocksAsUsual(t *testing.T) {
	t.Parallel()
	everyLibrary(t, places(t), node, nodeLibraries, locksAsUsual)
}
