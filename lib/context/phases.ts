/** What waits for a phase of the event loop: jobs, and sockets that close. */

import { Phase } from '../native/protocol';
import { ArrayPrototypePush, ArrayPrototypeSplice } from '../primordials';
import { reportException } from './async-scope';
import { getEnvironment } from './environment';

/** What waits for libuv's closing phase: streams, and other sockets. */
export interface Closing {
  finishClosing(tick: () => void): void;
}

const closing: Closing[] = [];
/** What waits for each `Phase` of the loop. */
const deferred: (() => void)[][] = [[], [], []];

/** Runs a function early in the next turn of the loop, never inside the call that asks. */
export function defer(job: () => void): void {
  ArrayPrototypePush(deferred[Phase.turn] as (() => void)[], job);
  getEnvironment().native.defer();
}

/** Runs a function in the check phase of this turn: where libuv ends what a call began. */
export function deferToCheck(job: () => void): void {
  ArrayPrototypePush(deferred[Phase.check] as (() => void)[], job);
  getEnvironment().native.deferCheck();
}

/** Runs a function among Node's native immediates, where its C++ runs what it puts off. */
export function deferToImmediate(job: () => void): void {
  ArrayPrototypePush(deferred[Phase.immediate] as (() => void)[], job);
  getEnvironment().native.deferImmediate();
}

/** Called by the native part: what was deferred to a phase. */
export function runDeferred(tick: () => void, phase: number): void {
  const jobs = deferred[phase] ?? [];
  deferred[phase] = [];
  const environment = getEnvironment();
  // One hand-over for all of them, as in a delivery.
  const gathers = jobs.length > 1 && environment.offloaded && !environment.delivering;
  if (gathers) environment.delivering = true;
  try {
    for (let index = 0; index < jobs.length; index += 1) {
      const job = jobs[index] as () => void;
      // A job's callbacks report what they throw; what else it throws is its own, and the others do not pay for it.
      try {
        job();
      } catch (error) {
        reportException(error);
      }
      tick();
    }
  } finally {
    if (gathers) {
      environment.delivering = false;
      environment.submit();
    }
  }
}

/** Has a socket's close callback run in libuv's closing phase. */
export function waitForClosing(one: Closing): void {
  ArrayPrototypePush(closing, one);
  getEnvironment().native.scheduleClosing();
}

/** What is between `close` and its callback. */
export function closingNow(): readonly Closing[] {
  return closing;
}

/** Called by the native part in libuv's closing phase. */
export function runClosing(tick: () => void): void {
  // libuv's list of closing handles is last in, first out.
  const due = ArrayPrototypeSplice(closing, 0);
  for (let index = due.length - 1; index >= 0; index -= 1) {
    try {
      (due[index] as Closing).finishClosing(tick);
    } catch (error) {
      reportException(error);
    }
    tick();
  }
}
