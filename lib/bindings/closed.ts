/**
 * What calls on a handle answer once `close` was called. Node's handles go through three stages: closing, without a
 * descriptor; closed, while the close callback runs; and dead, with no native handle behind them any more.
 */

import { errno } from '../native';

/** How far a socket is. */
interface Closed {
  /** The close callback runs, or ran. */
  readonly gone: boolean;
  readonly dead: boolean;
}

/** What Node's methods answer that find no native handle and have no error for that. */
export const NOTHING = undefined as unknown as number;

/** Methods of every native stream: their own answer at first, EINVAL in the callback, nothing after it. */
export function afterClose(stream: Closed, closing: number): number {
  if (stream.dead) return NOTHING;
  return stream.gone ? errno.EINVAL : closing;
}

/** Methods of TCP sockets, which answer EBADF where the others answer nothing. */
export function afterCloseTcp(stream: Closed, before: number): number {
  return stream.dead ? errno.EBADF : before;
}

/** Methods of pipes that are no stream's. */
export function afterClosePipe(stream: Closed, before: number): number {
  return stream.dead ? NOTHING : before;
}
