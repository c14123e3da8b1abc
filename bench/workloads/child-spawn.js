'use strict';
// Starts children one after another, with so many gigabytes resident; what counts is how long each start blocks, which
// for `sync` is until the child has ended.
const { spawn, spawnSync } = require('node:child_process');
const measured = require('./window.js');

const [gigabytes, stdio, warmup, seconds] = process.argv.slice(2);
const BLOCK = 2 ** 26;
const resident = Array.from({ length: (Number(gigabytes) * 2 ** 30) / BLOCK }, () => Buffer.alloc(BLOCK, 1));

let count = 0;
/** Microseconds of each start in the window. */
let blocked = [];

function next() {
  const from = process.hrtime.bigint();
  const child = stdio === 'sync' ? spawnSync('/bin/true') : spawn('/bin/true', [], { stdio });
  blocked.push(Number(process.hrtime.bigint() - from) / 1e3);
  const ended = () => {
    count += 1;
    next();
  };
  if (stdio === 'sync') setImmediate(ended);
  else child.on('close', ended);
}

measured(() => count, {
  warmup: Number(warmup),
  seconds: Number(seconds),
  opened: () => {
    blocked = [];
  },
  latency: () => {
    blocked.sort((a, b) => a - b);
    return { p50: blocked[blocked.length >> 1], p99: blocked[Math.floor(blocked.length * 0.99)] };
  },
});
// Read at the end, so that nothing takes it away before.
process.on('exit', () => resident.length);
next();
