'use strict';
// Redlock's implementations, each with holdfast as its only server: it is holdfast
// that asks several.

const { POLL } = require('./waiting');

// No more tries than one; redlock 4 takes 0 for its default.
const ONCE = { retryCount: 1, retryDelay: 1, retryJitter: 0 };
const FOREVER = { retryCount: -1, retryDelay: POLL, retryJitter: POLL / 2 };

// Redlock 4 counts an error as a vote against, and tells of it aside.
const redlock4 = (dial) => async (port) => {
	const Redlock = require('redlock-4');
	const redlock = new Redlock([dial(port)], ONCE);
	let trouble;
	redlock.on('clientError', (err) => { trouble = err; });
	const asked = async (promise) => {
		trouble = undefined;
		try {
			return await promise;
		} catch (err) {
			if (trouble || !(err instanceof Redlock.LockError)) {
				throw trouble || err;
			}
			return false;
		}
	};
	return {
		acquire: (name, millis) => asked(redlock.lock(name, millis)),
		wait: (name, millis) => redlock.lockWithOptions(name, millis, FOREVER),
		extend: async (lock, millis) => Boolean(await asked(lock.extend(millis))),
		release: async (lock) => await asked(lock.unlock()) !== false,
	};
};

// Redlock 5 and its descendant tell with the votes why each was against.
const redlock5 = (load) => async (port) => {
	const { Redlock, ExecutionError, ResourceLockedError } = load();
	const Redis = require('ioredis');
	const redlock = new Redlock([new Redis(port, '127.0.0.1')], ONCE);
	const asked = async (promise) => {
		try {
			return await promise;
		} catch (err) {
			if (!(err instanceof ExecutionError) || err.attempts.length === 0) {
				throw err;
			}
			for (const { votesAgainst } of await Promise.all(err.attempts)) {
				for (const why of votesAgainst.values()) {
					if (!(why instanceof ResourceLockedError)) {
						throw why;
					}
				}
			}
			return false;
		}
	};
	return {
		acquire: (name, millis) => asked(redlock.acquire([name], millis)),
		wait: (name, millis) => redlock.acquire([name], millis, FOREVER),
		// What is extended is another lock, and this one may not be used any more.
		async extend(lock, millis) {
			const longer = await asked(redlock.extend(lock, millis));
			return longer !== false && Boolean(Object.assign(lock, { expiration: longer.expiration }));
		},
		release: async (lock) => await asked(redlock.release(lock)) !== false,
	};
};

const universal = (dial) => async (port) => {
	const { createLock, LockAcquisitionError } = require('redlock-universal');
	const adapter = await dial(require('redlock-universal'), port);
	const make = (name, millis, tries) => {
		const lock = createLock({ adapter, key: name, ttl: millis, retryAttempts: tries, retryDelay: POLL });
		return lock.acquire().then((handle) => ({ lock, handle }));
	};
	return {
		async acquire(name, millis) {
			try {
				return await make(name, millis, 0);
			} catch (err) {
				if (err instanceof LockAcquisitionError && /already held$/.test(err.cause.message)) {
					return false;
				}
				throw err.cause || err;
			}
		},
		wait: (name, millis) => make(name, millis, 3000),
		extend: ({ lock, handle }, millis) => lock.extend(handle, millis),
		release: ({ lock, handle }) => lock.release(handle),
	};
};

exports['redlock-4/ioredis'] = redlock4((port) => new (require('ioredis-4'))(port, '127.0.0.1'));
exports['redlock-4/redis'] = redlock4((port) => require('redis-3').createClient(port));
exports['redlock-5'] = redlock5(() => {
	const all = require('redlock-5');
	return { ...all, Redlock: all.default };
});
exports['sesamecare-redlock'] = redlock5(() => require('@sesamecare-oss/redlock'));
exports['redlock-universal/ioredis'] = universal(async ({ IoredisAdapter }, port) =>
	new IoredisAdapter(new (require('ioredis-6'))(port, '127.0.0.1')));
exports['redlock-universal/redis'] = universal(async ({ NodeRedisAdapter }, port) => {
	const client = require('redis-6').createClient({ socket: { port } });
	await client.connect();
	return new NodeRedisAdapter(client);
});
