// @ts-check
// Samples to figures: medians per variant, ratios of pairs, and what the goals say to them. No I/O but goals.json.
// The samples of two variants are pairs by their place: taken one right after the other.
import { readFileSync } from 'node:fs';

/**
 * One process of one round, or one slice of a server's. A figure that there cannot be is null.
 * @typedef {object} Sample
 * @property {number | null} perSecond operations per second
 * @property {number | null} p50 microseconds
 * @property {number | null} p99 microseconds
 * @property {number | null} first median of the first answers of bursts, microseconds
 * @property {number | null} mean of all answers of bursts, microseconds
 * @property {number | null} loopDelay what 99 of 100 turns of the program's own loop were delayed at most, microseconds
 * @property {number | null} fairness bytes of the smallest connection over those of the largest: 1 is fair
 * @property {number | null} jsCpu microseconds of the main thread per operation
 * @property {number | null} processCpu microseconds of the whole process per operation
 * @property {number | null} peakKb highest resident memory, VmHWM; of a server with its last slice
 * @property {number | null} residentKb resident memory at the end of the window, VmRSS; likewise
 * @property {number | null} startMs from spawn to exit, in milliseconds
 * @property {number | null} loadgenShare part of a core the load generator used
 * @property {number | null} foreignCores cores busy with work that is not this bench's
 * @property {number | null} idleCores cores that the servers used whose turn it was not
 * @property {number} errors wrong answers, broken connections, stalled connections
 */

/** @typedef {'perSecond' | 'p50' | 'p99' | 'first' | 'mean' | 'loopDelay' | 'fairness' | 'jsCpu' | 'processCpu' | 'peakKb'
 *   | 'residentKb' | 'startMs'} Metric */

/** @type {Metric[]} */
export const metrics = [
  'perSecond',
  'p50',
  'p99',
  'first',
  'mean',
  'loopDelay',
  'fairness',
  'jsCpu',
  'processCpu',
  'peakKb',
  'residentKb',
  'startMs',
];

/** More is better in these; less is in all others. @type {ReadonlySet<Metric>} */
export const moreIsBetter = new Set(/** @type {Metric[]} */ (['perSecond', 'fairness']));

/** @typedef {'ratio' | 'difference' | 'absolute'} Compare */

/** @typedef {{ median: number, low: number, high: number }} Spread */
/** @typedef {{ metric: Metric, limit: number, sense: 'max' | 'min', compare: Compare, variant: string,
 *   value: Spread, verdict: 'met' | 'undecided' | 'missed' }} Judged */

/** @param {number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/**
 * The median and the quartiles, these rounded outwards: of up to four values they are the extremes.
 * @param {(number | null | undefined)[]} values @returns {Spread | null}
 */
export function spread(values) {
  const present = values.filter((value) => typeof value === 'number' && Number.isFinite(value));
  const sorted = /** @type {number[]} */ (present).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  const last = sorted.length - 1;
  const low = sorted[Math.floor(last / 4)] ?? Number.NaN;
  const high = sorted[Math.ceil((last * 3) / 4)] ?? Number.NaN;
  return { median: median(sorted), low, high };
}

/**
 * The ratios of the pairs. Not the ratio of two medians: what the machine does to both halves of a pair is gone in theirs.
 * @param {Sample[]} samples @param {Sample[]} base @param {Metric} metric @returns {Spread | null}
 */
export function ratio(samples, base, metric) {
  return spread(samples.map((sample, place) => divide(sample[metric], base[place]?.[metric])));
}

/**
 * The median of the differences of the pairs, and a 95 % interval of it (order statistics of a binomial).
 * @param {Sample[]} samples @param {Sample[]} base @param {Metric} metric @returns {Spread | null}
 */
