/** What a trial shows while it runs, on standard error: one line that is written over, or now and then one where nobody looks. */

import type { Progress } from './trial';

/** Milliseconds between two lines of a log. */
const SELDOM = 30_000;

export function showProgress(stream: NodeJS.WriteStream): Progress & { end(): void } {
  const live = stream.isTTY === true;
  let last = 0;
  let shown = false;
  const show = (text: string, always: boolean) => {
    if (live) {
      stream.write(`\r\x1b[K${text}`);
      shown = true;
    } else if (always || Date.now() - last > SELDOM) {
      stream.write(`${text}\n`);
      last = Date.now();
    }
  };
  return {
    say: (text) => show(`${text} ...`, false),
    pairs: (done, left) => show(`${done} ${done === 1 ? 'pair' : 'pairs'}, ${inTime(left)} left at most`, false),
    end: () => {
      if (shown) stream.write('\r\x1b[K');
    },
  };
}

function inTime(seconds: number): string {
  const whole = Math.ceil(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
}
