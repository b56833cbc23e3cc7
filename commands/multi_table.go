package commands

// sessionCommands is the part of the table about transactions, what clients are
// told of unasked, and the people who look on.
func sessionCommands() []*command {
	all, second := keySpec{1, -1, 1, false}, keySpec{2, 2, 1, false}
	return []*command{
		// Transactions.
		{name: "multi", arity: 1, flags: noscript | unqueued, serve: multi, summary: "Begins a transaction: what follows is queued."},
		{name: "exec", arity: 1, flags: noscript | unqueued | executes, start: exec, summary: "Carries out what was queued, as one change; null if a watched lock has changed."},
		{name: "discard", arity: 1, flags: noscript | unqueued, serve: discard, summary: "Ends a transaction, and does nothing."},
		{name: "watch", arity: -2, flags: readonly | reads | noscript | unqueued | watches, keys: all, run: watchLocks, start: startWatch, summary: "Has EXEC do nothing if one of these locks changes first, or ends."},
		{name: "unwatch", arity: 1, flags: noscript, run: unwatchLater, serve: unwatch, summary: "Ends WATCH."},

		// Client-side caching.
		{name: "client|tracking", arity: -3, flags: noscript, start: clientTracking, summary: "Has the client told of changes of what it reads."},
		{name: "client|caching", arity: 3, flags: noscript, serve: clientCaching, summary: "Says whether what the next command reads is tracked."},
		{name: "client|trackinginfo", arity: 2, flags: noscript, serve: clientTrackingInfo, summary: "Says what is tracked, and how."},
		{name: "client|getredir", arity: 2, flags: noscript, serve: clientGetRedir, summary: "Says which connection is told instead."},

		// To look on.
		{name: "config|set", arity: -4, flags: admin | noscript, serve: configSet, summary: "Changes which notifications are sent (notify-keyspace-events), or what is kept of slow commands."},
		{name: "config|resetstat", arity: 2, flags: admin | noscript, serve: configResetStat, summary: "Counts commands and connections from 0."},
		{name: "monitor", arity: 1, flags: admin | noscript, start: monitor, summary: "Shows every command that is sent to the server."},
		{name: "slowlog", arity: -2, flags: container | noscript, summary: "Looks at the commands that took longest."},
		{name: "slowlog|get", arity: -2, flags: admin | noscript, serve: slowlogGet, summary: "Returns slow commands, the latest first."},
		{name: "slowlog|len", arity: 2, flags: admin | noscript, serve: slowlogLen, summary: "Counts the slow commands that are kept."},
		{name: "slowlog|reset", arity: 2, flags: admin | noscript, serve: slowlogReset, summary: "Forgets slow commands."},
		{name: "object|idletime", arity: 3, flags: readonly | reads, keys: second, run: objectIdletime, summary: "Returns how many seconds ago a lease was last changed."},
		{name: "object|freq", arity: 3, flags: readonly | reads, keys: second, run: objectFreq, summary: "Is refused: uses are not counted."},
		{name: "memory", arity: -2, flags: container, summary: "Looks at memory."},
		{name: "memory|usage", arity: -3, flags: readonly | reads, keys: second, run: memoryUsage, summary: "Returns about how many bytes a lease takes."},
		{name: "memory|doctor", arity: 2, flags: noscript, serve: memoryDoctor, summary: "Says that all is well."},
		{name: "latency", arity: -2, flags: container | noscript, summary: "Looks at events that took long, of which none are kept."},
		{name: "latency|latest", arity: 2, flags: admin | noscript, serve: latencyNone, summary: "Returns nothing."},
		{name: "latency|history", arity: 3, flags: admin | noscript, serve: latencyNone, summary: "Returns nothing."},
		{name: "latency|reset", arity: -2, flags: admin | noscript, serve: latencyReset, summary: "Returns 0."},
		{name: "latency|histogram", arity: -2, flags: admin | noscript, serve: latencyHistogram, summary: "Returns nothing."},
		{name: "latency|doctor", arity: 2, flags: admin | noscript, serve: latencyDoctor, summary: "Says where to look instead."},
		{name: "debug", arity: -2, flags: container | noscript, summary: "Helps tests."},
		{name: "debug|sleep", arity: 3, flags: admin | noscript, start: debugSleep, summary: "Keeps the connection, and no other, waiting for seconds."},
	}
}
