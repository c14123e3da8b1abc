'use strict';
// Messages to a child and back. Arguments: round trips at once, warm-up and window in seconds.
const { fork } = require('node:child_process');
const closedLoop = require('./closed-loop.js');

if (process.send) {
  process.on('message', (message) => process.send(message));
} else {
  const [concurrency, warmup, seconds] = process.argv.slice(2).map(Number);
  const child = fork(__filename);
  const waiting = new Map();
  let last = 0;
  child.on('message', ({ id, text }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (text === `message ${id}`) resolve();
    else reject(new Error(`message ${id} came back as ${text}`));
  });
  const request = () =>
    new Promise((resolve, reject) => {
      last += 1;
      waiting.set(last, { resolve, reject });
      child.send({ id: last, text: `message ${last}` });
    });
  closedLoop(request, { concurrency, warmup, seconds });
  process.on('exit', () => child.kill());
}
