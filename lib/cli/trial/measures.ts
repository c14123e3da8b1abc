/** What is measured of a slice, and what may be said of it. */

import type { Buckets } from './histogram';
import type { Rule } from './statistics';

export const variants = ['plain', 'tsloop', 'null'] as const;
export type Variant = (typeof variants)[number];

/** What the load counted in a slice. */
export interface Tally {
  readonly seconds: number;
  readonly requests: number;
  /** Broken connections, answers that never came. */
  readonly errors: number;
  /** Answers that are not plain Node's. */
  readonly mismatches: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly latency: Buckets;
}

/** One slice: load on one program while the others rest. What could not be had is null. */
export interface Slice extends Tally {
  readonly variant: Variant;
  readonly round: number;
  readonly pass: number;
  /** Seconds from the beginning of the trial to the middle of the slice. */
  readonly at: number;
  readonly figures: Readonly<Record<MeasureName, number | null>>;
  /** Microseconds of processor time per request, by kind of thread. */
  readonly threads: Readonly<Record<string, number>>;
  /** Part of its time that the program's loop was at work, 0 to 1: of JavaScript's thread only. */
  readonly elu: number | null;
  /** Cores busy with what is neither the program nor the load. */
  readonly foreignCores: number | null;
  /** Part of a core that the load generator used. */
  readonly loadCores: number | null;
  readonly memory: Readonly<Record<string, number>> | null;
  readonly tsloop: Tsloop | null;
}

/** What is kept of `stats()` between the edges of a slice. */
export interface Tsloop {
  readonly inline: number;
  readonly offload: number;
  readonly direct: number;
  readonly seatChanges: number;
  readonly readStalls: number;
  readonly fallbacks: Readonly<Record<string, number>>;
}

export const measureNames = [
  'throughput',
  'p50',
  'p99',
  'p999',
  'cpuProcess',
  'cpuMain',
  'loopTime',
  'loopDelay',
  'memory',
] as const;
export type MeasureName = (typeof measureNames)[number];

interface Measure {
  readonly label: string;
  readonly unit: string;
  readonly more: boolean;
  readonly margin: number;
  /** A gain or a loss here decides; the others explain. */
  readonly deciding: boolean;
}

/** Tails and memory move by more than a hundredth of themselves from one start to the next: their margins are wider. */
export const measures: Readonly<Record<MeasureName, Measure>> = {
  throughput: { label: 'throughput', unit: 'requests/s', more: true, margin: 0.03, deciding: true },
  p50: { label: 'latency, median', unit: 'µs', more: false, margin: 0.03, deciding: true },
  p99: { label: 'latency, p99', unit: 'µs', more: false, margin: 0.05, deciding: true },
  p999: { label: 'latency, p99.9', unit: 'µs', more: false, margin: 0.1, deciding: false },
  cpuProcess: { label: 'CPU per request, process', unit: 'µs', more: false, margin: 0.03, deciding: true },
  cpuMain: { label: "CPU per request, JavaScript's thread", unit: 'µs', more: false, margin: 0.03, deciding: true },
  loopTime: { label: 'loop at work, per request', unit: 'µs', more: false, margin: 0.05, deciding: false },
  loopDelay: { label: 'loop delay, p99', unit: 'µs', more: false, margin: 0.1, deciding: false },
  memory: { label: 'resident memory', unit: 'MiB', more: false, margin: 0.1, deciding: false },
};

export const ruleOf = (name: MeasureName, margin = measures[name].margin): Rule => ({
  more: measures[name].more,
  margin,
  family: measureNames.length,
});
