/** Counters of this thread: what the native part counts, in the order of `native/core/src/stats.rs`, and what lib/ does. */

import { liveChildren } from './bindings/child';
import { liveDatagrams } from './bindings/datagram';
import { fallbacks, resetFallbacks } from './bindings/fallback';
import { liveStreams } from './bindings/stream';
import { type Environment, findEnvironment } from './context/environment';
import { Control } from './native/protocol';
import { ArrayPrototypeFilter } from './primordials';
import { resetTimerCounts, timerCounts } from './timers/public';

/** Counters of this thread since start or {@link resetStats}. */
export interface Stats {
  readonly connections: {
    readonly accepted: number;
    readonly connected: number;
    readonly open: number;
    /** Accepted and closed at once, as no descriptors were left. */
    readonly shed: number;
    /** Times that the kernel refused to hand over a connection, which was tried again. */
    readonly acceptFailures: number;
  };
  readonly bytes: { readonly received: number; readonly sent: number };
  /** What waits: bytes for the kernel, requests for the offload driver, batches for JavaScript, closed sockets with bytes to send. */
  readonly queues: {
    readonly writeBytes: number;
    readonly requests: number;
    readonly batches: number;
    readonly lingering: number;
  };
  /**
   * Datagrams. `failed` counted as sent and were refused; `dropped` were lost by the kernel because its buffer was full;
   * what waits: messages for JavaScript, bytes for the kernel.
   */
  readonly datagrams: {
    readonly received: number;
    readonly sent: number;
    readonly failed: number;
    readonly dropped: number;
    readonly waiting: number;
    readonly sendBytes: number;
    readonly open: number;
  };
  /** Children that were started, and those whose end has not been seen yet. */
  readonly children: { readonly spawned: number; readonly running: number };
  /** Turns by driver; `direct` are those of the inline ones that served a stream which libuv watches itself. */
  readonly turns: { readonly inline: number; readonly offload: number; readonly direct: number };
  readonly seatChanges: number;
  readonly readStalls: number;
  readonly panics: number;
  /** Milliseconds of the timers' wheel that were reached with timers in them, and coarser slots that moved down. */
  readonly timers: { readonly reached: number; readonly moved: number };
  /** Handles of Node's that were used instead, by reason. */
  readonly fallbacks: Readonly<Record<string, number>>;
}

let seatChangesBefore = 0;

/** Counters of this thread. */
export function readStats(): Stats {
  const environment: Environment | null = findEnvironment();
  const memory = new ArrayBuffer(17 * 8);
  environment?.settle();
  environment?.native.stats(memory);
  const counts = new Float64Array(memory);
  const count = (at: number): number => counts[at] as number;
  const datagrams = new ArrayBuffer(7 * 8);
  environment?.native.datagramStats(datagrams);
  const messages = new Float64Array(datagrams);
  const message = (at: number): number => messages[at] as number;
  const open = ArrayPrototypeFilter(liveStreams(), (stream) => stream.open).length;
  return {
    connections: { accepted: count(0), connected: count(1), open, shed: count(6), acceptFailures: count(7) },
    bytes: { received: count(2), sent: count(3) },
    queues: { writeBytes: count(11), requests: count(13), batches: count(14), lingering: count(12) },
    datagrams: {
      received: message(0),
      sent: message(1),
      failed: message(2),
      dropped: message(3),
      waiting: message(4),
      sendBytes: message(5),
      open: ArrayPrototypeFilter(liveDatagrams(), (socket) => !socket.closed).length,
    },
    children: { spawned: count(15), running: ArrayPrototypeFilter(liveChildren(), (child) => child.running).length },
    turns: { inline: count(4), offload: count(5), direct: count(16) },
    seatChanges: ((environment?.control[Control.seatChanges] ?? 0) - seatChangesBefore) | 0,
    readStalls: count(8),
    panics: count(9),
    timers: timerCounts(),
    fallbacks: fallbacks(),
  };
}

/** Counts from zero again. */
export function resetStats(): void {
  const environment: Environment | null = findEnvironment();
  environment?.native.resetStats();
  seatChangesBefore = environment?.control[Control.seatChanges] ?? 0;
  resetTimerCounts();
  resetFallbacks();
}
