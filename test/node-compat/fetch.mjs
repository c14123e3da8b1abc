// @ts-check
// Brings what a run needs and does not have: the pinned suite of a line, and the Node of another line.
// A suite comes from Debian's source package where apt is (its orig tarball holds all of test/), else from the project's release tarball;
// one line, which neither has, from git. Whatever arrives is held against the digest in pin.json before anything reads it. What cannot be
// had is a sentence, which the caller shows: a version that has gone from the mirrors is no fault of the tree that is judged.

import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { gitDirWith, projectRoot, sha256Of, suiteCache, unpack, unpacked } from './suite.mjs';

/**
 * @typedef {import('./suite.mjs').Pin} Pin
 * @typedef {import('./suite.mjs').Source} Source
 * @typedef {import('./suite.mjs').Suite} Suite
 * @typedef {import('./suite.mjs').Tarball} Tarball
 * @typedef {import('./suite.mjs').Commit} Commit
 */

// A mirror that does not answer must not take the time of the tests: 20 MB in five minutes is a slow line.
const PATIENCE_MS = 300_000;
const APT_HELPER = '/usr/lib/apt/apt-helper';
const APT_SOURCES = ['/etc/apt/sources.list', '/etc/apt/sources.list.d'];
const exec = promisify(execFile);

/** Thrown with a sentence for the reader: a thing is not to be had here. */
class NotHere extends Error {}

