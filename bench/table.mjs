// @ts-check
// The result as text: one block a cell, a line a variant, goals underneath.
import { FOREIGN_MUCH } from './calm.mjs';
import { difference, metrics, ratio, spread } from './figures.mjs';

/** @typedef {import('./figures.mjs').Metric} Metric */
/** @typedef {import('./figures.mjs').Sample} Sample */
/** @typedef {import('./figures.mjs').Judged} Judged */
/** @typedef {{ name: string, unit: string, bytes?: number | undefined, samples: Record<string, Sample[]>, goals: Judged[],
 *   failure?: string | undefined }} Result */

/** Past this part of a core the load generator may be what was measured. */
const LOADGEN_FULL = 0.9;
/** Past this part of a core a server that has nothing to do takes it from the one under load. */
const IDLE_MUCH = 0.02;

/** @type {Record<Metric, { title: string, show: (value: number) => string }>} */
export const columns = {
  perSecond: { title: 'per second', show: (value) => value.toFixed(value < 1000 ? 1 : 0) },
  p50: { title: 'p50 µs', show: (value) => value.toFixed(0) },
  p99: { title: 'p99 µs', show: (value) => value.toFixed(0) },
  first: { title: 'first µs', show: (value) => value.toFixed(0) },
  mean: { title: 'mean µs', show: (value) => value.toFixed(0) },
  loopDelay: { title: 'loop p99 µs', show: (value) => value.toFixed(0) },
  fairness: { title: 'least/most', show: (value) => value.toFixed(2) },
  jsCpu: { title: 'JS µs/op', show: (value) => value.toFixed(2) },
  processCpu: { title: 'process µs/op', show: (value) => value.toFixed(2) },
  peakKb: { title: 'peak MB', show: (value) => (value / 1024).toFixed(1) },
  residentKb: { title: 'resident MB', show: (value) => (value / 1024).toFixed(1) },
  startMs: { title: 'start ms', show: (value) => value.toFixed(1) },
};

const marks = { met: 'met', undecided: 'undecided', missed: 'NOT MET' };
const colours = { met: 32, undecided: 33, missed: 31 };
const WIDTH = 15;
const FIRST = 16;

/** @param {boolean} colour */
export function painter(colour) {
  return (/** @type {number} */ code, /** @type {string} */ text) => (colour ? `\x1b[${code}m${text}\x1b[0m` : text);
}

/** @param {Result} result @param {boolean} colour */
export function cellTable(result, colour) {
  const paint = painter(colour);
  const lines = [`${paint(1, result.name)}  (one operation: ${result.unit})`];
  if (result.failure) return [...lines, paint(31, `  failed: ${result.failure}`), ''].join('\n');
  const base = result.samples.plain ?? [];
  const shown = metrics.filter((metric) => base.some((sample) => sample[metric] !== null));
  lines.push(paint(2, `  ${''.padEnd(FIRST)}${shown.map((metric) => columns[metric].title.padStart(WIDTH)).join('')}`));
  for (const [variant, samples] of Object.entries(result.samples)) {
    const values = shown.map((metric) => {
      const value = spread(samples.map((sample) => sample[metric]));
      return (value ? columns[metric].show(value.median) : '–').padStart(WIDTH);
    });
    lines.push(`  ${variant.padEnd(FIRST)}${values.join('')}${throughput(result, samples)}`);
    if (variant === 'plain') continue;
    const ratios = shown.map((metric) => ratio(samples, base, metric));
    lines.push(
      `  ${'  ratio'.padEnd(FIRST)}${ratios.map((each) => (each ? each.median.toFixed(2) : '–').padStart(WIDTH)).join('')}`,
    );
    const quartiles = ratios.map((each) =>
      (each ? `${each.low.toFixed(2)}–${each.high.toFixed(2)}` : '').padStart(WIDTH),
    );
    lines.push(paint(2, `  ${'  quartiles'.padEnd(FIRST)}${quartiles.join('')}`));
    const start = difference(samples, base, 'startMs');
    if (start) {
      const interval = `95 %: ${start.low.toFixed(1)} to ${start.high.toFixed(1)}`;
      lines.push(`    ${start.median.toFixed(1)} ms more than plain, ${interval}, ${samples.length} pairs`);
    }
  }
  for (const goal of result.goals) lines.push(`  ${paint(colours[goal.verdict], goalLine(goal))}`);
  for (const warning of warnings(result)) lines.push(`  ${paint(33, `! ${warning}`)}`);
  return [...lines, ''].join('\n');
}

/** @param {Result} result @param {Sample[]} samples */
function throughput(result, samples) {
  const rate = spread(samples.map((sample) => sample.perSecond));
  return result.bytes && rate ? `   ${((rate.median * result.bytes) / 1e6).toFixed(0)} MB/s` : '';
}

/** @param {Judged} goal */
export function goalLine({ metric, limit, sense, compare, variant, value, verdict }) {
  const sign = sense === 'max' ? '≤' : '≥';
  const unit = { difference: ' ms more', absolute: ' itself', ratio: '' }[compare];
  const what = `${variant} ${columns[metric].title} ${sign} ${limit}${unit}`;
  return `goal ${what}: ${value.median.toFixed(2)} (${value.low.toFixed(2)}–${value.high.toFixed(2)}) ${marks[verdict]}`;
}

/** What a reader must know before believing the numbers. @param {Result} result */
export function warnings(result) {
  const variants = Object.entries(result.samples);
  /** What the worst variant has in a quarter of its samples: of many short ones some always meet somebody. */
  const often = (/** @type {(sample: Sample) => number | null} */ of) =>
    Math.max(0, ...variants.map(([, samples]) => spread(samples.map(of))?.high ?? 0));
  const found = [];
  for (const [variant, samples] of variants) {
    const errors = samples.reduce((sum, sample) => sum + sample.errors, 0);
    if (errors > 0) found.push(`${variant}: ${errors} errors: its numbers mean nothing`);
  }
  const loadgen = often((sample) => sample.loadgenShare);
  if (loadgen > LOADGEN_FULL)
    found.push(`the load generator used ${loadgen.toFixed(2)} of a core: throughput is its limit`);
  const foreign = often((sample) => sample.foreignCores);
  if (foreign > FOREIGN_MUCH)
    found.push(`other work used ${foreign.toFixed(2)} cores or more in a quarter of the time`);
  const idle = often((sample) => sample.idleCores);
  if (idle > IDLE_MUCH) found.push(`servers that had nothing to do used ${idle.toFixed(2)} of a core`);
  return found;
}

/** @param {Result[]} results @param {boolean} colour */
export function summary(results, colour) {
  const paint = painter(colour);
  const goals = results.flatMap((result) => result.goals.map((goal) => ({ cell: result.name, goal })));
  const failed = results.filter((result) => result.failure);
  const count = (/** @type {Judged['verdict']} */ verdict) =>
    goals.filter(({ goal }) => goal.verdict === verdict).length;
  const lines = [];
  if (goals.length > 0) {
    lines.push(
      `${goals.length} goals: ${count('met')} met, ${count('undecided')} undecided, ${count('missed')} not met`,
    );
    for (const { cell, goal } of goals.filter((each) => each.goal.verdict !== 'met')) {
      lines.push(paint(colours[goal.verdict], `  ${cell.padEnd(26)}${goalLine(goal)}`));
    }
  }
  for (const result of failed) lines.push(paint(31, `  ${result.name.padEnd(26)}failed: ${result.failure}`));
  return lines.join('\n');
}
