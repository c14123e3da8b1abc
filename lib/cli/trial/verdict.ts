/** From slices to a verdict: each measure in words, and what all of them come to. No input, no output. */

import { type Machine, MUCH } from './machine';
import { type MeasureName, measureNames, measures, ruleOf, type Slice, type Tsloop, type Variant } from './measures';
import { estimate, type Finding, inWords, judge, median, type Pair } from './statistics';

/** The measure of both comparisons: tsloop against plain Node, and plain Node against itself. */
export interface Judged {
  readonly name: MeasureName;
  readonly label: string;
  readonly unit: string;
  readonly deciding: boolean;
  /** Medians over the slices of each program. */
  readonly values: Readonly<Record<Variant, number | null>>;
  readonly found: Finding;
  readonly words: string;
  readonly control: Finding;
  readonly controlWords: string;
}

/** An answer that was not plain Node's. */
export interface Wrong {
  readonly request: string;
  readonly plain: string;
  readonly tsloop: string;
}

/** What came of a trial besides slices. */
export interface Incidents {
  readonly wrong: Wrong | null;
  /** How the program failed on tsloop while it went on on plain Node. */
  readonly crashed: string | null;
  /** Slices in which nothing was answered, which were taken again. */
  readonly silent: Readonly<Record<Variant, number>>;
}

const outcomes = {
  canary: { code: 0, text: 'worth a canary' },
  none: { code: 3, text: 'no gain for this program' },
  open: { code: 3, text: 'undecided: no gain shown for this program yet' },
  worse: { code: 4, text: 'worse: leave it out' },
} as const;
type Outcome = keyof typeof outcomes;

export interface Verdict {
  readonly outcome: Outcome;
  readonly code: number;
  readonly text: string;
  /** What was found, the weightiest first. */
  readonly because: readonly string[];
  /** What explains it. */
  readonly why: readonly string[];
  /** Plain Node against itself, in words. */
  readonly control: string;
}

/** Slices of one comparison that were neighbours, as ratios. */
export function pairsOf(slices: readonly Slice[], name: MeasureName, variant: Variant): Pair[] {
  const base = new Map(
    slices.filter((slice) => slice.variant === 'plain').map((slice) => [`${slice.round}/${slice.pass}`, slice]),
  );
  return slices
    .filter((slice) => slice.variant === variant)
    .flatMap((slice) => {
      const one = slice.figures[name];
      const other = base.get(`${slice.round}/${slice.pass}`)?.figures[name] ?? null;
      // A clock that did not tick between two looks says nothing of a ratio.
      return one === null || other === null || one <= 0 || other <= 0
        ? []
        : [{ ratio: one / other, round: slice.round }];
    });
}

/** Every measure that there are pairs of. */
export function judgeAll(slices: readonly Slice[]): Judged[] {
  return measureNames.flatMap((name) => {
    const [ours, control] = (['tsloop', 'null'] as const).map((variant) => estimate(pairsOf(slices, name, variant)));
    if (!ours || !control) return [];
    const same = judge(control, ruleOf(name));
    const { label, unit, deciding, margin } = measures[name];
    // What plain Node differs from itself by is no difference of tsloop's.
    const found = judge(ours, ruleOf(name, Math.max(margin, Math.abs(Math.expm1(Math.abs(Math.log(same.median)))))));
    const restless = differs(same) && differs(found);
    const values = Object.fromEntries(
      (['plain', 'tsloop', 'null'] as const).map((variant) => [variant, medianOf(slices, name, variant)]),
    ) as Judged['values'];
    return [
      {
        name,
        label,
        unit,
        deciding,
        values,
        found: restless ? { ...found, word: 'undecided' as const, more: null } : found,
        words: restless ? 'undecided (plain Node differs from itself here)' : inWords(found),
        control: same,
        controlWords: inWords(same),
      },
    ];
  });
}

const differs = ({ word }: Finding): boolean => word === 'better' || word === 'worse';

function medianOf(slices: readonly Slice[], name: MeasureName, variant: Variant): number | null {
  const known = slices.filter((slice) => slice.variant === variant).map(({ figures }) => figures[name]);
  const values = known.filter((value) => value !== null);
  return values.length === 0 ? null : median(values);
}

