package commands

// A flag says what kind of command it is.
type flag uint16

const (
	write     flag = 1 << iota // may change leases
	readonly                   // reads leases
	admin                      // for operators
	noscript                   // not for scripts
	noauth                     // before authentication too
	barrier                    // sees what all earlier commands of the session did: waits for them
	container                  // a word before the command's own name
	reads                      // must know of locks that others hold directly in the stores
	pubsub                     // about messages
	spreads                    // not for scripts that change nothing, though it changes no lease
	attending                  // in RESP2 also while subscribed, when a message looks like a reply
	settles                    // decides which messages come, and how: while it does none can come
)

// A keySpec says which arguments are names of locks: from first to last, which
// counts from the end if negative, every step. No keys if first is 0. If counted,
// argument 2 says how many there are, from 3 on.
type keySpec struct {
	first, last, step int
	counted           bool
}

// A command is one line of the table. One of run, serve and script says what it
// does, unless it is only a container; where there are both serve and run, run
// is for scripts.
type command struct {
	name    string
	arity   int // with the name; negative: at least so many
	flags   flag
	keys    keySpec
	summary string
	group   string // of the manual
	usage   string // what it takes, as the manual has it

	run    func(tx *Tx, args [][]byte) Reply                    // on locks, see Tx
	serve  func(s *Session, args [][]byte) Reply                // on the session, or on all locks
	script func(s *Session, c *command, r request) (job, Reply) // on locks, by a script
	// start begins what answers in its own time, or sees to its own place among messages. It
	// comes before serve, where there are both.
	start func(s *Session, c *command, r request)
	// looks is flag reads, where the arguments decide.
	looks func(args [][]byte) bool
	// What run answers if the stores turn its change down, unless it says better.
	refused Reply
	// room is where clients wait for the command to have something to do.
	room *room
	// subs are the commands of a container, by their second word.
	subs []*command
}

