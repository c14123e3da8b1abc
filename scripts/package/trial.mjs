// @ts-check
// A trial of the packed packages: npm puts the tarballs into an empty folder, and a program runs there on every driver.

import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { testEnvironment } from '../mocha.mjs';
import { root } from '../processes.mjs';
import { crossHome } from './tools.mjs';

/** @typedef {import('./targets.mjs').Target} Target */

const exec = promisify(execFile);

/** Milliseconds for one program: under emulation a start alone takes seconds. */
const PATIENCE_MS = 120_000;

export const drivers = ['inline', 'offload'];

/**
 * Installs the tarballs as a user would, from files and without a network.
 *
 * @param {Target} target
 * @param {readonly string[]} tarballs
 * @param {{ foreign: boolean }} options `foreign`: npm refuses a package of another platform that is asked for by name
 * @returns {Promise<string>} the folder
 */
export async function install(target, tarballs, { foreign }) {
  const folder = mkdtempSync(join(tmpdir(), 'tsloop-package-'));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'trial', private: true }));
  // A cache of its own: what this machine has seen before is not what a user has.
  const machine = foreign ? ['--os=linux', `--cpu=${target.cpu}`, `--libc=${target.libc}`, '--force'] : [];
  const quiet = ['--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error'];
  const args = ['install', '--offline', `--cache=${join(folder, '.npm')}`, ...machine, ...quiet, ...tarballs];
  await exec('npm', args, { cwd: folder, env: testEnvironment(), timeout: PATIENCE_MS });
  return folder;
}

/** @param {string} folder */
export const remove = (folder) => rmSync(folder, { recursive: true, force: true });

/** The Nodes of another platform that scripts/cross.sh has laid ready: commands that run as `node` does. @param {Target} target */
export function foreignNodes(target) {
  const home = crossHome(target);
  if (!existsSync(home)) return [];
  return readdirSync(home)
    .filter((name) => name.startsWith('node-'))
    .sort()
    .map((name) => join(home, name));
}

/**
 * The smoke: http, fetch, UDP and a child on each driver.
 *
 * @param {string} folder where the packages are installed
 * @param {string} node
 * @returns {Promise<{ driver: string, answer: string, fault: string | null }[]>}
 */
export async function smoke(folder, node) {
  const program = join(folder, 'smoke.cjs');
  copyFileSync(join(root, 'build/package/smoke.cjs'), program);
  const results = [];
  for (const driver of drivers) {
    const env = { ...testEnvironment(), TSLOOP_STRICT: '1', TSLOOP_DRIVER: driver };
    try {
      const options = { cwd: folder, env, timeout: PATIENCE_MS };
      const { stdout } = await exec(node, ['-r', 'tsloop/register', program], options);
      results.push({ driver, answer: stdout.trim(), fault: null });
    } catch (error) {
      const { stdout = '', stderr = '', message } = /** @type {Error & { stdout?: string, stderr?: string }} */ (error);
      const said = `${stdout}${stderr}`.trim() || message;
      results.push({ driver, answer: '', fault: said.split('\n').slice(0, 6).join(' / ') });
    }
  }
  return results;
}
