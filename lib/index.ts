/**
 * The public API: what tsloop is doing in this thread. Requiring it starts nothing and loads next to nothing: what a
 * function needs comes when it is called.
 */

import { readConfig } from './boot/config';
import { mayRun } from './boot/guard';
import { TsloopError } from './errors';
import { install as attach, uninstall as detach, hasClasses, settleStanding, standing } from './install';
import type { Stats } from './stats';

export type { Stats };

/** How this thread stands. */
export interface Status {
  /** New handles are tsloop's. */
  readonly active: boolean;
  /** Why not, as a permanent code; null when active. */
  readonly reason: string | null;
  /** `inline` or `offload`: who has the seat; the configured choice while no handle has been made. */
  readonly driver: 'auto' | 'inline' | 'offload' | 'random' | null;
  readonly version: string;
}

/** What the native part was built from. */
export interface BuildInfo {
  readonly version: string;
  readonly target: string;
  readonly profile: string;
}

const { version } = require('../package.json') as { version: string };

const environments = (): typeof import('./environment') => require('./environment');
const counters = (): typeof import('./stats') => require('./stats');

/** Whether new handles are tsloop's, and who drives. */
export function status(): Status {
  settleStanding();
  const environment = hasClasses() ? environments().openEnvironment() : null;
  const driver =
    environment === null ? (standing.config?.driver ?? null) : environment.offloaded ? 'offload' : 'inline';
  return {
    active: standing.active,
    reason: standing.active ? null : (standing.reason?.code ?? 'ERR_TSLOOP_OFF'),
    driver: standing.active ? driver : null,
    version,
  };
}

/** True when new handles are tsloop's. */
export function isActive(): boolean {
  settleStanding();
  return standing.active;
}

/** Counters of this thread. */
export function stats(): Stats {
  return counters().readStats();
}

/** Counts from zero again. */
export function resetStats(): void {
  counters().resetStats();
}

/**
 * What the native part was built from; loads it.
 *
 * @throws TsloopError when it cannot be loaded.
 */
export function buildInfo(): BuildInfo {
  const native: typeof import('./native') = require('./native');
  const loaded = environments().load(standing.config ?? readConfig(process.env));
  if ('reason' in loaded) throw new TsloopError(loaded.reason);
  return native.buildInfo(loaded.addon);
}

/** Attaches tsloop in this thread, as the preload does. True when it is active afterwards. */
export function install(): boolean {
  const config = standing.config ?? readConfig(process.env);
  const why = mayRun(config);
  if (why === null) attach(config);
  else Object.assign(standing, { config, reason: why });
  return isActive();
}

/** Detaches it: handles made from here on are Node's; open ones go on. */
export function uninstall(): void {
  detach();
}
