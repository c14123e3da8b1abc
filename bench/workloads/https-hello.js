'use strict';
// An HTTPS server that answers every request with 64 bytes. Arguments: the files of the key and the certificate.
const fs = require('node:fs');
const https = require('node:https');

const body = Buffer.alloc(64, 'x');
const identity = { key: fs.readFileSync(process.argv[2]), cert: fs.readFileSync(process.argv[3]) };

const server = https.createServer(identity, (_request, response) => {
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': body.length });
  response.end(body);
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify(server.address())));
process.on('SIGTERM', () => process.exit(0));
