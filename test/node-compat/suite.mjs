// @ts-check
// Where the copy of Node's suite comes from, and the proof that it is the pinned one.
// The suite is never committed: it is brought into suite/<commit>/ (git-ignored) from a git directory, or read in place from a checked-out copy.
// Everything is checked against pin.json before a single test runs, so a result always belongs to a known list of files.

import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const here = path.dirname(fileURLToPath(import.meta.url));
export const projectRoot = path.resolve(here, '../..');
export const suiteCache = path.join(here, 'suite');

// What the runner needs of the upstream tree, and the large folders in it that no listed test reads.
const FOLDERS = ['test/common', 'test/fixtures', 'test/parallel', 'test/sequential', 'test/async-hooks'];
const LEFT_OUT = ['test/fixtures/wpt/', 'test/fixtures/snapshot/', 'test/fixtures/postject-copy/'];

/**
 * @typedef {{ node: string, commit: string, files: number, sha256: string }} PinnedLine
 * @typedef {{ upstream: string, besides: string[], lines: Record<string, PinnedLine> }} Pin
 * @typedef {{ kind: 'git' | 'copy', dir: string }} Source
 */

/** @returns {Pin} */
export function readPin() {
  return JSON.parse(fs.readFileSync(path.join(here, 'pin.json'), 'utf8'));
}

/** The pinned line that judges a Node version: its own, or the nearest older one for a line that is not pinned yet.
 * @param {Pin} pin @param {string} version */
export function lineOf(pin, version) {
  const major = Number(version.replace(/^v/, '').split('.')[0]);
  const older = Object.keys(pin.lines)
    .map(Number)
    .filter((line) => line <= major);
  if (older.length === 0)
    throw new Error(`Node ${version} is older than every pinned line (${Object.keys(pin.lines).join(', ')})`);
  return String(Math.max(...older));
}

/** @param {string} name */
function wanted(name) {
  return FOLDERS.some((folder) => name.startsWith(`${folder}/`)) && !LEFT_OUT.some((folder) => name.startsWith(folder));
}

/** One checksum over names and contents: git's own blob ids, so that a git directory and a checked-out copy give the same sum.
 * @param {Map<string, string>} blobs */
function checksum(blobs) {
  const lines = [...blobs].map(([name, id]) => `${id} ${name}\n`).sort();
  return createHash('sha256').update(lines.join('')).digest('hex');
}

