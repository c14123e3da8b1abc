/**
 * What an environment counts, by its place among the numbers that the native part writes: `native/node/src/counters.rs` has the same
 * list (`test/unit/protocol.spec.mts` holds both sides together). Some count since start or `resetStats()`, some tell of now.
 */
export const Counter = {
  accepted: 0,
  connected: 1,
  received: 2,
  sent: 3,
  inlineTurns: 4,
  offloadTurns: 5,
  /** Of the inline ones. */
  directTurns: 6,
  shed: 7,
  acceptFailures: 8,
  readStalls: 9,
  panics: 10,
  spawned: 11,
  seatChanges: 12,
  datagramsReceived: 13,
  datagramsSent: 14,
  datagramsFailed: 15,
  datagramsDropped: 16,
  streams: 17,
  datagrams: 18,
  children: 19,
  queued: 20,
  lingering: 21,
  requests: 22,
  batches: 23,
  arrived: 24,
  outbound: 25,
  /** Seconds of processor time of the offload driver's thread: no counter of ours, so never set back. */
  driverTime: 26,
} as const;

/** How many numbers an environment has. */
export const COUNTERS = 27;
