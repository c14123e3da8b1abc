// @ts-check
// `node bench/timers.mjs [rounds]`: timers on plain Node and on the wheel, fresh processes in turn; processor time per
// operation, medians and their ratio.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from '../scripts/processes.mjs';

const program = join(root, 'bench/workloads/timers.js');
const rounds = Number(process.argv[2] ?? 3);

/**
 * @param {string[]} args
 * @param {Record<string, string>} env
 */
const ask = (args, env) =>
  execFileSync(process.execPath, args, { encoding: 'utf8', env: { ...process.env, ...env } }).trim();

/** @param {number[]} values */
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

for (const cell of ask([program], {}).split(' ')) {
  /** @type {number[]} */
  const plain = [];
  /** @type {number[]} */
  const wheel = [];
  for (let round = 0; round < rounds; round++) {
    plain.push(Number(ask([program, cell], {})));
    wheel.push(
      Number(ask(['-r', join(root, 'register.js'), program, cell], { TSLOOP_ENABLE: 'timers', TSLOOP_STRICT: '1' })),
    );
  }
  const [a, b] = [median(plain), median(wheel)];
  console.log(
    `${cell.padEnd(18)} plain ${a.toFixed(0).padStart(6)} ns   wheel ${b.toFixed(0).padStart(6)} ns   ratio ${(b / a).toFixed(2)}`,
  );
}
