// @ts-check
// Joins the compiled modules into two files: dist/boot.js, which every preload loads, and dist/bundle.js, whose text it
// keeps (packed) and compiles when lib/ first asks for a handle class. Node spends about a millisecond of processor time on finding,
// reading and wrapping each module; some thirty of them were three quarters of what the hook cost every start. Which file a
// module goes to is read off the sources: what the boot sequence imports at its head is needed at once, a `require` inside a
// function can wait.
//
// What runs late runs in a program that may have mocked the file system, hooked `require` and replaced built-ins. So the text
// is read while the program starts, Node's modules come from where no hook sees it, and the modules get the globals that
// were there at the start, and around them the methods of lib/primordials.ts as variables, as Node's own modules have theirs: a
// variable costs less than a property of a module, at the start and at every call.
//
// dist/register.js and dist/index.js become doors to them, so whoever comes through either finds the same state. The
// other files stay as tsc made them, for the unit specs and the command line.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { deflateRawSync } from 'node:zlib';
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

/** Globals that lib/ uses; scripts/check-captured.mjs compares. */
export const GLOBALS = [
  ...[
    'Array',
    'ArrayBuffer',
    'BigInt',
    'Boolean',
    'Buffer',
    'DataView',
    'Error',
    'Float64Array',
    'Function',
    'Int32Array',
  ],
  ...[
    'JSON',
    'Map',
    'Math',
    'Number',
    'Object',
    'RangeError',
    'Reflect',
    'RegExp',
    'Set',
    'String',
    'Symbol',
    'TypeError',
  ],
  ...['Uint8Array', 'WeakMap', 'WeakSet', 'process', 'setTimeout'],
];

