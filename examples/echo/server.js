'use strict';
// TCP echo: every chunk goes back to whoever sent it, with the backpressure of streams.

const net = require('node:net');

const server = net.createServer((socket) => {
  socket.on('error', (error) => console.error(`${socket.remoteAddress}: ${error.message}`));
  socket.pipe(socket);
});

server.listen(Number(process.env.PORT ?? 3000), () => {
  console.log(`tcp://localhost:${server.address().port}`);
});

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.close());
