'use strict';

const { setTimeout: delay } = require('timers/promises');
const { POLL, until } = require('./waiting');

// What libraries throw to say no, and what else they throw under the same name.
const unless = async (refused, promise) => {
	try {
		await promise;
		return true;
	} catch (err) {
		if (refused(err)) {
			return false;
		}
		throw err;
	}
};

const dial = async (name, port) => {
	const client = require(name).createClient({ socket: { port } });
	await client.connect();
	return client;
};

// It waits for as long as it takes, and asks again whatever goes wrong, so to be
// refused is to be kept waiting; who gives up takes the client away from it.
const redisLock = async (port) => {
	const locker = async () => {
		const client = await dial('redis-4', port);
		return { client, lock: require('redis-lock')(client, POLL) };
	};
	const patient = await locker();
	return {
		async acquire(name, millis) {
			const { client, lock } = await locker();
			const release = await Promise.race([lock(name, millis), delay(1000, false)]);
			if (!release) {
				await client.quit(); // what it has asked is answered by then
			}
			return release;
		},
		wait: patient.lock,
		release: async (release) => await release() === 1,
	};
};

// Waiters are told of a release by PUBLISH; the poll is for those that end otherwise.
const simpleRedisMutex = async (port) => {
	const { lock, tryLock } = require('simple-redis-mutex');
	const client = await dial('redis', port);
	return {
		async acquire(name, millis) {
			const [yes, release] = await tryLock(client, name, { timeout: millis });
			return yes && release;
		},
		wait: (name, millis) => lock(client, name, { timeout: millis, pollingInterval: 60000 }),
		release: (release) => release(),
	};
};

// Both were one library once, and throw errors of one class for a refusal and for
// what goes wrong: the message tells.
const redislock = (load) => async (port) => {
	const { createLock, client } = await load(port);
	const refused = (err) => /^Could not acquire lock|had expired$|has not been acquired$/.test(err.message);
	const acquire = async (name, options) => {
		const lock = createLock(client, options);
		return await unless(refused, lock.acquire(name)) && lock;
	};
	return {
		acquire: (name, millis) => acquire(name, { timeout: millis, retries: 0 }),
		wait: (name, millis) => acquire(name, { timeout: millis, retries: 3000, delay: POLL }),
		extend: (lock, millis) => unless(refused, lock.extend(millis)),
		release: (lock) => unless(refused, lock.release()),
	};
};

const warlock = async (port) => {
	const locks = require('node-redis-warlock')(require('redis-3').createClient(port));
	const asked = (start) => new Promise((resolve, reject) => {
		start((err, ...answer) => (err ? reject(err) : resolve(answer)));
	});
	const acquire = async (name, millis) => {
		const [unlock, id] = await asked((done) => locks.lock(name, millis, done));
		return unlock && { name, id };
	};
	return {
		acquire,
		wait: (name, millis) => until(() => acquire(name, millis)),
		extend: async ({ name, id }, millis) => (await asked((done) => locks.touch(name, id, millis, done)))[0] === 'OK',
		release: async ({ name, id }) => (await asked((done) => locks.unlock(name, id, done)))[0] === 1,
	};
};

// Its locks extend themselves by their clock; one taken over from another process
// is extended as it is acquired.
const semaphore = (make) => async (port) => {
	const client = new (require('ioredis'))(port, '127.0.0.1');
	const patient = { acquireTimeout: 60000, retryInterval: POLL };
	return {
		async acquire(name, millis) {
			const lock = make(client, name, { lockTimeout: millis, refreshInterval: 0, acquireAttemptsLimit: 1 });
			return await lock.tryAcquire() && { lock, name };
		},
		async wait(name, millis) {
			const lock = make(client, name, { lockTimeout: millis, refreshInterval: 0, ...patient });
			await lock.acquire();
			return { lock, name };
		},
		extend: ({ lock, name }, millis) => make(client, name, {
			lockTimeout: millis, refreshInterval: 0, identifier: lock.identifier, acquiredExternally: true,
		}).tryAcquire(),
		release: ({ lock }) => lock.release(),
	};
};

exports['redis-lock'] = redisLock;
exports['simple-redis-mutex'] = simpleRedisMutex;
exports['redislock'] = redislock(async (port) => ({
	...require('redislock'), client: require('redis-3').createClient(port),
}));
exports['ioredis-lock'] = redislock(async (port) => ({
	...await import('@microfleet/ioredis-lock'), client: new (require('ioredis'))(port, '127.0.0.1'),
}));
exports['node-redis-warlock'] = warlock;
exports['redis-semaphore/mutex'] = semaphore((client, name, options) =>
	new (require('redis-semaphore').Mutex)(client, name, options));
exports['redis-semaphore/semaphore'] = semaphore((client, name, options) =>
	new (require('redis-semaphore').Semaphore)(client, name, 1, options));
