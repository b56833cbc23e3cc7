'use strict';
// The clients themselves, locking as the Redis manual says: SET with NX and PX, and
// a script that looks whose it is before it extends or releases.

const { randomUUID } = require('crypto');
const { until } = require('./waiting');

const EXTEND = `if redis.call("get", KEYS[1]) == ARGV[1] then
	return redis.call("pexpire", KEYS[1], ARGV[2])
else
	return 0
end`;
const RELEASE = `if redis.call("get", KEYS[1]) == ARGV[1] then
	return redis.call("del", KEYS[1])
else
	return 0
end`;

const plain = (set, extend, release) => {
	const acquire = async (name, millis) => {
		const lock = { name, token: randomUUID() };
		const answer = await set(name, lock.token, millis);
		if (answer !== 'OK' && answer !== null) {
			throw new Error(`SET answers ${answer}`);
		}
		return answer && lock;
	};
	return {
		acquire,
		wait: (name, millis) => until(() => acquire(name, millis)),
		extend: async (lock, millis) => await extend(lock.name, lock.token, millis) === 1,
		release: async (lock) => await release(lock.name, lock.token) === 1,
	};
};

const ioredis = (name) => async (port) => {
	const Redis = require(name);
	const client = new Redis(port, '127.0.0.1');
	client.defineCommand('extendLock', { numberOfKeys: 1, lua: EXTEND });
	client.defineCommand('releaseLock', { numberOfKeys: 1, lua: RELEASE });
	return plain(
		(key, token, millis) => client.set(key, token, 'PX', millis, 'NX'),
		(key, token, millis) => client.extendLock(key, token, millis),
		(key, token) => client.releaseLock(key, token),
	);
};

const nodeRedis = (name, options) => async (port) => {
	const { createClient, defineScript } = require(name);
	const script = (lua) => defineScript({
		SCRIPT: lua,
		NUMBER_OF_KEYS: 1,
		parseCommand(parser, key, ...args) {
			parser.pushKey(key);
			parser.push(...args);
		},
		transformReply: (reply) => reply,
	});
	const client = createClient({
		socket: { port },
		scripts: { extendLock: script(EXTEND), releaseLock: script(RELEASE) },
		...options,
	});
	await client.connect();
	return plain(
		(key, token, millis) => client.set(key, token, { NX: true, PX: millis }),
		(key, token, millis) => client.extendLock(key, token, String(millis)),
		(key, token) => client.releaseLock(key, token),
	);
};

exports['ioredis-4'] = ioredis('ioredis-4');
exports['ioredis-5'] = ioredis('ioredis');
exports['ioredis-6'] = ioredis('ioredis-6');
exports['redis-5'] = nodeRedis('redis', { RESP: 2 });
exports['redis-5-resp3'] = nodeRedis('redis', { RESP: 3 });
exports['redis-6'] = nodeRedis('redis-6');
