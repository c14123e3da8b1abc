/**
 * Says once that tsloop steps aside, and no more: the program goes on as on plain Node.
 *
 * One warning per process. Workers are told through `worker_threads`' environment data, the only channel that
 * reaches them and nobody else; that module is loaded only when there is something to say. `TSLOOP_STRICT=1` turns
 * the reason into an exit, for continuous integration and benchmarks, where a silent fallback would lie.
 */

import { debug, writeLine } from '../debug';
import { type Reason, reason, wasAsked } from '../errors';
import { ArrayPrototypeJoin, ArrayPrototypeMap } from '../primordials';
import { announce } from './announce';
import type { Config } from './config';
import { emitWarning, exit } from './host';

/** `EX_CONFIG` of sysexits; Node's own exit codes lie between 1 and 14 and above 128. */
export const STRICT_EXIT_CODE = 78;

const REPORTED = 'tsloop.reported';

/** What reporting touches, so that the tests can stand in for it. */
export interface Outlet {
  warn(message: string, code: string): void;
  writeLine(text: string): void;
  exit(code: number): void;
  /** Marks the process as told; false if it was already. */
  claim(): boolean;
}

const system: Outlet = {
  warn: (message, code) => emitWarning(message, 'TsloopWarning', code),
  writeLine,
  exit,
  claim() {
    // Loaded here, not at the top: most processes have nothing to report.
    const threads: typeof import('node:worker_threads') = require('node:worker_threads');
    if (threads.getEnvironmentData(REPORTED) !== undefined) return false;
    threads.setEnvironmentData(REPORTED, true);
    return true;
  },
};

/** Reports why tsloop does not run here, or does not honour a setting. */
export function report(why: Reason, config: Config, outlet: Outlet = system): void {
  debug(`${why.code}: ${why.message}`);
  if (wasAsked(why)) return;
  if (config.strict) {
    outlet.writeLine(`tsloop: ${why.message} [${why.code}] (TSLOOP_STRICT)`);
    outlet.exit(STRICT_EXIT_CODE);
    return;
  }
  announce('warning', { __proto__: null, code: why.code, message: why.message });
  if (why.quiet || !outlet.claim()) return;
  const consequence = why.code === 'ERR_TSLOOP_SETTING' ? '' : "; Node's own handles are used";
  outlet.warn(`tsloop: ${why.message}${consequence}`, why.code);
}

/** Reports the settings that did not parse, in one sentence; their defaults are in force. */
export function reportProblems(config: Config, outlet: Outlet = system): void {
  if (config.problems.length === 0) return;
  const texts = ArrayPrototypeMap(config.problems, (problem) => problem.message);
  report(reason('ERR_TSLOOP_SETTING', ArrayPrototypeJoin(texts, '; ')), config, outlet);
}
