// @ts-check
// The list of what is run, and of what is known not to pass: expectations/*.jsonc, shape in schema.json.
// The loader is strict on purpose. An entry that names nothing, a test in two subsystems or a misspelt key is an error, because
// a list that silently matches less than its author meant looks exactly like success.

import fs from 'node:fs';
import path from 'node:path';
import { here } from './suite.mjs';

/**
 * @typedef {'cannot-match' | 'defect' | 'flaky'} Kind
 * @typedef {{ test: string, kind: Kind, reason: string, lines: number[], drivers?: string[] }} Exception
 * @typedef {{ subsystem: string, about: string, tests: string[], not?: string[], exceptions: Exception[], file: string }} Expectations
 */

const KEYS = {
  file: ['$schema', 'subsystem', 'about', 'tests', 'not', 'exceptions'],
  exception: ['test', 'kind', 'reason', 'lines', 'drivers'],
};
const KINDS = ['cannot-match', 'defect', 'flaky'];
export const DRIVERS = ['inline', 'offload', 'random', 'auto'];

/** JSON with comments and trailing commas; strings are left alone.
 * @param {string} text */
export function parseJsonc(text) {
  const bare = text.replace(/("(?:\\.|[^"\\])*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (_, string) => string ?? '');
  return JSON.parse(bare.replace(/("(?:\\.|[^"\\])*")|,(?=\s*[\]}])/g, (_, string) => string ?? ''));
}

/** `*` stands for anything within one name.
 * @param {string} glob */
export function globToPattern(glob) {
  return new RegExp(
    `^${glob
      .split('*')
      .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
      .join('[^/]*')}$`,
  );
}

/** @param {any} value @param {string} file @returns {asserts value is Expectations} */
function check(value, file) {
  const wrong = (/** @type {string} */ what) => new Error(`expectations/${file}: ${what}`);
  for (const key of Object.keys(value)) if (!KEYS.file.includes(key)) throw wrong(`unknown key "${key}"`);
  if (value.subsystem !== path.basename(file, '.jsonc')) throw wrong('"subsystem" must be the name of the file');
  if (typeof value.about !== 'string' || !value.about) throw wrong('"about" is missing');
  if (!Array.isArray(value.tests) || value.tests.length === 0) throw wrong('"tests" is missing');
  if (!Array.isArray(value.exceptions)) throw wrong('"exceptions" is missing');
  for (const exception of value.exceptions) {
    for (const key of Object.keys(exception))
      if (!KEYS.exception.includes(key)) throw wrong(`unknown key "${key}" at ${exception.test}`);
    if (!/^[a-z-]+\/test-[^*]+\.m?js$/.test(exception.test ?? ''))
      throw wrong(`"${exception.test}" is not the name of one test, such as parallel/test-net-server-close.js`);
    if (!KINDS.includes(exception.kind)) throw wrong(`${exception.test}: "kind" must be one of ${KINDS.join(', ')}`);
    if (typeof exception.reason !== 'string' || exception.reason.length < 20)
      throw wrong(`${exception.test}: a reason is a sentence`);
    for (const driver of exception.drivers ?? [])
      if (!DRIVERS.includes(driver)) throw wrong(`${exception.test}: unknown driver "${driver}"`);
    if (!Array.isArray(exception.lines) || exception.lines.length === 0 || !exception.lines.every(Number.isInteger))
      throw wrong(`${exception.test}: "lines" are numbers such as 20, one at least`);
  }
}

/** @param {string} [dir] @returns {Expectations[]} */
export function readExpectations(dir = path.join(here, 'expectations')) {
  return fs
    .readdirSync(dir)
    .filter((file) => file.endsWith('.jsonc'))
    .sort()
    .map((file) => {
      let value;
      try {
        value = parseJsonc(fs.readFileSync(path.join(dir, file), 'utf8'));
      } catch (error) {
        throw new Error(`expectations/${file}: ${/** @type {Error} */ (error).message}`);
      }
      check(value, file);
      return { ...value, file };
    });
}

/**
 * Which test belongs to which subsystem, for one suite. The first pattern that is spelt for a test exactly wins over one with a star,
 * so a single test can be moved to the room it belongs to; two stars for one test are an error.
 * @param {Expectations[]} all @param {Iterable<string>} files names such as test/parallel/test-net-x.js
 * @returns {Map<string, Expectations>}
 */
export function assign(all, files) {
  const rules = all.flatMap((expectations) =>
    expectations.tests.map((glob) => ({
      expectations,
      glob,
      exact: !glob.includes('*'),
      pattern: globToPattern(glob),
      not: (expectations.not ?? []).map(globToPattern),
    })),
  );
  /** @type {Map<string, Expectations>} */
  const owner = new Map();
  for (const file of [...files].sort()) {
    const test = file.replace(/^test\//, '');
    if (!/^[a-z-]+\/test-.*\.m?js$/.test(test)) continue;
    const hits = rules.filter((rule) => rule.pattern.test(test) && !rule.not.some((not) => not.test(test)));
    const best = hits.some((rule) => rule.exact) ? hits.filter((rule) => rule.exact) : hits;
    const owners = new Set(best.map((rule) => rule.expectations));
    if (owners.size > 1) throw new Error(`${test} is listed by ${[...owners].map((one) => one.file).join(' and ')}`);
    const first = best[0];
    if (first) owner.set(test, first.expectations);
  }
  return owner;
}

/** Entries that name no test of any suite at hand: a test that went away upstream, or a slip.
 * @param {Expectations[]} all @param {Set<string>} tests every test of every suite that was looked at @param {boolean} everyLine */
export function stale(all, tests, everyLine) {
  const lost = [];
  for (const expectations of all) {
    for (const exception of expectations.exceptions) {
      if (everyLine && !tests.has(exception.test))
        lost.push(`expectations/${expectations.file}: ${exception.test} is not in the suite`);
    }
    for (const glob of expectations.tests) {
      const pattern = globToPattern(glob);
      if (everyLine && ![...tests].some((test) => pattern.test(test)))
        lost.push(`expectations/${expectations.file}: ${glob} matches nothing`);
    }
  }
  return lost;
}

/** @param {Expectations} expectations @param {string} test @param {string} line @param {string} driver */
export function exceptionFor(expectations, test, line, driver) {
  return expectations.exceptions.find(
    (entry) =>
      entry.test === test && entry.lines.includes(Number(line)) && (!entry.drivers || entry.drivers.includes(driver)),
  );
}
