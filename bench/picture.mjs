// @ts-check
// The result as an SVG: a bar for each cell and figure, its length the ratio to plain Node, with the line of plain Node
// at 1.0, the spread of the pairs, and the goal.
import { ratio } from './figures.mjs';

/** @typedef {import('./figures.mjs').Metric} Metric */
/** @typedef {import('./table.mjs').Result} Result */

/** @type {Partial<Record<Metric, string>>} */
const shown = {
  perSecond: 'throughput (longer is better)',
  p50: 'p50',
  p99: 'p99',
  first: 'first answer of a burst',
  mean: 'mean answer of a burst',
  loopDelay: 'p99 of the loop delay',
  jsCpu: 'CPU per operation, JS thread',
  processCpu: 'CPU per operation, process',
  residentKb: 'resident memory',
  startMs: 'start-up',
};
/** @type {Record<string, string>} */
const colours = { met: '#2e7d32', undecided: '#b26a00', missed: '#c62828', none: '#5c6f82' };

const LEFT = 400;
const SCALE = 220;
const LONGEST = 2.4;
const ROW = 20;
const WIDTH = LEFT + SCALE * LONGEST + 130;

/** @param {string} text */
const quote = (text) => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

/** @param {Result[]} results @param {string} variant @param {string} caption */
export function picture(results, variant, caption) {
  /** @type {string[]} */
  const body = [];
  let y = 84;
  const text = (/** @type {number} */ x, /** @type {string} */ content, more = '') =>
    body.push(`<text x="${x}" y="${y}" ${more}>${quote(content)}</text>`);
  for (const result of results) {
    const samples = result.samples[variant];
    if (!samples || !result.samples.plain) continue;
    const base = result.samples.plain;
    text(16, result.name, 'font-weight="bold"');
    for (const [metric, label] of /** @type {[Metric, string][]} */ (Object.entries(shown))) {
      const value = ratio(samples, base, metric);
      // Memory of a busy server is noise beside the rest: it is shown where it is the subject.
      if (!value || (metric === 'residentKb' && result.samples.plain.some((sample) => sample.perSecond !== null)))
        continue;
      const goal = result.goals
        .filter((each) => each.metric === metric && each.variant === variant && each.compare === 'ratio')
        .sort((a, b) => (a.sense === 'max' ? a.limit - b.limit : b.limit - a.limit))[0];
      const at = (/** @type {number} */ each) => LEFT + SCALE * Math.min(each, LONGEST);
      const colour = colours[goal?.verdict ?? 'none'];
      text(LEFT - 12, label, 'text-anchor="end" fill="#333"');
      const middle = y - 5;
      body.push(`<rect x="${LEFT}" y="${y - 12}" width="${at(value.median) - LEFT}" height="13" fill="${colour}"/>`);
      body.push(`<path d="M${at(value.low)} ${middle}H${at(value.high)}" stroke="#111" stroke-width="1.5"/>`);
      if (goal)
        body.push(`<path d="M${at(goal.limit)} ${y - 15}v19" stroke="#111" stroke-width="2" stroke-dasharray="4 2"/>`);
      const end = Math.max(at(value.median), at(value.high), goal ? at(goal.limit) : 0) + 8;
      text(
        end,
        `${value.median.toFixed(2)}${goal ? `  (goal ${goal.sense === 'max' ? '≤' : '≥'} ${goal.limit})` : ''}`,
      );
      y += ROW;
    }
    y += 10;
  }
  const height = y + 10;
  const one = LEFT + SCALE;
  const legend =
    'dashes: goal · line in the bar: quartiles of the pairs · green met, amber undecided, red not met, grey no goal';
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}"
 font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="13">
<rect width="100%" height="100%" fill="white"/>
<text x="16" y="26" font-size="17" font-weight="bold">${quote(`${variant}: ratio to plain Node`)}</text>
<text x="16" y="46" fill="#333">${quote(caption)}</text>
<text x="16" y="62" font-size="11" fill="#555">${quote(legend)}</text>
<path d="M${one} 68V${height - 8}" stroke="#888"/>
<text x="${one + 4}" y="${height - 4}" font-size="11" fill="#555">1.0 = plain Node</text>
${body.join('\n')}
</svg>
`;
}
