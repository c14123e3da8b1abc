// @ts-check
// The gate: `node bench/compare.mjs OLD.json NEW.json` holds two results of `npm run bench -- --json` against each
// other. What is compared are the ratios to plain Node of the same run, so that a slower machine is not a slower tsloop.
import { moreIsBetter, ratio } from './figures.mjs';
import { readRecord } from './record.mjs';

/** @typedef {import('./figures.mjs').Metric} Metric */
/** @typedef {import('./table.mjs').Result} Result */

/**
 * How much worse a ratio may become. The 3 % and 5 % of the house are floors: a change within the quartiles of the old result's
 * pairs is not told from noise, and does not fail.
 * @type {Partial<Record<Metric, number>>}
 */
const tolerated = {
  perSecond: 0.03,
  jsCpu: 0.03,
  processCpu: 0.03,
  p99: 0.05,
  first: 0.05,
  mean: 0.05,
  loopDelay: 0.05,
  fairness: 0.05,
  peakKb: 0.05,
  residentKb: 0.05,
};

/** @param {Result} before @param {Result} after @param {string} variant */
function* changes(before, after, variant) {
  for (const [metric, floor] of /** @type {[Metric, number][]} */ (Object.entries(tolerated))) {
    const was = ratio(before.samples[variant] ?? [], before.samples.plain ?? [], metric);
    const is = ratio(after.samples[variant] ?? [], after.samples.plain ?? [], metric);
    if (!was || !is) continue;
    const worse = moreIsBetter.has(metric) ? was.median / is.median - 1 : is.median / was.median - 1;
    const noise = moreIsBetter.has(metric) ? was.median / was.low - 1 : was.high / was.median - 1;
    yield { metric, was: was.median, is: is.median, worse, fails: worse > Math.max(floor, noise) };
  }
}

/** @param {string} oldFile @param {string} newFile */
function compare(oldFile, newFile) {
  const [before, after] = [readRecord(oldFile), readRecord(newFile)];
  for (const name of /** @type {const} */ (['processor', 'cores', 'node', 'kernel'])) {
    if (before.machine[name] !== after.machine[name]) {
      console.log(`! ${name} differs: ${before.machine[name]}, then ${after.machine[name]}`);
    }
  }
  let [compared, failures] = [0, 0];
  for (const then of before.results) {
    const now = after.results.find((result) => result.name === then.name);
    if (!now || then.failure) continue;
    if (now.failure) {
      failures += 1;
      console.log(`${then.name}: failed: ${now.failure}`);
      continue;
    }
    for (const variant of Object.keys(then.samples).filter((name) => name !== 'plain')) {
      for (const { metric, was, is, worse, fails } of changes(then, now, variant)) {
        compared += 1;
        if (fails) failures += 1;
        const verdict = fails ? 'WORSE' : worse < 0 ? 'better' : 'within noise';
        const change = `${was.toFixed(3)} -> ${is.toFixed(3)}`;
        console.log(`${then.name.padEnd(26)}${variant.padEnd(16)}${metric.padEnd(12)}${change.padEnd(20)}${verdict}`);
      }
    }
  }
  console.log(`${compared} ratios compared, ${failures} failures`);
  // Nothing in common is a mistake on the command line, not a pass.
  return compared > 0 && failures === 0;
}

const [oldFile, newFile] = process.argv.slice(2);
if (!oldFile || !newFile) {
  console.error('node bench/compare.mjs OLD.json NEW.json');
  process.exitCode = 2;
} else if (!compare(oldFile, newFile)) process.exitCode = 1;
