// @ts-check
// The picture of README.md, drawn by bench/ from the table that stands there, so that the two never say different things:
//
//   node scripts/readme-picture.mjs
//
// scripts/readme-bench.mjs writes both; `npm run check` compares.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { picture } from '../bench/picture.mjs';
import { root } from './processes.mjs';

export const TABLE = /(<!-- bench -->\n)[\s\S]*?(<!-- end of bench -->)/;

/** Where it lies. */
export const PICTURE = 'docs/bench.svg';

/** Cells worth a row, in words for somebody who has not read bench/. */
export const rows = {
  'http-64b-c64': 'http, 64-byte answers, 64 keep-alive connections',
  'http-64b-c1': 'http, 64-byte answers, 1 connection',
  'http-64b-c8': 'http, 64-byte answers, 8 connections',
  'http-64kb-c16': 'http, 64 KiB answers, 16 connections',
  'tcp-echo-c64': 'TCP echo, 64 bytes, 64 connections',
  'tcp-bulk-c4': 'TCP echo, 64 KiB, 4 connections',
  'tcp-connect-c32': 'connect, one echo, close; 32 at once',
  'http-client-agent64': 'http client, 64 at once',
  'https-64b-c64': "https (Node's OpenSSL), 64 bytes, 64 connections",
  'http-cluster-rr': 'http under `cluster`, two workers, 64 connections each',
  'spawn-1gb-pipe': '`spawn` with one gigabyte resident',
  'udp-echo-64b-w128': 'UDP echo, 64 bytes, 128 under way',
  'udp-echo-1400b-w128': 'UDP echo, 1,400 bytes, 128 under way',
  'udp-receive-64b': 'UDP, 64 bytes, received as fast as they can be sent',
  'udp-send-64b': 'UDP, 64 bytes, sent in bursts',
};

const VARIANT = 'tsloop';

/** Columns of the table that are drawn; the others would make it too long to look at. */
const drawn = /** @type {const} */ ({ 1: 'perSecond', 4: 'processCpu' });

/**
 * @param {string} readme
 */
export function pictureOf(readme) {
  const table = TABLE.exec(readme)?.[0];
  if (table === undefined) throw new Error('README.md has lost the markers of its table');
  const lines = table.split('\n');
  const results = lines
    .filter((line) => /^\| .* \|$/.test(line))
    .slice(1)
    .map((line) => {
      const cells = line.split('|').map((cell) => cell.trim());
      const title = cells[1]?.replace(/ \(\*\*.*\*\*\)$/, '');
      const name = Object.entries(rows).find(([, words]) => words === title)?.[0] ?? title ?? '';
      const ratios = Object.entries(drawn).map(([column, metric]) => [metric, Number(cells[Number(column) + 1])]);
      const figures = Object.fromEntries(ratios.filter(([, ratio]) => !Number.isNaN(ratio)));
      const plain = Object.fromEntries(Object.keys(figures).map((metric) => [metric, 1]));
      return { name, goals: [], samples: { plain: [plain], [VARIANT]: [figures] } };
    });
  const caption = lines.find((line) => /^Node \d/.test(line)) ?? '';
  // A table has medians, so there is no spread to draw; what else a result has a picture does not look at.
  return picture(/** @type {any} */ (results), VARIANT, caption);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  writeFileSync(join(root, PICTURE), pictureOf(readFileSync(join(root, 'README.md'), 'utf8')));
}
