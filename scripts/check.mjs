// @ts-check
// `npm run check`: everything about the sources that needs no run of the program. One line per check; a tool that is
// not installed is said to be skipped, never taken as a pass.

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { compiler } from './build.mjs';
import { findCapturedProblems } from './check-captured.mjs';
import { findDocProblems } from './check-docs.mjs';
import { findLayerProblems } from './check-layers.mjs';
import { findSizeProblems } from './check-sizes.mjs';
import { isThere, root, run } from './processes.mjs';

/** @typedef {'passed' | 'failed' | 'skipped'} Verdict */

/**
 * A check that is a command: passes if the command does.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ needs?: readonly string[], env?: NodeJS.ProcessEnv }} [options] `needs` are arguments with which the tool
 *   must answer to count as installed
 */
function command(command, args, { needs, env } = {}) {
  return async (/** @type {number} */ seconds) => {
    if (needs !== undefined && !isThere(command, needs))
      return { verdict: /** @type {Verdict} */ ('skipped'), text: 'not installed' };
    const { code, output, timedOut } = await run(command, args, {
      env: { ...process.env, ...env },
      seconds,
      keep: true,
      silent: true,
    });
    if (timedOut) return { verdict: /** @type {Verdict} */ ('failed'), text: 'stopped after its time' };
    return { verdict: /** @type {Verdict} */ (code === 0 ? 'passed' : 'failed'), text: code === 0 ? '' : output };
  };
}

/**
 * A check that lists problems: passes if there is none.
 *
 * @param {() => string[]} find
 */
function listing(find) {
  return async () => {
    const problems = find();
    return { verdict: /** @type {Verdict} */ (problems.length === 0 ? 'passed' : 'failed'), text: problems.join('\n') };
  };
}

const node = process.execPath;
const tsc = compiler() ?? 'typescript-is-not-installed';
const biome = join(root, 'node_modules/@biomejs/biome/bin/biome');
const clippy = ['clippy', '--locked', '--workspace', '--all-targets', '--', '-D', 'warnings'];
const rustdoc = ['doc', '--locked', '--workspace', '--no-deps', '--document-private-items'];

/** @type {Record<string, (seconds: number) => Promise<{ verdict: Verdict, text: string }>>} */
const checks = {
  sizes: listing(findSizeProblems),
  docs: listing(findDocProblems),
  layers: listing(findLayerProblems),
  captured: listing(findCapturedProblems),
  biome: command(node, [biome, 'ci', '--colors=off', '.']),
  'tsc lib': command(node, [tsc, '-p', 'tsconfig.json', '--noEmit']),
  'tsc test': command(node, [tsc, '-p', 'test/tsconfig.json', '--noEmit']),
  'tsc tools': command(node, [tsc, '-p', 'scripts/tsconfig.json']),
  rustfmt: command('cargo', ['fmt', '--all', '--check'], { needs: ['fmt', '--version'] }),
  clippy: command('cargo', clippy, { needs: ['clippy', '--version'] }),
  rustdoc: command('cargo', rustdoc, { env: { RUSTDOCFLAGS: '-D warnings' } }),
  deny: command('cargo', ['deny', '--locked', 'check'], { needs: ['deny', '--version'] }),
};

/**
 * Runs all checks, or the named ones, and says what each found.
 *
 * @param {{ seconds: number, names?: readonly string[] }} options
 */
export async function runChecks({ seconds, names = Object.keys(checks) }) {
  const end = Date.now() + seconds * 1000;
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const name of names) {
    const check = checks[name];
    if (check === undefined) throw new Error(`no check is called ${name}`);
    const { verdict, text } = await check(Math.max(1, (end - Date.now()) / 1000));
    counts[verdict]++;
    const reason = verdict === 'skipped' ? ` (${text})` : '';
    console.log(`${name.padEnd(10)} ${verdict}${reason}`);
    if (verdict === 'failed') console.log(text.replace(/^/gm, '  '));
  }
  return counts;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const names = process.argv.slice(2);
  const unknown = names.filter((name) => !Object.hasOwn(checks, name));
  if (unknown.length > 0) {
    console.error(`No check is called ${unknown.join(', ')}; there are ${Object.keys(checks).join(', ')}.`);
    process.exitCode = 2;
  } else {
    const { passed, failed, skipped } = await runChecks({ seconds: 1800, ...(names.length > 0 ? { names } : {}) });
    console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
    if (failed > 0) process.exitCode = 1;
  }
}
