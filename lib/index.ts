/** The public API: what tsloop is doing in this thread. Requiring it starts nothing. */

import { fallbacks, resetFallbacks } from './bindings/fallback';
import { liveStreams, type StreamEnvironment } from './bindings/stream';
import { readConfig } from './boot/config';
import { mayRun } from './boot/guard';
import { load, openEnvironment } from './environment';
import { TsloopError } from './errors';
import { install as attach, uninstall as detach, standing } from './install';
import { buildInfo as nativeBuildInfo } from './native';
import { Control } from './native/protocol';

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

/** Counters of this thread since start or {@link resetStats}. */
export interface Stats {
  readonly connections: {
    readonly accepted: number;
    readonly connected: number;
    readonly open: number;
    readonly shed: number;
  };
  readonly bytes: { readonly received: number; readonly sent: number };
  /** What waits: bytes for the kernel, requests for the offload driver, batches for JavaScript, closed sockets with bytes to send. */
  readonly queues: {
    readonly writeBytes: number;
    readonly requests: number;
    readonly batches: number;
    readonly lingering: number;
  };
  readonly turns: { readonly inline: number; readonly offload: number };
  readonly seatChanges: number;
  readonly readStalls: number;
  readonly panics: number;
  /** Handles of Node's that were used instead, by reason. */
  readonly fallbacks: Readonly<Record<string, number>>;
}

/** What the native part was built from. */
export interface BuildInfo {
  readonly version: string;
  readonly target: string;
  readonly profile: string;
}

const { version } = require('../package.json') as { version: string };

let seatChangesBefore = 0;

/** Whether new handles are tsloop's, and who drives. */
export function status(): Status {
  const environment = openEnvironment() as StreamEnvironment | null;
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
  return standing.active;
}

/** Counters of this thread. */
export function stats(): Stats {
  const environment = openEnvironment() as StreamEnvironment | null;
  const memory = new ArrayBuffer(16 * 8);
  environment?.settle();
  environment?.native.stats(memory);
  const [
    accepted = 0,
    connected = 0,
    received = 0,
    sent = 0,
    inline = 0,
    offload = 0,
    shed = 0,
    readStalls = 0,
    panics = 0,
  ] = new Float64Array(memory);
  const [writeBytes = 0, lingering = 0, requests = 0, batches = 0] = new Float64Array(memory, 10 * 8);
  const open = liveStreams().filter((stream) => stream.open).length;
  return {
    connections: { accepted, connected, open, shed },
    bytes: { received, sent },
    queues: { writeBytes, requests, batches, lingering },
    turns: { inline, offload },
    seatChanges: ((environment?.control[Control.seatChanges] ?? 0) - seatChangesBefore) | 0,
    readStalls,
    panics,
    fallbacks: fallbacks(),
  };
}

/** Counts from zero again. */
export function resetStats(): void {
  const environment = openEnvironment() as StreamEnvironment | null;
  environment?.native.resetStats();
  seatChangesBefore = environment?.control[Control.seatChanges] ?? 0;
  resetFallbacks();
}

/**
 * What the native part was built from; loads it.
 *
 * @throws TsloopError when it cannot be loaded.
 */
export function buildInfo(): BuildInfo {
  const loaded = load(standing.config ?? readConfig(process.env));
  if ('reason' in loaded) throw new TsloopError(loaded.reason.code, loaded.reason.message);
  return nativeBuildInfo(loaded.addon);
}

/** Attaches tsloop in this thread, as the preload does. True when it is active afterwards. */
export function install(): boolean {
  const config = standing.config ?? readConfig(process.env);
  if (mayRun(config) === null) attach(config);
  return standing.active;
}

/** Detaches it: handles made from here on are Node's; open ones go on. */
export function uninstall(): void {
  detach();
}
