/**
 * Latencies in buckets: 128 to each doubling, so that a bucket is less than one per cent wide, and a slice of any length
 * is a few kilobytes that can be merged with others.
 */

/** Buckets to each doubling. */
const STEPS = 128;

/** Nothing is told apart below this; a loopback answers no faster. In microseconds. */
const LEAST = 1;

/** What crosses between processes: bucket and count, in ascending order. */
export type Buckets = readonly (readonly [number, number])[];

export class Histogram {
  readonly #counts = new Map<number, number>();
  #total = 0;

  static of(...parts: readonly Buckets[]): Histogram {
    const merged = new Histogram();
    for (const part of parts) for (const [bucket, count] of part) merged.#add(bucket, count);
    return merged;
  }

  get total(): number {
    return this.#total;
  }

  record(microseconds: number): void {
    this.#add(Math.floor(Math.log2(Math.max(LEAST, microseconds)) * STEPS), 1);
  }

  /** Microseconds below which that part of all lies; null of nothing. */
  quantile(part: number): number | null {
    if (this.#total === 0) return null;
    const wanted = part * this.#total;
    let seen = 0;
    let last = 0;
    for (const [bucket, count] of this.buckets()) {
      last = bucket;
      if (seen + count >= wanted) return 2 ** ((bucket + (wanted - seen) / count) / STEPS);
      seen += count;
    }
    return 2 ** ((last + 1) / STEPS);
  }

  buckets(): [number, number][] {
    return [...this.#counts].sort(([one], [other]) => one - other);
  }

  #add(bucket: number, count: number): void {
    this.#counts.set(bucket, (this.#counts.get(bucket) ?? 0) + count);
    this.#total += count;
  }
}