/** Whether more pairs would say nothing new: every deciding measure is decided, and as narrow as its margin. */
export function isSettled(judged: readonly Judged[]): boolean {
  const deciding = judged.filter((one) => one.deciding);
  return (
    deciding.length > 0 &&
    deciding.every(({ found, control }) => found.word !== 'undecided' && control.word !== 'undecided')
  );
}

/** Pairs that are still missing by what is known: the largest number among the deciding measures. */
export function missing(judged: readonly Judged[]): number {
  const counts = judged
    .filter(({ deciding }) => deciding)
    .flatMap(({ found, control }) => [found, control])
    .map(({ word, more }) => (word === 'undecided' ? (more ?? Number.POSITIVE_INFINITY) : 0));
  return Math.max(0, ...counts);
}

/** Broken connections on tsloop that cannot be plain Node's: several, and thrice as many as there. */
const SEVERAL = 5;
const TIMES = 3;

/** What those who use a program notice, and who pays for it: a loss here is not made good by a gain on one thread. */
const felt: readonly MeasureName[] = ['throughput', 'p99', 'cpuProcess'];

export function conclude(
  judged: readonly Judged[],
  slices: readonly Slice[],
  incidents: Incidents,
  machine: Machine,
  secure: boolean,
): Verdict {
  const faults = faultsOf(slices, incidents);
  const gains = judged.filter(({ deciding, found }) => deciding && found.word === 'better');
  const losses = judged.filter(({ name, found }) => felt.includes(name) && found.word === 'worse');
  const open = judged.filter(({ deciding, found }) => deciding && found.word === 'undecided');
  const balanced = losses.length > 0 && gains.some(({ name }) => felt.includes(name));
  const outcome: Outcome =
    faults.length > 0 || (losses.length > 0 && !balanced)
      ? 'worse'
      : losses.length === 0 && gains.length > 0
        ? 'canary'
        : open.length > 0 && losses.length === 0
          ? 'open'
          : 'none';
  const because = [...faults, ...losses.map(sentence), ...gains.map(sentence)];
  if (balanced) because.unshift('A trade, and no clear gain: better in one thing, worse in another.');
  if (outcome === 'none' && !balanced) because.push('No measure that decides differs by more than its margin.');
  if (outcome === 'open') because.push('The time that was given, or this machine, does not tell a gain from chance.');
  if (open.length > 0) because.push(stillOpen(open));
  return {
    outcome,
    ...outcomes[outcome],
    because,
    why: explain(judged, slices, machine, secure),
    control: controlOf(judged),
  };
}

/** What is undecided, in one sentence. */
function stillOpen(open: readonly Judged[]): string {
  const most = Math.max(...open.map(({ found }) => found.more ?? Number.POSITIVE_INFINITY));
  const more = Number.isFinite(most)
    ? `about ${most} more ${most === 1 ? 'pair' : 'pairs'} would tell`
    : 'not even a thousand more pairs would tell, on this machine';
  return `Undecided: ${open.map(({ label }) => label).join('; ')}: ${more}.`;
}

/** What no speed makes up for. */
function faultsOf(slices: readonly Slice[], { wrong, crashed, silent }: Incidents): string[] {
  const sum = (variant: Variant, key: 'errors' | 'mismatches') =>
    slices.filter((slice) => slice.variant === variant).reduce((total, slice) => total + slice[key], 0);
  const most = (key: 'errors' | 'mismatches') => Math.max(sum('plain', key), sum('null', key));
  const faults: string[] = [];
  if (crashed !== null) faults.push(`The program failed on tsloop and went on on plain Node: ${crashed}`);
  if (wrong !== null)
    faults.push(`A wrong answer to ${wrong.request}: plain Node says ${wrong.plain}, tsloop ${wrong.tsloop}.`);
  else if (sum('tsloop', 'mismatches') > 0 && most('mismatches') === 0)
    faults.push(`${sum('tsloop', 'mismatches')} answers under load were not plain Node's.`);
  const errors = sum('tsloop', 'errors');
  if (errors >= SEVERAL && errors > most('errors') * TIMES)
    faults.push(`${errors} requests failed on tsloop, ${most('errors')} on plain Node.`);
  const quiet = Math.max(silent.plain, silent.null);
  if (silent.tsloop >= SEVERAL && silent.tsloop > quiet * TIMES)
    faults.push(`Nothing was answered in ${silent.tsloop} slices on tsloop, in ${quiet} on plain Node.`);
  return faults;
}

