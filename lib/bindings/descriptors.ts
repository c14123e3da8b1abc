/**
 * Descriptors by their numbers: which of our handles is meant when a program names one, and what follows. Numbers cross where
 * a program listens on, opens or hands to a child what a handle of ours has already.
 */

import { findEnvironment, getEnvironment } from '../context/environment';
import { ArrayPrototypeFind, ArrayPrototypeSome } from '../primordials';
import { type Datagram, liveDatagrams } from './datagram';
import { LAST_STANDARD, liveStreams, type Stream } from './stream';

/** Gives a descriptor that we hold to a handle of Node's; closed if that does not take it. Its answer. */
export function openNative(handle: { open(fd: number): number }, fd: number): number {
  const { native } = getEnvironment();
  const claimed = native.claim(fd);
  if (claimed !== fd) return claimed;
  const status = handle.open(fd);
  if (status !== 0) native.closeDescriptor(fd);
  return status;
}

/** Whether a handle of ours works on a descriptor, which libuv would find watched already (`EEXIST`). */
export function isWatched(fd: number): boolean {
  if (fd <= LAST_STANDARD || findEnvironment() === null) return false;
  const works = (one: Stream | Datagram): boolean => one.fd === fd && one.watched;
  return ArrayPrototypeSome(liveStreams(), works) || ArrayPrototypeSome(liveDatagrams(), works);
}

/** The descriptor of one of our handles, with nothing under way in the reactor. */
export function settledDescriptor(inside: Stream | Datagram): number {
  // From here on it is not ours alone: what waits in the kernel is left to whoever comes for it first.
  inside.share();
  getEnvironment().settle();
  return inside.fd;
}

/** A child is to have a descriptor by its number: one of ours is settled and shared, as if it went by its handle. */
export function settleNumber(fd: number): void {
  if (fd <= LAST_STANDARD || findEnvironment() === null) return;
  const same = (one: Stream | Datagram): boolean => one.fd === fd;
  const inside = ArrayPrototypeFind(liveStreams(), same) ?? ArrayPrototypeFind(liveDatagrams(), same);
  if (inside !== undefined) settledDescriptor(inside);
}
