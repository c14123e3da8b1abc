/**
 * Descriptors by their numbers: which of our handles is meant when a program names one, and what follows. Numbers cross where
 * a program listens on, opens or hands to a child what a handle of ours has already.
 */

import { openEnvironment } from '../environment';
import { ArrayPrototypeFind, ArrayPrototypeSome } from '../primordials';
import { type Datagram, liveDatagrams } from './datagram';
import { env, LAST_STANDARD, liveStreams, type Stream } from './stream';

/** Whether a handle of ours works on a descriptor, which libuv would find watched already (`EEXIST`). */
export function isWatched(fd: number): boolean {
  if (fd <= LAST_STANDARD || openEnvironment() === null) return false;
  const works = (one: Stream | Datagram): boolean => one.fd === fd && one.watched;
  return ArrayPrototypeSome(liveStreams(), works) || ArrayPrototypeSome(liveDatagrams(), works);
}

/** The descriptor of one of our handles, with nothing under way in the reactor. */
export function settledDescriptor(inside: Stream | Datagram): number {
  // From here on it is not ours alone: what waits in the kernel is left to whoever comes for it first.
  inside.share();
  env().settle();
  return inside.fd;
}

/** A child is to have a descriptor by its number: one of ours is settled and shared, as if it went by its handle. */
export function settleNumber(fd: number): void {
  if (fd <= LAST_STANDARD || openEnvironment() === null) return;
  const same = (one: Stream | Datagram): boolean => one.fd === fd;
  const inside = ArrayPrototypeFind(liveStreams(), same) ?? ArrayPrototypeFind(liveDatagrams(), same);
  if (inside !== undefined) settledDescriptor(inside);
}
