#!/usr/bin/env node
// @ts-check
// `npm run compat`: Node's own tests under tsloop, held against plain Node on the same machine. README.md says how to read the outcome.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { Controls } from './control.mjs';
import { assign, globToPattern, readExpectations, stale } from './expectations.mjs';
import { fetchUpstream } from './fetch.mjs';
import { FATAL } from './judge.mjs';
import { HELP, lastResult, readOptions, UsageError } from './options.mjs';
import { freeze, switchesOf } from './process.mjs';
import { machine, parityPicture, summary } from './report.mjs';
import { runControls, runDriver } from './session.mjs';
import { findSource, lineOf, prepareSuite, projectRoot, readPin } from './suite.mjs';

/** @typedef {import('./options.mjs').Options} Options */

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

/** A run in which tsloop stepped aside would be all green and prove nothing.
 * @param {string} node @param {Options} options @param {string} driver */
function proveActive(node, options, driver) {
  if (options.foreignHook)
    return say(`the hook is ${options.hook}, not tsloop's: this run says something about the runner, not about tsloop`);
  const under = { hook: options.hook, driver, seed: 1, via: options.via, enable: options.enable };
  const script = `const net = require('net');
    const { status, stats } = require(${JSON.stringify(path.dirname(options.hook))});
    const server = net.createServer((socket) => socket.end('x')).listen(0, '127.0.0.1', () => {
      net.connect(server.address().port, '127.0.0.1').resume().on('close', () => {
        server.close();
        const { connections, timers } = stats();
        const seen = connections.accepted + connections.connected;
        setTimeout(() => console.log(JSON.stringify({ ...status(), seen, reached: stats().timers.reached - timers.reached })), 1);
      });
    });`;
  const hook = options.via === 'argv' ? ['--require', options.hook] : [];
  /** @type {{ active: boolean, reason: string | null, seen: number, reached: number }} */
  let status;
  try {
    const env = { PATH: process.env['PATH'] ?? '', TSLOOP_STRICT: '1', ...switchesOf(under) };
    status = JSON.parse(
      execFileSync(node, [...hook, '-e', script], {
        encoding: 'utf8',
        env,
        timeout: 30_000,
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );
  } catch (error) {
    const failure = /** @type {Error & { stderr?: string }} */ (error);
    throw new UsageError(
      `tsloop does not start on ${node} (${driver}); build it first (npm run build).\n${(failure.stderr || failure.message).trim()}`,
    );
  }
  if (!status.active || status.seen !== 2)
    throw new UsageError(
      `tsloop is not active on ${node} (${driver}): ${status.reason ?? 'it saw none of the two ends of a connection'}`,
    );
  if (options.enable?.split(',').includes('timers') && status.reached === 0)
    throw new UsageError(`the wheel runs no timers on ${node} (${driver})`);
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

/** @param {import('./suite.mjs').Pin} pin @param {string} line */
async function fetched(pin, line) {
  say(`no copy of Node's suite at hand: fetching ${pin.upstream}`);
  try {
    const suite = await prepareSuite(pin, line, fetchUpstream(pin));
    if (suite) return suite;
  } catch {
    // git has said why.
  }
  throw new UsageError('the suite could not be fetched; give a git directory or a copy by --suite DIR');
}

/** @param {Options} options */
async function main(options) {
  const pin = readPin();
  const all = readExpectations();
  const source = findSource(pin, options.suite);
  const started = Date.now();
  const hookShown = options.hook;
  if (!options.foreignHook) options.hook = path.join(freeze(projectRoot), 'register.js');
  /** @type {import('./report.mjs').Report} */
  const report = {
    machine: machine(),
    via: options.via,
    enable: options.enable,
    seed: options.seed,
    seconds: 0,
    lines: [],
    units: [],
    controls: [],
    stale: [],
  };
  const seen = new Set();

  for (const node of options.nodes) {
    const line = lineOf(pin, node.version);
    let suite = await prepareSuite(pin, line, source);
    if (!suite && options.ci) {
      console.log(
        "node-compat: skipped, no copy of Node's suite at hand (TSLOOP_NODE_SUITE=DIR, or node test/node-compat/fetch.mjs with a network)",
      );
      return 0;
    }
    suite ??= await fetched(pin, line);
    for (const file of suite.blobs.keys()) seen.add(file.slice('test/'.length));
    const owner = assign(all, suite.blobs.keys());
    const selections = options.ci ?? [{ subsystems: options.subsystems, drivers: options.drivers }];
    const chosen = selections.map((selection) => ({
      tests: select(options, line, owner, selection.subsystems),
      drivers: selection.drivers,
    }));
    // A slip in a pattern must not look like success.
    if (!options.failed && !options.shard && chosen.every((selection) => selection.tests.length === 0))
      throw new UsageError('no test is selected');
    if (options.list) {
      for (const test of new Set(chosen.flatMap((selection) => selection.tests)))
        console.log(`${owner.get(test)?.subsystem}\t${test}`);
      continue;
    }
    const controls = new Controls({
      version: node.version,
      commit: suite.commit,
      blobs: suite.blobs,
      fresh: options.control === 'fresh',
    });
    const session = { line, node: node.binary, suite: suite.dir, hookShown, owner, controls, options, say, tick };
    report.lines.push({ line, node: node.version, suite: pin.lines[line]?.node ?? '', commit: suite.commit });
    say(`Node ${node.version}, suite of ${pin.lines[line]?.node}`);
    if (options.control !== 'only')
      for (const driver of new Set(chosen.flatMap((selection) => selection.drivers)))
        proveActive(node.binary, options, driver);
    for (const { tests, drivers } of chosen) {
      if (options.control !== 'needed') await runControls(session, tests);
      if (options.control === 'only') {
        for (const test of tests) {
          const control = controls.get(test);
          if (control)
            report.controls.push({
              line,
              test,
              subsystem: owner.get(test)?.subsystem ?? '',
              outcome: control.outcome,
              skippedItself: control.skippedItself,
              ms: control.ms,
            });
        }
        continue;
      }
      for (const driver of drivers) report.units.push(...(await runDriver(session, tests, driver)));
    }
  }
  if (options.list) return 0;

  const everyLine = Object.keys(pin.lines).every((line) => report.lines.some((one) => one.line === line));
  report.stale = stale(all, seen, everyLine);
  report.seconds = Math.round((Date.now() - started) / 1000);
  for (const file of [lastResult, ...(options.json ? [path.resolve(options.json)] : [])]) {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, `${JSON.stringify(report, null, 1)}\n`);
  }
  if (options.report) {
    const picture = path.join(path.dirname(lastResult), 'parity.svg');
    fs.writeFileSync(picture, parityPicture(report));
    say(`picture: ${path.relative(process.cwd(), picture)}`);
  }
  console.log(summary(report, process.stdout.isTTY === true));
  return report.stale.length > 0 || report.units.some((unit) => FATAL.includes(unit.class)) ? 1 : 0;
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
