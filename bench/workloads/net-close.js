'use strict';
// Sends the first chunk back and ends the connection.
const net = require('node:net');

const server = net.createServer((socket) => {
  socket.once('data', (chunk) => socket.end(chunk));
  socket.on('error', () => socket.destroy());
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify(server.address())));
process.on('SIGTERM', () => process.exit(0));
