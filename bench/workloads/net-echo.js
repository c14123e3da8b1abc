'use strict';
// Sends back what arrives. The first argument, if any, is the path of a unix-domain socket to listen on.
const net = require('node:net');

const server = net.createServer((socket) => {
  socket.setNoDelay(true);
  socket.on('data', (chunk) => socket.write(chunk));
  socket.on('error', () => socket.destroy());
});
const where = process.argv[2] ? { path: process.argv[2] } : { host: '127.0.0.1', port: 0 };
server.listen(where, () => {
  const address = server.address();
  console.log(JSON.stringify(typeof address === 'string' ? { path: address } : address));
});
process.on('SIGTERM', () => process.exit(0));
