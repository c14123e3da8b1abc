// @ts-check
// One run over one Node line: the control, then each driver, then a second look at everything that differs.
// Tests of test/sequential take fixed ports or measure time, so they run alone after the others, as under Node's own runner.

import fs from 'node:fs';
import path from 'node:path';
import { exceptionFor } from './expectations.mjs';
import { difference, firstVerdict, lastVerdict, matches, speaksForItself } from './judge.mjs';
import { commandOf, HARD_LIMIT_MS, headOf, runTest, switchesOf } from './process.mjs';

/**
 * @typedef {import('./process.mjs').Result} Result
 * @typedef {import('./process.mjs').Under} Under
 * @typedef {import('./expectations.mjs').Expectations} Expectations
 * @typedef {{ line: string, test: string, subsystem: string, driver: string, via: import('./options.mjs').Via, class: import('./judge.mjs').Class, why: string, ms: number, controlMs: number | null, seed?: number, detail?: string[], command?: string }} Unit
 * @typedef {{ line: string, node: string, suite: string, via: import('./options.mjs').Via, hookShown: string, owner: Map<string, Expectations>, controls: import('./control.mjs').Controls,
 *   options: import('./options.mjs').Options, say: (text: string) => void, tick: (what: string, done: number, all: number) => void }} Session
 */

// Below this many a second look happens one by one, which is the fairer judge; with more, something is plainly broken and time matters.
const FEW_SUSPECTS = 20;
// A time-out under tsloop is judged by the time plain Node took, with room for a busy machine.
const LIMIT_FACTOR = 10;
const LIMIT_EXTRA_MS = 15_000;
// A planted fault may show as a test that waits for ever.
const FAULT_LIMIT_MS = 10_000;

/** @template T @param {T[]} items @param {number} jobs @param {(item: T, slot: number) => Promise<void>} work */
async function pool(items, jobs, work) {
  let next = 0;
  const one = async (/** @type {number} */ slot) => {
    while (next < items.length) await work(/** @type {T} */ (items[next++]), slot);
  };
  await Promise.all(Array.from({ length: Math.min(jobs, items.length) }, (_, slot) => one(slot)));
}

/** @template T @param {T[]} items @param {(item: T) => string} name @param {number} jobs @param {(item: T, slot: number) => Promise<void>} work */
async function poolThenAlone(items, name, jobs, work) {
  const alone = (/** @type {T} */ item) => name(item).startsWith('sequential/');
  await pool(
    items.filter((item) => !alone(item)),
    jobs,
    work,
  );
  await pool(items.filter(alone), 1, work);
}

/** A number that is the same for the same test and seed, so that a failure in the random driver can be run again.
 * @param {string} text @param {number} seed */
function seedFor(text, seed) {
  let hash = seed >>> 0;
  for (const char of text) hash = Math.imul(hash ^ /** @type {number} */ (char.codePointAt(0)), 16777619) >>> 0;
  return hash;
}

/** @param {Session} session @param {string} test @param {Under | null} under @param {number} slot @param {number} [factor] */
function run(session, test, under, slot, factor = 1) {
  const { options } = session;
  const known = session.controls.get(test);
  const usual = under && known ? Math.min(HARD_LIMIT_MS, known.ms * LIMIT_FACTOR + LIMIT_EXTRA_MS) : HARD_LIMIT_MS;
  const limitMs = Math.min(HARD_LIMIT_MS, (options.limitMs ?? usual) * factor);
  return runTest({ node: session.node, suite: session.suite, test, under, limitMs, slot });
}

/** Plain Node on everything that is not known yet. A failure is looked at once more, alone: it decides that a test is skipped.
 * @param {Session} session @param {string[]} tests */
export async function runControls(session, tests) {
  const { controls, options } = session;
  const missing = tests.filter((test) => !controls.get(test));
  let done = 0;
  /** @type {string[]} */
  const failed = [];
  await poolThenAlone(
    missing,
    (test) => test,
    options.jobs,
    async (test, slot) => {
      const result = await run(session, test, null, slot);
      controls.set(test, result);
      if (result.outcome === 'fail') failed.push(test);
      session.tick('plain Node', ++done, missing.length);
      if (done % 100 === 0) controls.save();
    },
  );
  for (const test of failed) controls.set(test, await run(session, test, null, 0));
  if (missing.length > 0) controls.save();
}

/** @param {Session} session @param {string} test @param {Under} under */
function commandLine(session, test, under) {
  const source = fs.readFileSync(path.join(session.suite, 'test', test), 'utf8');
  // The copy that was judged is gone after the run; the hook it was made from stays.
  const stays = { ...under, hook: session.hookShown };
  const words = Object.entries({ ...switchesOf(stays), ...headOf(source).env }).map(
    ([name, value]) => `${name}=${value}`,
  );
  const order = { node: session.node, suite: session.suite, test, under: stays, limitMs: 0, slot: 0 };
  const near = (/** @type {string} */ word) =>
    word.startsWith(`${process.cwd()}/`) ? `./${path.relative(process.cwd(), word)}` : word;
  return [...words, ...commandOf(order, headOf(source).flags).map(near)].join(' ');
}

/**
 * All tests under one driver.
 * @param {Session} session @param {string[]} tests @param {string} driver @returns {Promise<Unit[]>}
 */
