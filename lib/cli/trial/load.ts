/**
 * The load of one slice: connections that each send a request when the answer to the one before has come, or, with a rate,
 * when a request is due. Latency counts from when it was due: a program that falls behind is not let off by a generator that
 * waits for it.
 */

import { matches, type Received } from './bodies';
import { type Connection, HttpConnection } from './connections';
import { EchoConnection, WebSocketConnection } from './frames';
import { Histogram } from './histogram';
import type { Expected, Request, Target } from './requests';
import { Http2Connection } from './streams';

export interface Plan {
  readonly target: Target;
  readonly requests: readonly Request[];
  /** By request; null where there is nothing to compare with. */
  readonly expected: readonly (Expected | null)[];
  readonly connections: number;
  /** Requests in a second; null: as many as are answered. */
  readonly rate: number | null;
  /** Seconds of load before the window, and of the window. */
  readonly lead: number;
  readonly seconds: number;
}

export interface Tally {
  seconds: number;
  requests: number;
  errors: number;
  mismatches: number;
  statuses: Record<string, number>;
  latency: Histogram;
  /** The first answer that was not the expected one, and the first broken connection. */
  example: { readonly request: number; readonly received: Received } | null;
  error: string | null;
}

export const emptyTally = (): Tally => ({
  seconds: 0,
  requests: 0,
  errors: 0,
  mismatches: 0,
  statuses: {},
  latency: new Histogram(),
  example: null,
  error: null,
});

const now = (): number => performance.now();

/** Every so many answers those are compared without their digits, which costs more than the exchange. */
const SHAPES = 16;

/** Milliseconds for the answers that are under way when a window closes: a program sees no client that hangs up for nothing. */
const DRAIN = 500;

/** Milliseconds to wait before a connection that broke is tried again. */
const AGAIN = 20;

export function connectionTo(target: Target): Connection {
  switch (target.protocol) {
    case 'http':
      return new HttpConnection(target);
    case 'http2':
      return new Http2Connection(target);
    case 'ws':
      return new WebSocketConnection(target);
    case 'tcp':
      return new EchoConnection(target);
  }
}

/** Asks once, on a connection of its own that is given up after some seconds. */
export function ask(connection: Connection, request: Request, seconds: number): Promise<Received> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      connection.close();
      reject(new Error(`no answer to ${request.method} ${request.path} in ${seconds} s`));
    }, seconds * 1000);
    connection.send(request, (error, status, body) => {
      clearTimeout(late);
      if (error === null) resolve({ status, body });
      else reject(error);
    });
  });
}

/** Notes one answer. */
export function note(tally: Tally, plan: Plan, index: number, micros: number, status: number, body: Uint8Array): void {
  tally.requests += 1;
  tally.statuses[status] = (tally.statuses[status] ?? 0) + 1;
  tally.latency.record(micros);
  const expected = plan.expected[index] ?? null;
  if (expected === null) return;
  if (expected.strictness === 'shape' && tally.requests % SHAPES !== 0 && expected.statuses.includes(status)) return;
  if (matches(status, body, expected)) return;
  tally.mismatches += 1;
  tally.example ??= { request: index, received: { status, body: Uint8Array.from(body) } };
}

/** Runs the load of a slice. `opened` is called at the beginning of the window, `closed` at its end: nothing else is counted. */
export function run(plan: Plan, opened: () => void, closed: () => void): Promise<Tally> {
  const tally = emptyTally();
  const connections = Array.from({ length: plan.connections }, () => connectionTo(plan.target));
  let counting = false;
  let over = false;
  let turn = 0;
  let drained = (): void => {};
  /** When each request that is under way, or waits for a connection, was due. */
  const due: number[] = [];
  const idle: Connection[] = [];
  const underWay = new Map<Connection, number>();

  const send = (connection: Connection, from: number): void => {
    const index = turn % plan.requests.length;
    turn += 1;
    underWay.set(connection, from);
    connection.send(plan.requests[index] as Request, (error, status, body) => {
      underWay.delete(connection);
      if (over) {
        if (underWay.size === 0) drained();
        return;
      }
      if (counting && error === null) note(tally, plan, index, (now() - from) * 1000, status, body);
      else if (counting) {
        tally.errors += 1;
        tally.error ??= error?.message ?? null;
      }
      if (error === null) next(connection);
      else setTimeout(() => next(connection), AGAIN);
    });
  };
  const next = (connection: Connection): void => {
    if (over) return;
    const from = plan.rate === null ? now() : due.shift();
    if (from === undefined) idle.push(connection);
    else send(connection, from);
  };

  return new Promise((resolve) => {
    for (const connection of connections) next(connection);
    const pace =
      plan.rate === null
        ? null
        : keepPace(plan.rate, (from) => {
            const connection = idle.pop();
            if (connection === undefined) due.push(from);
            else send(connection, from);
          });
    setTimeout(() => {
      const began = now();
      counting = true;
      opened();
      setTimeout(() => {
        const ended = now();
        over = true;
        closed();
        pace?.();
        tally.seconds = (ended - began) / 1000;
        // What is overdue has waited so long at least; left out, the slowest would be the ones that do not count.
        if (plan.rate !== null)
          for (const from of [...due, ...underWay.values()])
            if (from >= began) tally.latency.record((ended - from) * 1000);
        drained = () => {
          clearTimeout(late);
          for (const connection of connections) connection.close();
          resolve(tally);
        };
        const late = setTimeout(() => drained(), DRAIN);
        if (underWay.size === 0) drained();
      }, plan.seconds * 1000);
    }, plan.lead * 1000);
  });
}

/**
 * Calls with the moment that each request is due, in even steps that are rounded to the clock's millisecond, as a timer cannot
 * do better. Returns what ends it.
 */
function keepPace(rate: number, due: (moment: number) => void): () => void {
  const began = now();
  let count = 0;
  const tick = (): void => {
    const limit = now();
    for (;;) {
      const moment = began + Math.ceil(((count + 1) * 1000) / rate);
      if (moment > limit) break;
      count += 1;
      due(moment);
    }
  };
  const timer = setInterval(tick, 1);
  return () => clearInterval(timer);
}
