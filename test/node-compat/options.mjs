// @ts-check
// The command line of `npm run compat`, turned into one plain object. Nothing else reads arguments or environment switches.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { DRIVERS } from './expectations.mjs';
import { here, projectRoot } from './suite.mjs';

export const HELP = `npm run compat -- [subsystem ...] [options]

  --node PATH        a Node binary; may be given several times (else TSLOOP_TEST_NODES, else this Node)
  --driver LIST      inline,offload,random,auto (default: inline,offload,random)
  --fetch            only bring the pinned suites and Nodes that are missing, and say what cannot be had
  --suite DIR        a folder with the pinned tarballs, or a git directory (else TSLOOP_NODE_SUITE, else fetched)
  --only GLOB        only tests whose name matches, e.g. 'parallel/test-net-*' or test-net-server-close
  --failed [FILE]    only what did not pass in an earlier result (default: the last one)
  --shard I/N        the I-th of N slices
  --jobs N           tests at once (default: cores, at most 2); those under test/sequential always run alone
  --limit SECONDS    time-out of one test (default: from the time plain Node takes, at most 120)
  --reruns N         how often a failure must pass alone to count as flaky (default: 3; 0: no second look)
  --seed N           for the random driver; a run prints its own
  --via argv|env     load the hook by --require (default) or by NODE_OPTIONS
  --enable PARTS     with these optional parts as well: what TSLOOP_ENABLE takes
  --control MODE     cached (default), fresh, needed (only where tsloop did not pass), only (plain Node alone)
  --json FILE        write the result there too
  --report           also write build/compat/parity.svg and build/compat/parity.md
  --ci               the selection in ci.json; writes docs/parity.md; leaves out, with one line, what cannot be had
  --list             print the selected tests and stop
`;

/**
 * @typedef {{ binary: string, version: string }} Node
 * @typedef {'argv' | 'env'} Via  how the hook is loaded: by --require, or by NODE_OPTIONS, which children of a test inherit too
 * @typedef {{ node: string, via: Via, subsystems: string[], drivers: string[] }} CiRun  `node`: "own", or a line with a pinned Node
 * @typedef {{ fault: string, tests: string[] }} PlantedFault  tests of `net` of which one at least must fail under broken-hook.cjs
 * @typedef {{ jobsPerCore: number, limitSeconds: number, runs: CiRun[], faults: PlantedFault[] }} Ci
 * @typedef {object} Options
 * @property {string[]} subsystems  empty: all
 * @property {Node[]} nodes
 * @property {string[]} drivers
 * @property {Ci | null} ci
 * @property {string | undefined} suite
 * @property {string | undefined} only
 * @property {string | null} failed
 * @property {{ index: number, count: number } | null} shard
 * @property {number} jobs
 * @property {number | null} limitMs
 * @property {number} reruns
 * @property {number} seed
 * @property {Via} via
 * @property {string | null} enable
 * @property {'cached' | 'fresh' | 'needed' | 'only'} control
 * @property {string | null} json
 * @property {boolean} report
 * @property {boolean} list
 * @property {boolean} fetch
 * @property {string} hook
 * @property {boolean} foreignHook  the hook is not tsloop's: somebody checks that the runner can fail
 */

/** @type {readonly Via[]} */
const VIAS = ['argv', 'env'];

export const lastResult = path.join(projectRoot, 'build', 'compat', 'last.json');

export class UsageError extends Error {}

/** @param {string} name @param {string | undefined} text @param {number} least @param {number} fallback */
function wholeNumber(name, text, least, fallback) {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < least)
    throw new UsageError(`--${name} takes a whole number from ${least}, not "${text}"`);
  return value;
}

/** @template {string} T @param {string} name @param {string} value @param {readonly T[]} choices @returns {T} */
function oneOf(name, value, choices) {
  const found = choices.find((choice) => choice === value);
  if (!found) throw new UsageError(`--${name}: "${value}" is none of ${choices.join(', ')}`);
  return found;
}

