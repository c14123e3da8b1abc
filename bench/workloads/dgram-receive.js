'use strict';
// Counts the datagrams that reach it. Arguments: warm-up and window in seconds.
const dgram = require('node:dgram');
const measured = require('./window.js');

const [warmup, seconds] = process.argv.slice(2).map(Number);
let received = 0;
const socket = dgram.createSocket('udp4');
socket.on('message', () => {
  received += 1;
});
socket.bind(0, '127.0.0.1', () => {
  console.log(JSON.stringify(socket.address()));
  measured(() => received, { warmup, seconds });
});
