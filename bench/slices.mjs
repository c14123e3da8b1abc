// @ts-check
// How a server is measured: those of all variants live at the same time, and the load goes from one to the next in slices
// so short that what the machine gives does not change between neighbours.
import { calmly, machineSeconds } from './calm.mjs';
import { Program } from './program.mjs';
import { insist, launch, sample, wordsOf } from './sample.mjs';

/** @typedef {import('./cells.mjs').Cell} Cell */
/** @typedef {import('./cells.mjs').Context} Context */
/** @typedef {import('./figures.mjs').Sample} Sample */
/** @typedef {import('./sample.mjs').Variant} Variant */
/** @typedef {{ program: Program, where: string[], pids: number[] }} Server */

/** Seconds of load before a slice counts: connections are made, and the automatic driver finds back to its choice. */
const LEAD = 0.2;

/** Slices of a round at least, so that each of two variants goes first in one. */
const LEAST = 2;

/**
 * How many slices make up so many seconds.
 * @param {{ seconds: number, slice: number }} times
 */
export const slicesOf = ({ seconds, slice }) => Math.max(LEAST, Math.round(seconds / slice));

/**
 * Who is next in a pass: in the order given, or every other time in reverse. What drifts meets all alike, and whoever was
 * last is first.
 * @template T @param {readonly T[]} all @param {number} pass
 */
export const inTurn = (all, pass) => (pass % 2 === 0 ? [...all] : [...all].reverse());

/**
 * One round: a fresh server of every variant, each warmed up, then one pass after the other, a slice for each.
 * @param {Cell} cell @param {Variant[]} variants @param {Context} context @param {string} loadgen @param {number} round
 * @returns {Promise<Sample[][]>} by variant, in the order given
 */
export async function measureRound(cell, variants, context, loadgen, round) {
  const passes = slicesOf({ seconds: context.seconds, slice: timesOf(cell, context).slice });
  /** @type {Server[]} */
  const servers = [];
  try {
    for (const variant of variants) servers.push(await startServer(cell, variant, context));
    /** Answers of the warm-up are checked as well. @type {number[]} */
    const faults = [];
    for (const server of servers) {
      const { errors, stalled = 0, late = 0 } = await load(cell, server, context, loadgen, 0, context.warmup);
      faults.push(errors + stalled + late);
    }
    /** @type {Sample[][]} */
    const samples = variants.map(() => []);
    for (let pass = 0; pass < passes; pass += 1) {
      // Rounds go on from one another: an odd number of passes does not favour whoever is named first.
      const order = inTurn(servers, round * passes + pass);
      const taken = await calmly(context.calm, async () => {
        const each = [];
        for (const server of order) each.push(await measureSlice(cell, server, servers, context, loadgen));
        return each;
      });
      for (const [place, server] of order.entries()) {
        samples[servers.indexOf(server)]?.push(/** @type {Sample} */ (taken[place]));
      }
    }
    for (const [index, { program }] of servers.entries()) {
      const last = samples[index]?.at(-1);
      if (last) Object.assign(last, program.memory(), { errors: last.errors + (faults[index] ?? 0) });
    }
    return samples;
  } finally {
    await Promise.all(servers.map(({ program }) => program.stop()));
  }
}

/** @param {Cell} cell @param {Variant} variant @param {Context} context @returns {Promise<Server>} */
async function startServer(cell, variant, context) {
  const program = launch(cell, variant, await wordsOf(cell, variant, context));
  try {
    const { port, securePort, path, workers } = await program.line();
    insist(program, variant);
    const where = path ? ['--unix', path] : ['--port', String(port)];
    if (securePort) where.push('--secure-port', String(securePort));
    return { program, where, pids: workers ? workers.split(',').map(Number) : [program.pid] };
  } catch (error) {
    await program.stop();
    throw error;
  }
}

/**
 * Load on one server. The generator reads that one's clocks at the edges of its own window.
 * @param {Cell} cell @param {Server} server @param {Context} context @param {string} loadgen
 * @param {number} lead @param {number} seconds
 */
async function load(cell, { where, pids }, context, loadgen, lead, seconds) {
  const window = ['--pid', pids.join(), '--warmup', String(lead), '--seconds', String(seconds)];
  const generator = new Program(
    loadgen,
    [cell.mode ?? '', ...where, ...window, ...(cell.load?.(context) ?? [])],
    process.env,
  );
  try {
    return await generator.line((lead + seconds + 30) * 1000);
  } finally {
    await generator.stop();
  }
}

/**
 * @param {Cell} cell @param {Server} server @param {Server[]} all @param {Context} context @param {string} loadgen
 * @returns {Promise<Sample>}
 */
async function measureSlice(cell, server, all, context, loadgen) {
  const { lead, slice } = timesOf(cell, context);
  const read = () => ({
    at: performance.now() / 1000,
    machine: machineSeconds(),
    // A cluster's primary works too, if not for a request.
    each: all.map(({ program, pids }) => program.nanos([...new Set([program.pid, ...pids])]) / 1e9),
  });
  // Not from the beginning: the server before still has its connections to close.
  const opened = new Promise((resolve) => setTimeout(resolve, lead * 1000)).then(async () => {
    await ownFigures(cell, server);
    return read();
  });
  const [report, before] = await Promise.all([load(cell, server, context, loadgen, lead, slice), opened]);
  const after = read();
  const figures = await ownFigures(cell, server);
  if (cell.underWay !== undefined && report.resumed < (report.operations - cell.underWay) * 0.9) {
    throw new Error(`only ${report.resumed} of ${report.operations} handshakes were resumed`);
  }
  const seconds = after.at - before.at;
  const used = after.each.map((end, index) => end - (before.each[index] ?? 0));
  const own = used[all.indexOf(server)] ?? 0;
  const idle = used.reduce((sum, each) => sum + each, -own);
  const loadgenShare = report.loadgenNs / 1e9 / report.seconds;
  const foreign = (after.machine - before.machine - own - idle) / seconds - loadgenShare;
  return {
    ...sample(report, { main: report.cpu.mainNs, process: report.cpu.processNs }),
    ...(cell.threads ? { jsCpu: null } : {}),
    ...figures,
    loadgenShare,
    foreignCores: Math.max(0, foreign),
    idleCores: Math.max(0, idle) / seconds,
  };
}

/**
 * What a program counts of itself since it was asked the last time.
 * @param {Cell} cell @param {Server} server @returns {Promise<Partial<Sample>>}
 */
async function ownFigures({ asks }, { program }) {
  if (!asks) return {};
  program.child.kill('SIGUSR2');
  const { loopDelayUs } = await program.line();
  return { loopDelay: loopDelayUs.p99 };
}

/**
 * Tickets are earned right before a slice, two by each full handshake, and must last for it; what was under way when it
 * opens is a full one and must not weigh.
 * @param {Pick<Cell, 'underWay' | 'lead' | 'least'>} cell @param {{ seconds: number, slice: number }} context
 */
export function timesOf({ underWay, lead = LEAD, least = 0 }, { seconds, slice }) {
  if (underWay === undefined) return { lead, slice: Math.max(slice, least) };
  const long = Math.max(slice, seconds / LEAST);
  return { lead: long, slice: long };
}
