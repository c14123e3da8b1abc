// @ts-check
// Joins the compiled modules that a preload needs into one file, dist/bundle.js. Node spends about a millisecond of
// processor time on finding, reading and wrapping each module; some thirty of them were three quarters of what the hook
// cost every start. The modules stay functions that run, and are compiled, when first required.
//
// dist/register.js and dist/index.js become doors to it, so whoever comes through either finds the same state. The
// other files stay as tsc made them, for the unit specs and the command line.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { root } from './processes.mjs';

const dist = join(root, 'dist');
const MARK = '// A door to bundle.js, made by scripts/bundle.mjs';

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

/** Joins the modules; to be called on what tsc has just made. */
export function bundle() {
  /** @type {Map<string, string>} */
  const modules = new Map();
  const add = (/** @type {string} */ file) => {
    if (modules.has(file)) return;
    modules.set(file, '');
    const source = readFileSync(join(dist, file), 'utf8').replace(/\brequire\("(\.[^"]*)"\)/g, (_, request) => {
      const target = resolve(file, request);
      // A file beside dist/, such as package.json: the same from here, as the bundle lies in dist/ itself.
      if (target === null) return `require(${JSON.stringify(`./${posix.join(posix.dirname(file), request)}`)})`;
      add(target);
      return `$load(${JSON.stringify(target)})`;
    });
    modules.set(file, source);
  };
  for (const door of doors) add(door);

  const definitions = [...modules].map(([file, source]) => {
    const folder = dirname(file) === '.' ? '__dirname' : `__dirname + ${JSON.stringify(`/${dirname(file)}`)}`;
    // The folder is handed in: a module's own __dirname must be where tsc put it.
    return `$define(${JSON.stringify(file)}, ${folder}, function (exports, module, __dirname) {\n${source}\n});\n`;
  });
  const text = [
    "'use strict';",
    '// Made by scripts/bundle.mjs from the modules of dist/. Its own names begin with a dollar sign: the modules see them.',
    'const $definitions = new Map();',
    'const $loaded = new Map();',
    'function $define(file, folder, body) {',
    '  $definitions.set(file, { folder, body });',
    '}',
    'function $load(file) {',
    '  const known = $loaded.get(file);',
    '  if (known !== undefined) return known.exports;',
    '  const module = { exports: {} };',
    '  $loaded.set(file, module);',
    '  const { folder, body } = $definitions.get(file);',
    '  body.call(module.exports, module.exports, module, folder);',
    '  return module.exports;',
    '}',
    'module.exports = $load;',
    ...definitions,
  ].join('\n');
  writeFileSync(join(dist, 'bundle.js'), text);

  for (const door of doors) {
    // Written out one by one: `import { status } from 'tsloop'` finds names in the text, it does not run it.
    const names = [
      ...(modules.get(door) ?? '').matchAll(/^(?:exports\.|Object\.defineProperty\(exports, ")(\w+)/gm),
    ].map(([, name]) => name);
    const lines = [...new Set(names)]
      .filter((name) => name !== '__esModule')
      .map((name) => `exports.${name} = door.${name};`);
    const head = [MARK, "'use strict';", 'Object.defineProperty(exports, "__esModule", { value: true });'];
    writeFileSync(
      join(dist, door),
      [...head, `const door = require('./bundle.js')(${JSON.stringify(door)});`, ...lines, ''].join('\n'),
    );
  }
}
