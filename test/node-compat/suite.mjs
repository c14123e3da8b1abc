// @ts-check
// Where the copy of Node's suite is, and the proof that it is the pinned one.
// The suite is never committed: fetch.mjs brings it, and it is unpacked into suite/<id>/ (git-ignored), test/ only. A tarball counts by its
// SHA-256 and a commit by its id, both in pin.json, so a result always belongs to a known list of files. What was unpacked is summed up
// beside it, so that a copy somebody has edited since is refused.

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
const LEFT_OUT = ['test/fixtures/wpt', 'test/fixtures/snapshot', 'test/fixtures/postject-copy'];
// Beside an unpacked suite, not in it: the sum of what was unpacked.
const STAMP = '.unpacked.json';

/**
 * @typedef {{ from: 'debian' | 'release', file: string, sha256: string }} Tarball
 * @typedef {{ from: 'git', upstream: string, besides: string, commit: string }} Commit
 * @typedef {Tarball | Commit} Source
 * @typedef {{ version: string, packages: Record<string, { name: string, integrity: string }> }} PinnedNode
 * @typedef {{ lines: Record<string, { node: string, sources: Source[] }>, nodes: Record<string, PinnedNode> }} Pin
 * @typedef {{ dir: string, id: string, from: string, blobs: Map<string, string> }} Suite
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

/** What names a source on disk and in a result: forty hexadecimal digits.
 * @param {Source} source */
function idOf(source) {
  return source.from === 'git' ? source.commit : source.sha256.slice(0, 40);
}

/** @param {string} file @returns {Promise<string>} */
export async function sha256Of(file) {
  const hash = createHash('sha256');
  for await (const chunk of fs.createReadStream(file)) hash.update(chunk);
  return hash.digest('hex');
}

/** Names and git blob ids of what was unpacked; the blob id is what a kept answer of plain Node is filed under.
 * @param {string} dir @returns {Map<string, string>} */
function blobsOf(dir) {
  const blobs = new Map();
  /** @param {string} folder */
  const walk = (folder) => {
    for (const entry of fs.readdirSync(path.join(dir, folder), { withFileTypes: true })) {
      const name = `${folder}/${entry.name}`;
      // Left behind by a test, or by a run that was interrupted.
      if (entry.name.startsWith('.tmp.')) continue;
      if (entry.isDirectory()) {
        walk(name);
        continue;
      }
      const file = path.join(dir, name);
      const bytes = entry.isSymbolicLink() ? Buffer.from(fs.readlinkSync(file)) : fs.readFileSync(file);
      blobs.set(name, createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex'));
    }
  };
  for (const folder of FOLDERS) if (fs.existsSync(path.join(dir, folder))) walk(folder);
  return blobs;
}

/** @param {Map<string, string>} blobs */
function sumOf(blobs) {
  const rows = [...blobs].map(([name, id]) => `${id} ${name}\n`).sort();
  return { files: blobs.size, sha256: createHash('sha256').update(rows.join('')).digest('hex') };
}

/** @param {import('node:child_process').ChildProcess} child @param {string} what @returns {Promise<void>} */
function ended(child, what) {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`${what} left with ${code}`))));
  });
}

/** @param {string} tarball @param {string} into */
async function unpackTarball(tarball, into) {
  // The top folder of a release tarball is named after the version: a pattern of one level matches any.
  const args = ['-x', '-J', '-f', tarball, '-C', into, '--strip-components=1', '--no-same-owner', '--wildcards'];
  const wanted = [...LEFT_OUT.map((folder) => `--exclude=*/${folder}`), ...FOLDERS.map((folder) => `*/${folder}`)];
  // GNU tar calls a folder that is not in the archive an error; the check that tests are there follows.
  const child = spawn('tar', [...args, ...wanted], { stdio: ['ignore', 'ignore', 'inherit'] });
  await ended(child, `tar, unpacking ${path.basename(tarball)},`);
}

/** @param {string} gitDir @param {string} commit @param {string} into */
async function unpackCommit(gitDir, commit, into) {
  const folders = [...FOLDERS, ...LEFT_OUT.map((folder) => `:(exclude)${folder}/`)];
  // safe.directory: the copy may belong to another user; it is only read.
  const git = ['-c', 'safe.directory=*', '--git-dir', gitDir, 'archive', commit, '--', ...folders];
  const archive = spawn('git', git, { stdio: ['ignore', 'pipe', 'ignore'] });
  const unpack = spawn('tar', ['-x', '-C', into], { stdio: [archive.stdout, 'ignore', 'inherit'] });
  archive.stdout.destroy();
  await Promise.all([ended(archive, 'git archive'), ended(unpack, `tar, unpacking ${commit},`)]);
}

/** Whether a git directory, bare or beside a work tree, has a commit; the directory git wants to be told.
 * @param {string} dir @param {string} commit @returns {string | null} */
export function gitDirWith(dir, commit) {
  for (const gitDir of [path.join(dir, '.git'), dir]) {
    if (!fs.existsSync(path.join(gitDir, 'HEAD'))) continue;
    try {
      const args = ['-c', 'safe.directory=*', '--git-dir', gitDir, 'cat-file', '-e', `${commit}^{commit}`];
      execFileSync('git', args, { stdio: 'ignore' });
      return gitDir;
    } catch {
      // Another repository, or an older copy of this one.
    }
  }
  return null;
}

/** The folder of an unpacked source, if it is there and nobody has changed it since.
 * @param {Source} source @returns {Suite | null} */
export function unpacked(source) {
  const id = idOf(source);
  const dir = path.join(suiteCache, id);
  if (!fs.existsSync(path.join(dir, STAMP))) return null;
  const stamp = JSON.parse(fs.readFileSync(path.join(dir, STAMP), 'utf8'));
  const blobs = blobsOf(dir);
  const found = sumOf(blobs);
  if (found.sha256 !== stamp.sha256)
    throw new Error(
      `the unpacked suite ${id.slice(0, 12)} was changed (${found.files} files, ${stamp.files} were unpacked): remove ${path.relative(process.cwd(), dir)} and run again`,
    );
  return { dir, id, from: source.from, blobs };
}

/**
 * Unpacks a source whose digest has been checked: a tarball, or a git directory that has the commit.
 * @param {Source} source @param {string} place @returns {Promise<Suite>}
 */
export async function unpack(source, place) {
  const id = idOf(source);
  const dir = path.join(suiteCache, id);
  const half = `${dir}.${process.pid}`;
  fs.mkdirSync(half, { recursive: true });
  try {
    if (source.from === 'git') await unpackCommit(place, source.commit, half);
    else await unpackTarball(place, half);
    const blobs = blobsOf(half);
    if (!blobs.has('test/common/index.js')) throw new Error(`there is no test/common in ${path.basename(place)}`);
    // The project's own package.json must not decide how the suite's files are parsed.
    fs.writeFileSync(path.join(half, 'package.json'), '{ "type": "commonjs" }\n');
    fs.writeFileSync(path.join(half, STAMP), `${JSON.stringify(sumOf(blobs))}\n`);
    // Another runner may have been quicker; what is there without a stamp is half of something.
    if (!fs.existsSync(path.join(dir, STAMP))) {
      fs.rmSync(dir, { recursive: true, force: true });
      fs.renameSync(half, dir);
    }
    return { dir, id, from: source.from, blobs };
  } finally {
    fs.rmSync(half, { recursive: true, force: true });
  }
}
