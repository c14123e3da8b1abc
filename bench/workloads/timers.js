'use strict';
// Timers, one case a process: measures itself and prints one line. Processor time is that of the process, the median of
// a few rounds; lateness is in microseconds, and negative where a timer ran before its time.
const nothing = () => {};
const processor = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
};
const sorted = (values) => values.sort((a, b) => a - b);
const median = (values) => sorted(values)[values.length >> 1];
const print = (line) => {
  process.stdout.write(`${JSON.stringify({ errors: 0, ...line })}\n`);
  // Whoever asked looks at this process, and ends it.
  process.stdin.resume();
};

const rounds = (count, operations, body) => {
  body();
  const values = Array.from({ length: count }, () => {
    const from = processor();
    body();
    return (processor() - from) / operations;
  });
  print({ processNs: median(values) });
};
const many = (durations, count) => {
  const timers = new Array(durations);
  rounds(count, durations, () => {
    for (let at = 0; at < durations; at++) timers[at] = setTimeout(nothing, 1000 + at);
    for (let at = 0; at < durations; at++) clearTimeout(timers[at]);
  });
};
const times = (operations, body) =>
  rounds(7, operations, () => {
    for (let at = 0; at < operations; at++) body(at);
  });

const cases = {
  'set-clear': () => times(300_000, () => clearTimeout(setTimeout(nothing, 1000))),
  'set-clear-10000': () => many(10_000, 15),
  'set-clear-200000': () => many(200_000, 5),
  refresh() {
    const timer = setTimeout(nothing, 1000);
    times(300_000, () => timer.refresh());
    clearTimeout(timer);
  },
  'refresh-10000'() {
    const timers = Array.from({ length: 10_000 }, (_, at) => setTimeout(nothing, 5000 + at));
    times(10_000, (at) => timers[at].refresh());
    for (const timer of timers) clearTimeout(timer);
  },
  fire() {
    const values = [];
    const round = () => {
      let left = 200_000;
      const from = processor();
      const fired = () => {
        if (--left > 0) return;
        values.push((processor() - from) / 200_000);
        if (values.length < 6) setTimeout(round, 20);
        else print({ processNs: median(values.slice(1)) });
      };
      for (let at = 0; at < 200_000; at++) setTimeout(() => fired(), 1 + (at % 100));
    };
    round();
  },
  // One timer at a time, each set by the one before: nothing to share.
  chain() {
    const values = [];
    let left = 400;
    let from = processor();
    const next = () => {
      if (--left === 0) {
        values.push((processor() - from) / 400);
        if (values.length === 6) return print({ processNs: median(values.slice(1)) });
        left = 400;
        from = processor();
      }
      setTimeout(next, 1);
    };
    next();
  },
  // Processor time of a second in which a million timers wait for hours.
  'idle-million'() {
    for (let at = 0; at < 1_000_000; at++) setTimeout(nothing, 3_600_000 + at * 3);
    // Setting them leaves work to the garbage collector, for a while.
    const wait = (from) =>
      setTimeout(() => {
        if (processor() - from > 2e6) return wait(processor());
        const start = processor();
        setTimeout(() => {
          print({ processNs: (processor() - start) / 4 });
        }, 4_000);
      }, 1_000);
    wait(processor());
  },
  lateness() {
    const late = [];
    const next = () => {
      const from = performance.now();
      setTimeout(() => {
        late.push((performance.now() - from - 5) * 1000);
        if (late.length < 400) return setImmediate(next);
        sorted(late);
        print({ processNs: null, latencyUs: { p50: late[200], p99: late[395] }, earliestUs: late[0] });
      }, 5);
    };
    next();
  },
};
cases[process.argv[2]]();
