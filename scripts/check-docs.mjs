// @ts-check
// Documentation that drifted is a failing check: every setting, code and limit is explained, every command named in a
// page exists, every relative link leads somewhere. The table of docs/limits.md is written from the sources:
//
//   node scripts/check-docs.mjs --write

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './processes.mjs';
import { PICTURE, pictureOf } from './readme-picture.mjs';
import { filesUnder } from './sources.mjs';

const LIMITS_PAGE = 'docs/limits.md';
const LIMITS_SOURCE = 'native/core/src/limits.rs';
const TABLE = /(<!-- limits: written by scripts\/check-docs\.mjs -->\n)[\s\S]*?(<!-- end of limits -->)/;

const read = (/** @type {string} */ file) => readFileSync(join(root, file), 'utf8');
const pages = () => [
  ...filesUnder(
    ['docs', 'README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md', 'SUPPORTED_PLATFORMS.md'],
    (path) => path.endsWith('.md'),
  ),
];

/**
 * The constants of limits.rs with their doc comments, as rows of Markdown.
 *
 * @returns {string}
 */
export function limitsTable() {
  const rows = [];
  const constants = /((?:^\/\/\/.*\n)+)^pub const (\w+): \w+ = ([^;]+);/gm;
  for (const [, comment, name, value] of read(LIMITS_SOURCE).matchAll(constants)) {
    const why = (comment ?? '')
      .replace(/^\/\/\/ ?/gm, '')
      .replace(/\s+/g, ' ')
      .replace(/\[`(?:crate::)?([\w:]+)`\]/g, '`$1`')
      .replaceAll('|', '\\|')
      .trim();
    rows.push(`| \`${name}\` | ${value?.replace(/\s+/g, ' ').replaceAll('*', '×').replaceAll('_', ',')} | ${why} |`);
  }
  return ['', '| limit | value | what it bounds, and why this number |', '|---|---|---|', ...rows, '', ''].join('\n');
}

/** @returns {string[]} */
function undocumented() {
  const docs = filesUnder(['docs'], (path) => path.endsWith('.md'))
    .map(read)
    .join('\n');
  const knobs = new Set(read('lib/boot/config.ts').match(/(?<=name: ')TSLOOP\w*/g));
  const codes = new Set(read('lib/errors.ts').match(/\bERR_TSLOOP_\w+(?=:)/g));
  const names = new Set(
    read(LIMITS_SOURCE)
      .match(/^pub const \w+/gm)
      ?.map((line) => line.slice('pub const '.length)),
  );
  const lost = [];
  for (const [what, found] of /** @type {const} */ ([
    ['setting', knobs],
    ['code', codes],
    ['limit', names],
  ])) {
    // A table that is read wrongly must not pass as a table with nothing in it.
    if (found.size === 0) lost.push(`no ${what} was found in the sources: scripts/check-docs.mjs reads them wrongly`);
    for (const name of found) {
      if (!docs.includes(`\`${name}\``)) lost.push(`the ${what} ${name} is not documented in docs/`);
    }
  }
  return lost;
}

/** Other places that name a setting or a code must name one of the table. */
function unknownNames() {
  const config = read('lib/boot/config.ts');
  const errors = read('lib/errors.ts');
  return pages().flatMap((page) => [
    ...[...read(page).matchAll(/`(ERR_TSLOOP_\w+)`/g)]
      .filter(([, code]) => !errors.includes(`${code}:`))
      .map(([, code]) => `${page} names ${code}, which lib/errors.ts does not have`),
    ...[...read(page).matchAll(/`(TSLOOP_(?!TEST_|NODE_SUITE|TAGGED|COMPAT_)\w+)(?==|`)/g)]
      .filter(([, knob]) => !config.includes(`'${knob}'`))
      .map(([, knob]) => `${page} names ${knob}, which lib/boot/config.ts does not have`),
  ]);
}

function deadCommands() {
  const { scripts } = JSON.parse(read('package.json'));
  return pages().flatMap((page) =>
    [...read(page).matchAll(/\bnpm run ([a-z][\w:-]*)/g)]
      .filter(([, name]) => !Object.hasOwn(scripts, /** @type {string} */ (name)))
      .map(([, name]) => `${page} names npm run ${name}, which package.json does not have`),
  );
}

function deadLinks() {
  return pages().flatMap((page) =>
    [...read(page).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)]
      .filter(([, target]) => !existsSync(join(root, dirname(page), /** @type {string} */ (target))))
      .map(([, target]) => `${page} links to ${target}, which is not there`),
  );
}

function staleLimits() {
  if (!existsSync(join(root, LIMITS_PAGE))) return [`${LIMITS_PAGE} is missing`];
  const table = TABLE.exec(read(LIMITS_PAGE));
  if (table === null) return [`${LIMITS_PAGE} has lost the markers of its table`];
  if (table[0].slice(table[1]?.length, -(table[2]?.length ?? 0)) === limitsTable()) return [];
  return [`${LIMITS_PAGE} differs from ${LIMITS_SOURCE}: run node scripts/check-docs.mjs --write`];
}

function stalePicture() {
  if (existsSync(join(root, PICTURE)) && read(PICTURE) === pictureOf(read('README.md'))) return [];
  return [`${PICTURE} differs from the table of README.md: run node scripts/readme-picture.mjs`];
}

/** @returns {string[]} one line per problem */
export function findDocProblems() {
  return [...undocumented(), ...unknownNames(), ...deadCommands(), ...deadLinks(), ...staleLimits(), ...stalePicture()];
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  if (process.argv.includes('--write')) {
    const page = read(LIMITS_PAGE).replace(TABLE, (_, head, foot) => `${head}${limitsTable()}${foot}`);
    writeFileSync(join(root, LIMITS_PAGE), page);
  }
  const problems = findDocProblems();
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
}
