#!/usr/bin/env node
// @ts-check
// `npm run compat`: Node's own tests under tsloop, held against plain Node on the same machine. README.md says how to read the outcome.

import fs from 'node:fs';
import path from 'node:path';
import { proveActive } from './active.mjs';
import { Controls } from './control.mjs';
import { assign, globToPattern, readExpectations, stale } from './expectations.mjs';
import { nodeOf, suiteOf } from './fetch.mjs';
import { FATAL } from './judge.mjs';
import { HELP, lastResult, readOptions, UsageError } from './options.mjs';
import { parityPage, writePage } from './parity.mjs';
import { freeze } from './process.mjs';
import { machine, parityPicture, summary } from './report.mjs';
import { noticed, runControls, runDriver } from './session.mjs';
import { here, lineOf, projectRoot, readPin } from './suite.mjs';

/**
 * @typedef {import('./options.mjs').Options} Options
 * @typedef {{ node: import('./options.mjs').Node, via: import('./options.mjs').Via, subsystems: string[], drivers: string[] }} Plan  one Node, one way of loading
 */

const terminal = process.stderr.isTTY;
let told = 0;

/** Progress goes to standard error: a moving line on a terminal, one line every half minute elsewhere.
 * @param {string} what @param {number} done @param {number} all */
function tick(what, done, all) {
  const now = Date.now();
  if (terminal) process.stderr.write(`\r\x1b[K${what}: ${done} of ${all}${done === all ? '\n' : ''}`);
  else if (done === all || now - told > 30_000) process.stderr.write(`${what}: ${done} of ${all}\n`);
  else return;
  told = now;
}

/** @param {string} text */
function say(text) {
  process.stderr.write(`${terminal ? '\r\x1b[K' : ''}${text}\n`);
}

/** @param {Options} options @param {string} line @param {Map<string, import('./expectations.mjs').Expectations>} owner @param {string[]} subsystems */
function select(options, line, owner, subsystems) {
  let tests = [...owner]
    .filter(([, expectations]) => subsystems.length === 0 || subsystems.includes(expectations.subsystem))
    .map(([test]) => test);
  if (options.only) {
    const pattern = globToPattern(options.only);
    tests = tests.filter((test) =>
      [test, path.posix.basename(test), path.posix.basename(test).replace(/\.m?js$/, '')].some((name) =>
        pattern.test(name),
      ),
    );
  }
  if (options.failed) {
    const before = JSON.parse(fs.readFileSync(options.failed, 'utf8'));
    const failed = new Set(
      before.units
        .filter((/** @type {any} */ unit) => unit.line === line && !['passed', 'skipped'].includes(unit.class))
        .map((/** @type {any} */ unit) => unit.test),
    );
    tests = tests.filter((test) => failed.has(test));
  }
  const { shard } = options;
  return shard ? tests.filter((_, at) => at % shard.count === shard.index) : tests;
}

/** What is to be run, in the order of the file or of the arguments; what cannot be had is said in one line each.
 * @param {Options} options @param {import('./suite.mjs').Pin} pin @returns {Promise<{ plans: Plan[], missing: string[] }>} */
async function plansOf(options, pin) {
  const { ci, subsystems, drivers, via } = options;
  if (!ci) return { plans: options.nodes.map((node) => ({ node, via, subsystems, drivers })), missing: [] };
  /** @type {Plan[]} */
  const plans = [];
  /** @type {Set<string>} */
  const missing = new Set();
  for (const run of ci.runs) {
    const node = run.node === 'own' ? options.nodes[0] : await nodeOf(pin, run.node, say);
    if (!node) continue;
    if ('missing' in node) missing.add(node.missing);
    else plans.push({ ...run, node });
  }
  return { plans, missing: [...missing] };
}

/** Everything that pin.json names, for later runs without a network.
 * @param {Options} options @param {import('./suite.mjs').Pin} pin */
async function fetchAll(options, pin) {
  let lost = 0;
  for (const line of Object.keys(pin.lines)) {
    const suite = await suiteOf(pin, line, { named: options.suite, say });
    if ('missing' in suite) lost++;
    console.log(
      'missing' in suite ? suite.missing : `Node ${pin.lines[line]?.node}: ${suite.blobs.size} files, as pinned`,
    );
  }
  for (const line of Object.keys(pin.nodes)) {
    const node = await nodeOf(pin, line, say);
    if ('missing' in node) lost++;
    console.log('missing' in node ? node.missing : `Node ${node.version}: its binary`);
  }
  return lost > 0 ? 1 : 0;
}

