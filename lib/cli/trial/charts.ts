/** The pictures of a report as SVG: text and shapes, nothing that has to be fetched. Colours are classes of the page's. */

import { DRIVER, MAIN, OTHERS } from './clocks';
import { Histogram } from './histogram';
import { measures, type Slice, type Variant, variants } from './measures';
import { type Judged, pairsOf } from './verdict';
import { figure, nameOf, ratio } from './words';

const WIDTH = 920;

export const quote = (text: string): string =>
  text.replace(/[&<>"]/g, (sign) => `&${{ '&': 'amp', '<': 'lt', '>': 'gt', '"': 'quot' }[sign]};`);

const at = (value: number): string => value.toFixed(1);

function text(x: number, y: number, words: string, kind = '', anchor: 'start' | 'middle' | 'end' = 'start'): string {
  return `<text x="${at(x)}" y="${at(y)}" class="${kind}" text-anchor="${anchor}">${quote(words)}</text>`;
}

const line = (x1: number, y1: number, x2: number, y2: number, kind: string): string =>
  `<line x1="${at(x1)}" y1="${at(y1)}" x2="${at(x2)}" y2="${at(y2)}" class="${kind}"/>`;

const box = (x: number, y: number, width: number, height: number, kind: string, inner = ''): string =>
  `<rect x="${at(x)}" y="${at(y)}" width="${at(Math.max(0, width))}" height="${at(height)}" class="${kind}">${inner}</rect>`;

function dot(x: number, y: number, radius: number, kind: string, title: string): string {
  return `<circle cx="${at(x)}" cy="${at(y)}" r="${radius}" class="${kind}"><title>${quote(title)}</title></circle>`;
}

const frame = (height: number, label: string, parts: readonly string[]): string =>
  `<svg viewBox="0 0 ${WIDTH} ${at(height)}" role="img" aria-label="${quote(label)}">${parts.join('')}</svg>`;

export const tone = (word: string): string => (word === 'no difference shown' ? 'same' : word);

/** A number between 0 and 1 that looks like chance and is the same every time: dots must not lie on one another. */
const scatter = (index: number): number => (index * 0.618_033_988_75) % 1;

/** The part of the dots that has its true place. */
const MOST = 0.9;

/**
 * Pairs as dots with their interval, a row for each measure. Better is to the right in every row, whether more of it is better
 * or less: nobody has to remember which.
 */
export function pairsChart(slices: readonly Slice[], judged: readonly Judged[]): string {
  const row = 54;
  const head = 34;
  const [left, right] = [262, 660];
  const good = (name: Judged['name'], value: number) => Math.log(value) * (measures[name].more ? 1 : -1);
  const ends = judged.flatMap(({ found, control }) => [found.low, found.high, control.low, control.high].map(Math.log));
  // Most dots as well: what lies farther out is put at the edge.
  const dots = judged
    .flatMap(({ name }) => pairsOf(slices, name, 'tsloop').map((pair) => Math.abs(Math.log(pair.ratio))))
    .sort((one, other) => one - other);
  ends.push((dots[Math.floor(dots.length * MOST)] ?? 0) / 1.25);
  const reach = Math.min(Math.log(6), Math.max(Math.log(1.25), ...ends.map((end) => Math.abs(end) * 1.25)));
  const middle = (left + right) / 2;
  const place = (value: number) => middle + (Math.max(-reach, Math.min(reach, value)) / reach) * ((right - left) / 2);
  const height = head + judged.length * row + 26;
  const parts = [
    text(left, 14, '← worse than plain Node', 'axis'),
    text(right, 14, 'better →', 'axis', 'end'),
    ...ticksFor(reach).flatMap((factor) =>
      [factor, 1 / factor].flatMap((value) => {
        const x = place(Math.log(value));
        return [line(x, head - 8, x, height - 24, 'grid'), text(x, height - 8, times(value), 'axis', 'middle')];
      }),
    ),
    line(middle, head - 12, middle, height - 24, 'one'),
    text(middle, height - 8, 'as plain Node', 'axis strong', 'middle'),
  ];
  for (const [index, { name, label, unit, values, found, words, control, deciding }] of judged.entries()) {
    const y = head + index * row;
    if (index % 2 === 1) parts.push(box(0, y, WIDTH, row, 'stripe'));
    const edge = Math.log1p(measures[name].margin);
    parts.push(box(place(-edge), y + 4, place(edge) - place(-edge), row - 8, 'margin'));
    parts.push(text(10, y + 23, label, deciding ? 'label strong' : 'label'));
    parts.push(text(10, y + 40, `${figure(values.plain)} → ${figure(values.tsloop)} ${unit}`, 'axis'));
    const rows = [
      { variant: 'tsloop', of: found, center: y + 20, spread: 18, radius: 2.6 },
      { variant: 'null', of: control, center: y + 42, spread: 8, radius: 1.8 },
    ] as const;
    for (const { variant, of, center, spread, radius } of rows) {
      const kind = variant === 'tsloop' ? tone(found.word) : 'control';
      for (const [number, pair] of pairsOf(slices, name, variant).entries()) {
        const title = `${nameOf[variant]}, round ${pair.round + 1}: ${ratio(pair.ratio)} of plain Node`;
        parts.push(
          dot(place(good(name, pair.ratio)), center + (scatter(number) - 0.5) * spread, radius, `dot ${kind}`, title),
        );
      }
      const [one, other] = [place(good(name, of.low)), place(good(name, of.high))];
      const [from, to] = [Math.min(one, other), Math.max(one, other)];
      const thick = variant === 'tsloop' ? 5 : 3;
      parts.push(box(from, center - thick / 2, Math.max(2, to - from), thick, `range ${kind}`));
      const x = place(good(name, of.median));
      parts.push(line(x, center - thick - 3, x, center + thick + 3, `median ${kind}`));
    }
    parts.push(text(right + 16, y + 23, words.replace(/ \(.*/, ''), `word ${tone(found.word)}`));
    const more = /\((.*)\)/.exec(words)?.[1];
    parts.push(
      text(
        right + 16,
        y + 40,
        more ?? `ratio ${ratio(found.median)} (${ratio(found.low)} to ${ratio(found.high)})`,
        'axis',
      ),
    );
  }
  return frame(height, 'Ratios of neighbouring slices by measure, with their intervals', parts);
}

const ticksFor = (reach: number): number[] =>
  [1.1, 1.25, 1.5, 2, 3, 5].filter((factor) => Math.log(factor) < reach * 0.97 && Math.log(factor) > reach * 0.3);

const times = (value: number): string =>
  value >= 1 ? `${Number(value.toFixed(2))}×` : `1/${Number((1 / value).toFixed(2))}`;

/** Latency by percentile: how long all but one of so many requests wait. Both axes in steps of equal factors. */
export function latencyChart(slices: readonly Slice[]): string {
  const height = 300;
  const [left, right, top, bottom] = [70, WIDTH - 150, 16, height - 40];
  const merged = variants.map((variant) => ({
    variant,
    histogram: Histogram.of(...slices.filter((slice) => slice.variant === variant).map(({ latency }) => latency)),
  }));
  const least = Math.min(...merged.map(({ histogram }) => histogram.total));
  if (least < FEW) return '';
  // Of a thousand requests nobody knows the one in ten thousand.
  const most = Math.min(0.9999, 1 - 10 / least);
  const scale = (part: number) => -Math.log10(1 - part);
  const parts: string[] = [];
  const percentiles = Array.from({ length: 121 }, (_, index) => 1 - 10 ** (-(index / 120) * scale(most)));
  const curves = merged.map(({ variant, histogram }) => ({
    variant,
    points: percentiles.map((part) => ({ part, value: histogram.quantile(part) ?? 1 })),
  }));
  const all = curves.flatMap(({ points }) => points.slice(4).map(({ value }) => Math.log10(value)));
  const [low, high] = [Math.min(...all) - 0.03, Math.max(...all) + 0.03];
  const x = (part: number) => left + (scale(part) / scale(most)) * (right - left);
  const y = (value: number) => bottom - ((Math.log10(value) - low) / (high - low)) * (bottom - top);
  for (const [part, label] of [
    [0.5, 'half'],
    [0.9, '90 %'],
    [0.99, '99 %'],
    [0.999, '99.9 %'],
    [0.9999, '99.99 %'],
  ] as const) {
    if (part > most) continue;
    parts.push(line(x(part), top, x(part), bottom, 'grid'), text(x(part), bottom + 18, label, 'axis', 'middle'));
  }
  for (const value of steps(10 ** low, 10 ** high))
    parts.push(
      line(left, y(value), right, y(value), 'grid'),
      text(left - 8, y(value) + 4, duration(value), 'axis', 'end'),
    );
  parts.push(text((left + right) / 2, height - 4, 'of the requests were answered within', 'axis', 'middle'));
  const labels: { y: number; variant: Variant }[] = [];
  for (const { variant, points } of [...curves].reverse()) {
    const path = points
      .slice(4)
      .map(({ part, value }, index) => `${index === 0 ? 'M' : 'L'}${at(x(part))} ${at(y(value))}`);
    parts.push(`<path d="${path.join('')}" class="curve ${variant}"/>`);
    labels.push({ y: y(points.at(-1)?.value ?? 1), variant });
  }
  labels.sort((one, other) => one.y - other.y);
  let floor = Number.NEGATIVE_INFINITY;
  for (const label of labels) {
    floor = Math.max(label.y + 4, floor + 16);
    parts.push(text(right + 8, floor, nameOf[label.variant], `label name ${label.variant}`));
  }
  return frame(height, 'Latency by percentile', parts);
}

/** Requests below which a curve of percentiles is a few steps. */
const FEW = 50;

const duration = (micros: number): string =>
  micros >= 1e6
    ? `${Number((micros / 1e6).toPrecision(2))} s`
    : micros >= 1000
      ? `${Number((micros / 1000).toPrecision(2))} ms`
      : `${Number(micros.toPrecision(2))} µs`;

/** Round values between two: 1, 2, 5 of each power of ten. */
function steps(low: number, high: number): number[] {
  const found: number[] = [];
  for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10)
    for (const factor of [1, 2, 5]) if (factor * power >= low && factor * power <= high) found.push(factor * power);
  return found;
}

/** Where a request's processor time goes: JavaScript's thread is the one that a Node program runs out of. */
export function threadsChart(slices: readonly Slice[]): string {
  const row = 40;
  const [left, right] = [150, WIDTH - 150];
  const means = variants.map((variant) => {
    const own = slices.filter((slice) => slice.variant === variant && slice.requests > 0);
    const requests = own.reduce((sum, slice) => sum + slice.requests, 0);
    const mean = (kind: string) =>
      requests === 0 ? 0 : own.reduce((sum, slice) => sum + (slice.threads[kind] ?? 0) * slice.requests, 0) / requests;
    return { variant, each: [MAIN, DRIVER, OTHERS].map(mean) };
  });
  const most = Math.max(...means.map(({ each }) => each.reduce((sum, value) => sum + value, 0)));
  if (!(most > 0)) return '';
  const kinds = ['js', 'driver', 'rest'];
  const parts: string[] = [];
  for (const [index, { variant, each }] of means.entries()) {
    const y = 8 + index * row;
    parts.push(text(left - 10, y + 20, nameOf[variant], `label ${variant === 'tsloop' ? 'strong' : ''}`, 'end'));
    let from = left;
    for (const [kind, value] of each.entries()) {
      const width = (value / most) * (right - left);
      parts.push(box(from, y, width, 28, `bar ${kinds[kind]}`, `<title>${figure(value)} µs</title>`));
      if (width > 52) parts.push(text(from + width / 2, y + 19, figure(value), 'inside', 'middle'));
      from += width;
    }
    const sum = each.reduce((total, value) => total + value, 0);
    parts.push(text(from + 8, y + 19, `${figure(sum)} µs`, 'label strong'));
  }
  const below = 8 + means.length * row + 12;
  let from = left;
  for (const [index, name] of [MAIN, DRIVER, OTHERS].entries()) {
    parts.push(box(from, below - 10, 12, 12, `bar ${kinds[index]}`), text(from + 18, below, name, 'axis'));
    from += 40 + name.length * 7;
  }
  return frame(below + 10, 'Processor time per request by thread', parts);
}

/** The slices as they were taken, with what else ran on the machine below: whether a difference is one of the time of day. */
export function timelineChart(slices: readonly Slice[], rated: boolean): string {
  const height = 250;
  const [left, right, top, bottom] = [90, WIDTH - 20, 16, height - 78];
  const name = rated ? 'cpuProcess' : 'throughput';
  const known = slices.filter(({ figures }) => figures[name] !== null);
  if (known.length === 0) return '';
  const value = (slice: Slice) => slice.figures[name] ?? 0;
  const most = Math.max(...known.map(value)) * 1.05;
  const first = Math.min(...known.map(({ at: moment }) => moment));
  const last = Math.max(...known.map(({ at: moment, seconds }) => moment + seconds));
  const x = (moment: number) => left + ((moment - first) / Math.max(1e-9, last - first)) * (right - left);
  const y = (amount: number) => bottom - (amount / most) * (bottom - top);
  const parts: string[] = [];
  for (const part of [0, 0.5, 1]) {
    const amount = niceBelow(most) * part;
    parts.push(
      line(left, y(amount), right, y(amount), 'grid'),
      text(left - 8, y(amount) + 4, figure(amount), 'axis', 'end'),
    );
  }
  for (const [index, slice] of known.entries()) {
    const before = known[index - 1];
    if (before !== undefined && before.round !== slice.round) {
      const middle = (x(before.at + before.seconds) + x(slice.at)) / 2;
      parts.push(line(middle, top, middle, height - 24, 'round'));
    }
  }
  for (const variant of ['null', 'plain', 'tsloop'] as const)
    for (const slice of known.filter((each) => each.variant === variant)) {
      const title = `${nameOf[variant]}, round ${slice.round + 1}: ${figure(value(slice))} ${measures[name].unit}`;
      parts.push(dot(x(slice.at + slice.seconds / 2), y(value(slice)), 3.6, `slice ${variant}`, title));
    }
  const [base, room] = [height - 26, 30];
  const foreign = Math.max(1, ...known.map(({ foreignCores }) => foreignCores ?? 0));
  for (const slice of known) {
    const tall = ((slice.foreignCores ?? 0) / foreign) * room;
    parts.push(box(x(slice.at), base - tall, Math.max(1, x(slice.at + slice.seconds) - x(slice.at)), tall, 'foreign'));
  }
  parts.push(line(left, base, right, base, 'grid'), text(left - 8, base - room + 8, 'other work,', 'axis', 'end'));
  parts.push(
    text(left - 8, base - room + 22, 'cores', 'axis', 'end'),
    text(left + 4, base - room - 4, figure(foreign), 'axis'),
  );
  parts.push(text(right, height - 8, `${Math.round(last - first)} s →`, 'axis', 'end'));
  parts.push(text(left, height - 8, 'a dotted line: fresh programs', 'axis'));
  return frame(height, 'Slices in the order in which they were taken', parts);
}

function niceBelow(most: number): number {
  const power = 10 ** Math.floor(Math.log10(most));
  return [5, 2, 1].map((factor) => factor * power).find((value) => value <= most) ?? power;
}