/** @param {string} binary @returns {Node} */
function nodeAt(binary) {
  try {
    return {
      binary,
      version: execFileSync(binary, ['-p', 'process.versions.node'], {
        encoding: 'utf8',
        env: { PATH: process.env['PATH'] ?? '' },
      }).trim(),
    };
  } catch (error) {
    throw new UsageError(
      `${binary} is not a Node that runs here: ${/** @type {Error} */ (error).message.split('\n')[0]}`,
    );
  }
}

/** @param {string[]} args @param {string[]} known names of subsystems @returns {Options | null} null: help was asked for */
export function readOptions(args, known) {
  const flag = { type: /** @type {const} */ ('boolean') };
  const text = { type: /** @type {const} */ ('string') };
  const many = { ...text, multiple: /** @type {const} */ (true) };
  // "--failed" alone means the last result; parseArgs knows no optional values.
  const given = args.map((arg, at) =>
    arg === '--failed' && !args[at + 1]?.endsWith('.json') ? `--failed=${lastResult}` : arg,
  );
  let parsed;
  try {
    parsed = parseArgs({
      args: given,
      allowPositionals: true,
      options: {
        node: many,
        driver: many,
        suite: text,
        only: text,
        failed: text,
        shard: text,
        jobs: text,
        limit: text,
        reruns: text,
        seed: text,
        via: text,
        enable: text,
        control: text,
        json: text,
        report: flag,
        ci: flag,
        list: flag,
        fetch: flag,
        help: { ...flag, short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError(/** @type {Error} */ (error).message);
  }
  const { values, positionals } = parsed;
  if (values.help) return null;
  for (const name of positionals)
    if (!known.includes(name)) throw new UsageError(`"${name}" is no subsystem; there are ${known.join(', ')}`);

  const drivers = (values.driver ?? ['inline,offload,random']).flatMap((list) => list.split(',')).filter(Boolean);
  for (const driver of drivers) oneOf('driver', driver, DRIVERS);
  const binaries = values.ci
    ? [process.execPath]
    : (values.node ?? process.env['TSLOOP_TEST_NODES']?.split(',').filter(Boolean) ?? [process.execPath]);
  const shard = /^(\d+)\/(\d+)$/.exec(values.shard ?? '');
  if (values.shard && !(shard && Number(shard[1]) >= 1 && Number(shard[1]) <= Number(shard[2])))
    throw new UsageError('--shard is written 1/4');
  const hook = process.env['TSLOOP_COMPAT_HOOK'];
  /** @type {Ci | null} */
  const ci = values.ci ? JSON.parse(fs.readFileSync(path.join(here, 'ci.json'), 'utf8')) : null;
  const cores = os.cpus().length;
  const limit = values.limit === undefined ? (ci?.limitSeconds ?? null) : wholeNumber('limit', values.limit, 1, 120);
  return {
    subsystems: positionals,
    // From the root's point of view: tests run in folders of their own.
    nodes: binaries.map((binary) => nodeAt(path.resolve(binary))),
    drivers: [...new Set(drivers)],
    ci,
    suite: values.suite ?? process.env['TSLOOP_NODE_SUITE'],
    only: values.only,
    failed: values.failed ?? null,
    shard: shard ? { index: Number(shard[1]) - 1, count: Number(shard[2]) } : null,
    jobs: wholeNumber('jobs', values.jobs, 1, ci ? ci.jobsPerCore * cores : Math.min(2, cores)),
    limitMs: limit && limit * 1000,
    reruns: wholeNumber('reruns', values.reruns, 0, 3),
    seed: wholeNumber('seed', values.seed, 0, Date.now() % 1_000_000),
    via: oneOf('via', values.via ?? 'argv', VIAS),
    enable: values.enable ?? null,
    control: oneOf('control', values.control ?? (values.ci ? 'needed' : 'cached'), [
      'cached',
      'fresh',
      'needed',
      'only',
    ]),
    json: values.json ?? null,
    report: values.report ?? false,
    list: values.list ?? false,
    fetch: values.fetch ?? false,
    hook: path.resolve(hook ?? path.join(projectRoot, 'register.js')), // run.mjs turns it into a copy
    foreignHook: hook !== undefined,
  };
}
