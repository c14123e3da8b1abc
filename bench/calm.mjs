// @ts-check
// What others do on this machine: how much of it, and how a measurement keeps out of its way.
import { readFileSync } from 'node:fs';

/** The kernel's ticks per second: 100 on every Linux that Node runs on, as seen by programs. */
const TICKS_PER_SECOND = 100;

/** Past this many cores of other people's work the figures deserve a second run. */
export const FOREIGN_MUCH = 0.1;

/** How often what others disturbed is measured at most. */
const ATTEMPTS = 3;

/** Seconds that any processor of the machine was busy, or was taken away by the host. */
export function machineSeconds() {
  const [, user, nice, system, , , irq, softirq, steal] = (
    readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? ''
  ).split(/\s+/);
  const ticks = [user, nice, system, irq, softirq, steal].reduce((sum, field) => sum + Number(field), 0);
  return ticks / TICKS_PER_SECOND;
}

/** Resolves after a stretch in which the machine was nearly idle, or after so many seconds. @param {number} seconds */
async function untilCalm(seconds) {
  const deadline = Date.now() + seconds * 1000;
  const stretch = 300;
  while (Date.now() < deadline) {
    const before = machineSeconds();
    await new Promise((resolve) => setTimeout(resolve, stretch));
    const busyCores = (machineSeconds() - before) / (stretch / 1000);
    if (busyCores < FOREIGN_MUCH) return;
  }
}

/**
 * Takes samples; where calm is wanted, on an idle machine, and again if other work disturbed one of them. What decides is
 * that work, never the figures themselves.
 * @param {number} patience seconds to wait for an idle machine; 0: take it as it is
 * @param {() => Promise<import('./figures.mjs').Sample[]>} take
 */
export async function calmly(patience, take) {
  for (let attempt = 1; ; attempt += 1) {
    if (patience > 0) await untilCalm(patience);
    const samples = await take();
    const disturbed = samples.some(({ foreignCores }) => (foreignCores ?? 0) > FOREIGN_MUCH);
    if (patience === 0 || attempt === ATTEMPTS || !disturbed) return samples;
  }
}
