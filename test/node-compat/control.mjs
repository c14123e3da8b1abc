// @ts-check
// What plain Node does with each test on this machine: the other half of every verdict.
// Kept on disk, because three drivers and many runs ask for the same answer. The key is everything that can change it: the Node version,
// the suite's digest, the test's own blob, and the machine (kernel, architecture, cores, user: root skips tests that others run).
// A kept answer never condemns: before anything is called a regression, plain Node runs the test again in the same session.

import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { suiteCache } from './suite.mjs';

// Raise when process.mjs changes what a test sees.
const FORMAT = 1;

/** @typedef {{ blob: string, outcome: 'pass' | 'fail' | 'timeout', skippedItself: boolean, ms: number }} Control */

export class Controls {
  /** @type {Map<string, Control>} */
  #entries = new Map();
  #blobs;
  #file;

  /** @param {{ version: string, suite: string, blobs: Map<string, string>, fresh: boolean }} of */
  constructor(of) {
    this.#blobs = of.blobs;
    const machine = [FORMAT, of.version, of.suite, os.release(), os.arch(), os.cpus().length, process.getuid?.()].join(
      ' ',
    );
    this.#file = path.join(
      suiteCache,
      'controls',
      `${of.version}-${createHash('sha256').update(machine).digest('hex').slice(0, 12)}.json`,
    );
    if (!of.fresh) this.#entries = this.#read();
  }

  /** @returns {Map<string, Control>} */
  #read() {
    try {
      return new Map(Object.entries(JSON.parse(fs.readFileSync(this.#file, 'utf8'))));
    } catch {
      return new Map(); // None yet, or a half-written one, which is none.
    }
  }

  /** @param {string} test */
  #blob(test) {
    return this.#blobs.get(`test/${test}`) ?? '';
  }

  /** @param {string} test @returns {Control | undefined} */
  get(test) {
    const entry = this.#entries.get(test);
    return entry?.blob === this.#blob(test) ? entry : undefined;
  }

  /** @param {string} test @param {import('./process.mjs').Result} result */
  set(test, result) {
    this.#entries.set(test, {
      blob: this.#blob(test),
      outcome: result.outcome,
      skippedItself: result.skippedItself,
      ms: result.ms,
    });
  }

  /** Another runner may have saved meanwhile: what it learnt stays. */
  save() {
    for (const [test, entry] of this.#read()) if (!this.#entries.has(test)) this.#entries.set(test, entry);
    fs.mkdirSync(path.dirname(this.#file), { recursive: true });
    const half = `${this.#file}.${process.pid}`;
    fs.writeFileSync(half, JSON.stringify(Object.fromEntries([...this.#entries].sort()), null, 1));
    fs.renameSync(half, this.#file);
  }
}
