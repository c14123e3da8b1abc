/** What is inside a handle of ours of any class, for those to whom it does not matter which. */

import type { NativeHandle } from '../shapes';
import type { Datagram } from './datagram';
import { settledDescriptor } from './descriptors';
import type { Stream } from './stream';
import { streamOf } from './stream-handle';
import { datagramOf } from './udp-wrap';

/** Null for what is none of ours. */
export function insideOf(handle: unknown): Stream | Datagram | null {
  return streamOf(handle) ?? datagramOf(handle);
}

/** The descriptor of a handle of anybody's that a child is to have. */
export function descriptorOf(handle: unknown): number {
  const inside = insideOf(handle);
  return inside === null ? ((handle as NativeHandle | null | undefined)?.fd ?? -1) : settledDescriptor(inside);
}
