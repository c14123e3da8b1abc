'use strict';
// Reads what children write, 100 MB each, one child after another; an operation is 64 KB.
const { spawn } = require('node:child_process');
const measured = require('./window.js');

const [warmup, seconds] = process.argv.slice(2);
let bytes = 0;

function next() {
  const child = spawn('head', ['-c', '100000000', '/dev/zero'], { stdio: ['ignore', 'pipe', 'inherit'] });
  child.stdout.on('data', (chunk) => {
    bytes += chunk.length;
  });
  child.on('close', next);
}

measured(() => bytes / 65536, { warmup: Number(warmup), seconds: Number(seconds) });
next();