/** @param {string} gitDir @param {string[]} args */
function git(gitDir, args) {
  // safe.directory: the copy may belong to another user; it is only read.
  return execFileSync('git', ['-c', 'safe.directory=*', '--git-dir', gitDir, ...args], {
    maxBuffer: 64 << 20,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

/** @param {string} gitDir @param {string} commit @returns {Map<string, string>} */
export function blobsOfCommit(gitDir, commit) {
  const blobs = new Map();
  for (const row of git(gitDir, ['ls-tree', '-r', '-z', commit, ...FOLDERS])
    .toString('utf8')
    .split('\0')) {
    const match = /^\d+ blob ([0-9a-f]{40})\t(.*)$/s.exec(row);
    if (match?.[1] && match[2] && wanted(match[2])) blobs.set(match[2], match[1]);
  }
  return blobs;
}

/** @param {string} dir @returns {Map<string, string>} */
export function blobsOfCopy(dir) {
  const blobs = new Map();
  /** @param {string} folder */
  const walk = (folder) => {
    for (const entry of fs.readdirSync(path.join(dir, folder), { withFileTypes: true })) {
      const name = `${folder}/${entry.name}`;
      if (entry.name.startsWith('.tmp.')) continue;
      if (entry.isDirectory()) {
        if (!LEFT_OUT.includes(`${name}/`)) walk(name);
        continue;
      }
      const file = path.join(dir, name);
      const bytes = entry.isSymbolicLink() ? Buffer.from(fs.readlinkSync(file)) : fs.readFileSync(file);
      blobs.set(name, createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex'));
    }
  };
  for (const folder of FOLDERS) walk(folder);
  return blobs;
}

/** @param {Map<string, string>} blobs @returns {{ files: number, sha256: string }} */
export function fingerprint(blobs) {
  return { files: blobs.size, sha256: checksum(blobs) };
}

/** @param {string} dir @returns {Source | null} */
function sourceAt(dir) {
  if (fs.existsSync(path.join(dir, 'test', 'common', 'index.js')) && !fs.existsSync(path.join(dir, '.git')))
    return { kind: 'copy', dir };
  for (const gitDir of [path.join(dir, '.git'), dir]) {
    if (fs.existsSync(path.join(gitDir, 'HEAD')) && fs.existsSync(path.join(gitDir, 'objects')))
      return { kind: 'git', dir: gitDir };
  }
  return null;
}

/** First what the user names, then what fetch.mjs brought, then a copy kept beside the project.
 * @param {Pin} pin @param {string | undefined} named @returns {Source | null} */
export function findSource(pin, named) {
  const asked = named ?? process.env['TSLOOP_NODE_SUITE'];
  if (asked) {
    const source = sourceAt(path.resolve(asked));
    if (!source) throw new Error(`${asked}: neither a git directory nor a copy with test/common in it`);
    return source;
  }
  const places = [
    path.join(suiteCache, 'upstream.git'),
    ...pin.besides.map((place) => path.resolve(projectRoot, place)),
  ];
  for (const place of places) {
    const source = sourceAt(place);
    if (source) return source;
  }
  return null;
}

/** @param {string} gitDir @param {string} commit @param {string} into */
function extract(gitDir, commit, into) {
  const args = [
    '-c',
    'safe.directory=*',
    '--git-dir',
    gitDir,
    'archive',
    commit,
    '--',
    ...FOLDERS,
    ...LEFT_OUT.map((folder) => `:(exclude)${folder}`),
  ];
  return new Promise((resolve, reject) => {
    const archive = spawn('git', args, { stdio: ['ignore', 'pipe', 'ignore'] });
    const unpack = spawn('tar', ['-x', '-C', into], { stdio: [archive.stdout, 'ignore', 'inherit'] });
    archive.stdout.destroy();
    archive.on('error', reject);
    unpack.on('error', reject);
    unpack.on('close', (code) =>
      code === 0 ? resolve(undefined) : reject(new Error(`tar left with ${code} while unpacking ${commit}`)),
    );
  });
}

/**
 * The folder that holds the tests of one line, checked. Unpacks once per commit; a later run only re-reads the names.
 * @param {Pin} pin @param {string} line @param {Source | null} source @returns {Promise<{ dir: string, blobs: Map<string, string>, commit: string } | null>}
 */
export async function prepareSuite(pin, line, source) {
  const pinned = pin.lines[line];
  if (!pinned) throw new Error(`no pinned suite for Node ${line}`);
  if (source?.kind === 'copy') {
    const blobs = blobsOfCopy(source.dir);
    const found = fingerprint(blobs);
    if (found.sha256 !== pinned.sha256) {
      throw new Error(
        `${source.dir} is not the pinned suite of Node ${line}: ${found.files} files with sum ${found.sha256}, expected ${pinned.files} with ${pinned.sha256}`,
      );
    }
    return { dir: source.dir, blobs, commit: pinned.commit };
  }
  const dir = path.join(suiteCache, pinned.commit);
  if (!fs.existsSync(dir)) {
    if (!source) return null;
    const half = `${dir}.${process.pid}`;
    fs.mkdirSync(half, { recursive: true });
    try {
      await extract(source.dir, pinned.commit, half);
      // The project's own package.json must not decide how the suite's files are parsed.
      fs.writeFileSync(path.join(half, 'package.json'), '{ "type": "commonjs" }\n');
      if (!fs.existsSync(dir)) fs.renameSync(half, dir);
    } finally {
      fs.rmSync(half, { recursive: true, force: true });
    }
  }
  const blobs = blobsOfCopy(dir);
  const found = fingerprint(blobs);
  if (found.sha256 !== pinned.sha256) {
    throw new Error(
      `the unpacked suite of Node ${line} was changed (${found.files} files, sum ${found.sha256}; expected ${pinned.files}, ${pinned.sha256}): remove ${path.relative(process.cwd(), dir)} and run again`,
    );
  }
  return { dir, blobs, commit: pinned.commit };
}
