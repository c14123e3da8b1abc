// @ts-check
// Joins the compiled modules into two files: dist/boot.js, which every preload loads, and dist/bundle.js, which it loads
// when lib/ first asks for a handle class. Node spends about a millisecond of processor time on finding, reading and
// wrapping each module; some thirty of them were three quarters of what the hook cost every start. Which file a module
// goes to is read off the sources: what the boot sequence imports at its head is needed at once, a `require` inside a
// function can wait.
//
// dist/register.js and dist/index.js become doors to them, so whoever comes through either finds the same state. The
// other files stay as tsc made them, for the unit specs and the command line.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { root } from './processes.mjs';

const dist = join(root, 'dist');
const MARK = '// A door to boot.js, made by scripts/bundle.mjs';

/** What programs and the preload load by name. */
const doors = ['register.js', 'index.js'];

/** Whether the doors are there: tsc called by itself puts plain modules in their place, which work as well. */
export function isBundled() {
  return doors.every((door) => existsSync(join(dist, door)) && readFileSync(join(dist, door), 'utf8').startsWith(MARK));
}

/**
 * The file that a relative request from a module means, or null for what is not ours to join.
 *
 * @param {string} from path of the module within dist
 * @param {string} request
 */
function resolve(from, request) {
  const path = posix.join(posix.dirname(from), request);
  return (
    [path, `${path}.js`, `${path}/index.js`].find((file) => file.endsWith('.js') && existsSync(join(dist, file))) ??
    null
  );
}

/** `require` of a relative path, in the quotes of tsc or of the source; at the head of a line or within a function. */
const REQUEST = /\brequire\((["'])(\.[^"']*)\1\)/g;

/**
 * The modules that a module needs, and its text with their names resolved.
 *
 * @param {string} file
 */
function read(file) {
  /** @type {string[]} */
  const atOnce = [];
  /** @type {string[]} */
  const later = [];
  const lines = readFileSync(join(dist, file), 'utf8').split('\n');
  const text = lines.map((line) =>
    line.replace(REQUEST, (_, __, request) => {
      const target = resolve(file, request);
      // A file beside dist/, such as package.json: the same from here, as the bundles lie in dist/ itself.
      if (target === null) return `require(${JSON.stringify(`./${posix.join(posix.dirname(file), request)}`)})`;
      // tsc indents what is within a function, and writes an arrow function of one line with its arrow.
      (/^\s|=>/.test(line) ? later : atOnce).push(target);
      return `$load(${JSON.stringify(target)})`;
    }),
  );
  return { text: narrow(text.join('\n')), atOnce, later };
}

/**
 * The same text in Latin-1: one character beyond it, in a comment even, doubles what V8 keeps of a source.
 *
 * @param {string} text
 */
function narrow(text) {
  return text.replace(/[^\0-\xff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/**
 * The modules reachable from some, with their texts.
 *
 * @param {readonly string[]} from
 * @param {{ everything: boolean, except?: ReadonlyMap<string, string> }} options `everything` follows what can wait too
 */
function reachable(from, { everything, except = new Map() }) {
  /** @type {Map<string, string>} */
  const found = new Map();
  const seen = new Set();
  const visit = (/** @type {string} */ file) => {
    if (seen.has(file)) return;
    seen.add(file);
    const { text, atOnce, later } = read(file);
    if (!except.has(file)) found.set(file, text);
    for (const next of everything ? [...atOnce, ...later] : atOnce) visit(next);
  };
  for (const file of from) visit(file);
  return found;
}

/**
 * A call that hands a module's function over.
 *
 * @param {[string, string]} module
 */
function definition([file, text]) {
  const folder = dirname(file) === '.' ? '__dirname' : `__dirname + ${JSON.stringify(`/${dirname(file)}`)}`;
  // The folder is handed in: a module's own __dirname must be where tsc put it. The parentheses tell V8 that the
  // function is about to run: it is compiled at once instead of being looked through first.
  return `$define(${JSON.stringify(file)}, ${folder}, (function (exports, module, __dirname) {\n${text}\n}));\n`;
}

/** Joins the modules; to be called on what tsc has just made. */
export function bundle() {
  const boot = reachable(['register.js'], { everything: false });
  const index = read('index.js');
  const rest = reachable([...boot.keys(), 'index.js'], { everything: true, except: boot });
  rest.delete('index.js');

  const head = [
    "'use strict';",
    '// Made by scripts/bundle.mjs from the modules of dist/. Its own names begin with a dollar sign: the modules see them.',
  ];
  const table = [
    'const $definitions = new Map();',
    'const $loaded = new Map();',
    'function $define(file, folder, body) {',
    '  $definitions.set(file, { folder, body });',
    '}',
    'function $load(file) {',
    '  const known = $loaded.get(file);',
    '  if (known !== undefined) return known.exports;',
    "  if (!$definitions.has(file)) require('./bundle.js')($define, $load);",
    '  const module = { exports: {} };',
    '  $loaded.set(file, module);',
    '  const { folder, body } = $definitions.get(file);',
    '  body.call(module.exports, module.exports, module, folder);',
    '  return module.exports;',
    '}',
    'module.exports = $load;',
  ];
  writeFileSync(join(dist, 'boot.js'), [...head, ...table, ...[...boot].map(definition)].join('\n'));
  const more = ['module.exports = ($define, $load) => {', ...[...rest].map(definition), '};', ''];
  writeFileSync(join(dist, 'bundle.js'), [...head, ...more].join('\n'));

  writeFileSync(join(dist, 'register.js'), `${MARK}\nrequire('./boot.js')('register.js');\n`);
  // As tsc made it, save where it gets its modules: whoever asks how things stand needs few of them, and
  // `import { status } from 'tsloop'` finds names in the text, it does not run it.
  writeFileSync(join(dist, 'index.js'), `${MARK}\n'use strict';\nconst $load = require('./boot.js');\n${index.text}`);
}
