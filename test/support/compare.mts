/** What one run showed, in a form two runs can be compared in, and the words for a difference. */
import type { Ending } from './launch.mjs';

export interface Ledger {
  readonly active: boolean;
  readonly reason: unknown;
  readonly driver: unknown;
  readonly sockets: number;
  readonly open: number;
  readonly accepted: number;
  readonly connected: number;
  readonly datagrams: number;
  readonly spawned: number;
  readonly running: number;
  readonly waiting: number;
  readonly panics: number;
}

export interface Showing {
  readonly code: number | null;
  readonly signal: string | null;
  readonly timedOut: boolean;
  readonly lanes: Record<string, string[]>;
  readonly stdout: string[];
  readonly stderr: string[];
  readonly ledger: Ledger | null;
  /** What was traced as a label, by it. */
  readonly values: Map<string, string>;
}

interface Row {
  readonly lane?: string;
  readonly line?: unknown[];
  readonly label?: string;
  readonly value?: string;
  readonly ledger?: Ledger;
}

function plainText(text: string, labels: Map<string, string>): string[] {
  let known = text;
  for (const [value, label] of labels) known = known.split(value).join(label);
  // Frames name files and lines of Node and of the hook, and the caret under a source line stands at
  // `throw` or at `new` by who caught it last: the message is what counts.
  return known.split('\n').filter((line) => !/^\s+(at |\^+$)/.test(line));
}

export function showing(ending: Ending, trace: string): Showing {
  const lanes: Record<string, string[]> = {};
  const labels = new Map<string, string>();
  let ledger: Ledger | null = null;
  for (const text of trace.split('\n')) {
    if (text === '') continue;
    const row = JSON.parse(text) as Row;
    if (row.lane !== undefined) {
      lanes[row.lane] ??= [];
      lanes[row.lane]?.push(JSON.stringify(row.line));
    }
    if (row.label !== undefined && row.value !== undefined) labels.set(row.value, row.label);
    if (row.ledger !== undefined) ledger = row.ledger;
  }
  return {
    code: ending.code,
    signal: ending.signal,
    timedOut: ending.timedOut,
    lanes,
    stdout: plainText(ending.stdout, labels),
    stderr: plainText(ending.stderr, labels),
    ledger,
    values: new Map(Array.from(labels, ([value, label]) => [label, value])),
  };
}

/** A line of a difference is cut after this many characters. */
const LONGEST_LINE = 300;
/** How many lines around the first differing one are printed. */
const CONTEXT = 4;

function firstDifference(one: string, other: string): number {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at++;
  return at;
}

/** A line, cut to what is shown of it, so that the given character is in it. */
function excerpt(line: string, at: number): string {
  const from = at < LONGEST_LINE / 2 ? 0 : at - LONGEST_LINE / 2;
  return `${from > 0 ? '…' : ''}${line.slice(from, from + LONGEST_LINE)}`;
}

type Side = Pick<Showing, 'values'>;

/** A text with what its labels stand for. */
function unlabelled(text: string, { values }: Side): string {
  let known = text;
  for (const [label, value] of values) known = known.replace(new RegExp(`\\b${label}\\b`, 'g'), value);
  return known;
}

/**
 * Whether two values are the same, as traced or as they were: a count that happens to be the number of a process, or of a port,
 * was traced as its label in one of the runs.
 */
function isSame(one: unknown, other: unknown, sides: [Side, Side]): boolean {
  if (one === other) return true;
  const isText = (value: unknown): boolean => typeof value === 'string' || typeof value === 'number';
  if (isText(one) && isText(other)) return unlabelled(String(one), sides[0]) === unlabelled(String(other), sides[1]);
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
  const [ones, others] = [Object.entries(one), Object.entries(other)];
  return (
    ones.length === others.length &&
    ones.every(([key, value], at) => key === others[at]?.[0] && isSame(value, others[at]?.[1], sides))
  );
}

function isSameLine(one: string | undefined, other: string | undefined, sides: [Side, Side]): boolean {
  if (one === other) return true;
  if (one === undefined || other === undefined) return false;
  try {
    return isSame(JSON.parse(one), JSON.parse(other), sides);
  } catch {
    return isSame(one, other, sides);
  }
}

function differingLines(
  name: string,
  expected: string[],
  actual: string[],
  whose: string,
  sides: [Side, Side],
): string | null {
  const length = Math.max(expected.length, actual.length);
  for (let at = 0; at < length; at++) {
    if (isSameLine(expected[at], actual[at], sides)) continue;
    const from = Math.max(0, at - CONTEXT);
    const start = firstDifference(expected[at] ?? '', actual[at] ?? '');
    const part = (lines: string[]): string =>
      lines
        .slice(from, at + CONTEXT)
        .map(
          (line, index) => `      ${from + index === at ? '>' : ' '} ${excerpt(line, from + index === at ? start : 0)}`,
        )
        .join('\n');
    return [
      `${name} differs at line ${at + 1} (${expected.length} and ${actual.length} lines)`,
      `    plain Node:\n${part(expected)}`,
      `    ${whose}:\n${part(actual)}`,
    ].join('\n');
  }
  return null;
}

/** In what `actual`, the showing of `whose`, differs from that of plain Node. */
export function differences(
  expected: Showing,
  actual: Showing,
  parts: { stderr: boolean },
  whose = 'tsloop',
): string[] {
  const found: string[] = [];
  const sides: [Side, Side] = [expected, actual];
  if (actual.timedOut !== expected.timedOut) found.push(`timed out: ${actual.timedOut}`);
  if (actual.code !== expected.code) found.push(`exit code ${expected.code} became ${actual.code}`);
  if (actual.signal !== expected.signal) {
    found.push(`signal ${expected.signal} became ${actual.signal}`);
  }
  for (const lane of new Set([...Object.keys(expected.lanes), ...Object.keys(actual.lanes)])) {
    const line = differingLines(`lane ${lane}`, expected.lanes[lane] ?? [], actual.lanes[lane] ?? [], whose, sides);
    if (line !== null) found.push(line);
  }
  const stdout = differingLines('stdout', expected.stdout, actual.stdout, whose, sides);
  if (stdout !== null) found.push(stdout);
  const stderr = differingLines('stderr', expected.stderr, actual.stderr, whose, sides);
  if (stderr !== null && parts.stderr) found.push(stderr);
  return found;
}
