'use strict';
// What the client programs share: so many requests at once, each followed by the next. A warm-up is thrown away; the
// edges of the measured window are printed as lines of JSON, and the result after a pause, so that whoever reads the
// processor's clocks from outside at the second edge does not count the summing up.

/** Nanoseconds per latency bucket and number of buckets: 20 µs up to 2 s, the rest in the last one. */
const BUCKET = 20_000;
const BUCKETS = 100_000;

function print(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function microsAt(counts, total, share) {
  let seen = 0;
  for (let bucket = 0; bucket < counts.length; bucket += 1) {
    seen += counts[bucket];
    if (seen >= total * share) return ((bucket + 0.5) * BUCKET) / 1e3;
  }
  return 0;
}

/**
 * @param {() => Promise<void>} request resolves when the whole answer was read, rejects when it is wrong
 * @param {{ concurrency: number, warmup: number, seconds: number }} options times in seconds
 */
module.exports = function closedLoop(request, { concurrency, warmup, seconds }) {
  const counts = new Uint32Array(BUCKETS);
  let phase = 'warm-up';
  let operations = 0;
  let errors = 0;
  let max = 0;
  let opened = 0n;

  async function client() {
    while (phase !== 'over') {
      const started = process.hrtime.bigint();
      try {
        await request();
      } catch {
        errors += 1;
        continue;
      }
      if (phase !== 'open') continue;
      const nanos = Number(process.hrtime.bigint() - started);
      operations += 1;
      max = Math.max(max, nanos);
      counts[Math.min(BUCKETS - 1, Math.floor(nanos / BUCKET))] += 1;
    }
  }

  for (let index = 0; index < concurrency; index += 1) client();

  setTimeout(() => {
    phase = 'open';
    opened = process.hrtime.bigint();
    print({ edge: 'open' });
    setTimeout(() => {
      const elapsed = Number(process.hrtime.bigint() - opened) / 1e9;
      phase = 'over';
      print({ edge: 'over' });
      setTimeout(() => {
        const at = (share) => microsAt(counts, operations, share);
        const latencyUs = { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: max / 1e3 };
        print({ operations, seconds: elapsed, perSecond: operations / elapsed, latencyUs, errors });
      }, 200);
    }, seconds * 1000);
  }, warmup * 1000);

  process.on('SIGTERM', () => process.exit(0));
};