// table is every command there is. A name with a bar is of a container.
func table() []*command {
	none, one, all, pairwise := keySpec{}, keySpec{1, 1, 1, false}, keySpec{1, -1, 1, false}, keySpec{1, -1, 2, false}
	counted := keySpec{counted: true}
	zero := sayInt(0)
	return append(valueCommands(), []*command{
		// To hold a lock.
		{name: "set", arity: -3, flags: write, keys: one, run: set, looks: setReads, summary: "Acquires a lock (NX), renews or hands over a lease (XX, IFEQ)."},
		{name: "setnx", arity: 3, flags: write, keys: one, run: setnx, summary: "Acquires a lock for the longest TTL."},
		{name: "setex", arity: 4, flags: write, keys: one, run: setex, summary: "Acquires or renews a lock for seconds."},
		{name: "psetex", arity: 4, flags: write, keys: one, run: psetex, summary: "Acquires or renews a lock for milliseconds."},
		{name: "mset", arity: -3, flags: write, keys: pairwise, run: mset, summary: "Acquires or renews several locks, all or none."},
		{name: "msetnx", arity: -3, flags: write, keys: pairwise, run: msetnx, summary: "Acquires several locks, all or none."},
		{name: "lock", arity: -5, flags: write | noscript, keys: one, run: lock, summary: "Acquires a lock: LOCK name token PX ms gives [token, fencing token, validity ms], or null."},
		{name: "extend", arity: -5, flags: write | reads | noscript, keys: one, run: extend, summary: "Gives the token's lease another TTL: EXTEND name token PX ms, answered as LOCK."},

		// To end a lease, or say when it ends.
		{name: "del", arity: -2, flags: write | reads, keys: all, run: del, refused: zero, summary: "Frees locks, whoever holds them."},
		{name: "unlink", arity: -2, flags: write | reads, keys: all, run: del, refused: zero, summary: "Frees locks, whoever holds them."},
		{name: "getdel", arity: 2, flags: write | reads, keys: one, run: getdel, summary: "Frees a lock and returns its token."},
		{name: "delex", arity: -2, flags: write | reads, keys: one, run: delex, refused: zero, summary: "Frees a lock if its token is (IFEQ) or is not (IFNE) the one given."},
		{name: "delifeq", arity: 3, flags: write | reads, keys: one, run: delifeq, refused: zero, summary: "Frees a lock if its token is the one given."},
		{name: "unlock", arity: 3, flags: write | reads, keys: one, run: unlock, refused: zero, summary: "Frees a lock if its token is the one given: UNLOCK name token gives 1 or 0."},
		{name: "expire", arity: -3, flags: write | reads, keys: one, run: expireIn, refused: zero, summary: "Ends a lease in seconds from now."},
		{name: "pexpire", arity: -3, flags: write | reads, keys: one, run: pexpireIn, refused: zero, summary: "Ends a lease in milliseconds from now."},
		{name: "expireat", arity: -3, flags: write | reads, keys: one, run: expireAt, refused: zero, summary: "Ends a lease at a Unix time in seconds."},
		{name: "pexpireat", arity: -3, flags: write | reads, keys: one, run: pexpireAt, refused: zero, summary: "Ends a lease at a Unix time in milliseconds."},
		{name: "persist", arity: 2, flags: write | reads, keys: one, run: persist, refused: zero, summary: "Gives a lease the longest TTL there is."},

		// To look at locks by name.
		{name: "get", arity: 2, flags: readonly | reads, keys: one, run: get, summary: "Returns the token of a lock's holder."},
		{name: "mget", arity: -2, flags: readonly | reads, keys: all, run: mget, summary: "Returns the tokens of several locks' holders."},
		{name: "strlen", arity: 2, flags: readonly | reads, keys: one, run: strlen, summary: "Returns the length of a token."},
		{name: "getrange", arity: 4, flags: readonly | reads, keys: one, run: getrange, summary: "Returns a part of a token."},
		{name: "substr", arity: 4, flags: readonly | reads, keys: one, run: getrange, summary: "Returns a part of a token."},
		{name: "exists", arity: -2, flags: readonly | reads, keys: all, run: exists, summary: "Counts the locks that are held."},
		{name: "type", arity: 2, flags: readonly | reads, keys: one, run: typeOf, summary: "Returns the type of a lock's value."},
		{name: "ttl", arity: 2, flags: readonly | reads, keys: one, run: ttlSeconds, summary: "Returns what is left of a lease in seconds."},
		{name: "pttl", arity: 2, flags: readonly | reads, keys: one, run: ttlMillis, summary: "Returns what is left of a lease in milliseconds."},
		{name: "expiretime", arity: 2, flags: readonly | reads, keys: one, run: endsSeconds, summary: "Returns the Unix time in seconds when a lease ends."},
		{name: "pexpiretime", arity: 2, flags: readonly | reads, keys: one, run: endsMillis, summary: "Returns the Unix time in milliseconds when a lease ends."},
		{name: "lockinfo", arity: 2, flags: readonly | reads | noscript, keys: one, run: lockinfo, summary: "Returns all that is known of a lock."},

		// To look at all locks.
		{name: "keys", arity: 2, flags: readonly | barrier | noscript, keys: none, serve: keys, summary: "Lists the locks that are held."},
		{name: "scan", arity: -2, flags: readonly | barrier | noscript, serve: scan, summary: "Lists the locks that are held, page by page."},
		{name: "dbsize", arity: 1, flags: readonly | barrier | noscript, serve: dbsize, summary: "Counts the locks that are held."},
		{name: "locks", arity: -1, flags: readonly | barrier | noscript, serve: locks, summary: "Describes the locks that are held: LOCKS [MATCH pattern] [COUNT n]."},
		{name: "flushdb", arity: -1, flags: write | barrier | noscript, start: flush, summary: "Is refused while locks are held, unless they may be flushed."},
		{name: "flushall", arity: -1, flags: write | barrier | noscript, start: flush, summary: "Is refused while locks are held, unless they may be flushed."},

		// Scripts.
		{name: "eval", arity: -3, flags: noscript | write | reads, keys: counted, script: eval, summary: "Runs a Lua script as one change."},
		{name: "evalsha", arity: -3, flags: noscript | write | reads, keys: counted, script: evalSHA, summary: "Runs a loaded Lua script as one change."},
		{name: "eval_ro", arity: -3, flags: noscript | readonly | reads, keys: counted, script: eval, summary: "Runs a Lua script that changes nothing."},
		{name: "evalsha_ro", arity: -3, flags: noscript | readonly | reads, keys: counted, script: evalSHA, summary: "Runs a loaded Lua script that changes nothing."},
		{name: "script", arity: -2, flags: container | noscript, summary: "Keeps Lua scripts."},
		{name: "script|load", arity: 3, flags: noscript, serve: scriptLoad, summary: "Loads a script and returns its SHA-1."},
		{name: "script|exists", arity: -3, flags: noscript, serve: scriptExists, summary: "Says which scripts are loaded."},
		{name: "script|flush", arity: -2, flags: noscript, serve: scriptFlush, summary: "Forgets all scripts."},

		// Messages.
		{name: "subscribe", arity: -2, flags: pubsub | noscript | attending | settles, serve: subscribe, summary: "Asks for the messages of channels."},
		{name: "psubscribe", arity: -2, flags: pubsub | noscript | attending | settles, serve: subscribe, summary: "Asks for the messages of all channels that match patterns."},
		{name: "ssubscribe", arity: -2, flags: pubsub | noscript | attending | settles, serve: subscribe, summary: "Asks for the messages of shard channels, which are channels apart from the others."},
		{name: "unsubscribe", arity: -1, flags: pubsub | noscript | attending | settles, serve: unsubscribe, summary: "Ends SUBSCRIBE, for the channels named or for all."},
		{name: "punsubscribe", arity: -1, flags: pubsub | noscript | attending | settles, serve: unsubscribe, summary: "Ends PSUBSCRIBE, for the patterns named or for all."},
		{name: "sunsubscribe", arity: -1, flags: pubsub | noscript | attending | settles, serve: unsubscribe, summary: "Ends SSUBSCRIBE, for the channels named or for all."},
		{name: "publish", arity: 3, flags: pubsub | spreads, run: publishLater, serve: publish, start: inTurn, summary: "Sends a message to all who ask for its channel."},
		{name: "spublish", arity: 3, flags: pubsub | spreads, run: publishLater, serve: publish, start: inTurn, summary: "Sends a message to all who ask for its shard channel."},
		{name: "pubsub", arity: -2, flags: container | noscript, summary: "Looks at who asks for messages."},
		{name: "pubsub|channels", arity: -2, flags: pubsub, run: pubsubChannels, summary: "Lists the channels that somebody asks for: CHANNELS [pattern]."},
		{name: "pubsub|numsub", arity: -2, flags: pubsub, run: pubsubCount, summary: "Counts who asks for each channel; patterns do not count."},
		{name: "pubsub|numpat", arity: 2, flags: pubsub, run: pubsubPatterns, summary: "Counts the patterns that somebody asks for."},
		{name: "pubsub|shardchannels", arity: -2, flags: pubsub, run: pubsubChannels, summary: "Lists the shard channels that somebody asks for."},
		{name: "pubsub|shardnumsub", arity: -2, flags: pubsub, run: pubsubCount, summary: "Counts who asks for each shard channel."},

		// The connection.
		{name: "ping", arity: -1, flags: attending, run: ping, serve: pingSession, summary: "Answers."},
		{name: "echo", arity: 2, run: echo, summary: "Answers with what was sent."},
		{name: "quit", arity: -1, flags: noscript | noauth | attending | unqueued, serve: quit, summary: "Closes the connection."},
		{name: "hello", arity: -1, flags: noscript | noauth | settles, serve: hello, summary: "Chooses the protocol, and authenticates."},
		{name: "auth", arity: -2, flags: noscript | noauth, serve: auth, summary: "Authenticates."},
		{name: "select", arity: 2, run: selectIn, serve: selectDB, summary: "Chooses the database, which is a namespace."},
		{name: "reset", arity: 1, flags: noscript | noauth | attending | settles | unqueued | barrier, start: startReset, serve: reset, summary: "Makes the connection as new."},
		{name: "client", arity: -2, flags: container | noscript, summary: "Looks at connections."},
		{name: "client|id", arity: 2, flags: noscript, serve: clientID, summary: "Returns the connection's number."},
		{name: "client|getname", arity: 2, flags: noscript, serve: clientGetName, summary: "Returns the connection's name."},
		{name: "client|setname", arity: 3, flags: noscript, serve: clientSetName, summary: "Names the connection."},
		{name: "client|setinfo", arity: 4, flags: noscript, serve: clientSetInfo, summary: "Says which library the client is (LIB-NAME, LIB-VER)."},
		{name: "client|info", arity: 2, flags: noscript, serve: clientInfo, summary: "Describes the connection."},
		{name: "client|list", arity: -2, flags: admin | noscript, serve: clientList, summary: "Describes all connections."},
		{name: "client|kill", arity: -3, flags: admin | noscript, serve: clientKill, summary: "Closes connections."},
		{name: "client|unblock", arity: -3, flags: admin | noscript, serve: clientUnblock, summary: "Ends the wait of another connection."},
		{name: "client|reply", arity: 3, flags: noscript | barrier, start: clientReply, summary: "Says whether commands are answered: ON, OFF, or SKIP for the next one."},
		{name: "client|no-evict", arity: 3, flags: admin | noscript, serve: clientSwitch, summary: "Is accepted: connections are not evicted."},
		{name: "client|no-touch", arity: 3, flags: noscript, serve: clientSwitch, summary: "Is accepted: locks are not evicted."},

		// The server.
		{name: "time", arity: 1, run: timeOfDay, summary: "Returns the time of day."},
		{name: "info", arity: -1, flags: noscript, serve: info, start: inTurn, summary: "Describes the server, its stores and its leases."},
		{name: "stores", arity: 1, flags: noscript, serve: stores, summary: "Describes every store."},
		{name: "role", arity: 1, flags: noscript, serve: role, summary: "Returns that this is a master."},
		{name: "wait", arity: 3, flags: noscript, serve: wait, start: inTurn, summary: "Returns how many stores are up: what was granted is in enough of them."},
		{name: "config", arity: -2, flags: container | noscript, summary: "Looks at the configuration."},
		{name: "config|get", arity: -3, flags: admin | noscript, serve: configGet, summary: "Returns settings that clients ask for."},
		{name: "cluster", arity: -2, flags: admin | noscript, serve: noCluster, summary: "Returns that this is no cluster."},
		{name: "command", arity: -1, flags: container | noscript, serve: commandInfo, summary: "Describes commands."},
		{name: "command|count", arity: 2, flags: noscript, serve: commandCount, summary: "Counts the commands."},
		{name: "command|list", arity: -2, flags: noscript, serve: commandList, summary: "Lists the commands."},
		{name: "command|info", arity: -2, flags: noscript, serve: commandInfo, summary: "Describes commands for programs."},
		{name: "command|docs", arity: -2, flags: noscript, serve: commandDocs, summary: "Describes commands for people."},
		{name: "command|getkeys", arity: -4, flags: noscript, serve: commandGetKeys, summary: "Says which arguments of a command are locks."},
	}...)
}
