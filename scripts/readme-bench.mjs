// @ts-check
// Writes the table of README.md, and its picture, from results of `npm run bench -- --json FILE`, so that no figure there is typed by
// hand; of a cell that several have, the last one's:
//
//   node scripts/readme-bench.mjs FILE...
//
// Some well-known cells, and always the one where tsloop gains least, whichever that is.

import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ratio } from '../bench/figures.mjs';
import { readRecord } from '../bench/record.mjs';
import { root } from './processes.mjs';
import { PICTURE, pictureOf, rows, TABLE } from './readme-picture.mjs';

/** @typedef {import('../bench/record.mjs').Run} Run */
/** @typedef {import('../bench/table.mjs').Result} Result */

/** What the automatic driver gains is what a user gets. */
const VARIANT = 'tsloop-auto';

const files = process.argv.slice(2);
if (files.length === 0) {
  console.error('Usage: node scripts/readme-bench.mjs RESULT.json...');
  process.exit(2);
}
const runs = files.map((file) => readRecord(resolve(process.env['INIT_CWD'] ?? '.', file)));
const machines = new Set(runs.map(({ machine: { date: _, ...rest } }) => JSON.stringify(rest)));
if (machines.size > 1) {
  console.error(`One table is of one machine: ${[...machines].join(', ')}`);
  process.exit(1);
}
const complete = runs.flatMap(({ results }) =>
  results.filter(({ samples, failure }) => failure === undefined && samples['plain'] && samples[VARIANT]),
);
const measured = [...new Map(complete.map((result) => [result.name, result])).values()];

/**
 * @param {Result} result
 * @param {'perSecond' | 'p99' | 'jsCpu' | 'processCpu'} metric
 */
function ratioOf({ samples }, metric) {
  return ratio(samples[VARIANT] ?? [], samples['plain'] ?? [], metric);
}

/** @param {Result} result @param {'perSecond' | 'p99' | 'jsCpu' | 'processCpu'} metric */
function column(result, metric) {
  const found = ratioOf(result, metric);
  return found === null ? '-' : found.median.toFixed(2);
}

/** Whole-process processor time per operation: the steadiest figure on a shared machine, and what is paid for. */
const withCost = measured.filter((result) => ratioOf(result, 'processCpu') !== null);
const least = withCost.sort(
  (a, b) => (ratioOf(b, 'processCpu')?.median ?? 0) - (ratioOf(a, 'processCpu')?.median ?? 0),
)[0];
if (least === undefined) {
  console.error(`${files.join(', ')}: no cell with both plain Node and ${VARIANT}.`);
  process.exit(1);
}

const titles = /** @type {Record<string, string>} */ (rows);
const shown = [
  ...Object.keys(rows).flatMap((name) => measured.filter((result) => result.name === name && result !== least)),
  least,
];
const lines = shown.map((result) => {
  const title = titles[result.name] ?? `\`${result.name}\``;
  const note = result === least ? ' (**the least gain**)' : '';
  const columns = /** @type {const} */ (['perSecond', 'p99', 'jsCpu', 'processCpu']).map((metric) =>
    column(result, metric),
  );
  return `| ${[title + note, ...columns].join(' | ')} |`;
});
const { machine } = /** @type {Run} */ (runs[0]);
const windows = [
  ...new Set(
    runs.map(({ rounds, seconds, slice }) => `${rounds} rounds of ${seconds} s, servers in slices of ${slice} s`),
  ),
].join(' and ');
const days = [...new Set(runs.map(({ machine: { date } }) => date.slice(0, 10)))].join(' and ');
const table = [
  "| work | throughput | p99 latency | CPU per operation, JavaScript's thread | CPU per operation, whole process |",
  '|---|---|---|---|---|',
  ...lines,
  '',
  `Node ${machine.node.replace(/^v/, '')}, ${machine.cores} × ${machine.processor}, Linux ${machine.kernel}, shared with the ` +
    `load generator; medians over ${windows}, ${days}.`,
  '',
].join('\n');

const readme = join(root, 'README.md');
const before = readFileSync(readme, 'utf8');
if (!TABLE.test(before)) throw new Error('README.md has lost the markers of its table');
const after = before.replace(TABLE, (_, head, foot) => `${head}${table}${foot}`);
writeFileSync(readme, after);
writeFileSync(join(root, PICTURE), pictureOf(after));
console.log(table);
