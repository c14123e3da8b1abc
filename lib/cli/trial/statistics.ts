/**
 * From pairs to words. A pair is two slices that were neighbours in time, and its ratio is what counts: what the machine does
 * to both halves is gone in it. The figure is the median of the ratios, its interval comes from a bootstrap that draws whole
 * rounds first (the processes of a round share their luck: where the code lies, what was compiled) and pairs within them
 * second. Nothing here does input or output.
 */

/** The ratio of one pair, above 1 where the second program had more; and the round whose processes it was taken from. */
export interface Pair {
  readonly ratio: number;
  readonly round: number;
}

export interface Estimate {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  readonly pairs: number;
  /** How likely so one-sided pairs are by chance alone: the exact sign test, both sides. */
  readonly chance: number;
}

export type Word = 'better' | 'worse' | 'no difference shown' | 'undecided';

export interface Finding extends Estimate {
  readonly word: Word;
  /** Of what is undecided: about so many more pairs; null where no number that anybody would wait for. */
  readonly more: number | null;
}

export interface Rule {
  /** Whether more is better. */
  readonly more: boolean;
  /** What is too little to be called a difference, as a part: 0.03. */
  readonly margin: number;
  /** Measures that are looked at together: among so many one stands out by chance. */
  readonly family: number;
}

/** Resamples for an interval: its ends move by less than a tenth of its width with twice as many. */
const RESAMPLES = 1000;

/** Chance that is accepted over all measures together. */
const ACCEPTED = 0.05;

/** Nobody waits for more pairs than this. */
const PATIENCE = 1000;

/** A generator of numbers from 0 to 1 that says the same every time: a report must not change by being read again. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    // The finalizer of MurmurHash3 over a Weyl sequence.
    state = (state + 0x9e37_79b9) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
    return ((mixed ^ (mixed >>> 16)) >>> 0) / 0x1_0000_0000;
  };
}

export function median(values: readonly number[]): number {
  const sorted = Float64Array.from(values).sort();
  return middle(sorted);
}

function middle(sorted: Float64Array): number {
  const half = sorted.length >> 1;
  const upper = sorted[half] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? Number.NaN) + upper) / 2;
}

/** The median of the ratios and its 95 % interval; null of nothing. */
export function estimate(pairs: readonly Pair[]): Estimate | null {
  const usable = pairs.filter(({ ratio }) => Number.isFinite(ratio) && ratio > 0);
  if (usable.length === 0) return null;
  const sorted = Float64Array.from(usable, ({ ratio }) => Math.log(ratio)).sort();
  const rounds = placesByRound(usable, sorted);
  const random = generator(usable.length);
  const medians = new Float64Array(RESAMPLES);
  const counts = new Uint32Array(sorted.length);
  for (let turn = 0; turn < RESAMPLES; turn += 1) {
    counts.fill(0);
    let drawn = 0;
    for (let count = 0; count < rounds.length; count += 1) {
      const round = rounds[Math.floor(random() * rounds.length)] as readonly number[];
      for (let index = 0; index < round.length; index += 1) {
        const place = round[Math.floor(random() * round.length)] as number;
        counts[place] = (counts[place] as number) + 1;
      }
      drawn += round.length;
    }
    medians[turn] = countedMedian(sorted, counts, drawn);
  }
  medians.sort();
  const at = (part: number) => Math.exp(medians[Math.round(part * (RESAMPLES - 1))] as number);
  return {
    median: median(usable.map(({ ratio }) => ratio)),
    low: at(0.025),
    high: at(0.975),
    pairs: usable.length,
    chance: signTest(usable.filter(({ ratio }) => ratio > 1).length, usable.filter(({ ratio }) => ratio < 1).length),
  };
}

/** Where the ratios of each round stand among all: a resample is then a count for each place, and nothing has to be sorted. */
function placesByRound(pairs: readonly Pair[], sorted: Float64Array): number[][] {
  const rounds = new Map<number, number[]>();
  for (const { ratio, round } of pairs) {
    const place = sorted.indexOf(Math.log(ratio));
    const known = rounds.get(round);
    if (known === undefined) rounds.set(round, [place]);
    else known.push(place);
  }
  return [...rounds.values()];
}

/** The median of so many values that were drawn: half and double are equally far from one, as they are logarithms. */
function countedMedian(sorted: Float64Array, counts: Uint32Array, drawn: number): number {
  const [low, high] = [(drawn - 1) >> 1, drawn >> 1];
  let seen = 0;
  let lower = Number.NaN;
  for (let place = 0; place < sorted.length; place += 1) {
    seen += counts[place] as number;
    if (Number.isNaN(lower) && seen > low) lower = sorted[place] as number;
    if (seen > high) return (lower + (sorted[place] as number)) / 2;
  }
  return lower;
}

/** How often fair coins fall at least as one-sidedly as so many on the one side and so many on the other. */
export function signTest(above: number, below: number): number {
  const count = above + below;
  const least = Math.min(above, below);
  let term = -count * Math.LN2;
  let sum = 0;
  for (let drawn = 0; drawn <= least; drawn += 1) {
    sum += Math.exp(term);
    term += Math.log(count - drawn) - Math.log(drawn + 1);
  }
  return Math.min(1, 2 * sum);
}

/**
 * What may be said of a measure. A difference is named when the whole interval lies beyond the margin and the pairs are too
 * one-sided for chance, all measures counted. None is shown when the interval is as narrow as the margin, or lies within it.
 * All else is undecided.
 */
export function judge(found: Estimate, { more, margin, family }: Rule): Finding {
  const edge = Math.log1p(margin);
  const low = Math.log(found.low);
  const high = Math.log(found.high);
  const half = (high - low) / 2;
  const center = Math.abs(Math.log(found.median));
  const beyond = low > edge || high < -edge;
  const certain = found.chance <= ACCEPTED / family;
  if (beyond && certain) return { ...found, word: found.median > 1 === more ? 'better' : 'worse', more: null };
  // Few pairs lie close together by chance: as many are needed here as for a difference.
  const enough = 2 ** (1 - found.pairs) <= ACCEPTED / family;
  if (enough && !beyond && (half <= edge || Math.max(-low, high) <= edge))
    return { ...found, word: 'no difference shown', more: null };
  // An interval shrinks with the root of the number of pairs: until its nearer end clears the margin, or it is narrow.
  const wanted = Math.max(edge, center - edge);
  const least = Math.ceil(1 + Math.log2(family / ACCEPTED));
  const total = Math.max(least, Math.ceil(found.pairs * (half / wanted) ** 2), beyond ? found.pairs * 2 : 0);
  const missing = Math.max(1, total - found.pairs);
  return { ...found, word: 'undecided', more: missing > PATIENCE ? null : missing };
}

/** The finding in words, with the number of pairs that are missing. */
export function inWords({ word, more }: Finding): string {
  if (word !== 'undecided') return word;
  return more === null
    ? 'undecided (this machine is too restless to tell)'
    : `undecided (about ${more} more ${more === 1 ? 'pair' : 'pairs'})`;
}
