/**
 * How this thread stands with tsloop, and what follows for the next handle that lib/ asks for. install.ts moves it on from
 * one state to the next, patches/stdio.ts brackets the making of standard streams; everybody else looks.
 */

import type { Config } from './boot/config';
import type { Reason } from './errors';
import { ReflectApply } from './primordials';

export interface Standing {
  readonly active: boolean;
  /** Why not, where it was not `uninstall()`. */
  readonly reason: Reason | null;
  readonly config: Config | null;
  /** `uninstall()` was called last: lib/ keeps the classes it has read, which answer with Node's handles. */
  readonly detached: boolean;
}

let now: Standing = { active: false, reason: null, config: null, detached: false };

export function standing(): Standing {
  return now;
}

/** New handles are ours from here on. */
export function begin(config: Config): void {
  now = { active: true, reason: null, config, detached: false };
}

/** They are Node's: there is no way, or none any more. */
export function stepBack(config: Config | null, reason: Reason | null): void {
  now = { active: false, reason, config, detached: now.detached };
}

/** They are Node's, as somebody wants it. */
export function leave(): void {
  now = { active: false, reason: now.reason, config: now.config, detached: true };
}

let makingStdio = 0;

/** True while Node makes a standard stream, whose handle stays Node's. */
export function isMakingStdio(): boolean {
  return makingStdio > 0;
}

/** Calls the getter that makes one. */
export function makeStdio(getter: () => unknown): unknown {
  makingStdio += 1;
  try {
    return ReflectApply(getter, process, []);
  } finally {
    makingStdio -= 1;
  }
}
