/** What the public functions do, in the copy of tsloop that is in force in this thread (see instance.ts). */

import { syncBuiltinESMExports } from 'node:module';
import { fallbacks } from './bindings/fallback';
import { readConfig } from './boot/config';
import { findAddon } from './boot/found';
import { mayRun } from './boot/guard';
import { env } from './boot/host';
import { findEnvironment, load, loadedAddon } from './context/environment';
import { type Code, TsloopError } from './errors';
import { install as attach, uninstall as detach, hasClasses, settleStanding } from './install';
import { buildInfo as readBuildInfo } from './native';
import { standing, stepBack } from './standing';
import { glance, readStats, resetStats, type ThreadCounts } from './stats';
import type { BuildInfo, Status } from './status';

/** How things are, for who looks from time to time: see lib/metrics. */
export interface Reading {
  readonly status: Status;
  /** Every thread of the process that has opened a handle. */
  readonly threads: readonly ThreadCounts[];
  /** Of the asking thread. */
  readonly fallbacks: Readonly<Record<string, number>>;
}

/** The functions that one copy hands to another. */
export interface Api {
  status(): Status;
  isActive(): boolean;
  stats: typeof readStats;
  resetStats: typeof resetStats;
  scrape(): Reading;
  buildInfo(): BuildInfo;
  install(): boolean;
  uninstall(): void;
}

const { version } = require('../package.json') as { version: string };

function status(): Status {
  settleStanding();
  const environment = hasClasses() ? findEnvironment() : null;
  const driver =
    environment === null ? (standing().config?.driver ?? null) : environment.offloaded ? 'offload' : 'inline';
  return {
    active: standing().active,
    reason: standing().active ? null : whyNot(),
    driver: standing().active ? driver : null,
    version,
  };
}

/** Why it is not active: what was found, that somebody wanted it so, or that nobody has loaded the preload here. */
function whyNot(): Code {
  const { reason, detached } = standing();
  return reason?.code ?? (detached ? 'ERR_TSLOOP_OFF' : 'ERR_TSLOOP_NOT_PRELOADED');
}

function isActive(): boolean {
  settleStanding();
  return standing().active;
}

/** Workers may have handles where this thread has none, so the native part is asked wherever it may be. */
function scrape(): Reading {
  const now = status();
  const { config } = standing();
  const loaded = loadedAddon() ?? (now.active && config !== null ? load(config, findAddon(config)) : null);
  const threads = loaded === null || loaded.reason !== null ? [] : glance(loaded.addon);
  return { status: now, threads, fallbacks: fallbacks() };
}

function buildInfo(): BuildInfo {
  const config = standing().config ?? readConfig(env);
  const loaded = load(config, findAddon(config));
  if (loaded.reason !== null) throw new TsloopError(loaded.reason);
  return readBuildInfo(loaded.addon);
}

function install(): boolean {
  const config = standing().config ?? readConfig(env);
  const why = mayRun(config);
  if (why === null) attach(config);
  else if (!standing().active) stepBack(config, why);
  const active = isActive();
  // The names that ES modules have imported are a view of their own: here as in register.mjs.
  syncBuiltinESMExports();
  return active;
}

function uninstall(): void {
  detach();
  syncBuiltinESMExports();
}

export const api: Api = { status, isActive, stats: readStats, resetStats, scrape, buildInfo, install, uninstall };
