/**
 * Lines for `NODE_DEBUG=tsloop`, in the form Node gives its own: `TSLOOP 4711: text`.
 *
 * `util.debuglog` is not used: it writes through `process.stderr`, and touching that while a program is being
 * preloaded loads `net` before its handles are replaced whenever standard error is a pipe. `_rawDebug` is what Node's
 * warnings use: a synchronous write to descriptor 2 that loads nothing.
 */

import { pid, writeError } from './boot/host';
import { standing } from './standing';

/** Writes one line if asked for. */
export function debug(text: string): void {
  if (standing().config?.debug) writeLine(`TSLOOP ${pid}: ${text}`);
}

/** Writes one line to descriptor 2 at once, without loading a stream. */
export function writeLine(text: string): void {
  writeError(text);
}
