/** When Node's own handle is used instead of ours, with the reason counted for `stats()`. */

export type FallbackReason = 'stdio' | 'ipc' | 'child-stdio' | 'unavailable' | 'disabled';

const counts = new Map<FallbackReason, number>();

/** Notes one handle of Node's that might have been ours. */
export function countFallback(why: FallbackReason): void {
  counts.set(why, (counts.get(why) ?? 0) + 1);
}

/** Reasons and how often each applied. */
export function fallbacks(): Record<string, number> {
  return Object.fromEntries(counts);
}

/** Starts counting anew. */
export function resetFallbacks(): void {
  counts.clear();
}
