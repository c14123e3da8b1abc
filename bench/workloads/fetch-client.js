'use strict';
// A client on the global fetch. Arguments: url, requests at once, warm-up and window in seconds.
const closedLoop = require('./closed-loop.js');

const [url, concurrency, warmup, seconds] = process.argv.slice(2);

async function request() {
  const response = await fetch(url);
  const body = await response.text();
  if (response.status !== 200 || body.length !== 64) throw new Error(`status ${response.status}, ${body.length} bytes`);
}

closedLoop(request, { concurrency: Number(concurrency), warmup: Number(warmup), seconds: Number(seconds) });
