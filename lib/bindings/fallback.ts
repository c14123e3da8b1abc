/** When Node's own handle is used instead of ours, with the reason counted for `stats()`. */

import { isMakingStdio } from '../hooks/stdio';
import { SafeMap } from '../primordials';

export type FallbackReason = 'stdio' | 'ipc' | 'child-stdio' | 'unavailable' | 'uninstalled' | 'disabled' | 'no-pidfd';

const counts = new SafeMap<FallbackReason, number>();

let detached = false;

/** `uninstall()` and its opposite: lib/ keeps the classes it has read. */
export function setDetached(on: boolean): void {
  detached = on;
}

/** Why the handle that lib/ asks for now is to be Node's, whatever else holds; null if it is not. */
export function whyNative(): FallbackReason | null {
  if (isMakingStdio()) return 'stdio';
  return detached ? 'uninstalled' : null;
}

/** Notes one handle of Node's that might have been ours. */
export function countFallback(why: FallbackReason): void {
  counts.set(why, (counts.get(why) ?? 0) + 1);
}

/** Reasons and how often each applied. */
export function fallbacks(): Record<string, number> {
  const found: Record<string, number> = {};
  counts.forEach((count, why) => {
    found[why] = count;
  });
  return found;
}

/** Starts counting anew. */
export function resetFallbacks(): void {
  counts.clear();
}