/** @param {string} url */
const hostless = (url) => url.replace(/\w+:\/\/\S+\//g, '');

/** The mirrors of Debian that this machine installs its packages from, as its own lists name them. */
function debianMirrors() {
  const files = APT_SOURCES.flatMap((place) => {
    if (!fs.existsSync(place)) return [];
    if (fs.statSync(place).isFile()) return [place];
    return fs.readdirSync(place).map((name) => path.join(place, name));
  }).filter((file) => /\.(list|sources)$/.test(file));
  const urls = files.flatMap((file) => {
    const text = fs.readFileSync(file, 'utf8').replace(/^\s*#.*$/gm, '');
    return [...text.matchAll(/^(?:deb(?:-src)?\s+(?:\[.*?\]\s*)?|URIs:.*?)(https?:\/\/\S+)/gm)].map(([, url]) => url);
  });
  return [...new Set(urls.map((url) => /** @type {string} */ (url).replace(/\/+$/, '')))].filter((url) =>
    url.endsWith('/debian'),
  );
}

/** @param {Tarball} source @param {string} into */
async function fromDebian(source, into) {
  if (!fs.existsSync(APT_HELPER)) throw new NotHere('apt is not here');
  const mirrors = debianMirrors();
  if (mirrors.length === 0) throw new NotHere("apt's lists name no mirror of Debian");
  let why = '';
  for (const mirror of mirrors) {
    const url = `${mirror}/pool/main/n/nodejs/${source.file}`;
    const options = ['-o', 'Acquire::Retries=1', '-o', 'Acquire::http::Timeout=30', '-o', 'APT::Sandbox::User=root'];
    try {
      await exec(APT_HELPER, [...options, 'download-file', url, into, `SHA256:${source.sha256}`], {
        timeout: PATIENCE_MS,
      });
      return;
    } catch (error) {
      const told = /** @type {Error & { stderr?: string }} */ (error);
      why = /^E: (.*)$/m.exec(told.stderr ?? '')?.[1] ?? told.message.split('\n')[0] ?? '';
    }
  }
  throw new NotHere(`Debian's mirror does not give ${source.file} (${hostless(why).trim()})`);
}

/** @param {Tarball} source @param {string} into */
async function fromRelease(source, into) {
  const version = /v[\d.]+\d/.exec(source.file)?.[0];
  try {
    const response = await fetch(`https://nodejs.org/dist/${version}/${source.file}`, {
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    if (!response.ok || !response.body) throw new Error(`status ${response.status}`);
    await pipeline(Readable.fromWeb(/** @type {any} */ (response.body)), fs.createWriteStream(into));
  } catch (error) {
    const { message, cause } = /** @type {Error} */ (error);
    const reason = /** @type {NodeJS.ErrnoException | undefined} */ (cause)?.code ?? message;
    throw new NotHere(`the release tarball of ${version} cannot be fetched (${reason})`);
  }
}

/** @param {Commit} source @returns {string} */
function fromGit(source) {
  const gitDir = path.join(suiteCache, 'upstream.git');
  const git = (/** @type {string[]} */ ...args) => execFileSync('git', args, { stdio: 'ignore', timeout: PATIENCE_MS });
  fs.mkdirSync(suiteCache, { recursive: true });
  try {
    if (!fs.existsSync(gitDir)) git('init', '--quiet', '--bare', gitDir);
    git('--git-dir', gitDir, 'fetch', '--quiet', '--depth', '1', source.upstream, source.commit);
    return gitDir;
  } catch {
    // Half of it would be found and used by the next run.
    fs.rmSync(gitDir, { recursive: true, force: true });
    throw new NotHere(`${path.basename(source.upstream)} does not give commit ${source.commit.slice(0, 12)}`);
  }
}

/** What is on this machine already: unpacked by an earlier run, in the place the user names, or kept beside the project.
 * @param {Source} source @param {string | undefined} named @returns {Promise<Suite | null>} */
async function atHand(source, named) {
  const kept = unpacked(source);
  if (kept) return kept;
  if (source.from === 'git') {
    const places = [path.join(suiteCache, 'upstream.git'), path.resolve(projectRoot, source.besides)];
    for (const place of named ? [path.resolve(named), ...places] : places) {
      const gitDir = gitDirWith(place, source.commit);
      if (gitDir) return unpack(source, gitDir);
    }
    return null;
  }
  if (!named) return null;
  const tarball = path.join(path.resolve(named), source.file);
  if (!fs.existsSync(tarball)) return null;
  if ((await sha256Of(tarball)) !== source.sha256) throw new Error(`${tarball} is not the pinned ${source.file}`);
  return unpack(source, tarball);
}

/** @param {Source} source @returns {Promise<Suite>} */
async function fetched(source) {
  if (source.from === 'git') return unpack(source, fromGit(source));
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tsloop-suite-'));
  const tarball = path.join(folder, source.file);
  try {
    await (source.from === 'debian' ? fromDebian : fromRelease)(source, tarball);
    const sum = await sha256Of(tarball);
    if (sum !== source.sha256)
      throw new NotHere(`${source.file} arrived with another content than the pinned one (SHA-256 ${sum})`);
    return await unpack(source, tarball);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * The suite of one line: what is at hand, else what can be fetched, in the order of pin.json.
 * @param {Pin} pin @param {string} line @param {{ named?: string | undefined, say: (text: string) => void }} options `named`: a git directory, or a
 *   folder with the pinned tarballs
 * @returns {Promise<Suite | { missing: string }>} why there is none: one sentence
 */
export async function suiteOf(pin, line, { named, say }) {
  const pinned = pin.lines[line];
  if (!pinned) throw new Error(`no pinned suite for Node ${line}`);
  for (const source of pinned.sources) {
    const suite = await atHand(source, named);
    if (suite) return suite;
  }
  const reasons = [];
  for (const source of pinned.sources) {
    say(`fetching the suite of Node ${pinned.node} (${source.from})`);
    try {
      return await fetched(source);
    } catch (error) {
      if (!(error instanceof NotHere)) throw error;
      reasons.push(error.message);
    }
  }
  return { missing: `the suite of Node ${pinned.node} cannot be had here: ${reasons.join('; ')}` };
}

/**
 * The binary of a pinned Node, from its package; kept beside the suites.
 * @param {Pin} pin @param {string} line @param {(text: string) => void} say @returns {Promise<{ binary: string, version: string } | { missing: string }>}
 */
export async function nodeOf(pin, line, say) {
  const pinned = pin.nodes[line];
  const name = `${process.platform}-${process.arch}`;
  const of = pinned?.packages[name];
  if (!pinned || !of) return { missing: `no Node ${line} is pinned for ${name}` };
  const dir = path.join(suiteCache, `node-${pinned.version}-${name}`);
  const binary = path.join(dir, 'node');
  if (fs.existsSync(binary)) return { binary, version: pinned.version };
  say(`fetching Node ${pinned.version}`);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tsloop-node-'));
  try {
    const pack = ['pack', `${of.name}@${pinned.version}`, '--pack-destination', folder, '--ignore-scripts', '--silent'];
    await exec('npm', pack, { timeout: PATIENCE_MS, cwd: folder });
    const tarball = path.join(folder, fs.readdirSync(folder).find((file) => file.endsWith('.tgz')) ?? '');
    const sum = `sha512-${createHash('sha512').update(fs.readFileSync(tarball)).digest('base64')}`;
    if (sum !== of.integrity) throw new NotHere(`${of.name}@${pinned.version} is not the pinned one (${sum})`);
    await exec('tar', ['-x', '-z', '-f', tarball, '-C', folder, '--strip-components=2', 'package/bin/node']);
    fs.mkdirSync(dir, { recursive: true });
    // Copied beside and renamed: the temporary folder may be on another file system, and two runners may do this at once.
    const half = path.join(dir, `node.${process.pid}`);
    fs.copyFileSync(path.join(folder, 'node'), half);
    fs.chmodSync(half, 0o755);
    fs.renameSync(half, binary);
    return { binary, version: pinned.version };
  } catch (error) {
    const why = hostless(/** @type {Error} */ (error).message.split('\n')[0] ?? '');
    return { missing: `Node ${pinned.version} cannot be had here: ${why}` };
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}
