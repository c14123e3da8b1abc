'use strict';
// The measured window of a program that counts for itself: a warm-up is thrown away, the edges are printed as lines of
// JSON, and the result after a pause, so that whoever reads the processor's clocks at the second edge does not count it.

function print(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** @param {() => number} count operations so far @param {{ warmup: number, seconds: number }} options times in seconds */
module.exports = function measured(count, { warmup, seconds }) {
  setTimeout(() => {
    const from = count();
    const opened = process.hrtime.bigint();
    print({ edge: 'open' });
    setTimeout(() => {
      const operations = count() - from;
      const elapsed = Number(process.hrtime.bigint() - opened) / 1e9;
      print({ edge: 'over' });
      setTimeout(() => {
        print({ operations, seconds: elapsed, perSecond: operations / elapsed, latencyUs: null, errors: 0 });
      }, 200);
    }, seconds * 1000);
  }, warmup * 1000);
  process.on('SIGTERM', () => process.exit(0));
};
