// @ts-check
// One test in one process, set up the way Node's own runner does it (test/testpy and tools/test.py of the upstream tree describe that):
// the flags and environment named in the test's head comment, a private temporary folder, standard output and error going to files.
// Nothing here judges; it reports what happened.

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

// As Node's own runner: a test that has not finished after two minutes never will.
export const HARD_LIMIT_MS = 120_000;
// Enough of an assertion error with its diff; a test in an endless loop of prints must not fill our memory or the disk.
const KEPT_OUTPUT = 16 << 10;
const FILE_LIMIT_BLOCKS = 2 << 20; // 512-byte blocks: 1 GiB
// Node's tests take common.PORT and a few numbers after it, cluster tests up to a few dozen.
const PORTS_PER_JOB = 100;

// What a test may see of the user's environment. Everything else (proxies, NODE_OPTIONS, extra certificates, TSLOOP_*) would make
// the two sides differ from a clean machine, and from each other.
const KEPT_ENV = ['PATH', 'LANG', 'LC_ALL', 'TZ', 'USER', 'LOGNAME', 'SHELL', 'LD_LIBRARY_PATH'];

/**
 * @typedef {{ hook: string, driver: string, seed: number, via: import('./options.mjs').Via, enable: string | null, fault?: string }} Under  how tsloop is loaded; null means plain Node
 * @typedef {{ node: string, suite: string, test: string, under: Under | null, limitMs: number, slot: number }} Order
 * @typedef {{ outcome: 'pass' | 'fail' | 'timeout', code: number | null, signal: string | null, ms: number, skippedItself: boolean, stdout: string, stderr: string }} Result
 */

/** @type {Set<number>} process groups under way, for the one place that must end them all: an interrupt of the runner */
const groups = new Set();
let serial = 0;

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'tsc-'));
const frozen = path.join(scratch, 'tsloop');
process.on('exit', () => {
  for (const group of groups) endGroup(group);
  fs.rmSync(scratch, { recursive: true, force: true });
});

/** What is built now, put aside: a run takes minutes, and a build in the middle of it must not mix two versions in one result.
 * @param {string} root of the project @returns {string} the root of the copy */
export function freeze(root) {
  for (const part of ['package.json', 'register.js', 'register.mjs', 'dist']) {
    const from = path.join(root, part);
    if (fs.existsSync(from)) fs.cpSync(from, path.join(frozen, part), { recursive: true });
  }
  return frozen;
}

/** @param {number} group */
function endGroup(group) {
  try {
    process.kill(-group, 'SIGKILL');
  } catch {
    // Nobody of that group is left.
  }
}

/** The first `// Flags:` and `// Env:` of a test, as Node's runner reads them.
 * @param {string} source @returns {{ flags: string[], env: Record<string, string> }} */
export function headOf(source) {
  const words = (/** @type {RegExp} */ pattern) => pattern.exec(source)?.[1]?.trim().split(/\s+/).filter(Boolean) ?? [];
  /** @type {Record<string, string>} */
  const env = {};
  for (const pair of words(/\/\/\s+Env:(.*)/)) {
    const at = pair.indexOf('=');
    if (at > 0) env[pair.slice(0, at)] = pair.slice(at + 1);
  }
  return { flags: words(/\/\/\s+Flags:(.*)/), env };
}

/** @param {Order} order @param {string[]} flags */
export function commandOf(order, flags) {
  const hook = order.under?.via === 'argv' ? ['--require', order.under.hook] : [];
  return [order.node, ...hook, ...flags, path.join(order.suite, 'test', order.test)];
}

/** What tsloop is told. Children of the test inherit it as they would from a user's shell.
 * @param {Under | null} under @returns {Record<string, string>} */
