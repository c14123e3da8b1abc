// @ts-check
// Child processes of the tools beside the build: streamed, bounded in time, stopped as a group by their own id.

import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The project's root: every tool runs there, wherever it was called from. */
export const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * @typedef {object} Outcome
 * @property {number} code exit code; 128 + signal number is not imitated, a signal gives 1
 * @property {string} output standard output and error in the order they came, empty unless `keep`
 * @property {boolean} timedOut
 */

/**
 * Runs a command in the root with its output passed through as it comes.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, seconds?: number, keep?: boolean, silent?: boolean }} [options] `keep` collects
 *   the output as well, `silent` does not show it
 * @returns {Promise<Outcome>}
 */
export function run(command, args, { env = process.env, seconds = 0, keep = false, silent = false } = {}) {
  return new Promise((resolve, reject) => {
    // A group of its own, so that a time-out also ends what the command started. Where nothing is kept and no time
    // is set, the terminal stays the command's own: colours, and Ctrl-C reaching it directly.
    const grouped = seconds > 0;
    const piped = keep || silent;
    const child = spawn(command, args, {
      cwd: root,
      env,
      detached: grouped,
      stdio: piped ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'inherit', 'inherit'],
    });
    let output = '';
    let timedOut = false;
    for (const [from, to] of /** @type {const} */ ([
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ])) {
      from?.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
        if (keep) output += text;
        if (!silent) to.write(text);
      });
    }
    const endGroup = () => {
      if (child.pid === undefined) return;
      try {
        process.kill(grouped ? -child.pid : child.pid, 'SIGKILL');
      } catch {
        // Gone already.
      }
    };
    const timer = grouped
      ? setTimeout(() => {
          timedOut = true;
          endGroup();
        }, seconds * 1000)
      : undefined;
    const onSignal = (/** @type {NodeJS.Signals} */ signal) => {
      endGroup();
      process.kill(process.pid, signal);
    };
    if (grouped) {
      process.once('SIGINT', onSignal);
      process.once('SIGTERM', onSignal);
    }
    const done = () => {
      clearTimeout(timer);
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
    };
    child.on('error', (error) => {
      done();
      reject(error);
    });
    child.on('close', (code) => {
      done();
      resolve({ code: code ?? 1, output, timedOut });
    });
  });
}

/**
 * Whether a command is there and answers.
 *
 * @param {string} command
 * @param {readonly string[]} [args]
 */
export function isThere(command, args = ['--version']) {
  return spawnSync(command, args, { cwd: root, stdio: 'ignore' }).status === 0;
}
