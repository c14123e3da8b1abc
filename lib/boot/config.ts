/**
 * The only reader of the environment: one table of settings with type, default and bounds.
 *
 * Read once per environment, before anything else of tsloop runs, so it loads nothing and costs microseconds. A value
 * that does not parse is never fatal by itself: the default is used and the problem is handed to the reporter.
 * `docs/operations.md` explains each setting to the person who deploys.
 */

import type { Reason } from '../errors';
import { ArrayPrototypeIncludes } from '../primordials';

/** The parts that can be switched off one by one. */
export const parts = ['net', 'dgram', 'child_process', 'timers'] as const;
export type Part = (typeof parts)[number];

/** Parts that run only where they are asked for: `docs/decisions` says why. */
const optional: readonly Part[] = ['timers'];

/** `random` passes the seat at random between the drivers: a test mode. */
export const drivers = ['auto', 'inline', 'offload', 'random'] as const;
export type Driver = (typeof drivers)[number];

/** More threads than this only contend for the one readiness set of an environment. */
export const MAX_THREADS = 16;

export interface Config {
  /** False after `TSLOOP=off`. */
  readonly enabled: boolean;
  readonly disabled: readonly Part[];
  /** Optional parts that were asked for. */
  readonly added: readonly Part[];
  /** A reason to step aside becomes an exit. */
  readonly strict: boolean;
  /** The part of a fleet's processes that is to run on tsloop: see share.ts. */
  readonly share: number;
  /** Where the counters are served; null for nowhere. */
  readonly metrics: string | null;
  readonly driver: Driver;
  /** Makes `random` repeatable; null draws one. */
  readonly seed: number | null;
  readonly threads: number;
  /** Where the native part lies instead of beside the compiled sources. */
  readonly addon: string | null;
  /** `NODE_DEBUG` names tsloop. */
  readonly debug: boolean;
  /** `NODE_OPTIONS` as given: the guard looks for switches that Node itself does not expose. */
  readonly nodeOptions: string;
  /** Settings that did not parse; their defaults are in force. */
  readonly problems: readonly Reason[];
}

/** A setting's value, or what is wrong with the text. */
type Parsed<T> = { readonly value: T } | { readonly expected: string };

interface Setting<T> {
  readonly name: string;
  readonly fallback: T;
  readonly parse: (text: string) => Parsed<T>;
}

const oneOf =
  <T extends string>(choices: readonly T[]) =>
  (text: string): Parsed<T> => {
    const found = choices.find((choice) => choice === text.toLowerCase());
    return found === undefined ? { expected: `one of ${choices.join(', ')}` } : { value: found };
  };

const integer =
  (least: number, most: number) =>
  (text: string): Parsed<number> => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    return value >= least && value <= most ? { value } : { expected: `a whole number from ${least} to ${most}` };
  };

function part(text: string): Parsed<number> {
  const value = /^(?:\d+\.?\d*|\.\d+)$/.test(text) ? Number(text) : Number.NaN;
  return value >= 0 && value <= 1 ? { value } : { expected: 'a number from 0 to 1' };
}

/** A port with the address before it, or a path: lib/metrics/serve.ts takes it apart. */
function place(text: string): Parsed<string> {
  const port = /^(?:\[[\da-f:.]+\]|[^:[\]/]*):(\d{1,5})$/i.exec(text)?.[1];
  const taken = port === undefined ? /^unix:\/./.test(text) : Number(port) <= 0xffff;
  return taken ? { value: text } : { expected: 'host:port or unix:/path' };
}

const yes = ['1', 'on', 'true', 'yes'];
const no = ['0', 'off', 'false', 'no'];

function flag(text: string): Parsed<boolean> {
  const lower = text.toLowerCase();
  if (yes.includes(lower)) return { value: true };
  if (no.includes(lower)) return { value: false };
  return { expected: '1 or 0' };
}

function partList(text: string): Parsed<readonly Part[]> {
  const names = text.split(',').map((name) => name.trim().toLowerCase());
  const known = parts.filter((part) => names.includes(part));
  const odd = names.some((name) => name !== '' && !parts.includes(name as Part));
  return odd ? { expected: `a comma list of ${parts.join(', ')}` } : { value: known };
}