/** One of Node's own modules, at the head of a line or within a function. */
const BUILTIN = /\brequire\((["'])node:([\w/]+)\1\)/g;

/** What tsc writes for importers that are none of ours; its descriptor inherits from whatever is on `Object.prototype`. */
const MARKER = /^Object\.defineProperty\(exports, "__esModule", \{ value: true \}\);$/gm;

/** The same, for those who import ours. */
const MARKED = 'Object.defineProperty(exports, "__esModule", { __proto__: null, value: true });';

/** What tsc begins with, for modules that import one another: `exports.a = exports.b = void 0`. */
const UNDEFINED = /^(?:exports\.\w+ = )+void 0;\n/gm;

/** Said once, at the head of the file. */
const STRICT = /^"use strict";\n+/;

/** `require` of a relative path, in the quotes of tsc or of the source; at the head of a line or within a function. */
const REQUEST = /\brequire\((["'])(\.[^"']*)\1\)/g;

/**
 * The modules that a module needs, and its text with their names resolved.
 *
 * @param {string} file
 */
function read(file) {
  const marker = file === 'index.js' ? MARKED : '';
  /** @type {string[]} */
  const atOnce = [];
  /** @type {string[]} */
  const later = [];
  const lines = readFileSync(join(dist, file), 'utf8').split('\n');
  const text = lines.map((line) =>
    line.replace(REQUEST, (_, __, request) => {
      const target = resolve(file, request);
      if (target === null) return manifest(posix.join(posix.dirname(file), request));
      // tsc indents what is within a function, and writes an arrow function of one line with its arrow.
      (/^\s|=>/.test(line) ? later : atOnce).push(target);
      return `$load(${JSON.stringify(target)})`;
    }),
  );
  const own = text.join('\n');
  let whole = (file === 'index.js' ? own : early(own))
    .replace(BUILTIN, '$builtin($1$2$1)')
    .replace(MARKER, marker)
    .replace(/^ +/gm, '');
  // What nobody reads before it has its value: no import of lib/'s is circular. Names for `import` are found there.
  if (file !== 'index.js') whole = whole.replace(UNDEFINED, '').replace(STRICT, '');
  if (lines.some((line) => line.split('`').length % 2 === 0))
    throw new Error(`${file}: a template of several lines would lose its indentation`);
  return { text: narrow(whole), atOnce, later };
}

/**
 * What lib/ wants to know of package.json, which nobody is to read later.
 *
 * @param {string} path of the file, from dist/
 */
function manifest(path) {
  const { version } = JSON.parse(readFileSync(join(dist, path), 'utf8'));
  return `(${JSON.stringify({ version })})`;
}

/** The built-ins, whose names the joined modules see as Node's own see theirs: as variables around them. */
const BUILTINS = 'primordials.js';

/** How a module imports them, and how it calls and names one. */
const IMPORTED = /^const primordials_1 = \$load\("primordials\.js"\);\n/m;
const CALLED = /\(0, primordials_1\.(\w+)\)/g;
const NAMED = /\bprimordials_1\.(\w+)/g;

/**
 * A module that finds the built-ins around it.
 *
 * @param {string} text
 */
function withBuiltins(text) {
  return text.replace(IMPORTED, '').replace(CALLED, '$1').replace(NAMED, '$1');
}

/**
 * The built-ins as variables, and an object with all of them for the other file: those that none of these modules use are taken
 * for that file alone.
 *
 * @param {string} text of their module
 * @param {string} users the modules that are to find them
 */
function variables(text, users) {
  /** @type {string[]} */
  const names = [];
  const lines = text
    .replace(/\(0, exports\.(\w+)\)/g, '$1')
    // What tsc makes of an export that is a pattern.
    .replace(/^\((\{ .* \} = \w+)\);$/gm, 'const $1;')
    .replace(/^(?=exports\.\w+ = )/gm, 'const ')
    .replace(/\bexports\.(\w+)/g, (_, name) => {
      if (!names.includes(name)) names.push(name);
      return name;
    });
  /** @type {string[]} */
  const others = [];
  const used = new Set(users.match(/\b[A-Z]\w+|\buncurryThis\b/g));
  const kept = lines.replace(/^const (\w+) = (.*);\n/gm, (line, name, value) => {
    if (!names.includes(name) || used.has(name) || name === 'uncurryThis') return line;
    others.push(`${name}: ${value}`);
    return '';
  });
  const all = [...others, ...names.filter((name) => !others.some((one) => one.startsWith(`${name}: `)))];
  return { names, text: `${kept.trim()}\n$builtins = { __proto__: null, ${all.join(', ')} };` };
}

/**
 * Functions that every start calls. V8 looks a function through when it meets it and compiles it when it is called, unless it
 * stands in parentheses: then it reads it once. (1.3 million instructions of a start.)
 */
const CALLED_EARLY = [
  ...['addonPath', 'begin', 'boot', 'claim', 'debug', 'descriptorOf', 'exists', 'fetchDoors', 'findAddon', 'findBoth'],
  ...['firstObstacle', 'has', 'hasHandles', 'hookCreateHook', 'hookEnds', 'hookGetter', 'hookProcess', 'hookResources'],
  ...['hookStdio', 'install', 'isClass', 'isGiven', 'isLoaded', 'mayRun', 'namesTsloop', 'readConfig', 'runs'],
  ...['standing', 'swapOnRead', 'unwrapped'],
];

/**
 * A module with those at its head: as constants they are not there before their place.
 *
 * @param {string} text with tsc's indentation
 */
function early(text) {
  /** @type {string[]} */
  const found = [];
  const rest = text.replace(/^function (\w+)(\([\s\S]*?\n\})\n/gm, (whole, name, body) => {
    if (!CALLED_EARLY.includes(name)) return whole;
    found.push(`const ${name} = (function ${name}${body});\n`);
    return '';
  });
  return found.join('') + rest;
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
  return `$define(${JSON.stringify(file)}, ${folder}, (function (exports, module, __dirname) {\n${withBuiltins(text)}\n}));\n`;
}

/** The text of dist/bundle.js as it is kept: to read a quarter of it is what a start can afford. */
const PACKED = 'bundle.deflate';

/** Stands in for this module in dist/boot.js. */
const KEEPER = 'boot/rest.js';

/** Joins the modules; to be called on what tsc has just made. */
export function bundle() {
  const boot = reachable(['register.js'], { everything: false });
  const index = read('index.js');
  const rest = reachable([...boot.keys(), 'index.js'], { everything: true, except: boot });
  rest.delete('index.js');
  boot.delete(KEEPER);
  const own = /** @type {string} */ (boot.get(BUILTINS));
  boot.delete(BUILTINS);
  const users = [...boot.values()].join('\n');
  const builtins = variables(own, users);
  for (const name of CALLED_EARLY)
    if (!users.includes(`(function ${name}(`)) throw new Error(`CALLED_EARLY: ${name} is no function of a start`);

  const head = [
    "'use strict';",
    '// Made by scripts/bundle.mjs from the modules of dist/. Its own names begin with a dollar sign: the modules see them.',
  ];
  const globals = GLOBALS.join(', ');
  const loader = [
    `const $globals = { __proto__: null, ${globals} };`,
    'let $builtins;',
    '// Without `require` where Node has a way of its own; the loader as it is now where not.',
    "const $own = process.getBuiltinModule ?? ((load) => (name) => load('node:' + name, null, false))(require('module')._load);",
    'const $builtin = (name) => $own(name);',
    "const $readFile = require('fs').readFileSync;",
    'const $decode = Function.prototype.call.bind(Buffer.prototype.latin1Slice);',
    'let $bytes;',
    'const $keep = () => {',
    `  $bytes ??= $readFile(__dirname + '/${PACKED}');`,
    '};',
    'const $definitions = { __proto__: null };',
    `const $loaded = { __proto__: null, ${JSON.stringify(KEEPER)}: { exports: { keepRest: $keep } } };`,
    'function $define(file, folder, body) {',
    '  $definitions[file] = { folder, body };',
    '}',
    'function $compileRest() {',
    '  $keep();',
    "  const text = $builtin('zlib').inflateRawSync($bytes);",
    '  $bytes = null;',
    "  const options = { __proto__: null, filename: __dirname + '/bundle.js' };",
    "  const script = new ($builtin('vm').Script)($decode(text, 0, text.length), options);",
    `  script.runInThisContext({ __proto__: null })($define, $load, $builtin, __dirname, $globals, $builtins);`,
    '}',
    'function $load(file) {',
    '  const known = $loaded[file];',
    '  if (known !== undefined) return known.exports;',
    '  if ($definitions[file] === undefined) $compileRest();',
    '  const module = { exports: { __proto__: null } };',
    '  $loaded[file] = module;',
    '  const { folder, body } = $definitions[file];',
    '  body(module.exports, module, folder);',
    '  return module.exports;',
    '}',
    'module.exports = $load;',
    `(({ ${globals} }) => {`,
  ];
  writeFileSync(
    join(dist, 'boot.js'),
    [...[...head, ...loader, builtins.text], ...[...[...boot].map(definition), '})($globals);', '']].join('\n'),
  );
  const more = [
    `(($define, $load, $builtin, __dirname, { ${globals} }, { ${builtins.names.join(', ')} }) => {`,
    ...[...[...rest].map(definition), '});', ''],
  ];
  const text = [...head, ...more].join('\n');
  writeFileSync(join(dist, 'bundle.js'), text);
  writeFileSync(join(dist, PACKED), deflateRawSync(Buffer.from(text, 'latin1'), { level: 9 }));

  writeFileSync(join(dist, 'register.js'), `${MARK}\nrequire('./boot.js')('register.js');\n`);
  // As tsc made it, save where it gets its modules: whoever asks how things stand needs few of them, and
  // `import { status } from 'tsloop'` finds names in the text, it does not run it.
  writeFileSync(join(dist, 'index.js'), `${MARK}\n'use strict';\nconst $load = require('./boot.js');\n${index.text}`);
}
