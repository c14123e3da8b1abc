'use strict';
// One cell of bench/timers.mjs: prints processor nanoseconds per operation, the median of a few rounds.
const nothing = () => {};
const processor = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
};
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const rounds = (count, operations, body) => {
  body();
  const values = Array.from({ length: count }, () => {
    const from = processor();
    body();
    return (processor() - from) / operations;
  });
  console.log(median(values));
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

const cells = {
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
        else console.log(median(values.slice(1)));
      };
      for (let at = 0; at < 200_000; at++) setTimeout(() => fired(), 1 + (at % 100));
    };
    round();
  },
};
const cell = cells[process.argv[2]];
if (cell === undefined) console.log(Object.keys(cells).join(' '));
else cell();
