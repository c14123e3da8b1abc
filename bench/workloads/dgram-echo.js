'use strict';
// Sends each datagram back to whoever sent it.
const dgram = require('node:dgram');

const socket = dgram.createSocket('udp4');
socket.on('message', (message, peer) => socket.send(message, peer.port, peer.address));
socket.bind(0, '127.0.0.1', () => console.log(JSON.stringify(socket.address())));
process.on('SIGTERM', () => process.exit(0));
