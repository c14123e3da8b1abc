/**
 * May tsloop run here? A yes (`null`) or a reason; it never throws and loads nothing.
 *
 * Runs first in every environment (main thread and each Worker). Features are asked for, versions are not compared,
 * save the floor that the compiled syntax needs. Whatever it cannot see from outside (an addon of the wrong libc, a
 * kernel call refused by seccomp) shows later and ends in the same place: Node's own handles.
 */

import type { Code, Reason } from '../errors';
import { type Config, parts, runs } from './config';

/** What the guard looks at: `process`, or a fake of it in the tests. */
export interface Host {
  readonly versions: Readonly<Record<string, string | undefined>>;
  readonly platform: string;
  readonly arch: string;
  readonly execArgv: readonly string[];
  /** Present when the permission model is on. */
  readonly permission?: unknown;
  readonly binding?: unknown;
}

/** Oldest line whose handle shapes are known; the compiled sources need its syntax as well. */
const OLDEST_MAJOR = 20;

/** Where a native part exists or can be built: see SUPPORTED_PLATFORMS.md. */
const platforms = ['linux-x64', 'linux-arm64'];

/** They offer Node's interface on another loop, or embed Node's loop in their own. */
const otherRuntimes = ['bun', 'deno', 'electron', 'nw'];

/** Returns why tsloop must step aside, or `null` when it may run. */
export function mayRun(config: Config, host: Host = process as unknown as Host): Reason | null {
  try {
    return firstObstacle(config, host);
  } catch (error) {
    // A host that answers none of these questions is none that we know.
    return reason('ERR_TSLOOP_INTERNAL', String(error));
  }
}

/** The sentences are loaded where there is something to say. */
function reason(code: Code, detail?: string): Reason {
  const errors: typeof import('../errors') = require('../errors');
  return errors.reason(code, detail);
}

/** Loaded where a share is asked for. */
function isChosen(share: number): boolean {
  const chosen: typeof import('./share') = require('./share');
  return chosen.isChosen(share);
}

function firstObstacle(config: Config, host: Host): Reason | null {
  if (!config.enabled) return reason('ERR_TSLOOP_OFF');
  if (!parts.some((part) => runs(config, part))) {
    return reason('ERR_TSLOOP_DISABLED', config.disabled.join(','));
  }
  if (config.share < 1 && !isChosen(config.share)) return reason('ERR_TSLOOP_SHARE', String(config.share));
  const other = otherRuntimes.find((name) => host.versions[name] !== undefined);
  if (other !== undefined) return reason('ERR_TSLOOP_UNSUPPORTED_RUNTIME', other);
  const version = host.versions['node'] ?? 'an unknown version';
  if (!(Number.parseInt(version, 10) >= OLDEST_MAJOR)) return reason('ERR_TSLOOP_UNSUPPORTED_NODE', version);
  const platform = `${host.platform}-${host.arch}`;
  if (!platforms.includes(platform)) return reason('ERR_TSLOOP_UNSUPPORTED_PLATFORM', platform);
  // Under the permission model process.binding throws, even where addons are allowed.
  if (host.permission !== undefined) return reason('ERR_TSLOOP_PERMISSION');
  if (typeof host.binding !== 'function') return reason('ERR_TSLOOP_UNSUPPORTED_NODE', version);
  if (isGiven('--no-addons', config, host)) return reason('ERR_TSLOOP_NO_ADDONS');
  if (host.execArgv.some((option) => option.startsWith('--build-snapshot'))) return reason('ERR_TSLOOP_SNAPSHOT');
  return null;
}

/** Whether a Node switch is on: given on the command line or, where `execArgv` does not show it, by NODE_OPTIONS. */
function isGiven(option: string, config: Config, host: Host): boolean {
  return host.execArgv.includes(option) || config.nodeOptions.split(/\s+/).includes(option);
}
