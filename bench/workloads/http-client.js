'use strict';
// An HTTP client with a keep-alive Agent. Arguments: url, sockets and requests at once, warm-up and window in seconds.
const http = require('node:http');
const closedLoop = require('./closed-loop.js');

const [url, sockets, warmup, seconds] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true, maxSockets: Number(sockets) });

function request() {
  return new Promise((resolve, reject) => {
    http
      .get(url, { agent }, (response) => {
        let length = 0;
        response.on('data', (chunk) => {
          length += chunk.length;
        });
        response.on('error', reject);
        response.on('end', () => {
          if (response.statusCode === 200 && length === 64) resolve();
          else reject(new Error(`status ${response.statusCode}, ${length} bytes`));
        });
      })
      .on('error', reject);
  });
}

closedLoop(request, { concurrency: Number(sockets), warmup: Number(warmup), seconds: Number(seconds) });
