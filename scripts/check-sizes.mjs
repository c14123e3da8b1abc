// @ts-check
// A file is aimed at 400 lines; 600 is the wall. Tests at the foot of a Rust file and generated files do not count.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './processes.mjs';
import { filesUnder } from './sources.mjs';

const WALL = 600;

const folders = ['lib', 'native', 'test', 'bench', 'scripts', 'examples', 'docs', 'register.js', 'register.mjs'];
const written = /\.(rs|[cm]?ts|[cm]?js|md)$/;

/** Written by a tool, so nobody reads them top to bottom. */
const generated = ['lib/native/binding.d.ts'];

/** @param {string} file */
function countedLines(file) {
  const lines = readFileSync(join(root, file), 'utf8').replace(/\n$/, '').split('\n');
  const foot = file.endsWith('.rs') ? lines.findIndex((line) => /^#\[cfg\((all\()?(test|loom)\b/.test(line)) : -1;
  // An attribute on an import near the head is not the foot: only what opens a module is.
  const opens = foot !== -1 && /^(pub(\(crate\))? )?mod \w+ \{/.test(lines[foot + 1] ?? '');
  return opens ? foot : lines.length;
}

/** @returns {string[]} one line per file over the wall */
export function findSizeProblems() {
  return filesUnder(folders, (path) => written.test(path) && !generated.includes(path))
    .map((file) => ({ file, lines: countedLines(file) }))
    .filter(({ lines }) => lines > WALL)
    .map(({ file, lines }) => `${file} has ${lines} lines; ${WALL} is the wall, 400 the aim`);
}
