// @ts-check
// The specs of one folder, by mocha with the settings of .mocharc.json: for `npm test` and for `npm run package`.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, run } from './processes.mjs';
import { filesUnder } from './sources.mjs';

/** @typedef {{ passed: number, failed: number, skipped: number }} Counts */

/** CA bundles of the environment are read by every Node at start (90 ms each) and no test wants them. */
export function testEnvironment() {
  const env = { ...process.env };
  delete env['NODE_EXTRA_CA_CERTS'];
  return env;
}

/**
 * Runs them with their output as it comes. What kept them from running to their end is a sentence in `why`.
 *
 * @param {string} suite
 * @param {{ seconds: number, env?: NodeJS.ProcessEnv }} options `env` comes on top of the tests' own
 * @returns {Promise<Counts & { failures: string[], why?: string }>}
 */
export async function runSpecs(suite, { seconds, env = {} }) {
  const broken = (/** @type {string} */ why) => ({ passed: 0, failed: 1, skipped: 0, failures: [why], why });
  const specs = filesUnder([`build/${suite}`], (path) => path.endsWith('.spec.mjs'));
  if (specs.length === 0) return broken(`There are no specs in test/${suite}.`);
  const scratch = mkdtempSync(join(tmpdir(), 'tsloop-test-'));
  try {
    const counts = join(scratch, 'counts.json');
    const config = join(scratch, 'mocharc.json');
    // A file list on the command line would be added to the one of .mocharc.json, not replace it.
    const settings = JSON.parse(readFileSync(join(root, '.mocharc.json'), 'utf8'));
    const own = { spec: specs, reporter: './scripts/mocha-reporter.mjs', 'reporter-option': [`counts=${counts}`] };
    writeFileSync(config, JSON.stringify({ ...settings, ...own }));
    const { code, timedOut } = await run(process.execPath, ['node_modules/mocha/bin/mocha.js', '--config', config], {
      env: { ...testEnvironment(), ...env },
      seconds,
    });
    if (timedOut) return broken(`test/${suite} was stopped after its time.`);
    /** @type {Counts & { failures: string[] }} */
    let result;
    try {
      result = JSON.parse(readFileSync(counts, 'utf8'));
    } catch {
      return broken(`mocha ended early in test/${suite}.`);
    }
    if (code !== 0 && result.failed === 0) result.failed++;
    if (result.passed + result.failed + result.skipped === 0) return broken(`test/${suite} ran nothing.`);
    return result;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
