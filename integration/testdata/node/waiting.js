'use strict';

const { setTimeout: delay } = require('timers/promises');

// How often each client of a count adds to the number.
exports.ROUNDS = 5;

// How long who waits for a lock waits before it asks again.
exports.POLL = 10;

// Asks until it is given, for libraries that leave that to their callers.
exports.until = async (ask) => {
	for (;;) {
		const lock = await ask();
		if (lock) {
			return lock;
		}
		await delay(exports.POLL);
	}
};