export function switchesOf(under) {
  if (!under) return {};
  /** @type {Record<string, string>} */
  const env = { TSLOOP_DRIVER: under.driver };
  if (under.enable) env['TSLOOP_ENABLE'] = under.enable;
  if (under.fault) env['TSLOOP_COMPAT_FAULT'] = under.fault;
  if (under.driver === 'random') env['TSLOOP_SEED'] = String(under.seed);
  if (under.via === 'env') env['NODE_OPTIONS'] = `--require="${under.hook.replace(/["\\]/g, '\\$&')}"`;
  return env;
}

/** @param {string} file */
function ends(file) {
  const fd = fs.openSync(file, 'r');
  try {
    const size = fs.fstatSync(fd).size;
    const read = (/** @type {number} */ at, /** @type {number} */ length) => {
      const bytes = Buffer.alloc(length);
      return bytes.subarray(0, fs.readSync(fd, bytes, 0, length, at)).toString('utf8');
    };
    if (size <= KEPT_OUTPUT) return read(0, size);
    return `${read(0, KEPT_OUTPUT / 2)}\n[... ${size - KEPT_OUTPUT} bytes left out ...]\n${read(size - KEPT_OUTPUT / 2, KEPT_OUTPUT / 2)}`;
  } finally {
    fs.closeSync(fd);
  }
}

/** @param {Order} order @returns {Promise<Result>} */
export function runTest(order) {
  const id = ++serial;
  const home = path.join(scratch, String(id));
  fs.mkdirSync(path.join(home, 'tmp'), { recursive: true });
  const { flags, env: asked } = headOf(fs.readFileSync(path.join(order.suite, 'test', order.test), 'utf8'));

  /** @type {Record<string, string>} */
  const env = {};
  for (const name of KEPT_ENV)
    if (process.env[name] !== undefined) env[name] = /** @type {string} */ (process.env[name]);
  Object.assign(
    env,
    {
      HOME: home,
      TMPDIR: path.join(home, 'tmp'),
      NODE_TEST_DIR: home,
      TEST_THREAD_ID: String(order.slot + 1),
      TEST_SERIAL_ID: String(id),
      // Below the kernel's ephemeral range; another runner on this machine most likely has another base.
      NODE_COMMON_PORT: String(12_000 + (process.pid % 90) * 2 * PORTS_PER_JOB + order.slot * PORTS_PER_JOB),
    },
    switchesOf(order.under),
    asked,
  );
  if (!order.test.startsWith('sequential/')) env['TEST_PARALLEL'] = '1';

  const out = path.join(home, 'stdout');
  const err = path.join(home, 'stderr');
  // Files, as under Node's runner: with a pipe process.stdout would be a socket, and an orphan holding it would keep us waiting.
  const stdio = [fs.openSync('/dev/null', 'r'), fs.openSync(out, 'w'), fs.openSync(err, 'w')];
  const started = process.hrtime.bigint();
  const child = spawn(
    '/bin/sh',
    ['-c', `ulimit -c 0; ulimit -f ${FILE_LIMIT_BLOCKS}; exec "$@"`, 'sh', ...commandOf(order, flags)],
    { cwd: home, env, stdio, detached: true },
  );
  for (const fd of stdio) fs.closeSync(fd);

  return new Promise((resolve, reject) => {
    child.once('error', reject);
    const group = /** @type {number} */ (child.pid);
    if (group) groups.add(group);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      endGroup(group);
    }, order.limitMs);
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      // What the test left behind goes with it, or it would disturb the next one.
      endGroup(group);
      groups.delete(group);
      const ms = Number((process.hrtime.bigint() - started) / 1_000_000n);
      const stdout = ends(out);
      const stderr = ends(err);
      fs.rmSync(home, { recursive: true, force: true, maxRetries: 3 });
      const outcome = late ? 'timeout' : code === 0 ? 'pass' : 'fail';
      resolve({
        outcome,
        code,
        signal: late ? null : signal,
        ms,
        skippedItself: /^1\.\.0 # [Ss]kipped/m.test(stdout),
        stdout,
        stderr,
      });
    });
  });
}
