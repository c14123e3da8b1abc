/**
 * Processor time, read from outside at the edges of a slice, so that the program spends nothing on being looked at. The
 * kernel gives a thread of another process in nanoseconds only in `schedstat`; it may lag by one tick.
 */

import { readdirSync } from 'node:fs';
import { textIn } from '../machine';

/** The kernel's ticks per second, as every program sees them. */
const TICKS = 100;

export interface Clocks {
  /** Nanoseconds by process and thread. */
  readonly threads: ReadonlyMap<string, { readonly kind: string; readonly nanos: number }>;
  /** Seconds that any processor of the machine was busy or was taken away by its host. */
  readonly machine: number;
  /** Nanoseconds of this process. */
  readonly own: number;
}

export function readClocks(pids: readonly number[]): Clocks {
  const threads = new Map<string, { kind: string; nanos: number }>();
  for (const pid of pids) {
    for (const thread of entries(`/proc/${pid}/task`)) {
      const place = `/proc/${pid}/task/${thread}`;
      const nanos = Number(textIn(`${place}/schedstat`).split(' ')[0]);
      if (Number.isFinite(nanos)) threads.set(`${pid}/${thread}`, { kind: kindOf(pid, thread, place), nanos });
    }
  }
  const { user, system } = process.cpuUsage();
  return { threads, machine: machineSeconds(), own: (user + system) * 1000 };
}

/** Nanoseconds by kind of thread between two looks. A thread that began in between counts from zero; one that ended is lost. */
export function spent(before: Clocks, after: Clocks): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [thread, { kind, nanos }] of after.threads) {
    const used = nanos - (before.threads.get(thread)?.nanos ?? 0);
    sums[kind] = (sums[kind] ?? 0) + Math.max(0, used);
  }
  return sums;
}

export const MAIN = "JavaScript's thread";
export const DRIVER = "tsloop's driver";
export const OTHERS = 'other threads';

function kindOf(pid: number, thread: string, place: string): string {
  if (thread === String(pid)) return MAIN;
  return textIn(`${place}/comm`).startsWith('tsloop') ? DRIVER : OTHERS;
}

/** Seconds that the machine's processors were busy, all together; 0 where nobody says. */
export function machineSeconds(): number {
  const [, user, nice, system, , , irq, softirq, steal] = (textIn('/proc/stat').split('\n')[0] ?? '').split(/\s+/);
  const ticks = [user, nice, system, irq, softirq, steal].reduce((sum, field) => sum + (Number(field) || 0), 0);
  return ticks / TICKS;
}

/** Resident kilobytes of some processes. */
export function residentKb(pids: readonly number[]): number | null {
  const each = pids.map((pid) => Number(/^VmRSS:\s+(\d+) kB/m.exec(textIn(`/proc/${pid}/status`))?.[1]));
  const known = each.filter(Number.isFinite);
  return known.length === 0 ? null : known.reduce((sum, kb) => sum + kb, 0);
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // The process has ended.
    return [];
  }
}