/** A ratio as a person says it. */
export function change(ratio: number): string {
  const part = Math.round(Math.abs(ratio - 1) * 100);
  return part === 0
    ? 'as much'
    : ratio > 2.5
      ? `${ratio.toFixed(1)} times as much`
      : `${part} % ${ratio > 1 ? 'more' : 'less'}`;
}

const signed = (ratio: number): string => {
  const part = Math.round((ratio - 1) * 100);
  return part > 0 ? `+${part}` : part < 0 ? `−${-part}` : '0';
};

/** The interval in per cent. */
export const interval = ({ low, high }: Pick<Finding, 'low' | 'high'>): string => `${signed(low)} to ${signed(high)} %`;

const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

const sentence = ({ label, found }: Judged): string =>
  `${capital(label)}: ${found.word}, ${change(found.median)} (${interval(found)}).`;

/** Plain Node against plain Node: what this machine takes for a difference. */
function controlOf(judged: readonly Judged[]): string {
  const odd = judged.filter(({ control }) => differs(control));
  if (judged.length === 0) return 'not measured';
  if (odd.length === 0) return 'no difference shown';
  return `differs from itself in ${odd.map(({ label }) => label).join(', ')}: nothing is said of tsloop there`;
}

/** The load generator takes as much of a core: it is what was measured. */
const SATURATED = 0.9;

/** Microseconds of JavaScript's thread per request beside which the work for a socket is small. */
const HEAVY = 1000;

/** Handles that are Node's everywhere and by design: no reason for anything. */
const intended = ['stdio', 'ipc', 'child-stdio'];

function explain(
  judged: readonly Judged[],
  slices: readonly Slice[],
  { processors }: Machine,
  secure: boolean,
): string[] {
  const ours = slices.filter(({ variant }) => variant === 'tsloop');
  const middle = (values: readonly (number | null)[]): number => median(values.filter((value) => value !== null));
  const why: string[] = [];
  const counted = ours.map(({ tsloop }) => tsloop).filter((each) => each !== null);
  const total = (pick: (each: Tsloop) => number) => counted.reduce((sum, each) => sum + pick(each), 0);
  const statuses = [...new Set(slices.flatMap((slice) => Object.keys(slice.statuses)))];
  if (statuses.length > 0 && statuses.every((status) => /^[45]\d\d$/.test(status)))
    why.push(
      `Every answer was a ${statuses.join(' or ')}: is that what this program does in production? --url names another path.`,
    );
  const turns = total(({ inline, offload }) => inline + offload);
  if (turns > 0) {
    const part = Math.round((total(({ offload }) => offload) / turns) * 100);
    why.push(
      part >= 50
        ? `The driver's own thread served the sockets in ${part} % of the turns.`
        : `JavaScript's thread drove the sockets itself in ${100 - part} % of the turns: ` +
            (processors < 3
              ? 'a thread of its own was not worth it with so few processors.'
              : 'the load was too light, or too narrow, for a thread of its own.'),
    );
  }
  const fallbacks = new Map<string, number>();
  for (const each of counted)
    for (const [name, count] of Object.entries(each.fallbacks))
      if (!intended.includes(name)) fallbacks.set(name, Math.max(count, fallbacks.get(name) ?? 0));
  if (fallbacks.size > 0)
    why.push(
      `Handles of Node's own were used instead of tsloop's: ${[...fallbacks].map(([name, count]) => `${name} ${count}`).join(', ')}. See docs/operations.md.`,
    );
  if (secure)
    why.push(
      "TLS records are made by Node's OpenSSL on JavaScript's thread, on tsloop too: only the transport below differs.",
    );
  if (judged.length > 0 && !judged.some(({ name }) => name === 'p99'))
    why.push('A slice had too few requests for a p99: a longer --slice shows it.');
  const main = judged.find(({ name }) => name === 'cpuMain');
  const heavy = main?.values.plain ?? 0;
  if (heavy > HEAVY && main?.found.word !== 'better')
    why.push(
      `A request takes ${(heavy / 1000).toFixed(1)} ms of JavaScript's thread: sockets are a small part of that, so there is little to gain.`,
    );
  if (middle(slices.map(({ loadCores }) => loadCores)) > SATURATED)
    why.push('The load generator itself was at its limit: throughput is its own; CPU per request holds.');
  if (middle(slices.map(({ foreignCores }) => foreignCores)) > MUCH)
    why.push('Other work ran on this machine during the trial, which widens every interval.');
  return why;
}
