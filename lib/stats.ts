/** Counters of this thread: what the native part counts, in the order of `native/core/src/stats.rs`, and what lib/ does. */

import { liveChildren } from './bindings/child';
import { liveDatagrams } from './bindings/datagram';
import { fallbacks, resetFallbacks } from './bindings/fallback';
import { liveStreams, type StreamEnvironment } from './bindings/stream';
import { openEnvironment } from './environment';
import { Control } from './native/protocol';
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
  const environment: StreamEnvironment | null = openEnvironment();
  const memory = new ArrayBuffer(17 * 8);
  environment?.settle();
  environment?.native.stats(memory);
  const [
    accepted = 0,
    connected = 0,
    received = 0,
    sent = 0,
    inline = 0,
    offload = 0,
    shed = 0,
    acceptFailures = 0,
    readStalls = 0,
    panics = 0,
  ] = new Float64Array(memory);
  const [writeBytes = 0, lingering = 0, requests = 0, batches = 0, spawned = 0, direct = 0] = new Float64Array(
    memory,
    11 * 8,
  );
  const datagrams = new ArrayBuffer(7 * 8);
  environment?.native.datagramStats(datagrams);
  const [arrived = 0, left = 0, failed = 0, dropped = 0, waiting = 0, sendBytes = 0] = new Float64Array(datagrams);
  const open = liveStreams().filter((stream) => stream.open).length;
  return {
    connections: { accepted, connected, open, shed, acceptFailures },
    bytes: { received, sent },
    queues: { writeBytes, requests, batches, lingering },
    datagrams: {
      received: arrived,
      sent: left,
      failed,
      dropped,
      waiting,
      sendBytes,
      open: liveDatagrams().filter((socket) => !socket.closed).length,
    },
    children: { spawned, running: liveChildren().filter((child) => child.running).length },
    turns: { inline, offload, direct },
    seatChanges: ((environment?.control[Control.seatChanges] ?? 0) - seatChangesBefore) | 0,
    readStalls,
    panics,
    timers: timerCounts(),
    fallbacks: fallbacks(),
  };
}

/** Counts from zero again. */
export function resetStats(): void {
  const environment: StreamEnvironment | null = openEnvironment();
  environment?.native.resetStats();
  seatChangesBefore = environment?.control[Control.seatChanges] ?? 0;
  resetTimerCounts();
  resetFallbacks();
}