export async function runDriver(session, tests, driver) {
  const { controls, options, line } = session;
  /** @type {Unit[]} */
  const units = [];
  /** @type {{ test: string, first: Result, under: Under }[]} */
  const suspects = [];
  const underFor = (/** @type {string} */ test) => ({
    hook: options.hook,
    driver,
    seed: seedFor(test, options.seed),
    via: session.via,
    enable: options.enable,
  });
  const exceptionOf = (/** @type {string} */ test) => {
    const owner = session.owner.get(test);
    return owner && exceptionFor(owner, test, line, driver);
  };
  /** @param {string} test @param {Result} result @param {import('./judge.mjs').Verdict} verdict @param {Partial<Unit>} [more] */
  const settle = (test, result, verdict, more = {}) => {
    units.push({
      line,
      test,
      driver,
      via: session.via,
      subsystem: session.owner.get(test)?.subsystem ?? '',
      class: verdict.class,
      why: verdict.why,
      ms: result.ms,
      controlMs: controls.get(test)?.ms ?? null,
      ...(driver === 'random' ? { seed: underFor(test).seed } : {}),
      ...more,
    });
  };

  let done = 0;
  await poolThenAlone(
    tests,
    (test) => test,
    options.jobs,
    async (test, slot) => {
      const known = controls.get(test);
      // Nothing can be learnt from a test that plain Node fails or skips; excepted ones still run.
      if (known && (known.outcome !== 'pass' || known.skippedItself)) {
        const nothing = {
          outcome: known.outcome,
          code: null,
          signal: null,
          ms: 0,
          skippedItself: known.skippedItself,
          stdout: '',
          stderr: '',
        };
        settle(test, nothing, /** @type {import('./judge.mjs').Verdict} */ (firstVerdict(nothing, known, undefined)));
      } else {
        const under = underFor(test);
        const result = await run(session, test, under, slot);
        const verdict =
          known || speaksForItself(result) || exceptionOf(test) ? firstVerdict(result, known, exceptionOf(test)) : null;
        if (verdict) settle(test, result, verdict);
        else {
          suspects.push({ test, first: result, under });
          session.say(
            `  to look at again ${test} (Node ${line}, ${driver}${session.via === 'env' ? ', by NODE_OPTIONS' : ''}): ${difference(result, undefined, 2).join(' | ')}`,
          );
        }
      }
      session.tick(driver, ++done, tests.length);
    },
  );

  let looked = 0;
  /** @param {{ test: string, first: Result, under: Under }} suspect @param {number} slot */
  const lookAgain = async ({ test, first, under }, slot) => {
    session.tick(`${driver}, second look`, ++looked, suspects.length);
    const exception = exceptionOf(test);
    // Plain Node first: without a cached answer it may settle the matter at once.
    const plain = options.reruns > 0 || !controls.get(test) ? await run(session, test, null, slot) : undefined;
    if (plain && !controls.get(test)) {
      controls.set(test, plain);
      const verdict =
        plain.outcome === 'pass' && !plain.skippedItself ? null : firstVerdict(first, controls.get(test), exception);
      if (verdict) return settle(test, first, verdict);
    }
    /** @type {Result[]} */
    const again = [];
    while (again.length < options.reruns) {
      const result = await run(session, test, under, slot, 2);
      again.push(result);
      if (!matches(result, plain)) break;
    }
    const verdict = lastVerdict({ first, again, control: plain ?? controls.get(test), exception });
    const failure = again.find((result) => !matches(result, plain)) ?? first;
    const detail = matches(failure, plain) ? [] : difference(failure, plain);
    settle(test, failure, verdict, { detail, command: commandLine(session, test, under) });
    if (verdict.class !== 'excepted')
      session.say(
        `  ${verdict.class.padEnd(16)} ${test} (Node ${line}, ${driver}${session.via === 'env' ? ', by NODE_OPTIONS' : ''}): ${detail.slice(0, 2).join(' | ') || verdict.why}`,
      );
  };
  const name = (/** @type {{ test: string }} */ suspect) => suspect.test;
  // One that skipped itself does so for what it finds on this machine, in a crowd as alone; it says nothing of how busy the machine is.
  const [skipped, failed] = [true, false].map((skips) => suspects.filter(({ first }) => first.skippedItself === skips));
  await poolThenAlone(skipped ?? [], name, options.jobs, lookAgain);
  await poolThenAlone(failed ?? [], name, (failed ?? []).length > FEW_SUSPECTS ? options.jobs : 1, lookAgain);
  if (suspects.length > 0) controls.save();
  return units;
}

/**
 * Whether a fault that is planted on purpose fails a test that passes without it: a judge that calls everything good is none.
 * @param {{ node: string, suite: string, hook: string, planted: import('./options.mjs').PlantedFault }} what
 * @returns {Promise<import('./report.mjs').Notice>}
 */
export async function noticed({ node, suite, hook, planted: { fault, tests } }) {
  const under = { hook, driver: 'inline', seed: 1, via: /** @type {const} */ ('argv'), enable: null, fault };
  // A test that this suite does not have notices nothing; that none does is what is reported then.
  for (const test of tests.filter((name) => fs.existsSync(path.join(suite, 'test', name)))) {
    const order = { node, suite, test, limitMs: FAULT_LIMIT_MS, slot: 0 };
    const plain = await runTest({ ...order, under: null });
    if (!speaksForItself(plain)) continue;
    const broken = await runTest({ ...order, under });
    if (firstVerdict(broken, { ...plain, blob: '' }, undefined) === null) return { fault, test, noticed: true };
  }
  return { fault, test: tests.join(', '), noticed: false };
}
