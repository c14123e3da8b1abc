'use strict';
// Sends back what arrives through pipe(), which stops reading while the peer is slow.
const net = require('node:net');

const server = net.createServer((socket) => {
  socket.pipe(socket);
  socket.on('error', () => socket.destroy());
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify(server.address())));
process.on('SIGTERM', () => process.exit(0));
