/**
 * The table of metrics, under the names that OpenTelemetry would give them: what each tells, and where it is read. Every way to
 * hand them on (text for Prometheus, prom-client, OpenTelemetry) is made from this.
 */

import type { Reading } from '../api';
import { instance } from '../instance';
import type { Counter } from '../native/counters';
import { ArrayPrototypeForEach, ArrayPrototypePush, ObjectKeys } from '../primordials';

/** A value with what tells it from others of its name. */
export interface Point {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Metric {
  readonly name: string;
  readonly help: string;
  /** `counter` only grows (or begins anew), `level` goes up and down and adds up over processes, `state` does not. */
  readonly kind: 'counter' | 'level' | 'state';
  /** By the Unified Code for Units of Measure, in braces what is only a word. */
  readonly unit: string;
  readonly labels: readonly string[];
  points(reading: Reading): Point[];
}

type Count = keyof typeof Counter;

/** A metric with a point for each thread, or several that another label tells apart. */
function perThread(
  kind: 'counter' | 'level',
  name: string,
  unit: string,
  help: string,
  read: (count: (which: Count) => number) => number,
): Metric {
  return byThread(kind, name, unit, help, null, (count) => [['', read(count)]]);
}

function byThread(
  kind: 'counter' | 'level',
  name: string,
  unit: string,
  help: string,
  label: string | null,
  read: (count: (which: Count) => number) => readonly (readonly [string, number])[],
): Metric {
  return {
    name,
    help,
    kind,
    unit,
    labels: label === null ? ['thread'] : ['thread', label],
    points({ threads }) {
      const points: Point[] = [];
      ArrayPrototypeForEach(threads, ({ thread, counts }) => {
        // Another version of tsloop may be in force, which counts other things.
        const count = (which: Count): number => counts[which] ?? 0;
        ArrayPrototypeForEach(read(count), (pair) => {
          const labels: Record<string, string> = { __proto__: null as never, thread: `${thread}` };
          if (label !== null) labels[label] = pair[0];
          ArrayPrototypePush(points, { labels, value: pair[1] });
        });
      });
      return points;
    },
  };
}

const info: Metric = {
  name: 'tsloop.info',
  help: 'How the thread that was asked stands: always 1, the labels say it.',
  kind: 'state',
  unit: '',
  labels: ['active', 'reason', 'version', 'driver'],
  points: ({ status }) => [
    {
      labels: {
        __proto__: null as never,
        active: status.active ? '1' : '0',
        reason: status.reason ?? '',
        version: status.version,
        driver: status.driver ?? '',
      },
      value: 1,
    },
  ],
};

const fallbacks: Metric = {
  name: 'tsloop.fallbacks',
  help: "Handles of Node's that were used instead, by reason, in the thread that was asked.",
  kind: 'counter',
  unit: '{handle}',
  labels: ['reason'],
  points({ fallbacks: found }) {
    const points: Point[] = [];
    ArrayPrototypeForEach(ObjectKeys(found), (reason) => {
      ArrayPrototypePush(points, { labels: { __proto__: null as never, reason }, value: found[reason] as number });
    });
    return points;
  },
};

const counter = 'counter';
const level = 'level';

export const metrics: readonly Metric[] = [
  info,
  perThread(counter, 'tsloop.connections.accepted', '{connection}', 'Connections that listeners accepted.', (count) =>
    count('accepted'),
  ),
  perThread(counter, 'tsloop.connections.connected', '{connection}', 'Connection attempts that succeeded.', (count) =>
    count('connected'),
  ),
  perThread(
    counter,
    'tsloop.connections.shed',
    '{connection}',
    'Connections accepted and closed at once, as no descriptors were left.',
    (count) => count('shed'),
  ),
  perThread(level, 'tsloop.connections.open', '{connection}', 'Open streams and connection attempts.', (count) =>
    count('streams'),
  ),
  perThread(
    counter,
    'tsloop.accept.failures',
    '{failure}',
    'Times that the kernel refused to hand over a connection, which was tried again.',
    (count) => count('acceptFailures'),
  ),
  perThread(counter, 'tsloop.received', 'By', 'Bytes received on streams.', (count) => count('received')),
  perThread(counter, 'tsloop.sent', 'By', 'Bytes of streams that the kernel took.', (count) => count('sent')),
  byThread(
    counter,
    'tsloop.turns',
    '{turn}',
    "Turns, by who ran them: JavaScript's thread (inline), the same for a stream that libuv watches itself (direct), the driver's thread (offload).",
    'driver',
    (count) => [
      ['inline', count('inlineTurns') - count('directTurns')],
      ['direct', count('directTurns')],
      ['offload', count('offloadTurns')],
    ],
  ),
  perThread(counter, 'tsloop.seat.changes', '{change}', 'Times that the seat passed between the drivers.', (count) =>
    count('seatChanges'),
  ),
  perThread(
    counter,
    'tsloop.driver.cpu',
    's',
    "Processor time of the offload driver's thread, which the utilization of the event loop does not see.",
    (count) => count('driverTime'),
  ),
  perThread(level, 'tsloop.queue.writes', 'By', 'Bytes that wait for the kernel to take them.', (count) =>
    count('queued'),
  ),
  perThread(level, 'tsloop.queue.requests', '{request}', 'Requests that wait for the offload driver.', (count) =>
    count('requests'),
  ),
  perThread(level, 'tsloop.queue.batches', '{batch}', 'Batches of events that wait for JavaScript.', (count) =>
    count('batches'),
  ),
  perThread(level, 'tsloop.lingering', '{socket}', 'Closed sockets of which bytes still leave.', (count) =>
    count('lingering'),
  ),
  perThread(
    counter,
    'tsloop.read.stalls',
    '{stall}',
    'Readings that waited for JavaScript to take what had arrived.',
    (count) => count('readStalls'),
  ),
  perThread(counter, 'tsloop.datagrams.received', '{message}', 'Datagrams received.', (count) =>
    count('datagramsReceived'),
  ),
  perThread(counter, 'tsloop.datagrams.sent', '{message}', 'Datagrams that the kernel took.', (count) =>
    count('datagramsSent'),
  ),
  perThread(
    counter,
    'tsloop.datagrams.failed',
    '{message}',
    'Datagrams that counted as sent and were refused.',
    (count) => count('datagramsFailed'),
  ),
  perThread(
    counter,
    'tsloop.datagrams.dropped',
    '{message}',
    "Datagrams that the kernel dropped, as a socket's buffer was full.",
    (count) => count('datagramsDropped'),
  ),
  perThread(level, 'tsloop.datagrams.waiting', '{message}', 'Datagrams that wait for JavaScript.', (count) =>
    count('arrived'),
  ),
  perThread(level, 'tsloop.datagrams.queue', 'By', 'Bytes of datagrams that wait for the kernel.', (count) =>
    count('outbound'),
  ),
  perThread(level, 'tsloop.datagrams.open', '{socket}', 'Datagram sockets.', (count) => count('datagrams')),
  perThread(counter, 'tsloop.children.spawned', '{child}', 'Children started.', (count) => count('spawned')),
  perThread(level, 'tsloop.children.running', '{child}', 'Children whose end has not been seen yet.', (count) =>
    count('children'),
  ),
  fallbacks,
  perThread(counter, 'tsloop.panics', '{panic}', 'Panics caught: each is a defect of tsloop.', (count) =>
    count('panics'),
  ),
];

/** How things are now. Nothing is handed over for it, and no lock is held for longer than a copy takes. */
export function read(): Reading {
  return instance().scrape();
}
