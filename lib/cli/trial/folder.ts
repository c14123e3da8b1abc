/** What the trial and its programs say to each other, by files in a folder that they share. */

import type * as Tsloop from '../../index';

/** The variables by which the trial tells its programs what to do. Not settings: their names do not begin as those do. */
export const FOLDER = 'TRIAL_OF_TSLOOP_FOLDER';
export const KEEP_PORTS = 'TRIAL_OF_TSLOOP_KEEP_PORTS';
export const COUNT = 'TRIAL_OF_TSLOOP_COUNT';

/** A line of `report`. */
export type Report =
  | { readonly what: 'process'; readonly pid: number }
  | {
      readonly what: 'listening';
      readonly pid: number;
      readonly protocol: 'http' | 'http2' | 'tcp';
      readonly secure: boolean;
      /** What the program asked for. */
      readonly asked: number | string | null;
      /** What it got. */
      readonly port: number | null;
      readonly path: string | null;
      readonly host: string | null;
    };

/** The answer to a question. */
export interface Answer {
  readonly pid: number;
  /** Milliseconds that the loop was idle and at work, ever. */
  readonly idle: number;
  readonly busy: number;
  /** Microseconds: what 99 of 100 looks were late at most since the question before. */
  readonly delayP99: number | null;
  readonly memory: Readonly<Record<string, number>>;
  readonly tsloop: { readonly status: Tsloop.Status; readonly stats: Tsloop.Stats } | null;
  /** Requests that were answered, ever, where the trial asked for them to be counted. */
  readonly served: Served | null;
}

export interface Served {
  readonly requests: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly p50: number | null;
  readonly p99: number | null;
  readonly p999: number | null;
}
