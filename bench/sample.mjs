// @ts-check
// What every sample is made of: the process of a variant, and what its window, clocks and memory come to.
import { fileURLToPath } from 'node:url';
import { Program } from './program.mjs';

/** @typedef {import('./cells.mjs').Cell} Cell */
/** @typedef {import('./cells.mjs').Context} Context */
/** @typedef {import('./figures.mjs').Sample} Sample */
/** @typedef {{ name: string, command: string, args: string[], env: NodeJS.ProcessEnv, tsloop: boolean }} Variant */

/** @type {Sample} */
export const nothing = {
  perSecond: null,
  p50: null,
  p99: null,
  first: null,
  mean: null,
  loopDelay: null,
  fairness: null,
  jsCpu: null,
  processCpu: null,
  peakKb: null,
  residentKb: null,
  startMs: null,
  loadgenShare: null,
  foreignCores: null,
  idleCores: null,
  errors: 0,
};

/**
 * The words after the variant's command: its own, the program, and what the cell gives that.
 * @param {Cell} cell @param {Variant} variant @param {Context} context
 */
export async function wordsOf(cell, variant, context) {
  const script = fileURLToPath(new URL(`workloads/${cell.workload}`, import.meta.url));
  return [...variant.args, script, ...((await cell.args?.(context)) ?? [])];
}

/**
 * A fresh process of the variant. Strict mode, in which every variant of ours runs, refuses to start if an optional part
 * that was asked for cannot.
 * @param {Cell} cell @param {Variant} variant @param {string[]} words
 */
export function launch(cell, variant, words) {
  const env = cell.enable && variant.tsloop ? { ...variant.env, TSLOOP_ENABLE: cell.enable } : variant.env;
  return new Program(variant.command, words, env);
}

/** @param {Program} program @param {Variant} variant */
export function insist(program, variant) {
  // TSLOOP_STRICT refuses to start without the addon; this also catches a hook that quietly did nothing.
  if (variant.tsloop && !program.hasAddon()) throw new Error(`${variant.name}: the process runs without the addon`);
}

/** @param {any} report @param {{ main: number, process: number }} nanos @returns {Sample} */
export function sample(report, nanos) {
  const perOperation = (/** @type {number} */ value) =>
    report.operations > 0 ? value / 1e3 / report.operations : null;
  return {
    ...nothing,
    perSecond: report.perSecond,
    p50: report.latencyUs?.p50 ?? null,
    p99: report.latencyUs?.p99 ?? null,
    first: report.firstUs ?? null,
    mean: report.meanUs ?? null,
    fairness: report.fairness ?? null,
    jsCpu: perOperation(nanos.main),
    processCpu: perOperation(nanos.process),
    errors: report.errors + (report.stalled ?? 0) + (report.late ?? 0) + (report.operations > 0 ? 0 : 1),
  };
}
