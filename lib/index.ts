/**
 * The public API: what tsloop is doing in this thread. Requiring it starts nothing and loads next to nothing: what a
 * function needs comes when it is called, from whichever copy of tsloop is in force.
 */

import { claim, instance } from './instance';
import type { Stats } from './stats';
import type { BuildInfo, Status } from './status';

export type { BuildInfo, Stats, Status };

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
  claim();
  return instance().install();
}

/** Detaches it: handles made from here on are Node's; open ones go on. */
export function uninstall(): void {
  instance().uninstall();
}
