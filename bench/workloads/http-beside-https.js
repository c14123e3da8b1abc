'use strict';
// An HTTP and an HTTPS server in one process, which answer every request with 64 bytes. Arguments: the files of the key and
// the certificate. At each SIGUSR2 it prints how long the loop was delayed since the one before.
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const { monitorEventLoopDelay } = require('node:perf_hooks');

const body = Buffer.alloc(64, 'x');
const identity = { key: fs.readFileSync(process.argv[2]), cert: fs.readFileSync(process.argv[3]) };

function answer(_request, response) {
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': body.length });
  response.end(body);
}

const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
process.on('SIGUSR2', () => {
  console.log(JSON.stringify({ loopDelayUs: { p99: delay.percentile(99) / 1e3 } }));
  delay.reset();
});

const plain = http.createServer(answer);
const secure = https.createServer(identity, answer);
plain.listen(0, '127.0.0.1', () => {
  secure.listen(0, '127.0.0.1', () => {
    console.log(JSON.stringify({ port: plain.address().port, securePort: secure.address().port }));
  });
});
process.on('SIGTERM', () => process.exit(0));
