/** One slice: the load on one program, and what its clocks, its loop and tsloop in it say of that time. */

import { MAIN, readClocks, residentKb, spent } from './clocks';
import { runCommand } from './custom';
import type { Driver } from './driver';
import type { Answer, Served } from './folder';
import type { Result } from './generator';
import { Histogram } from './histogram';
import type { Plan } from './load';
import type { Slice, Tsloop } from './measures';
import { type Program, ProgramError } from './program';

/** Where a slice belongs. */
export type Place = Pick<Slice, 'variant' | 'round' | 'pass' | 'at'>;

/** What a load says of itself, whoever made it. Microseconds. */
interface Load extends Omit<Result, 'latency' | 'example' | 'error'> {
  readonly latency: Result['latency'];
  readonly p50: number | null;
  readonly p99: number | null;
  readonly p999: number | null;
}

/** By the built-in load. Beside the slice comes what it found wrong. */
export async function builtInSlice(
  program: Program,
  place: Place,
  driver: Driver,
  plan: Plan,
  cannonFrom: string | null,
): Promise<{ slice: Slice; example: Result['example']; error: string | null }> {
  const { pids } = program;
  let opening: Promise<Answer[]> | null = null;
  const result = await driver.slice(plan, pids, cannonFrom, () => {
    opening = program.ask('open');
  });
  const before = await (opening ?? []);
  const after = await program.ask('close');
  program.insist();
  const latency = Histogram.of(result.latency);
  // Of fewer requests the slowest one would stand for all that are rare.
  const tail = (part: number) => (latency.total * (1 - part) >= 1 ? latency.quantile(part) : null);
  const load = { ...result, p50: latency.quantile(0.5), p99: tail(0.99), p999: tail(0.999) };
  return { slice: assemble(program, place, load, before, after), example: result.example, error: result.error };
}

/** By a command of the user's: its whole run is the slice. */
export async function commandSlice(program: Program, place: Place, command: string): Promise<Slice> {
  const target = program.target({ protocol: null, port: null });
  if (target === null) throw new ProgramError('the program does not listen any more', program.variant);
  const { pids } = program;
  const before = await program.ask('open');
  const from = readClocks(pids);
  const { code, seconds, said, output } = await runCommand(command, target);
  const to = readClocks(pids);
  const after = await program.ask('close');
  program.insist();
  if (code !== 0) throw new ProgramError(`the load ended with code ${code}, and said:\n${output}`, program.variant);
  const served = servedBetween(before, after);
  // A load that says nothing, of a program whose requests cannot be counted, is the unit of work itself.
  const requests = said?.requests ?? (served.requests > 0 ? served.requests : 1);
  return assemble(
    program,
    place,
    {
      seconds,
      requests,
      errors: said?.errors ?? 0,
      mismatches: 0,
      statuses: said?.statuses ?? served.statuses,
      latency: [],
      threads: spent(from, to),
      machine: to.machine - from.machine,
      own: 0,
      p50: said?.p50 ?? served.p50,
      p99: said?.p99 ?? served.p99,
      p999: said?.p999 ?? served.p999,
    },
    before,
    after,
  );
}

/** What the program's processes counted between two questions; times weighed by requests. */
function servedBetween(before: readonly Answer[], after: readonly Answer[]): Served {
  const statuses: Record<string, number> = {};
  let requests = 0;
  const times = { p50: 0, p99: 0, p999: 0 };
  for (const { pid, served } of after) {
    const earlier = before.find((answer) => answer.pid === pid)?.served ?? null;
    if (served === null) continue;
    const own = served.requests - (earlier?.requests ?? 0);
    requests += own;
    for (const [status, count] of Object.entries(served.statuses))
      statuses[status] = (statuses[status] ?? 0) + count - (earlier?.statuses[status] ?? 0);
    for (const key of ['p50', 'p99', 'p999'] as const) times[key] += (served[key] ?? 0) * own;
  }
  const part = (sum: number) => (requests > 0 && sum > 0 ? sum / requests : null);
  return { requests, statuses, p50: part(times.p50), p99: part(times.p99), p999: part(times.p999) };
}

