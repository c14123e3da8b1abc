/** What this machine cannot show, which is said before anything is measured. */

import { availableParallelism, cpus, loadavg, release } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { quota } from '../machine';
import { machineSeconds } from './clocks';

export interface Machine {
  readonly processors: number;
  /** Cores that a control group lets us use; null: all. */
  readonly quota: number | null;
  /** Cores busy with other work, before the trial. */
  readonly busy: number;
  readonly model: string;
  readonly kernel: string;
  readonly node: string;
}

/** Below this number JavaScript, tsloop's driver and the load share processors. */
const ENOUGH = 3;

/** Cores of other people's work that weigh. */
export const MUCH = 0.15;

/** Seconds of looking for other work. */
const STRETCH = 0.5;

export async function lookAround(): Promise<Machine> {
  const before = machineSeconds();
  await pause(STRETCH * 1000);
  return {
    processors: availableParallelism(),
    quota: quota(),
    busy: Math.max(0, (machineSeconds() - before) / STRETCH),
    model: cpus()[0]?.model.trim() ?? 'unknown processor',
    kernel: release(),
    node: process.versions.node,
  };
}

/** In sentences, the gravest first. */
export function cannotShow({ processors, quota: most, busy }: Machine, own: boolean): string[] {
  const cores = Math.min(processors, most ?? processors);
  const round = (value: number) => String(Math.round(value * 10) / 10);
  return [
    ...(cores < ENOUGH
      ? [
          `${round(cores)} ${cores === 1 ? 'processor is' : 'processors are'} shared by JavaScript, tsloop's driver and the load: ` +
            'throughput and latency at full load say less than CPU per request does, and a machine with three or more may gain more.',
        ]
      : []),
    ...(busy > MUCH
      ? [
          `Other work keeps ${round(busy)} processors busy (load average ${round(loadavg()[0] ?? 0)}): expect wider intervals, or "undecided".`,
        ]
      : []),
    ...(own ? ['The load comes over loopback: no network, no packet loss, no slow peers, one kind of client.'] : []),
    'Minutes, not days: no growth of memory, no rare paths, none of the traffic that was not sent.',
  ];
}
