/** A trial as a page for a terminal: first what it cannot show, then the verdict, then what it rests on. */

import type { Machine } from './machine';
import { type Slice, type Variant, variants } from './measures';
import { median } from './statistics';
import type { Course } from './trial';
import { interval, type Verdict } from './verdict';

export interface Report {
  readonly command: string;
  readonly machine: Machine;
  readonly cannotShow: readonly string[];
  readonly course: Course;
  readonly verdict: Verdict;
}

const paints = { good: '32', bad: '31', quiet: '2', head: '1' } as const;

/** A figure with three digits that count. */
export function figure(value: number | null): string {
  if (value === null) return '-';
  if (value >= 1000) return Math.round(value).toLocaleString('en');
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export const ratio = (value: number): string => (value >= 10 ? value.toFixed(1) : value.toFixed(2));

/** @param again whether to repeat what was said at the beginning, for a file that has nothing of it */
export function render({ cannotShow, course, verdict }: Report, colour: boolean, again: boolean): string {
  const paint = (how: keyof typeof paints, text: string) => (colour ? `\x1b[${paints[how]}m${text}\x1b[0m` : text);
  const mood = verdict.outcome === 'canary' ? 'good' : verdict.outcome === 'worse' ? 'bad' : 'head';
  const lines: string[] = [];
  if (again) lines.push(paint('head', 'What this trial cannot show'), ...cannotShow.map((text) => `  ${text}`), '');
  lines.push(paint(mood, `Verdict: ${verdict.text}`));
  lines.push(...verdict.because.map((text) => `  ${text}`), '');
  if (course.judged.length > 0) lines.push(...table(course), '');
  lines.push(`Plain Node against itself: ${verdict.control}.`);
  lines.push(...verdict.why, ...counted(course).map((text) => paint('quiet', text)));
  return lines.join('\n');
}

function table({ judged }: Course): string[] {
  const rows = [
    ['', 'plain', 'tsloop', 'ratio', '95 % interval', ''],
    ...judged.map(({ label, unit, values, found, words }) => [
      `${label} (${unit})`,
      figure(values.plain),
      figure(values.tsloop),
      ratio(found.median),
      interval(found),
      words,
    ]),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0 || column === row.length - 1
          ? cell.padEnd(widths[column] ?? 0)
          : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
}

/** What was sent and what came back, in sentences. */
export function counted({ slices, look, seconds, load, target, places }: Course): string[] {
  const pairs = slices.filter(({ variant }) => variant === 'tsloop').length;
  const rounds = new Set(slices.map(({ round }) => round)).size;
  const lines =
    slices.length === 0
      ? []
      : [
          `${pairs} pairs, ${rounds} ${rounds === 1 ? 'round' : 'rounds'} of fresh programs, ${Math.round(seconds)} s; load: ${load}.`,
          ...variants.map((variant) => tally(slices, variant)),
        ];
  if (look !== null) lines.push(compared(look));
  if (target !== null && places.length > 1)
    lines.push(
      `The program listens on ${places.join(', ')}; the load went to ${target.asked ?? target.port ?? target.path}. --url http://localhost:PORT/ names another.`,
    );
  return lines;
}

export const nameOf: Readonly<Record<Variant, string>> = {
  plain: 'plain Node',
  tsloop: 'tsloop',
  null: 'plain Node again',
};

/** What the load counts messages under, which have no status. */
const messages = ['0', '101'];

function tally(slices: readonly Slice[], variant: Variant): string {
  const own = slices.filter((slice) => slice.variant === variant);
  const sum = (pick: (slice: Slice) => number) => own.reduce((total, slice) => total + pick(slice), 0);
  const statuses = new Map<string, number>();
  for (const slice of own)
    for (const [status, count] of Object.entries(slice.statuses))
      statuses.set(status, (statuses.get(status) ?? 0) + count);
  const mix = [...statuses]
    .map(([status, count]) => `${count.toLocaleString('en')} × ${messages.includes(status) ? 'message' : status}`)
    .join(', ');
  const requests = sum(({ requests: count }) => count).toLocaleString('en');
  const elus = own.map(({ elu }) => elu).filter((elu) => elu !== null);
  const busy = elus.length === 0 ? '' : `; its loop was at work ${Math.round(median(elus) * 100)} % of the time`;
  return (
    `${nameOf[variant]}: ${requests} requests (${mix || 'statuses unknown'}), ` +
    `${sum(({ errors }) => errors)} failed, ${sum(({ mismatches }) => mismatches)} answers that differ${busy}.`
  );
}

function compared({ exact, shape, status, skipped }: NonNullable<Course['look']>): string {
  const parts = [
    exact > 0 ? `${exact} byte by byte` : '',
    shape > 0 ? `${shape} without digits and identifiers, as these vary on plain Node too` : '',
    status > 0 ? `${status} by status only, as plain Node itself answers differently each time` : '',
    skipped > 0 ? `${skipped} not at all` : '',
  ];
  return `Answers compared, by request: ${parts.filter((part) => part !== '').join('; ')}.`;
}
