/**
 * Which Node binaries and which tsloop drivers the specs run on.
 *
 * Read once, at load, from the environment of the test runner: TSLOOP_TEST_NODES (a comma list of
 * binaries, default the running one) and TSLOOP_TEST_DRIVERS (a comma list, default all three).
 * The driver `plain` is plain Node again: it shows whether a spec is steady against itself.
 */
import { execFileSync } from 'node:child_process';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface NodeLine {
  readonly binary: string;
  readonly version: string;
  readonly major: number;
}

export type Driver = 'inline' | 'offload' | 'random' | 'auto' | 'plain';

/** The checkout: this file is compiled to build/support/. */
export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');

const list = (name: string, fallback: string): string[] =>
  (process.env[name] ?? fallback).split(',').filter((item) => item !== '');

/** What is tried: this checkout, or a copy that was installed from its packages. */
export const product = process.env['TSLOOP_TEST_PRODUCT'] ?? root;

/** The environment children get: nothing of the runner's own that changes how a program starts. */
export function plainEnvironment(): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value === undefined) continue;
    if (/^(TSLOOP|NODE_|npm_|MOCHA)/.test(name)) continue;
    if (/^(https?|all|no)_proxy$/i.test(name)) continue;
    env[name] = value;
  }
  return env;
}

function describeNode(binary: string): NodeLine {
  const version = execFileSync(binary, ['-p', 'process.versions.node'], {
    env: plainEnvironment(),
    encoding: 'utf8',
  }).trim();
  return { binary, version, major: Number.parseInt(version, 10) };
}

export const nodes: readonly NodeLine[] = list('TSLOOP_TEST_NODES', process.execPath).map(describeNode);

export const drivers = list('TSLOOP_TEST_DRIVERS', 'inline,offload,random') as Driver[];

/** One seed per run, printed with every difference, so that a random seat can be replayed. */
export const seed = process.env['TSLOOP_SEED'] ?? String(Date.now() % 1_000_000_007);

/** Flags and environment that put one driver under a program. */
export function hookFor(driver: Driver): { flags: string[]; env: Record<string, string> } {
  if (driver === 'plain') return { flags: [], env: {} };
  return {
    flags: ['-r', resolve(product, 'register.js')],
    env: { TSLOOP_STRICT: '1', TSLOOP_DRIVER: driver, TSLOOP_SEED: seed },
  };
}
