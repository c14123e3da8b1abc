'use strict';
// The measured window of a program that counts for itself: a warm-up is thrown away, the edges are printed as lines of
// JSON, and the result after a pause, so that whoever reads the processor's clocks at the second edge does not count it.

function print(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/**
 * @param {() => number} count operations so far
 * @param {{ warmup: number, seconds: number, opened?: () => void, latency?: () => { p50: number, p99: number } }} options
 *   times in seconds; what is to happen when the window opens; microseconds that an operation took in it
 */
module.exports = function measured(count, { warmup, seconds, opened: reset, latency }) {
  setTimeout(() => {
    const from = count();
    const opened = process.hrtime.bigint();
    reset?.();
    print({ edge: 'open' });
    setTimeout(() => {
      const operations = count() - from;
      const elapsed = Number(process.hrtime.bigint() - opened) / 1e9;
      print({ edge: 'over' });
      const latencyUs = latency?.() ?? null;
      setTimeout(() => {
        print({ operations, seconds: elapsed, perSecond: operations / elapsed, latencyUs, errors: 0 });
      }, 200);
    }, seconds * 1000);
  }, warmup * 1000);
  process.on('SIGTERM', () => process.exit(0));
};
