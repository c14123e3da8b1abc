/** The handle of an accepted connection: outside any store, triggered by its server. */

import type { Shell, Stream } from './stream';

/** The stream inside a handle. */
export const kStream: unique symbol = Symbol('tsloop.stream');

/** A handle of ours, as far as others than its class see it. */
export interface StreamHandle extends Shell {
  readonly [kStream]: Stream;
  reading: boolean;
  close(callback?: () => void): void;
}

/** What the classes are told that a handle is for. */
export const SOCKET = 0;
export const SERVER = 1;

/** While one is made: the async id of who accepted it. */
let acceptedBy = 0;

/** Who accepts the connection whose handle is being made; 0 where lib/ makes the handle. */
export function acceptor(): number {
  return acceptedBy;
}

/** Makes it. */
export function makeAccepted(server: Stream): StreamHandle {
  const Handle = server.handle.constructor as new (type: number) => StreamHandle;
  acceptedBy = server.scope.asyncId();
  try {
    return new Handle(SOCKET);
  } finally {
    acceptedBy = 0;
  }
}
