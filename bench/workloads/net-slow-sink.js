'use strict';
// Swallows what arrives and works on each chunk for so many microseconds, the argument; answers with the number of bytes
// when the peer ends.
const net = require('node:net');

const busy = Number(process.argv[2]) / 1e3;

const server = net.createServer({ allowHalfOpen: true }, (socket) => {
  let total = 0;
  socket.on('data', (chunk) => {
    total += chunk.length;
    const until = performance.now() + busy;
    while (performance.now() < until);
  });
  socket.on('end', () => socket.end(String(total)));
  socket.on('error', () => socket.destroy());
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify(server.address())));
process.on('SIGTERM', () => process.exit(0));
