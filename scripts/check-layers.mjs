// @ts-check
// lib/ is made of layers: a module imports from its own layer and from those below, never from above, and no import comes back
// to where it began. Counted is every way to name a module, types and late `require` too: who needs a thing only sometimes
// still has to know of it. The table is here; docs/architecture.md shows it:
//
//   node scripts/check-layers.mjs --write

import { readFileSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './processes.mjs';
import { filesUnder } from './sources.mjs';

/** From the top down. A name that ends in a slash is a folder; the first layer has what no other claims. */
export const layers = [
  {
    name: 'start',
    holds: ['lib/cli/'],
    what: 'the boot sequence, putting tsloop in and out, the public API, the classes put together; whatever is nowhere else',
  },
  {
    name: 'patches',
    holds: ['lib/patches/', 'lib/timers/'],
    what: 'what else of Node is touched: standard streams, late `net` and `dgram`, how a process ends, what is open, timers',
  },
  {
    name: 'crossing',
    holds: ['lib/crossing/'],
    what: 'handles on their way to another process or thread, and from there',
  },
  {
    name: 'bindings',
    holds: ['lib/bindings/', 'lib/dispatch.ts'],
    what: "what replaces Node's handle classes, and one batch of events to the handles",
  },
  {
    name: 'context',
    holds: ['lib/context/'],
    what: "this thread's environment, the phases of its loop, the async context of what happens in it",
  },
  {
    name: 'ground',
    holds: [
      ...[
        'lib/primordials.ts',
        'lib/collections.ts',
        'lib/errors.ts',
        'lib/debug.ts',
        'lib/standing.ts',
        'lib/seam.ts',
        'lib/shapes.ts',
      ],
      ...['lib/boot/', 'lib/native/'],
    ],
    what: 'built-ins and `process` as they were at the start, settings, how this thread stands, the doors to Node and to the native part',
  },
];

const PAGE = 'docs/architecture.md';
const TABLE = /(<!-- layers: written by scripts\/check-layers\.mjs -->\n)[\s\S]*?(<!-- end of layers -->)/;

/** The same as Markdown. */
export function layersTable() {
  const rows = layers.map(({ name, holds, what }, index) => {
    const names = holds.map((held) => `\`${held.replace(/\/$/, '')}\``).join(', ');
    return `| ${name} | ${index === 0 ? `${names} and the rest of \`lib\`` : names} | ${what} |`;
  });
  return ['', '| layer | where | what is there |', '|---|---|---|', ...rows, '', ''].join('\n');
}

/** The number of a file's layer, 0 at the top. */
function layerOf(/** @type {string} */ file) {
  const found = layers.findIndex(({ holds }) =>
    holds.some((held) => (held.endsWith('/') ? file.startsWith(held) : file === held)),
  );
  return found < 0 ? 0 : found;
}

/** `from '…'`, `import('…')`, `require('…')`: of the same copy of lib/, so by a relative path. */
const NAMED = /(?:\bfrom |\bimport |\bimport\(|\brequire\()'(\.[^']*)'/g;

/**
 * The files of lib/ that a text names, by the paths that its own file would resolve them to.
 *
 * @param {string} file
 * @param {string} source
 * @param {ReadonlySet<string>} known
 */
function importsOf(file, source, known) {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*/gm, '');
  /** @type {Set<string>} */
  const found = new Set();
  for (const [, request = ''] of code.matchAll(NAMED)) {
    const path = posix.join(posix.dirname(file), request);
    const target = [`${path}.ts`, `${path}/index.ts`].find((one) => known.has(one));
    if (target !== undefined) found.add(target);
  }
  return [...found];
}

/**
 * What is wrong between files, by their texts.
 *
 * @param {ReadonlyMap<string, string>} sources
 * @returns {string[]}
 */
export function layerProblemsOf(sources) {
  const known = new Set(sources.keys());
  const imports = new Map([...sources].map(([file, source]) => [file, importsOf(file, source, known)]));
  const up = [...imports].flatMap(([file, targets]) =>
    targets
      .filter((target) => layerOf(target) < layerOf(file))
      .map(
        (target) =>
          `${file} (${layers[layerOf(file)]?.name}) imports ${target} (${layers[layerOf(target)]?.name}): upwards`,
      ),
  );
  /** @type {string[]} */
  const circles = [];
  /** @type {Set<string>} */
  const done = new Set();
  const visit = (/** @type {string} */ file, /** @type {readonly string[]} */ path) => {
    const at = path.indexOf(file);
    if (at >= 0) circles.push(`a circle: ${[...path.slice(at), file].join(' → ')}`);
    if (at >= 0 || done.has(file)) return;
    for (const target of imports.get(file) ?? []) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of sources.keys()) visit(file, []);
  return [...up, ...circles];
}

/** @returns {string[]} */
export function findLayerProblems() {
  const files = filesUnder(['lib'], (path) => path.endsWith('.ts'));
  const sources = new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]));
  const page = readFileSync(join(root, PAGE), 'utf8');
  const empty = layers.flatMap(({ holds }) =>
    holds
      .filter((held) => !files.some((file) => file === held || (held.endsWith('/') && file.startsWith(held))))
      .map((held) => `${held} of the table of layers is not there`),
  );
  const isShown = page.includes(layersTable()) && TABLE.test(page);
  return [
    ...layerProblemsOf(sources),
    ...empty,
    ...(!isShown ? [`${PAGE} shows other layers: node scripts/check-layers.mjs --write`] : []),
  ];
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  if (process.argv.includes('--write')) {
    const page = readFileSync(join(root, PAGE), 'utf8');
    writeFileSync(
      join(root, PAGE),
      page.replace(TABLE, (_, head, end) => head + layersTable() + end),
    );
  }
  const problems = findLayerProblems();
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
}
