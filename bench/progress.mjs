// @ts-check
// How long it will take, and how far it is: a sentence before the first cell, and on a terminal a line that goes on.

/** @typedef {import('./cells.mjs').Cell} Cell */

/** Seconds that a process takes to start, to be connected to and to end, by experience on two cores. */
const AROUND = 1;

/** @param {number} seconds */
export function inWords(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return `${Math.round(seconds / 60)} minutes`;
}

/**
 * Seconds that cells are expected to take: every variant warms up and is measured once a round.
 * @param {readonly Cell[]} cells
 * @param {{ rounds: number, repetitions: number, seconds: number, warmup: number }} times
 * @param {number} variants
 */
export function expected(cells, { rounds, repetitions, seconds, warmup }, variants) {
  const round = (/** @type {Cell} */ { kind }) =>
    kind === 'startup' ? repetitions * AROUND : seconds + warmup + AROUND;
  return cells.reduce((sum, cell) => sum + round(cell) * rounds * variants, 0);
}

/**
 * The line on a terminal; elsewhere nothing, as a log is no place for it.
 * @param {{ isTTY?: boolean, write(text: string): unknown }} stream @param {number} total rounds of all cells
 * @param {() => number} now milliseconds
 */
export function progress(stream, total, now = () => performance.now()) {
  const from = now();
  let done = 0;
  const clear = () => stream.isTTY === true && stream.write('\r\u001b[K');
  return {
    clear,
    /** @param {string} name of the cell that a round is over of, or begins of first */
    show(name) {
      if (stream.isTTY !== true) return;
      const left = done === 0 ? '' : `, about ${inWords((((now() - from) / done) * (total - done)) / 1000)} left`;
      clear();
      stream.write(`${name}: round ${Math.min(done + 1, total)} of ${total} in all${left}`);
    },
    over() {
      done += 1;
    },
  };
}
