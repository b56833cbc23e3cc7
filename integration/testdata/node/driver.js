'use strict';
// Obeys the test, a line of its standard input at a time, by a library that locks:
//
//	acquire WHO NAME MILLIS    once, without waiting: yes or no
//	extend WHO NAME MILLIS     what WHO acquired last under NAME: yes or no
//	release WHO NAME           the same: yes, no, or done if the library doesn't tell
//	count WHO... NAME FILE     each adds ROUNDS to the number in FILE, holding NAME: yes
//
// Each WHO is a client of its own, with its own connection. What the library throws,
// unless that is its way to say no, is answered "error: " and its message.

const { readFile, writeFile } = require('fs/promises');
const { createInterface } = require('readline');
const { ROUNDS } = require('./waiting');

const libraries = { ...require('./plain'), ...require('./redlocks'), ...require('./others') };

const [library, port] = process.argv.slice(2);
const clients = new Map(); // by WHO
const held = new Map(); // what was acquired last, by WHO and NAME

async function client(who) {
	if (!clients.has(who)) {
		clients.set(who, await libraries[library](Number(port)));
	}
	return clients.get(who);
}

const words = {
	async acquire(who, name, millis) {
		const lock = await (await client(who)).acquire(name, Number(millis));
		if (lock) {
			held.set(`${who} ${name}`, lock);
		}
		return Boolean(lock);
	},

	async extend(who, name, millis) {
		return (await client(who)).extend(held.get(`${who} ${name}`), Number(millis));
	},

	async release(who, name) {
		return (await client(who)).release(held.get(`${who} ${name}`));
	},

	async count(...args) {
		const [name, file] = args.splice(-2);
		await Promise.all(args.map((who) => add(who, name, file)));
		return true;
	},
};

// Reads and writes with waits between them, in which everybody else has a go.
async function add(who, name, file) {
	const c = await client(who);
	for (let i = 0; i < ROUNDS; i++) {
		const lock = await c.wait(name, 30000);
		const number = Number(await readFile(file, 'utf8'));
		await writeFile(file, String(number + 1));
		if (await c.release(lock) === false) {
			throw new Error(`${who} lost ${name} while it counted`);
		}
	}
}

async function obey(line) {
	const [word, ...args] = line.split(' ');
	try {
		const answer = await words[word](...args);
		return answer === undefined ? 'done' : answer ? 'yes' : 'no';
	} catch (err) {
		return `error: ${err.message}`;
	}
}

(async () => {
	for await (const line of createInterface({ input: process.stdin })) {
		console.log(await obey(line));
	}
	process.exit(0); // whatever connections are left
})();
