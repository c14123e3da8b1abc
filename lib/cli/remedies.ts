/**
 * What to do about each code, and about each reason for a handle of Node's: `docs/errors.md` and `docs/operations.md` say the same at
 * more length.
 */

import type { FallbackReason } from '../bindings/fallback';
import type { Code } from '../errors';

export const remedies: Readonly<Record<Code, string>> = {
  ERR_TSLOOP_OFF: 'It was asked for: take TSLOOP=off out of the environment.',
  ERR_TSLOOP_DISABLED: 'It was asked for: take parts out of TSLOOP_DISABLE.',
  ERR_TSLOOP_SHARE: 'It was asked for: TSLOOP_SHARE=1, or none, runs every process on tsloop.',
  ERR_TSLOOP_NOT_PRELOADED:
    'Start Node with the line below; a preload in NODE_OPTIONS reaches children and Workers too.',
  ERR_TSLOOP_UNSUPPORTED_NODE: 'Run it with a Node.js that tsloop supports: 20 or later.',
  ERR_TSLOOP_UNSUPPORTED_RUNTIME: 'Leave the preload out there: tsloop is made for Node.js.',
  ERR_TSLOOP_UNSUPPORTED_PLATFORM: 'Run it where there is a native part: SUPPORTED_PLATFORMS.md has the list.',
  ERR_TSLOOP_PERMISSION:
    "Run it without Node's permission model, which keeps addons and bindings away, or without tsloop.",
  ERR_TSLOOP_NO_ADDONS: 'Run it without --no-addons, or without tsloop.',
  ERR_TSLOOP_SNAPSHOT: 'Leave the preload out of the step that builds the snapshot.',
  ERR_TSLOOP_ADDON_MISSING: 'Install tsloop anew on this system; in a checkout: npm run build:native.',
  ERR_TSLOOP_ADDON_UNLOADABLE:
    'The loader says why: often another C library than that of the machine it was installed on, or a file system mounted noexec.',
  ERR_TSLOOP_SEAM: 'Please report it with the version of Node.js; until then the program runs on plain Node.',
  ERR_TSLOOP_REACTOR:
    'Let the filter (seccomp) pass epoll_create1, epoll_ctl, epoll_wait and eventfd2, and leave descriptors.',
  ERR_TSLOOP_SETTING: 'Correct the setting; its default is in force.',
  ERR_TSLOOP_METRICS: 'Give TSLOOP_METRICS another address, or one for each process: unix:/path-%p.',
  ERR_TSLOOP_INTERNAL: 'Please report it, with the sentence.',
};

/** Handles that are Node's by design: never a fault, and nothing to do about. */
const design: readonly string[] = ['stdio', 'ipc'] satisfies FallbackReason[];

const fallbackRemedies: Readonly<Record<Exclude<FallbackReason, 'stdio' | 'ipc'>, string>> = {
  'child-stdio': "pipes of children that Node's own Process started: see child_process above",
  'no-pidfd': 'the kernel has no pidfd (before Linux 5.4) or a filter refuses it: let pidfd_open and waitid pass',
  uninstalled: 'uninstall() was called',
  traced: 'trace events of node.net come from Node’s own handles: start without --trace-event-categories',
  disabled: 'TSLOOP_DISABLE=net was asked for',
  unavailable: 'the native part could not be loaded, or the reactor not opened, when the first handle was made',
};

export function isByDesign(fallback: string): boolean {
  return design.includes(fallback);
}

/** What a fallback is about. */
export function aboutFallback(fallback: string): string {
  return (fallbackRemedies as Readonly<Record<string, string>>)[fallback] ?? 'no reason that this version knows';
}

/** What to do about a code that may be another version's. */
export function remedyFor(code: string): string | null {
  return (remedies as Readonly<Record<string, string>>)[code] ?? null;
}
