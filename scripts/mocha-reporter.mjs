// @ts-check
// Mocha's own spec output, and beside it the counts and what failed, for the summary of scripts/test.mjs.

import { writeFileSync } from 'node:fs';
import Mocha from 'mocha';

export default class CountingReporter extends Mocha.reporters.Spec {
  /**
   * @param {import('mocha').Runner} runner
   * @param {{ reporterOptions?: { counts?: string } }} options
   */
  constructor(runner, options) {
    super(runner, /** @type {any} */ (options));
    const file = options.reporterOptions?.counts;
    if (file === undefined) throw new TypeError('the reporter needs --reporter-option counts=FILE');
    // Failures are counted one by one: a failing hook is one too, and mocha's own statistics leave the tests it
    // kept from running out of every count.
    const counts = { passed: 0, failed: 0, skipped: 0 };
    runner.on('pass', () => counts.passed++);
    /** @type {string[]} */
    const failures = [];
    runner.on('fail', (test, error) => {
      counts.failed++;
      failures.push(`${test.fullTitle()}: ${String(error?.message ?? error)}`);
    });
    runner.on('pending', () => counts.skipped++);
    runner.once('end', () => writeFileSync(file, JSON.stringify({ ...counts, failures })));
  }
}
