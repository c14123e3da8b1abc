/**
 * The one table of tsloop's own codes. A code is permanent, its sentence is not; `docs/errors.md` explains each.
 *
 * What Node itself would report never comes from here: handle methods answer with libuv numbers and Node's lib/
 * builds those exceptions. A code here is either a reason to step aside (a warning at most, the program runs on
 * Node's own handles) or, as `TsloopError`, the answer to a wrong call of the public API.
 */

import { ObjectKeys } from './primordials';

const sentences = {
  ERR_TSLOOP_OFF: () => 'switched off by TSLOOP=off',
  ERR_TSLOOP_DISABLED: (what: string) => `every part is switched off by TSLOOP_DISABLE=${what}`,
  ERR_TSLOOP_SHARE: (share: string) => `not among the processes that TSLOOP_SHARE=${share} has chosen`,
  ERR_TSLOOP_NOT_PRELOADED: () => 'nothing has loaded tsloop/register in this thread, nor called install()',
  ERR_TSLOOP_UNSUPPORTED_NODE: (version: string) =>
    `needs Node.js 20 or later and its binding access, this is ${version}`,
  ERR_TSLOOP_UNSUPPORTED_RUNTIME: (name: string) => `runs on Node.js only, this is ${name}`,
  ERR_TSLOOP_UNSUPPORTED_PLATFORM: (platform: string) => `has no native part for ${platform}`,
  ERR_TSLOOP_PERMISSION: () => "Node's permission model keeps addons and bindings away",
  ERR_TSLOOP_NO_ADDONS: () => 'Node was started with --no-addons',
  ERR_TSLOOP_SNAPSHOT: () => 'a start-up snapshot is being built, which cannot hold native parts',
  ERR_TSLOOP_ADDON_MISSING: (path: string) => `the native part is missing (${path})`,
  ERR_TSLOOP_ADDON_UNLOADABLE: (detail: string) => `the native part cannot be loaded (${detail})`,
  ERR_TSLOOP_SEAM: (detail: string) => `this Node.js differs where tsloop attaches (${detail})`,
  ERR_TSLOOP_REACTOR: (detail: string) => `the reactor cannot start (${detail})`,
  ERR_TSLOOP_SETTING: (detail: string) => detail,
  ERR_TSLOOP_METRICS: (detail: string) => `the metrics cannot be served at ${detail}`,
  ERR_TSLOOP_INTERNAL: (detail: string) => `unexpected failure while starting (${detail})`,
} as const satisfies Record<string, (detail: string) => string>;

/** A permanent code of ours. */
export type Code = keyof typeof sentences;

/** Why tsloop does not run here, or does not do something it was asked for. */
export interface Reason {
  readonly code: Code;
  readonly message: string;
  /** Not worth a warning: it comes of what the program does, and the program is told of that anyway. */
  readonly quiet: boolean;
}

/** Every code, for the documentation check and the tests. */
export const codes = ObjectKeys(sentences) as readonly Code[];

/** Builds a reason from the table. */
export function reason(code: Code, detail = '', quiet = false): Reason {
  return { code, message: sentences[code](detail), quiet };
}

/** Whether the operator asked for this outcome: it is never worth a warning nor a strict exit. */
export function wasAsked(why: Reason): boolean {
  return why.code === 'ERR_TSLOOP_OFF' || why.code === 'ERR_TSLOOP_DISABLED' || why.code === 'ERR_TSLOOP_SHARE';
}

/** A reason on its way to who steps aside for it: seen by nobody else. */
export class Obstacle {
  readonly why: Reason;

  constructor(why: Reason) {
    this.why = why;
  }
}

/** What a caught value says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Thrown by the public API only; nothing throws while a program is being preloaded. */
export class TsloopError extends Error {
  readonly code: Code;

  constructor(why: Reason, options?: ErrorOptions) {
    super(`tsloop: ${why.message}`, options);
    this.name = 'TsloopError';
    this.code = why.code;
  }
}
