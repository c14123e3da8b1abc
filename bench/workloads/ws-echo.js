'use strict';
// A WebSocket server on the package ws that sends every message back.
const { WebSocketServer } = require('ws');

const server = new WebSocketServer({ host: '127.0.0.1', port: 0 }, () => console.log(JSON.stringify(server.address())));
server.on('connection', (socket) => {
  socket.on('message', (message, isBinary) => socket.send(message, { binary: isBinary }));
  socket.on('error', () => socket.terminate());
});
process.on('SIGTERM', () => process.exit(0));
