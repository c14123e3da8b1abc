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
  driver: { name: 'TSLOOP_DRIVER', fallback: 'auto', parse: oneOf(drivers) } as Setting<Driver>,
  seed: { name: 'TSLOOP_SEED', fallback: null, parse: integer(0, 0xffff_ffff) } as Setting<number | null>,
  threads: { name: 'TSLOOP_THREADS', fallback: 1, parse: integer(1, MAX_THREADS) } as Setting<number>,
  addon: { name: 'TSLOOP_ADDON', fallback: null, parse: (value) => ({ value }) } as Setting<string | null>,
};

/** The names of all settings with their defaults, for `tsloop doctor`. */
export const knobs: readonly { readonly key: keyof typeof settings; readonly name: string }[] = (
  Object.keys(settings) as (keyof typeof settings)[]
).map((key) => ({ key, name: settings[key].name }));

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
  return {
    enabled: read(settings.enabled),
    disabled: read(settings.disabled),
    added: read(settings.added),
    strict: read(settings.strict),
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
