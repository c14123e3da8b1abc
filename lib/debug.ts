/**
 * Lines for `NODE_DEBUG=tsloop`, in the form Node gives its own: `TSLOOP 4711: text`.
 *
 * `util.debuglog` is not used: it writes through `process.stderr`, and touching that while a program is being
 * preloaded loads `net` before its handles are replaced whenever standard error is a pipe. `_rawDebug` is what Node's
 * warnings use: a synchronous write to descriptor 2 that loads nothing.
 */

import { pid, writeError } from './boot/host';

let enabled = false;

/** Switched by the boot sequence, from the one table of settings. */
export function setDebug(on: boolean): void {
  enabled = on;
}

/** Whether lines are written: for callers whose text is costly to build. */
export function isDebug(): boolean {
  return enabled;
}

/** Writes one line if asked for. */
export function debug(text: string): void {
  if (enabled) writeLine(`TSLOOP ${pid}: ${text}`);
}

/** Writes one line to descriptor 2 at once, without loading a stream. */
export function writeLine(text: string): void {
  writeError(text);
}