export function difference(samples, base, metric) {
  const pairs = samples
    .map((sample, place) => (sample[metric] ?? Number.NaN) - (base[place]?.[metric] ?? Number.NaN))
    .filter(Number.isFinite)
    .sort((a, b) => a - b);
  if (pairs.length === 0) return null;
  const reach = Math.ceil(0.98 * Math.sqrt(pairs.length));
  const middle = (pairs.length - 1) / 2;
  const low = pairs[Math.max(0, Math.floor(middle - reach))] ?? Number.NaN;
  const high = pairs[Math.min(pairs.length - 1, Math.ceil(middle + reach))] ?? Number.NaN;
  return { median: median(pairs), low, high };
}

/** @param {number | null | undefined} a @param {number | null | undefined} b */
function divide(a, b) {
  return typeof a === 'number' && typeof b === 'number' && b !== 0 ? a / b : null;
}

/**
 * One line of goals.json. `variant` names the driver it is about ("any": whichever ran). `compare: "difference"` is in
 * the metric's own unit, `"absolute"` too, and asks nothing of plain Node. `best: true` compares the automatic driver with the better of the other two.
 * @typedef {{ cells: string[], metric: Metric, max?: number, min?: number, variant?: string,
 *   compare?: Compare, best?: boolean, note?: string }} Goal
 */

/** @type {Goal[]} */
const goals = JSON.parse(readFileSync(new URL('goals.json', import.meta.url), 'utf8')).goals;

/**
 * Every goal that speaks about this cell, held against what was measured.
 * @param {string} cell @param {Record<string, Sample[]>} samples by variant; `plain` is the base @returns {Judged[]}
 */
export function judge(cell, samples) {
  /** @type {Judged[]} */
  const judged = [];
  for (const goal of goals.filter((each) => each.cells.includes(cell) || each.cells.includes('*'))) {
    for (const variant of Object.keys(samples)) {
      if (!about(goal, variant)) continue;
      const ours = samples[variant] ?? [];
      const base = goal.best ? better(samples, goal.metric) : samples.plain;
      if (!base) continue;
      const compare = goal.compare ?? 'ratio';
      const value = against(compare, ours, base, goal.metric);
      if (!value) continue;
      const sense = goal.max === undefined ? 'min' : 'max';
      const limit = goal.max ?? goal.min ?? Number.NaN;
      judged.push({
        metric: goal.metric,
        limit,
        sense,
        compare,
        variant,
        value,
        verdict: verdict(value, limit, sense),
      });
    }
  }
  return judged;
}

/** @param {Compare} compare @param {Sample[]} ours @param {Sample[]} base @param {Metric} metric */
function against(compare, ours, base, metric) {
  if (compare === 'absolute') return spread(ours.map((sample) => sample[metric]));
  return compare === 'ratio' ? ratio(ours, base, metric) : difference(ours, base, metric);
}

/** @param {Goal} goal @param {string} variant */
function about(goal, variant) {
  if (!variant.startsWith('tsloop')) return false;
  const wanted = goal.variant ?? 'auto';
  return wanted === 'any' || variant === `tsloop-${wanted}`;
}

/** @param {Record<string, Sample[]>} samples @param {Metric} metric */
function better(samples, metric) {
  const [inline, offload] = [samples['tsloop-inline'], samples['tsloop-offload']];
  if (!inline || !offload) return undefined;
  const [a, b] = [inline, offload].map((each) => spread(each.map((sample) => sample[metric]))?.median ?? Number.NaN);
  const first = moreIsBetter.has(metric) ? Number(a) >= Number(b) : Number(a) <= Number(b);
  return first ? inline : offload;
}

/**
 * Undecided: the median misses the goal, but a quarter of the pairs met it, so this run cannot tell.
 * @param {Spread} value @param {number} limit @param {'max' | 'min'} sense
 */
function verdict(value, limit, sense) {
  if (sense === 'max') return value.median <= limit ? 'met' : value.low <= limit ? 'undecided' : 'missed';
  return value.median >= limit ? 'met' : value.high >= limit ? 'undecided' : 'missed';
}
