// @ts-check
// `npm test [-- names]`: builds what is stale, runs the suites one after the other with their output as it comes, and
// ends with exactly one plain line, `N passed, N failed, N skipped`, that adds up what the suites counted.

import { BuildError, buildNative, buildProbe, buildSpecs, buildTypeScript } from './build.mjs';
import { runChecks } from './check.mjs';
import { runSpecs, testEnvironment } from './mocha.mjs';
import { isThere, run } from './processes.mjs';

/** @typedef {import('./mocha.mjs').Counts} Counts */

/**
 * What failed, said once more at the end: who keeps only the last lines of a long output has it there.
 *
 * @type {string[]}
 */
const failures = [];

/** Most lines of one failure in that list. */
const FAILURE_LINES = 12;

/** Seconds for everything: what a continuous-integration job may take, less a margin to say what happened. */
const BUDGET = 55 * 60;

/** Most seconds of each suite; the first that hangs must not eat the time of the others. */
const seconds = {
  check: 900,
  rust: 900,
  unit: 120,
  parity: 900,
  reports: 900,
  preload: 400,
  limits: 300,
  leaks: 300,
  apps: 400,
  tls: 300,
  trial: 300,
  beside: 400,
  package: 600,
  compat: 1500,
};

const started = Date.now();

/** @param {keyof typeof seconds} suite */
function allowance(suite) {
  const left = BUDGET - (Date.now() - started) / 1000;
  return Math.max(1, Math.min(seconds[suite], left));
}

/** One failure that no suite counted: it did not run to its end. */
function broken(/** @type {string} */ why) {
  console.error(why);
  failures.push(why);
  return { passed: 0, failed: 1, skipped: 0 };
}

/** @returns {Promise<Counts>} */
async function rust() {
  if (!isThere('cargo')) return broken('cargo was not found');
  const args = ['test', '--locked', '--workspace', '--no-fail-fast'];
  const { code, output, timedOut } = await run('cargo', args, {
    env: testEnvironment(),
    seconds: allowance('rust'),
    keep: true,
  });
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const [, passed, failed, ignored] of output.matchAll(
    /^test result: .* (\d+) passed; (\d+) failed; (\d+) ignored/gm,
  )) {
    counts.passed += Number(passed);
    counts.failed += Number(failed);
    counts.skipped += Number(ignored);
  }
  failures.push(...Array.from(output.matchAll(/^test (.*) \.\.\. FAILED$/gm), ([, name]) => `rust: ${name}`));
  if (timedOut) console.error(`The Rust tests were stopped after their time.`);
  // Not built, crashed or stopped: cargo failed without counting a failure.
  if (code !== 0 && counts.failed === 0) counts.failed++;
  return counts;
}

/**
 * The specs of one folder.
 *
 * @param {'unit' | 'parity' | 'reports' | 'preload' | 'limits' | 'leaks' | 'apps' | 'tls' | 'trial' | 'beside'} suite
 * @returns {Promise<Counts>}
 */
async function mocha(suite) {
  const { failures: found, why, ...counts } = await runSpecs(suite, { seconds: allowance(suite) });
  if (why !== undefined) console.error(why);
  failures.push(...found.map((failure) => (why === undefined ? `${suite}: ${failure}` : failure)));
  return counts;
}

/**
 * A runner that prints its own summary, the last line of its kind.
 *
 * @param {'compat' | 'package'} suite
 * @param {string[]} args
 * @param {string} what
 * @returns {Promise<Counts>}
 */
async function runner(suite, args, what) {
  const { code, output, timedOut } = await run(process.execPath, args, {
    env: testEnvironment(),
    seconds: allowance(suite),
    keep: true,
  });
  if (timedOut) return broken(`${what} was stopped after its time.`);
  failures.push(...Array.from(output.matchAll(/^failed: (.*)$/gm), ([, failure = '']) => `${suite}: ${failure}`));
  const summary = [...output.matchAll(/(\d+) passed, (\d+) failed, (\d+) skipped/g)].at(-1);
  // Nothing of it could be had: the runner has said why.
  if (summary === undefined) return code === 0 ? { passed: 0, failed: 0, skipped: 1 } : broken(`${what} did not run.`);
  const counts = { passed: Number(summary[1]), failed: Number(summary[2]), skipped: Number(summary[3]) };
  if (code !== 0 && counts.failed === 0) counts.failed++;
  return counts;
}

/** @type {Record<keyof typeof seconds, () => Promise<Counts>>} */
const suites = {
  check: () => runChecks({ seconds: allowance('check') }),
  rust,
  unit: () => mocha('unit'),
  parity: () => mocha('parity'),
  reports: () => mocha('reports'),
  preload: () => mocha('preload'),
  limits: () => mocha('limits'),
  leaks: () => mocha('leaks'),
  apps: () => mocha('apps'),
  tls: () => mocha('tls'),
  trial: () => mocha('trial'),
  beside: () => mocha('beside'),
  package: () => runner('package', ['scripts/package.mjs', '--ci'], 'The trial of the packages'),
  compat: () => runner('compat', ['test/node-compat/run.mjs', '--ci'], "Node's suite"),
};

/** @param {readonly string[]} names */
async function build(names) {
  try {
    if (names.some((name) => name !== 'rust' && name !== 'check')) {
      await buildTypeScript();
      await buildNative();
      await buildSpecs();
      if (names.includes('tls')) await buildProbe();
    }
    return true;
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(error.message);
    return false;
  }
}

async function main() {
  const asked = process.argv.slice(2);
  const unknown = asked.filter((name) => !Object.hasOwn(suites, name));
  if (unknown.length > 0) {
    console.error(`No suite is called ${unknown.join(', ')}; there are ${Object.keys(suites).join(', ')}.`);
    process.exitCode = 2;
    return;
  }
  const names = /** @type {(keyof typeof seconds)[]} */ (asked.length > 0 ? asked : Object.keys(suites));
  const total = { passed: 0, failed: 0, skipped: 0 };
  const table = [];
  if (await build(names)) {
    for (const name of names) {
      console.log(`\n== ${name}`);
      const from = Date.now();
      const counts = await suites[name]();
      table.push({ suite: name, ...counts, seconds: Math.round((Date.now() - from) / 1000) });
      for (const key of /** @type {(keyof Counts)[]} */ (Object.keys(total))) total[key] += counts[key];
    }
  } else {
    total.failed++;
  }
  console.log();
  for (const failure of failures) {
    const [first, ...rest] = failure.trim().split('\n').slice(0, FAILURE_LINES);
    console.log([`failed: ${first}`, ...rest.map((line) => `  ${line}`)].join('\n'));
  }
  for (const row of table) {
    const counts = `${row.passed} passed, ${row.failed} failed, ${row.skipped} skipped`;
    console.log(`${row.suite.padEnd(8)} ${counts} (${row.seconds} s)`);
  }
  process.exitCode = total.failed > 0 ? 1 : 0;
  console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
}

await main();
