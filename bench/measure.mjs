// @ts-check
// One sample of a cell that is measured in one go: a fresh process of one variant, its window, its clocks and its memory.
import { execFileSync, spawnSync } from 'node:child_process';
import { Program } from './program.mjs';
import { insist, launch, nothing, sample, wordsOf } from './sample.mjs';

/** @typedef {import('./cells.mjs').Cell} Cell */
/** @typedef {import('./cells.mjs').Context} Context */
/** @typedef {import('./figures.mjs').Sample} Sample */
/** @typedef {import('./sample.mjs').Variant} Variant */

/** How long 10,000 silent connections rest before memory is read, so that both sides have had their collections. */
const REST = 1500;

/** How long a program that measures itself may take, in milliseconds: seconds of its own, on a machine that has others. */
const LONG = 300_000;

/**
 * @param {Cell} cell @param {Variant} variant @param {Context} context @param {string} loadgen @returns {Promise<Sample>}
 */
export async function measure(cell, variant, context, loadgen) {
  const words = await wordsOf(cell, variant, context);
  if (cell.kind === 'startup') return measureStart(variant, words);
  if (cell.kind === 'sender') return measureSender(cell, variant, words, context, loadgen);
  const program = launch(cell, variant, words);
  try {
    switch (cell.kind) {
      case 'client':
        return await measureClient(cell, program, context, loadgen, variant);
      case 'idle':
        return await measureIdle(cell, program, context, loadgen, variant);
      case 'receiver':
        return await measureReceiver(cell, program, context, loadgen, variant);
      case 'itself':
        return await measureItself(cell, program, context, loadgen, variant);
      case 'server':
        throw new Error('a server is measured in slices');
    }
  } finally {
    await program.stop();
  }
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
  return { ...sample(report, nanos), ...memory };
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
 * @param {Cell} cell @param {Variant} variant @param {string[]} words @param {Context} context @param {string} loadgen
 */
async function measureSender(cell, variant, words, context, loadgen) {
  const taker = new Program(loadgen, [cell.mode ?? ''], process.env);
  try {
    const { port } = await taker.line();
    const program = launch(cell, variant, [...words, String(port)]);
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
 * @param {Variant} variant @param {string[]} words @returns {Sample}
 */
function measureStart(variant, words) {
  const start = (/** @type {NodeJS.ProcessEnv} */ env) => {
    const from = performance.now();
    const { status, stderr } = spawnSync(variant.command, words, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    if (status !== 0) throw new Error(`${variant.name}: exit ${status}: ${stderr}`);
    return performance.now() - from;
  };
  const { TSLOOP_STRICT: strict, ...env } = variant.env;
  // Strict mode proves that the hook works here, but loads at once what an empty program never needs: no user starts so.
  if (strict !== undefined) start(variant.env);
  const startMs = start(env);
  return { ...nothing, startMs };
}
