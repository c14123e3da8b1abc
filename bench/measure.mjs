// @ts-check
// One sample: a fresh process of one variant under one cell, its window, its clocks and its memory.
import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { machineTicks, Program, TICKS_PER_SECOND } from './program.mjs';

/** @typedef {import('./cells.mjs').Cell} Cell */
/** @typedef {import('./cells.mjs').Context} Context */
/** @typedef {import('./figures.mjs').Sample} Sample */
/** @typedef {{ name: string, command: string, args: string[], env: NodeJS.ProcessEnv, tsloop: boolean }} Variant */

/** How long 10,000 silent connections rest before memory is read, so that both sides have had their collections. */
const REST = 1500;

/** How long a program that measures itself may take, in milliseconds: seconds of its own, on a machine that has others. */
const LONG = 300_000;

/** @type {Sample} */
const nothing = {
  perSecond: null,
  p50: null,
  p99: null,
  jsCpu: null,
  processCpu: null,
  peakKb: null,
  residentKb: null,
  startMs: null,
  loadgenShare: null,
  foreignCores: null,
  errors: 0,
};

/**
 * @param {Cell} cell @param {Variant} variant @param {Context} context @param {string} loadgen @returns {Promise<Sample>}
 */
export async function measure(cell, variant, context, loadgen) {
  const script = fileURLToPath(new URL(`workloads/${cell.workload}`, import.meta.url));
  const args = [...variant.args, script, ...((await cell.args?.(context)) ?? [])];
  if (cell.kind === 'startup') return measureStart(variant, args);
  if (cell.kind === 'sender') return measureSender(cell, variant, args, context, loadgen);
  const program = new Program(variant.command, args, environmentOf(cell, variant));
  try {
    const take = {
      server: measureServer,
      client: measureClient,
      idle: measureIdle,
      receiver: measureReceiver,
      itself: measureItself,
    }[cell.kind];
    return await take(cell, program, context, loadgen, variant);
  } finally {
    await program.stop();
  }
}

/** Strict mode, in which every variant of ours runs, refuses to start if an optional part that was asked for cannot.
 * @param {Cell} cell @param {Variant} variant */
function environmentOf(cell, variant) {
  return cell.enable && variant.tsloop ? { ...variant.env, TSLOOP_ENABLE: cell.enable } : variant.env;
}

/** @param {Program} program @param {Variant} variant */
function insist(program, variant) {
  // TSLOOP_STRICT refuses to start without the addon; this also catches a hook that quietly did nothing.
  if (variant.tsloop && !program.hasAddon()) throw new Error(`${variant.name}: the process runs without the addon`);
}

/**
 * @param {any} report @param {{ peakKb: number, residentKb: number }} memory
 * @param {{ main: number, process: number }} nanos @returns {Sample}
 */
function sample(report, memory, nanos) {
  const perOperation = (/** @type {number} */ value) =>
    report.operations > 0 ? value / 1e3 / report.operations : null;
  return {
    ...nothing,
    perSecond: report.perSecond,
    p50: report.latencyUs?.p50 ?? null,
    p99: report.latencyUs?.p99 ?? null,
    jsCpu: perOperation(nanos.main),
    processCpu: perOperation(nanos.process),
    ...memory,
    errors: report.errors + (report.stalled ?? 0) + (report.operations > 0 ? 0 : 1),
  };
}

/**
 * The load generator asks, and reads the server's clocks at the edges of its own window.
 * @param {Cell} cell @param {Program} program @param {Context} context @param {string} loadgen @param {Variant} variant
 */
async function measureServer(cell, program, context, loadgen, variant) {
  const { port, path, workers } = await program.line();
  // Tickets are earned during the warm-up, two by each full handshake, and must last for the window.
  const warmup = cell.resumed ? Math.max(context.warmup, context.seconds) : context.warmup;
  const where = path ? ['--unix', path] : ['--port', String(port)];
  const window = [
    '--pid',
    String(workers ?? program.pid),
    '--warmup',
    String(warmup),
    '--seconds',
    String(context.seconds),
  ];
  const before = { at: performance.now(), machine: machineTicks(), server: program.ticks() };
  const load = [cell.mode ?? '', ...where, ...window, ...(cell.load?.(context) ?? [])];
  const generator = new Program(loadgen, load, process.env);
  let report;
  try {
    report = await generator.line((warmup + context.seconds + 30) * 1000);
  } finally {
    await generator.stop();
  }
  insist(program, variant);
  const seconds = (performance.now() - before.at) / 1000;
  const loadgenShare = report.loadgenNs / 1e9 / report.seconds;
  const ours = (program.ticks() - before.server) / TICKS_PER_SECOND + loadgenShare * seconds;
  const foreign = ((machineTicks() - before.machine) / TICKS_PER_SECOND - ours) / seconds;
  const result = sample(report, program.memory(), { main: report.cpu.mainNs, process: report.cpu.processNs });
  if (cell.resumed && report.resumed < report.operations * 0.9) {
    throw new Error(`only ${report.resumed} of ${report.operations} handshakes were resumed`);
  }
  return { ...result, loadgenShare, foreignCores: Math.max(0, foreign) };
}

