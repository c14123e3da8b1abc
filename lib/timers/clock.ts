/**
 * The time of Node's timers with its fraction: milliseconds since the environment began, as `_idleStart` counts them.
 *
 * `process.hrtime` is the clock that libuv itself reads, and is there in every process; `performance` is loaded by its
 * first user, for more than a whole preload may cost.
 */

import { hrtime } from '../boot/host';
import { MathFloor } from '../primordials';

/** The clock's own reading in milliseconds. */
function reading(): number {
  const parts = hrtime();
  return parts[0] * 1e3 + parts[1] / 1e6;
}

/** Calibrates a clock against a timer of Node's; `probe` sets one and answers its `_idleStart`. */
export function clockFrom(probe: () => number): () => number {
  for (;;) {
    const before = MathFloor(reading());
    const start = probe();
    if (MathFloor(reading()) !== before) continue;
    // libuv's milliseconds are whole ones since the machine's start, and Node takes a whole number away.
    const epoch = before - start;
    return () => {
      const parts = hrtime();
      return parts[0] * 1e3 - epoch + parts[1] / 1e6;
    };
  }
}
