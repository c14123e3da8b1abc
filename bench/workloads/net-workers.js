'use strict';
// So many Workers, the argument, each with a TCP server of its own that sends back what arrives.
const { Worker, isMainThread, parentPort } = require('node:worker_threads');

if (isMainThread) {
  const count = Number(process.argv[2]);
  const ports = [];
  for (let index = 0; index < count; index += 1) {
    const worker = new Worker(__filename);
    worker.on('message', (port) => {
      ports.push(port);
      if (ports.length === count) console.log(JSON.stringify({ port: ports.join() }));
    });
    worker.on('error', (error) => {
      throw error;
    });
  }
  process.on('SIGTERM', () => process.exit(0));
} else {
  const net = require('node:net');
  const server = net.createServer((socket) => {
    socket.setNoDelay(true);
    socket.on('data', (chunk) => socket.write(chunk));
    socket.on('error', () => socket.destroy());
  });
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
}
