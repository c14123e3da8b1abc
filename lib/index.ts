/**
 * The public API: what tsloop is doing in this thread. Requiring it starts nothing and loads next to nothing: what a
 * function needs comes when it is called, from whichever copy of tsloop is in force.
 */

import { instance } from './instance';
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
  /** Of the copy that is in force. */
  readonly version: string;
}

/** What the native part was built from. */
export interface BuildInfo {
  readonly version: string;
  readonly target: string;
  readonly profile: string;
}

/** Whether new handles are tsloop's, and who drives. */
export function status(): Status {
  return instance().status();
}

/** True when new handles are tsloop's. */
export function isActive(): boolean {
  return instance().isActive();
}

/** Counters of this thread. */
export function stats(): Stats {
  return instance().stats();
}

/** Counts from zero again. */
export function resetStats(): void {
  instance().resetStats();
}

/**
 * What the native part was built from; loads it.
 *
 * @throws TsloopError when it cannot be loaded.
 */
export function buildInfo(): BuildInfo {
  return instance().buildInfo();
}

/** Attaches tsloop in this thread, as the preload does. True when it is active afterwards. */
export function install(): boolean {
  return instance().install();
}

/** Detaches it: handles made from here on are Node's; open ones go on. */
export function uninstall(): void {
  instance().uninstall();
}