function assemble(
  program: Program,
  place: Place,
  load: Load,
  before: readonly Answer[],
  after: readonly Answer[],
): Slice {
  const { listeners } = program;
  const each = (nanos: number | undefined) =>
    load.requests > 0 && nanos !== undefined && nanos > 0 ? nanos / 1e3 / load.requests : null;
  const all = Object.values(load.threads).reduce((sum, nanos) => sum + nanos, 0);
  const loops = loopsBetween(before, after, listeners);
  const busy = loops.length === 0 ? null : loops.reduce((sum, elu) => sum + elu, 0);
  const delays = after.filter(({ pid }) => listeners.includes(pid)).flatMap(({ delayP99 }) => delayP99 ?? []);
  const memory = after.find(({ pid }) => pid === listeners[0])?.memory ?? null;
  const kilobytes = residentKb(program.pids);
  return {
    ...place,
    seconds: load.seconds,
    requests: load.requests,
    errors: load.errors,
    mismatches: load.mismatches,
    statuses: load.statuses,
    latency: load.latency,
    figures: {
      throughput: load.seconds > 0 ? load.requests / load.seconds : null,
      p50: load.p50,
      p99: load.p99,
      p999: load.p999,
      cpuProcess: each(all),
      cpuMain: each(load.threads[MAIN]),
      loopTime: busy !== null && load.requests > 0 ? (busy * load.seconds * 1e6) / load.requests : null,
      loopDelay: delays.length === 0 ? null : Math.max(...delays),
      memory: kilobytes === null ? null : kilobytes / 1024,
    },
    threads: Object.fromEntries(Object.entries(load.threads).map(([kind, nanos]) => [kind, each(nanos) ?? 0])),
    elu: busy === null ? null : busy / loops.length,
    foreignCores: Math.max(0, (load.machine - all / 1e9 - load.own) / load.seconds),
    // A command has processes that are not counted.
    loadCores: load.own > 0 ? load.own / load.seconds : null,
    memory,
    tsloop: tsloopBetween(before, after),
  };
}

/** What part of its time the loop of each listening process was at work. */
function loopsBetween(before: readonly Answer[], after: readonly Answer[], pids: readonly number[]): number[] {
  return after.flatMap(({ pid, idle, busy }) => {
    const earlier = before.find((answer) => answer.pid === pid);
    if (earlier === undefined || !pids.includes(pid)) return [];
    const [rest, work] = [idle - earlier.idle, busy - earlier.busy];
    return rest + work > 0 ? [work / (rest + work)] : [];
  });
}

function tsloopBetween(before: readonly Answer[], after: readonly Answer[]): Tsloop | null {
  const both = after.flatMap(({ pid, tsloop }) => {
    const earlier = before.find((answer) => answer.pid === pid)?.tsloop ?? null;
    return tsloop === null || earlier === null ? [] : [{ from: earlier.stats, to: tsloop.stats }];
  });
  if (both.length === 0) return null;
  const sum = (pick: (stats: (typeof both)[number]['to']) => number) =>
    both.reduce((total, { from, to }) => total + pick(to) - pick(from), 0);
  const fallbacks: Record<string, number> = {};
  for (const { to } of both)
    for (const [name, count] of Object.entries(to.fallbacks)) fallbacks[name] = (fallbacks[name] ?? 0) + count;
  return {
    inline: sum(({ turns }) => turns.inline),
    offload: sum(({ turns }) => turns.offload),
    direct: sum(({ turns }) => turns.direct),
    seatChanges: sum(({ seatChanges }) => seatChanges),
    readStalls: sum(({ readStalls }) => readStalls),
    fallbacks,
  };
}
