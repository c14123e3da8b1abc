// @ts-check
// Which sources an output was built from. Content is hashed, not dates: a checkout or a restored cache sets dates at
// will, and a rebuild that is not needed costs a minute.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from './processes.mjs';

/** Never sources, and large: brought in, or built. */
const skipped = ['node_modules', 'target', 'suite'];

/**
 * Every file under the given paths (relative to the root, files or directories), sorted, missing ones left out.
 *
 * @param {readonly string[]} paths
 * @param {(path: string) => boolean} [wanted]
 * @returns {string[]}
 */
export function filesUnder(paths, wanted = () => true) {
  const found = new Set();
  const visit = (/** @type {string} */ path) => {
    if (!existsSync(join(root, path))) return;
    if (!statSync(join(root, path)).isDirectory()) {
      if (wanted(path)) found.add(path);
      return;
    }
    for (const name of readdirSync(join(root, path))) {
      if (!skipped.includes(name)) visit(`${path}/${name}`);
    }
  };
  for (const path of paths) visit(path);
  return [...found].sort();
}

/**
 * One hash over names and contents.
 *
 * @param {readonly string[]} files
 * @param {string} [extra] anything else the output depends on
 */
export function hashOf(files, extra = '') {
  const hash = createHash('sha256').update(extra);
  for (const file of files) {
    hash.update(`\0${file}\0`).update(readFileSync(join(root, file)));
  }
  return hash.digest('hex');
}

/**
 * Whether the output is there and was built from exactly this.
 *
 * @param {string} output path of the output, relative to the root
 * @param {string} stamp where its hash is kept, relative to the root
 * @param {string} hash
 */
export function isCurrent(output, stamp, hash) {
  if (!existsSync(join(root, output)) || !existsSync(join(root, stamp))) return false;
  return readFileSync(join(root, stamp), 'utf8').trim() === hash;
}

/**
 * Keeps the hash an output was built from.
 *
 * @param {string} stamp relative to the root
 * @param {string} hash
 */
export function keepStamp(stamp, hash) {
  mkdirSync(dirname(join(root, stamp)), { recursive: true });
  writeFileSync(join(root, stamp), `${hash}\n`);
}