const settings = {
  enabled: { name: 'TSLOOP', fallback: true, parse: flag } as Setting<boolean>,
  disabled: { name: 'TSLOOP_DISABLE', fallback: [], parse: partList } as Setting<readonly Part[]>,
  added: { name: 'TSLOOP_ENABLE', fallback: [], parse: partList } as Setting<readonly Part[]>,
  strict: { name: 'TSLOOP_STRICT', fallback: false, parse: flag } as Setting<boolean>,
  share: { name: 'TSLOOP_SHARE', fallback: 1, parse: part } as Setting<number>,
  metrics: { name: 'TSLOOP_METRICS', fallback: null, parse: place } as Setting<string | null>,
  driver: { name: 'TSLOOP_DRIVER', fallback: 'auto', parse: oneOf(drivers) } as Setting<Driver>,
  seed: { name: 'TSLOOP_SEED', fallback: null, parse: integer(0, 0xffff_ffff) } as Setting<number | null>,
  threads: { name: 'TSLOOP_THREADS', fallback: 1, parse: integer(1, MAX_THREADS) } as Setting<number>,
  addon: { name: 'TSLOOP_ADDON', fallback: null, parse: (value) => ({ value }) } as Setting<string | null>,
};

/** The names of all settings with their defaults, for `tsloop doctor`. */
export const knobs: readonly { readonly key: keyof typeof settings; readonly name: string }[] = (
  Object.keys(settings) as (keyof typeof settings)[]
).map((key) => ({ key, name: settings[key].name }));

/**
 * Names that begin like settings and are none: what our own commands and tests tell their processes, and what Kubernetes puts into
 * every container of a namespace with a service called tsloop, or tsloop-something.
 */
const others =
  /^TSLOOP_(?:(?:TRIAL|DOCTOR|TEST|COMPAT)_|(?:TAGGED|NODE_SUITE)$)|_SERVICE_(?:HOST|PORT)(?:_|$)|_PORT(?:$|_\d+_)/;

/** A name that nobody reads was most likely meant to be one that we do. */
function findUnknown(env: NodeJS.ProcessEnv, problems: Reason[]): void {
  const known = knobs.map(({ name }) => name);
  // Half the price of Object.keys, which asks the process for each variable once more.
  for (const name of Reflect.ownKeys(env) as string[]) {
    if (!name.startsWith('TSLOOP_') || known.includes(name) || others.test(name)) continue;
    const { reason }: typeof import('../errors') = require('../errors');
    const { nearest }: typeof import('./nearest') = require('./nearest');
    const meant = nearest(name, known);
    const guess = meant === null ? '' : `; is ${meant} meant?`;
    problems.push(reason('ERR_TSLOOP_SETTING', `${name} is ignored: there is no such setting${guess}`));
  }
}

/** Whether `NODE_DEBUG` (a comma list with `*` as wildcard, in any case) names tsloop. */
function namesTsloop(sections: string | undefined): boolean {
  if (!sections) return false;
  return sections.split(',').some((section) => {
    const pattern = section
      .trim()
      .replace(/[|\\{}()[\]^$+?.]/g, '\\$&')
      .replaceAll('*', '.*');
    return new RegExp(`^${pattern}$`, 'i').test('tsloop');
  });
}

/** Reads every setting once. Empty values count as absent, as in most shells' idiom for unsetting. */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const problems: Reason[] = [];
  const read = <T>({ name, fallback, parse }: Setting<T>): T => {
    const text = env[name]?.trim();
    if (!text) return fallback;
    const parsed = parse(text);
    if ('value' in parsed) return parsed.value;
    const { reason }: typeof import('../errors') = require('../errors');
    problems.push(reason('ERR_TSLOOP_SETTING', `${name}=${text} is ignored: it takes ${parsed.expected}`));
    return fallback;
  };
  findUnknown(env, problems);
  return {
    enabled: read(settings.enabled),
    disabled: read(settings.disabled),
    added: read(settings.added),
    strict: read(settings.strict),
    share: read(settings.share),
    metrics: read(settings.metrics),
    driver: read(settings.driver),
    seed: read(settings.seed),
    threads: read(settings.threads),
    addon: read(settings.addon),
    debug: namesTsloop(env['NODE_DEBUG']),
    nodeOptions: env['NODE_OPTIONS'] ?? '',
    problems,
  };
}

/** Whether a part is to run. */
export function runs(config: Pick<Config, 'disabled' | 'added'>, part: Part): boolean {
  return (
    !ArrayPrototypeIncludes(config.disabled, part) &&
    (!ArrayPrototypeIncludes(optional, part) || ArrayPrototypeIncludes(config.added, part))
  );
}
