'use strict';
// A plain Node program that knows nothing of tsloop: `node server.js` runs it on libuv, `npm start` on tsloop.

const http = require('node:http');

const server = http.createServer((request, response) => {
  const body = `Hello from ${request.method} ${request.url}\n`;
  response.writeHead(200, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
});

server.listen(Number(process.env.PORT ?? 3000), () => {
  console.log(`http://localhost:${server.address().port}`);
});

server.on('error', (error) => {
  const taken = error.code === 'EADDRINUSE';
  console.error(taken ? `Port ${error.port} is taken: PORT=3001 npm start takes another.` : String(error));
  process.exitCode = 1;
});

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close();
    server.closeIdleConnections();
  });
}
