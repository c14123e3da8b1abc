/** The load of a slice by autocannon, where the program's own project has it installed. */

import { createRequire } from 'node:module';
import { join } from 'node:path';
import { hostOf } from './connections';
import { emptyTally, note, type Plan, type Tally } from './load';

// biome-ignore lint/suspicious/noExplicitAny: a package that is not among ours, and has no types of its own
type Anything = any;

/** What is loaded from the folder where the trial was started; null where it is not installed. */
export function findCannon(folder: string): ((options: object, done?: (error: unknown) => void) => Anything) | null {
  try {
    return createRequire(join(folder, 'package.json'))('autocannon');
  } catch {
    return null;
  }
}

/** Whether it can do what is asked for: it knows HTTP/1.1, and counts from when a request was sent, not from when it was due. */
export const suits = ({ target, rate }: Pick<Plan, 'target' | 'rate'>): boolean =>
  target.protocol === 'http' && rate === null;

/** A window within its run, so that its own beginning and end are not counted. */
export function runCannon(cannon: Anything, plan: Plan, opened: () => void, closed: () => void): Promise<Tally> {
  const tally = emptyTally();
  const { target } = plan;
  let counting = false;
  let turn = 0;
  /** The answer of a client that has been heard, and not yet timed: both come one right after the other. */
  const bodies = new Map<number, { status: number; body: string }>();
  const requests = plan.requests.map(({ method, path, headers, body }, index) => ({
    method,
    path,
    headers: Object.fromEntries(headers),
    ...(body === '' ? {} : { body }),
    onResponse: (status: number, text: string) => {
      bodies.set(index, { status, body: text });
    },
  }));
  return new Promise((resolve, reject) => {
    const instance = cannon(
      {
        url: `${target.secure ? 'https' : 'http'}://${hostOf(target)}`,
        ...(target.path === null ? {} : { socketPath: target.path }),
        connections: plan.connections,
        // Stopped by us: it counts in whole seconds.
        duration: Math.ceil(plan.lead + plan.seconds) + 60,
        requests,
        tlsOptions: { rejectUnauthorized: false },
      },
      (error: unknown) => {
        if (error) reject(error);
        else resolve(tally);
      },
    );
    instance.on('response', (_client: unknown, status: number, _bytes: number, milliseconds: number) => {
      const [found] = bodies;
      bodies.clear();
      if (!counting) return;
      const index = found?.[0] ?? turn++ % requests.length;
      note(tally, plan, index, milliseconds * 1000, status, Buffer.from(found?.[1].body ?? ''));
    });
    instance.on('reqError', (error: Error) => {
      if (!counting) return;
      tally.errors += 1;
      tally.error ??= error.message;
    });
    setTimeout(() => {
      const began = performance.now();
      counting = true;
      opened();
      setTimeout(() => {
        counting = false;
        closed();
        tally.seconds = (performance.now() - began) / 1000;
        instance.stop();
      }, plan.seconds * 1000);
    }, plan.lead * 1000);
  });
}
