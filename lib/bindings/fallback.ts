/** When Node's own handle is used instead of ours, with the reason counted for `stats()`. */

import { announce } from '../boot/announce';
import { env, execArgv } from '../boot/host';
import { SafeMap } from '../collections';
import { ArrayPrototypeSome, StringPrototypeIncludes, StringPrototypeSplit } from '../primordials';
import { isMakingStdio, standing } from '../standing';

export type FallbackReason =
  | 'stdio'
  | 'ipc'
  | 'child-stdio'
  | 'unavailable'
  | 'uninstalled'
  | 'disabled'
  | 'no-pidfd'
  | 'traced';

const counts = new SafeMap<FallbackReason, number>();

let traced: boolean | undefined;

/**
 * Whether trace events of the network are recorded: they come from Node's own handles and from nowhere else, so whoever asks for
 * them by name gets those. Asked once; the module that knows is loaded only where something is traced.
 */
function isTraced(): boolean {
  if (traced !== undefined) return traced;
  traced = false;
  try {
    const asks = (option: string): boolean => StringPrototypeIncludes(option, '--trace-event');
    if (ArrayPrototypeSome(execArgv, asks) || asks(env['NODE_OPTIONS'] ?? '')) {
      const enabled = (require('node:trace_events') as typeof import('node:trace_events')).getEnabledCategories() ?? '';
      traced = ArrayPrototypeSome(
        StringPrototypeSplit(enabled, ','),
        (category) => category === 'node.net' || category === 'node.net.native',
      );
    }
  } catch {
    // No thread but the main one may ask, and nothing is recorded of the others.
  }
  return traced;
}

/** Why the handle that lib/ asks for now is to be Node's, whatever else holds; null if it is not. */
export function whyNative(): FallbackReason | null {
  if (isMakingStdio()) return 'stdio';
  if (standing().detached) return 'uninstalled';
  return isTraced() ? 'traced' : null;
}

/** Notes one handle of Node's that might have been ours. */
export function countFallback(why: FallbackReason): void {
  counts.set(why, (counts.get(why) ?? 0) + 1);
  announce('fallback', { __proto__: null, reason: why });
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
