'use strict';
// An HTTP server that answers every request with the same body: the number of bytes is the first argument.
const http = require('node:http');

const body = Buffer.alloc(Number(process.argv[2] ?? 64), 'x');

const server = http.createServer((_request, response) => {
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': body.length });
  response.end(body);
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify(server.address())));
process.on('SIGTERM', () => process.exit(0));
