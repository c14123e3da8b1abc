/** Counters: what the native part counts, and what lib/ does. Of this thread, exactly; and of all threads, at a glance. */

import { liveChildren } from './bindings/child';
import { liveDatagrams } from './bindings/datagram';
import { fallbacks, resetFallbacks } from './bindings/fallback';
import { liveStreams } from './bindings/stream';
import { findEnvironment } from './context/environment';
import { readCounters } from './native';
import { COUNTERS, Counter } from './native/counters';
import { ArrayPrototypeFilter, ArrayPrototypePush, ObjectKeys } from './primordials';
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

/** The counters of one thread by name, without those that only lib/ knows. */
export interface ThreadCounts {
  /** 0 is the main thread; Workers have numbers in the order in which they opened their first handle. */
  readonly thread: number;
  readonly counts: Readonly<Record<keyof typeof Counter, number>>;
}

/**
 * Counters of this thread. Everything asked for so far is carried out first, so what a program has done is in them; who looks
 * from time to time and must not disturb asks {@link glance}.
 */
export function readStats(): Stats {
  const environment = findEnvironment();
  const memory = new Float64Array(COUNTERS);
  environment?.settle();
  environment?.native.stats(memory.buffer as ArrayBuffer);
  const count = (which: keyof typeof Counter): number => memory[Counter[which]] as number;
  const open = ArrayPrototypeFilter(liveStreams(), (stream) => stream.open).length;
  return {
    connections: {
      accepted: count('accepted'),
      connected: count('connected'),
      open,
      shed: count('shed'),
      acceptFailures: count('acceptFailures'),
    },
    bytes: { received: count('received'), sent: count('sent') },
    queues: {
      writeBytes: count('queued'),
      requests: count('requests'),
      batches: count('batches'),
      lingering: count('lingering'),
    },
    datagrams: {
      received: count('datagramsReceived'),
      sent: count('datagramsSent'),
      failed: count('datagramsFailed'),
      dropped: count('datagramsDropped'),
      waiting: count('arrived'),
      sendBytes: count('outbound'),
      open: ArrayPrototypeFilter(liveDatagrams(), (socket) => !socket.closed).length,
    },
    children: {
      spawned: count('spawned'),
      running: ArrayPrototypeFilter(liveChildren(), (child) => child.running).length,
    },
    turns: { inline: count('inlineTurns'), offload: count('offloadTurns'), direct: count('directTurns') },
    seatChanges: count('seatChanges'),
    readStalls: count('readStalls'),
    panics: count('panics'),
    timers: timerCounts(),
    fallbacks: fallbacks(),
  };
}

/**
 * The counters of every thread that has an environment, as they are: nothing is handed over for it, and each reactor's lock is
 * held for as long as a copy takes.
 */
export function glance(addon: unknown): ThreadCounts[] {
  const numbers = readCounters(addon);
  const names = ObjectKeys(Counter) as (keyof typeof Counter)[];
  const found: ThreadCounts[] = [];
  for (let at = 0; at + COUNTERS < numbers.length; at += COUNTERS + 1) {
    const counts = { __proto__: null } as unknown as Record<keyof typeof Counter, number>;
    for (let index = 0; index < names.length; index += 1) {
      const name = names[index] as keyof typeof Counter;
      counts[name] = numbers[at + 1 + Counter[name]] as number;
    }
    ArrayPrototypePush(found, { thread: numbers[at] as number, counts });
  }
  return found;
}

/** Counts from zero again. */
export function resetStats(): void {
  findEnvironment()?.native.resetStats();
  resetTimerCounts();
  resetFallbacks();
}
