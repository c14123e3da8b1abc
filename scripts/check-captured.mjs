// @ts-check
// lib/ runs inside programs that replace built-ins, pollute `Object.prototype` and fake `process`: what it calls is taken
// before they run (lib/primordials.ts, lib/boot/host.ts). This finds, by name, the calls that go past those two.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GLOBALS } from './bundle.mjs';
import { root } from './processes.mjs';
import { filesUnder } from './sources.mjs';

/** These run before the program does and never again, or in a process of their own. */
const exempt = ['lib/primordials.ts', 'lib/boot/host.ts', 'lib/boot/config.ts', 'lib/boot/guard.ts', /^lib\/cli\//];

/** Of a map or set of ours `get`, `set`, `has`, `add`, `delete`, `clear` and `forEach` are its own: see lib/collections.ts. */
const methods = [
  ...['at', 'concat', 'every', 'fill', 'filter', 'find', 'findIndex', 'flat', 'flatMap', 'includes', 'indexOf', 'join'],
  ...[
    'keys',
    'values',
    'entries',
    'map',
    'pop',
    'push',
    'reduce',
    'reverse',
    'shift',
    'slice',
    'some',
    'sort',
    'splice',
  ],
  ...[
    'unshift',
    'split',
    'trim',
    'replace',
    'replaceAll',
    'startsWith',
    'endsWith',
    'toLowerCase',
    'toUpperCase',
    'test',
  ],
  ...['exec', 'match', 'matchAll', 'repeat', 'padEnd', 'charCodeAt', 'subarray', 'call', 'apply'],
];

/** What is asked of `process` while a program starts, by those who attach to it there. */
const attached = ['lib/instance.ts', 'lib/seam.ts', 'lib/patches/ends.ts', 'lib/patches/stdio.ts'];

/** @type {readonly { pattern: RegExp, say: string, but?: readonly string[] }[]} */
const rules = [
  { pattern: new RegExp(`\\.(?:${methods.join('|')})\\(`), say: 'a method that a program may have replaced' },
  {
    pattern:
      /\b(?:Object|Reflect|Math|Number|Array|JSON|Buffer|ArrayBuffer|String|Symbol(?!\.(?:for\(|hasInstance)))\.\w+\(/,
    say: 'a function that a program may have replaced',
  },
  { pattern: /\bnew (?:Map|Set|WeakMap|WeakSet)\b/, say: 'its methods are those of the prototype: Safe…' },
  { pattern: /\bfor \((?:const|let) .* of /, say: 'asks a prototype for an iterator' },
  { pattern: /\b(?:const|let) \[/, say: 'asks a prototype for an iterator' },
  { pattern: /(?<![.\w'])process\.\w/, say: 'belongs to lib/boot/host.ts', but: attached },
  {
    pattern: /(?<!Other|__proto__: null, )\bObjectDefineProperty\([^;{]*\{ (?!__proto__: null)/,
    say: 'its descriptor inherits',
  },
  { pattern: /\bObjectDefineProperty\([^;{]*\{$/, say: '' },
];

/** Words of the language and of our own that look like globals. */
const known = new Set([...GLOBALS, 'undefined', 'NaN', 'Infinity']);

/**
 * Lines without comments and texts.
 *
 * @param {string} file
 */
function linesOf(file) {
  const source = readFileSync(join(root, file), 'utf8');
  return source
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ''))
    .split('\n')
    .map((line) => line.replace(/(^|\s)\/\/.*/, '').replace(/'[^']*'/g, "''"));
}

/**
 * Whether a list is spread: not an object, and no rest parameter.
 *
 * @param {string} line
 */
function spreads(line) {
  for (const { index } of line.matchAll(/\.\.\.\w+\b(?![\w?]*:|\) (?:\{|=>))/g)) {
    /** @type {string[]} */
    const open = [];
    for (const sign of line.slice(0, index)) {
      if ('([{'.includes(sign)) open.push(sign);
      else if (')]}'.includes(sign)) open.pop();
    }
    if (open.length > 0 && open.at(-1) !== '{') return true;
  }
  return false;
}

/**
 * @param {string} file
 * @returns {string[]}
 */
function problemsOf(file) {
  /** @type {string[]} */
  const found = [];
  const lines = linesOf(file);
  for (const [index, line] of lines.entries()) {
    for (const { pattern, say, but = [] } of rules) {
      if (!pattern.test(line) || but.includes(file)) continue;
      // A descriptor of several lines begins with its prototype.
      if (say === '' && /^\s*__proto__: null/.test(lines[index + 1] ?? '')) continue;
      found.push(`${file}:${index + 1}: ${line.trim()} (${say || 'its descriptor inherits'})`);
    }
    if (spreads(line)) found.push(`${file}:${index + 1}: ${line.trim()} (a spread asks a prototype for an iterator)`);
    for (const [, name = ''] of line.matchAll(/\bnew ([A-Z]\w*)\(/g))
      if (Object.hasOwn(globalThis, name) && !known.has(name))
        found.push(`${file}:${index + 1}: ${name} is not among the globals of scripts/bundle.mjs`);
  }
  return found;
}

/** @returns {string[]} */
export function findCapturedProblems() {
  const isExempt = (/** @type {string} */ file) =>
    exempt.some((one) => (typeof one === 'string' ? one === file : one.test(file)));
  const files = filesUnder(['lib'], (path) => path.endsWith('.ts')).filter((file) => !isExempt(file));
  return files.flatMap(problemsOf);
}
