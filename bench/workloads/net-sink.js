'use strict';
// Swallows what arrives, and answers with the number of bytes when the peer ends.
const net = require('node:net');

const server = net.createServer({ allowHalfOpen: true }, (socket) => {
  let total = 0;
  socket.on('data', (chunk) => {
    total += chunk.length;
  });
  socket.on('end', () => socket.end(String(total)));
  socket.on('error', () => socket.destroy());
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify(server.address())));
process.on('SIGTERM', () => process.exit(0));
