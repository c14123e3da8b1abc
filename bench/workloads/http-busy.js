'use strict';
// An HTTP server whose handler keeps the thread busy before it answers with 64 bytes: so many milliseconds, the argument.
const http = require('node:http');

const busy = Number(process.argv[2]);
const body = Buffer.alloc(64, 'x');

const server = http.createServer((_request, response) => {
  const until = performance.now() + busy;
  while (performance.now() < until);
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': body.length });
  response.end(body);
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify(server.address())));
process.on('SIGTERM', () => process.exit(0));
