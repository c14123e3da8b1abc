/**
 * The process that makes the load, one for the whole trial: it is as warm for the last slice as for the first, and its own
 * work is on no clock of the programs. It reads their clocks itself at the edges of its window.
 */

import type { Received } from './bodies';
import { findCannon, runCannon, suits } from './cannon';
import { type Clocks, readClocks, spent } from './clocks';
import { ask, connectionTo, type Plan, run } from './load';
import type { Tally } from './measures';
import type { Request, Target } from './requests';

export type Order =
  | { readonly what: 'slice'; readonly plan: Plan; readonly pids: readonly number[]; readonly folder: string | null }
  | { readonly what: 'ask'; readonly target: Target; readonly request: Request; readonly seconds: number };

export type Word =
  | { readonly what: 'opened' }
  | { readonly what: 'slice'; readonly result: Result }
  | { readonly what: 'answer'; readonly received: Received }
  | { readonly what: 'failed'; readonly message: string };

/** What a slice came to. */
export interface Result extends Tally {
  readonly example: { readonly request: number; readonly received: Received } | null;
  readonly error: string | null;
  /** Nanoseconds of the program by kind of thread. */
  readonly threads: Readonly<Record<string, number>>;
  /** Seconds of processors: of the whole machine, and of this process. */
  readonly machine: number;
  readonly own: number;
}

async function obey(order: Order): Promise<Word> {
  if (order.what === 'ask') {
    const connection = connectionTo(order.target);
    try {
      const { status, body } = await ask(connection, order.request, order.seconds);
      return { what: 'answer', received: { status, body: Uint8Array.from(body) } };
    } finally {
      connection.close();
    }
  }
  const { plan, pids, folder } = order;
  let before: Clocks | null = null;
  let after: Clocks | null = null;
  const opened = () => {
    before = readClocks(pids);
    say({ what: 'opened' });
  };
  const closed = () => {
    after = readClocks(pids);
  };
  const cannon = folder !== null && suits(plan) ? findCannon(folder) : null;
  const { latency, ...tally } = await (cannon === null
    ? run(plan, opened, closed)
    : runCannon(cannon, plan, opened, closed));
  const [from, to] = [before as Clocks | null, after as Clocks | null];
  if (from === null || to === null) throw new Error('the window was never opened');
  return {
    what: 'slice',
    result: {
      ...tally,
      latency: latency.buckets(),
      threads: spent(from, to),
      machine: to.machine - from.machine,
      own: (to.own - from.own) / 1e9,
    },
  };
}

function say(word: Word): void {
  process.send?.(word);
}

process.on('message', (order: Order) => {
  obey(order).then(say, (error: unknown) => {
    say({ what: 'failed', message: error instanceof Error ? error.message : String(error) });
  });
});

// Whoever started it is gone: nobody waits for the load.
process.on('disconnect', () => process.exit());
