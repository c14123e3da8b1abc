'use strict';
// Holds connections that never speak, and says when there are as many as the first argument.
const net = require('node:net');

const wanted = Number(process.argv[2] ?? 10000);
let open = 0;
const server = net.createServer((socket) => {
  open += 1;
  socket.on('close', () => {
    open -= 1;
  });
  socket.on('error', () => socket.destroy());
  if (open === wanted) console.log(JSON.stringify({ open }));
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify(server.address())));
process.on('SIGTERM', () => process.exit(0));
