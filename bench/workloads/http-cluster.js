'use strict';
// An HTTP server in two workers of a cluster. The argument is the scheduler: rr or none.
const cluster = require('node:cluster');

const body = Buffer.alloc(64, 'x');

if (cluster.isPrimary) {
  cluster.schedulingPolicy = process.argv[2] === 'none' ? cluster.SCHED_NONE : cluster.SCHED_RR;
  const workers = [cluster.fork(), cluster.fork()];
  let listening = 0;
  cluster.on('listening', (_worker, { port }) => {
    listening += 1;
    const pids = workers.map((worker) => worker.process.pid).join();
    if (listening === workers.length) console.log(JSON.stringify({ port, workers: pids }));
  });
  process.on('SIGTERM', () => {
    for (const worker of workers) worker.process.kill('SIGKILL');
    process.exit(0);
  });
} else {
  const http = require('node:http');
  const server = http.createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain', 'content-length': body.length });
    response.end(body);
  });
  server.listen(0, '127.0.0.1');
}
