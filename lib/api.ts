/** What the public functions do, in the copy of tsloop that is in force in this thread (see instance.ts). */

import { syncBuiltinESMExports } from 'node:module';
import { readConfig } from './boot/config';
import { findAddon } from './boot/found';
import { mayRun } from './boot/guard';
import { env } from './boot/host';
import { findEnvironment, load } from './context/environment';
import { TsloopError } from './errors';
import { install as attach, uninstall as detach, hasClasses, settleStanding } from './install';
import { buildInfo as readBuildInfo } from './native';
import { standing, stepBack } from './standing';
import { readStats, resetStats } from './stats';
import type { BuildInfo, Status } from './status';

/** The functions that one copy hands to another. */
export interface Api {
  status(): Status;
  isActive(): boolean;
  stats: typeof readStats;
  resetStats: typeof resetStats;
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
    reason: standing().active ? null : (standing().reason?.code ?? 'ERR_TSLOOP_OFF'),
    driver: standing().active ? driver : null,
    version,
  };
}

function isActive(): boolean {
  settleStanding();
  return standing().active;
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

export const api: Api = { status, isActive, stats: readStats, resetStats, buildInfo, install, uninstall };
