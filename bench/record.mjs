// @ts-check
// A run of the bench as a file: what `--json` writes, and what compare.mjs and the table of README.md are made from.
import { readFileSync, writeFileSync } from 'node:fs';

/** @typedef {{ node: string, tsloop: string, processor: string, cores: number, memoryGb: number, kernel: string, date: string }} Machine */
/** @typedef {{ machine: Machine, rounds: number, seconds: number, slice: number, warmup: number, clientPeer?: string | undefined,
 *   results: import('./table.mjs').Result[] }} Run */

/** 2: the samples of a server are slices. Ratios of files that differ in this are not held against each other. */
const FORMAT = 2;

/** @param {string} file @param {Run} run */
export function writeRecord(file, run) {
  writeFileSync(file, `${JSON.stringify({ format: FORMAT, ...run }, null, 1)}\n`);
}

/** @param {string} file @returns {Run} */
export function readRecord(file) {
  const { format, ...run } = JSON.parse(readFileSync(file, 'utf8'));
  if (format !== FORMAT) throw new Error(`${file} is not a result of this bench, or of an older one: measure again`);
  return run;
}