/**
 * The program asks and counts; its clocks are read when it says that the window opens and ends.
 * @param {Cell} _cell @param {Program} program @param {Context} context @param {string} loadgen @param {Variant} variant
 */
async function measureClient(_cell, program, context, loadgen, variant) {
  // The program reports after a pause and may be gone by then: clocks and memory are read at the edges.
  const meter = () => JSON.parse(execFileSync(loadgen, ['meter', '--pid', String(program.pid)], { encoding: 'utf8' }));
  const patience = (context.warmup + context.seconds + 30) * 1000;
  /** @param {string} edge */
  const reach = async (edge) => {
    const line = await program.line(patience);
    if (line.edge !== edge) throw new Error(`${program.name} skipped the edge "${edge}"`);
    return meter();
  };
  const opened = await reach('open');
  const over = await reach('over');
  insist(program, variant);
  const memory = program.memory();
  const report = await program.line(patience);
  const nanos = { main: over.mainNs - opened.mainNs, process: over.processNs - opened.processNs };
  return sample(report, memory, nanos);
}

/**
 * The load generator sends without listening; the program counts what reaches it.
 * @param {Cell} cell @param {Program} program @param {Context} context @param {string} loadgen @param {Variant} variant
 */
async function measureReceiver(cell, program, context, loadgen, variant) {
  const { port } = await program.line();
  const seconds = String(context.warmup + context.seconds + 1);
  const load = [cell.mode ?? '', '--port', String(port), '--seconds', seconds, ...(cell.load?.(context) ?? [])];
  const generator = new Program(loadgen, load, process.env);
  try {
    return await measureClient(cell, program, context, loadgen, variant);
  } finally {
    await generator.stop();
  }
}

/**
 * The program sends to a load generator that only takes.
 * @param {Cell} cell @param {Variant} variant @param {string[]} args @param {Context} context @param {string} loadgen
 */
async function measureSender(cell, variant, args, context, loadgen) {
  const taker = new Program(loadgen, [cell.mode ?? ''], process.env);
  try {
    const { port } = await taker.line();
    const program = new Program(variant.command, [...args, String(port)], variant.env);
    try {
      return await measureClient(cell, program, context, loadgen, variant);
    } finally {
      await program.stop();
    }
  } finally {
    await taker.stop();
  }
}

/**
 * Connections that never speak: resident memory with all of them open.
 * @param {Cell} cell @param {Program} program @param {Context} context @param {string} loadgen @param {Variant} variant
 * @returns {Promise<Sample>}
 */
async function measureIdle(cell, program, context, loadgen, variant) {
  const { port } = await program.line();
  const load = [cell.mode ?? '', '--port', String(port), ...(cell.load?.(context) ?? [])];
  const holder = new Program(loadgen, load, process.env);
  try {
    await holder.line();
    await program.line();
    insist(program, variant);
    await new Promise((resolve) => setTimeout(resolve, REST));
    const memory = program.memory();
    holder.child.stdin.end();
    const { errors } = await holder.line();
    return { ...nothing, ...memory, errors };
  } finally {
    await holder.stop();
  }
}

/**
 * A program that measures what only it can see, and says so in one line.
 * @param {Cell} _cell @param {Program} program @param {Context} _context @param {string} _loadgen @param {Variant} variant
 * @returns {Promise<Sample>}
 */
async function measureItself(_cell, program, _context, _loadgen, variant) {
  const report = await program.line(LONG);
  insist(program, variant);
  const { p50 = null, p99 = null } = report.latencyUs ?? {};
  const processCpu = report.processNs === null ? null : report.processNs / 1e3;
  return { ...nothing, processCpu, p50, p99, errors: report.errors };
}

/**
 * From spawn to exit of an empty program, once.
 * @param {Variant} variant @param {string[]} args @returns {Sample}
 */
function measureStart(variant, args) {
  const start = (/** @type {NodeJS.ProcessEnv} */ env) => {
    const from = performance.now();
    const { status, stderr } = spawnSync(variant.command, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    if (status !== 0) throw new Error(`${variant.name}: exit ${status}: ${stderr}`);
    return performance.now() - from;
  };
  const { TSLOOP_STRICT: strict, ...env } = variant.env;
  // Strict mode proves that the hook works here, but loads at once what an empty program never needs: no user starts so.
  if (strict !== undefined) start(variant.env);
  const startMs = start(env);
  return { ...nothing, startMs };
}