/** @param {Options} options */
async function main(options) {
  const pin = readPin();
  if (options.fetch) return fetchAll(options, pin);
  const all = readExpectations();
  const started = Date.now();
  const hookShown = options.hook;
  if (options.foreignHook)
    say(`the hook is ${options.hook}, not tsloop's: this run says something about the runner, not about tsloop`);
  else options.hook = path.join(freeze(projectRoot), 'register.js');
  const { plans, missing } = await plansOf(options, pin);
  /** @type {import('./report.mjs').Report} */
  const report = {
    machine: machine(),
    enable: options.enable,
    seed: options.seed,
    seconds: 0,
    lines: [],
    units: [],
    controls: [],
    notices: [],
    stale: [],
  };
  const seen = new Set();
  /** @type {Map<string, { suite: import('./suite.mjs').Suite, owner: ReturnType<typeof assign>, controls: Controls }>} */
  const prepared = new Map();

  /** @param {import('./options.mjs').Node} node @param {string} line */
  const prepare = async (node, line) => {
    const before = prepared.get(node.binary);
    if (before) return before;
    const suite = await suiteOf(pin, line, { named: options.suite, say });
    if ('missing' in suite) {
      if (!options.ci) throw new UsageError(suite.missing);
      if (!missing.includes(suite.missing)) missing.push(suite.missing);
      return null;
    }
    for (const file of suite.blobs.keys()) seen.add(file.slice('test/'.length));
    const fresh = options.control === 'fresh';
    const controls = new Controls({ version: node.version, suite: suite.id, blobs: suite.blobs, fresh });
    const made = { suite, owner: assign(all, suite.blobs.keys()), controls };
    prepared.set(node.binary, made);
    report.lines.push({ line, node: node.version, suite: pin.lines[line]?.node ?? '', from: suite.from });
    say(`Node ${node.version}, suite of ${pin.lines[line]?.node} (${suite.from})`);
    return made;
  };

  let selected = 0;
  for (const { node, via, subsystems, drivers } of plans) {
    const line = lineOf(pin, node.version);
    const made = await prepare(node, line);
    if (!made) continue;
    const { suite, owner, controls } = made;
    const tests = select(options, line, owner, subsystems);
    selected += tests.length;
    if (options.list) {
      for (const test of tests) console.log(`${owner.get(test)?.subsystem}\t${test}`);
      continue;
    }
    const session = { line, node: node.binary, suite: suite.dir, via, hookShown, owner, controls, options, say, tick };
    if (options.control !== 'needed') await runControls(session, tests);
    if (options.control === 'only') {
      for (const test of tests) {
        const control = controls.get(test);
        const subsystem = owner.get(test)?.subsystem ?? '';
        if (control) report.controls.push({ ...control, line, test, subsystem });
      }
      continue;
    }
    if (!options.foreignHook) for (const driver of drivers) proveActive(node.binary, options, driver, via);
    for (const driver of drivers) report.units.push(...(await runDriver(session, tests, driver)));
  }
  // A slip in a pattern must not look like success.
  if (selected === 0 && prepared.size > 0 && !options.failed && !options.shard)
    throw new UsageError('no test is selected');
  if (options.list) return 0;

  // The judge itself is on trial last: faults that are put in on purpose must not go unnoticed.
  const own = options.ci && options.nodes[0] && prepared.get(options.nodes[0].binary);
  if (options.ci && own) {
    const node = /** @type {import('./options.mjs').Node} */ (options.nodes[0]);
    const hook = path.join(here, 'broken-hook.cjs');
    for (const planted of options.ci.faults)
      report.notices.push(await noticed({ node: node.binary, suite: own.suite.dir, hook, planted }));
  }

  const everyLine = Object.keys(pin.lines).every((line) => report.lines.some((one) => one.line === line));
  report.stale = stale(all, seen, everyLine);
  report.seconds = Math.round((Date.now() - started) / 1000);
  for (const file of [lastResult, ...(options.json ? [path.resolve(options.json)] : [])]) {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, `${JSON.stringify(report, null, 1)}\n`);
  }
  if (options.report) {
    const at = path.dirname(lastResult);
    fs.writeFileSync(path.join(at, 'parity.svg'), parityPicture(report));
    fs.writeFileSync(path.join(at, 'parity.md'), parityPage(report, all));
    say(`picture and page: ${path.relative(process.cwd(), at)}/parity.svg, parity.md`);
  }
  // Half a selection is no basis for the page that everybody reads.
  if (options.ci && missing.length === 0 && !options.shard && !options.failed && !options.only)
    writePage(path.join(projectRoot, 'docs/parity.md'), parityPage(report, all), say);
  for (const text of missing) console.log(`node-compat: skipped, ${text}`);
  if (prepared.size === 0) return 0;
  console.log(summary(report, process.stdout.isTTY === true, missing.length));
  const failed =
    report.stale.length > 0 ||
    report.notices.some((notice) => !notice.noticed) ||
    report.units.some((unit) => FATAL.includes(unit.class));
  return failed ? 1 : 0;
}

for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']))
  process.once(signal, () => process.exit(130));
try {
  const options = readOptions(
    process.argv.slice(2),
    readExpectations().map((expectations) => expectations.subsystem),
  );
  if (options) process.exitCode = await main(options);
  else console.log(HELP);
} catch (error) {
  if (!(error instanceof UsageError) && !process.env['NODE_DEBUG']?.includes('compat'))
    console.error(`node-compat: ${/** @type {Error} */ (error).message}`);
  else console.error(error instanceof UsageError ? `node-compat: ${error.message}` : error);
  process.exitCode = 2;
}
