package commands

import "strings"

// manual is how each command is used, by the groups of Redis's manual and in its
// notation: COMMAND DOCS tells it, and redis-cli shows it while one types. It has
// what is understood here, which is not always what Redis understands.
var manual = []struct{ group, usages string }{
	{"generic", `
DEL key [key ...]
EXISTS key [key ...]
EXPIRE key seconds [NX|XX|GT|LT]
EXPIREAT key unix-time-seconds [NX|XX|GT|LT]
EXPIRETIME key
KEYS pattern
OBJECT
OBJECT ENCODING key
OBJECT FREQ key
OBJECT HELP
OBJECT IDLETIME key
OBJECT REFCOUNT key
PERSIST key
PEXPIRE key milliseconds [NX|XX|GT|LT]
PEXPIREAT key unix-time-milliseconds [NX|XX|GT|LT]
PEXPIRETIME key
PTTL key
RENAME key newkey
RENAMENX key newkey
SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]
TTL key
TYPE key
UNLINK key [key ...]
WAIT numreplicas timeout
LOCK name token PX milliseconds|EX seconds
EXTEND name token PX milliseconds|EX seconds
UNLOCK name token
LOCKINFO name
LOCKS [MATCH pattern] [COUNT count]`},
	{"string", `
APPEND key value
DECR key
DECRBY key decrement
DELEX key [IFEQ token|IFNE token]
DELIFEQ key token
GET key
GETDEL key
GETEX key [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|PERSIST]
GETRANGE key start end
GETSET key value
INCR key
INCRBY key increment
INCRBYFLOAT key increment
MGET key [key ...]
MSET key value [key value ...]
MSETNX key value [key value ...]
PSETEX key milliseconds value
SET key value [NX|XX|IFEQ token] [GET] [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL]
SETEX key seconds value
SETNX key value
SETRANGE key offset value
STRLEN key
SUBSTR key start end`},
	{"hash", `
HDEL key field [field ...]
HEXISTS key field
HGET key field
HGETALL key
HINCRBY key field increment
HINCRBYFLOAT key field increment
HKEYS key
HLEN key
HMGET key field [field ...]
HMSET key field value [field value ...]
HSCAN key cursor [MATCH pattern] [COUNT count] [NOVALUES]
HSET key field value [field value ...]
HSETNX key field value
HSTRLEN key field
HVALS key`},
	{"sorted-set", `
ZADD key [NX|XX] [GT|LT] [CH] [INCR] score member [score member ...]
ZCARD key
ZCOUNT key min max
ZINCRBY key increment member
ZMSCORE key member [member ...]
ZPOPMAX key [count]
ZPOPMIN key [count]
ZRANGE key start stop [BYSCORE|BYLEX] [REV] [LIMIT offset count] [WITHSCORES]
ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]
ZRANK key member
ZREM key member [member ...]
ZREMRANGEBYRANK key start stop
ZREMRANGEBYSCORE key min max
ZREVRANGE key start stop [WITHSCORES]
ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]
ZREVRANK key member
ZSCAN key cursor [MATCH pattern] [COUNT count]
ZSCORE key member`},
	{"list", `
BLPOP key [key ...] timeout
BRPOP key [key ...] timeout
LINDEX key index
LLEN key
LPOP key [count]
LPUSH key element [element ...]
LPUSHX key element [element ...]
LRANGE key start stop
LREM key count element
LSET key index element
LTRIM key start stop
RPOP key [count]
RPUSH key element [element ...]
RPUSHX key element [element ...]`},
	{"set", `
SADD key member [member ...]
SCARD key
SISMEMBER key member
SMEMBERS key
SMISMEMBER key member [member ...]
SPOP key [count]
SRANDMEMBER key [count]
SREM key member [member ...]
SSCAN key cursor [MATCH pattern] [COUNT count]`},
	{"scripting", `
EVAL script numkeys [key [key ...]] [arg [arg ...]]
EVALSHA sha1 numkeys [key [key ...]] [arg [arg ...]]
EVALSHA_RO sha1 numkeys [key [key ...]] [arg [arg ...]]
EVAL_RO script numkeys [key [key ...]] [arg [arg ...]]
SCRIPT
SCRIPT EXISTS sha1 [sha1 ...]
SCRIPT FLUSH [ASYNC|SYNC]
SCRIPT HELP
SCRIPT LOAD script`},
	{"transactions", `
DISCARD
EXEC
MULTI
UNWATCH
WATCH key [key ...]`},
	{"pubsub", `
PSUBSCRIBE pattern [pattern ...]
PUBLISH channel message
PUBSUB
PUBSUB CHANNELS [pattern]
PUBSUB HELP
PUBSUB NUMPAT
PUBSUB NUMSUB [channel [channel ...]]
PUBSUB SHARDCHANNELS [pattern]
PUBSUB SHARDNUMSUB [shardchannel [shardchannel ...]]
PUNSUBSCRIBE [pattern [pattern ...]]
SPUBLISH shardchannel message
SSUBSCRIBE shardchannel [shardchannel ...]
SUBSCRIBE channel [channel ...]
SUNSUBSCRIBE [shardchannel [shardchannel ...]]
UNSUBSCRIBE [channel [channel ...]]`},
	{"connection", `
AUTH [username] password
CLIENT
CLIENT CACHING YES|NO
CLIENT GETNAME
CLIENT GETREDIR
CLIENT HELP
CLIENT ID
CLIENT INFO
CLIENT KILL ip:port|[ID client-id]|[TYPE NORMAL|MASTER|SLAVE|REPLICA|PUBSUB]|[USER username]|[ADDR ip:port]|[LADDR ip:port]|[SKIPME yes/no]
CLIENT LIST [TYPE NORMAL|MASTER|REPLICA|PUBSUB] [ID client-id [client-id ...]]
CLIENT NO-EVICT ON|OFF
CLIENT NO-TOUCH ON|OFF
CLIENT REPLY ON|OFF|SKIP
CLIENT SETINFO LIB-NAME libname|LIB-VER libver
CLIENT SETNAME connection-name
CLIENT TRACKING ON|OFF [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]
CLIENT TRACKINGINFO
CLIENT UNBLOCK client-id [TIMEOUT|ERROR]
ECHO message
HELLO [protover [AUTH username password] [SETNAME clientname]]
PING [message]
QUIT
RESET
SELECT index`},
	{"server", `
COMMAND
COMMAND COUNT
COMMAND DOCS [command-name [command-name ...]]
COMMAND GETKEYS
COMMAND HELP
COMMAND INFO [command-name [command-name ...]]
COMMAND LIST [FILTERBY PATTERN pattern]
CONFIG
CONFIG GET parameter [parameter ...]
CONFIG HELP
CONFIG RESETSTAT
CONFIG SET parameter value [parameter value ...]
DBSIZE
DEBUG
DEBUG HELP
DEBUG SLEEP seconds
FLUSHALL [ASYNC|SYNC]
FLUSHDB [ASYNC|SYNC]
INFO [section [section ...]]
LATENCY
LATENCY DOCTOR
LATENCY HELP
LATENCY HISTOGRAM [command [command ...]]
LATENCY HISTORY event
LATENCY LATEST
LATENCY RESET [event [event ...]]
MEMORY
MEMORY DOCTOR
MEMORY HELP
MEMORY USAGE key [SAMPLES count]
MONITOR
ROLE
SLOWLOG
SLOWLOG GET [count]
SLOWLOG HELP
SLOWLOG LEN
SLOWLOG RESET
STORES
TIME`},
	{"cluster", `
CLUSTER`},
}

// readManual gives the commands their places in the manual.
func readManual(byName map[string]*command) {
	for _, part := range manual {
		for line := range strings.Lines(strings.TrimPrefix(part.usages, "\n")) {
			name, usage, _ := strings.Cut(strings.TrimSpace(line), " ")
			if c := byName[strings.ToLower(name)]; c != nil && c.flags&container != 0 && usage != "" {
				sub, rest, _ := strings.Cut(usage, " ")
				name, usage = name+"|"+sub, rest
			}
			if c := byName[strings.ToLower(name)]; c != nil {
				c.group, c.usage = part.group, usage
			}
		}
	}
}
