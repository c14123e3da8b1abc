'use strict';
// Sends bursts of 64 datagrams of 64 bytes, one per turn of the loop. Arguments: warm-up, window, port.
const dgram = require('node:dgram');
const measured = require('./window.js');

const BURST = 64;
const [warmup, seconds, port] = process.argv.slice(2).map(Number);
const message = Buffer.alloc(64, 'x');
const socket = dgram.createSocket('udp4');
let sent = 0;

function done(error) {
  if (error) throw error;
  sent += 1;
}

function burst() {
  for (let index = 0; index < BURST; index += 1) socket.send(message, port, '127.0.0.1', done);
  setImmediate(burst);
}

socket.bind(0, '127.0.0.1', () => {
  burst();
  measured(() => sent, { warmup, seconds });
});
