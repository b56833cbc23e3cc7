'use strict';
// A Node that loads this first dials the port $DIAL_TO wherever it is asked to dial
// $DIAL_FROM: for tests that know one port only.

const { Socket } = require('net');

const { DIAL_FROM, DIAL_TO } = process.env;
const { connect } = Socket.prototype;

Socket.prototype.connect = function (...args) {
	const [options] = [args[0]].flat(); // net hands on an array that has them first
	if (String(options.port) === DIAL_FROM) {
		options.port = Number(DIAL_TO);
	}
	return connect.apply(this, args);
};
