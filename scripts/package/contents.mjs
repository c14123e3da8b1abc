// @ts-check
// What is linked into an addon, for those who have to know: the licences of all of it as text, and a bill of materials in
// CycloneDX's form. Both are read from what cargo says it has linked; the same sources give the same bytes.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from '../processes.mjs';
import { packageOf } from './targets.mjs';
import { zigLicence, zigVersion } from './tools.mjs';

/** @typedef {import('./targets.mjs').Target} Target */

/**
 * @typedef {object} Part
 * @property {string} name
 * @property {string} version
 * @property {string} licence an SPDX expression
 * @property {string[]} texts of its licences
 * @property {string | null} sha256 of the crate as crates.io serves it
 * @property {string[]} needs ids of parts
 * @property {string} id a package URL
 */

/** Rust's own table of what a crate is. @typedef {{ id: string, name: string, version: string, license: string | null, authors: string[], manifest_path: string, source: string | null }} Crate */

/** Texts of licences in a folder, the shortest name first. @param {string} folder */
function licencesIn(folder) {
  const names = readdirSync(folder).filter((name) => /^(licen[cs]e|copying|notice|unlicense)/i.test(name));
  return names
    .sort((one, other) => one.length - other.length || (one < other ? -1 : 1))
    .map((name) => join(folder, name))
    .filter((file) => existsSync(file) && !readdirSafe(file))
    .map((file) => readFileSync(file, 'utf8').trim());
}

/**
 * The licences of a crate. One that brings no text and says MIT gets that licence's words, which our own has, under its authors.
 *
 * @param {Crate} crate
 */
function textsOf({ manifest_path, license, authors }) {
  const texts = licencesIn(dirname(manifest_path));
  if (texts.length > 0 || license !== 'MIT') return texts;
  const words = readFileSync(join(root, 'LICENSE'), 'utf8').replace(
    /^Copyright .*$/m,
    `Copyright (c) ${authors.join(', ')}`,
  );
  return [words.trim()];
}

/** Whether it is a folder. @param {string} path */
function readdirSafe(path) {
  try {
    readdirSync(path);
    return true;
  } catch {
    return false;
  }
}

/** The crates that the addon of a target is made of; what only builds run is left out. @param {Target} target */
function crates(target) {
  const args = ['metadata', '--format-version=1', '--locked', '--filter-platform', target.triple];
  const text = execFileSync('cargo', args, { cwd: root, encoding: 'utf8', maxBuffer: 64 << 20 });
  const { packages, resolve } = JSON.parse(text);
  const byId = new Map(packages.map((/** @type {Crate} */ one) => [one.id, one]));
  /** @type {Map<string, { deps: { pkg: string, dep_kinds: { kind: string | null }[] }[] }>} */
  const nodes = new Map(resolve.nodes.map((/** @type {{ id: string }} */ node) => [node.id, node]));
  /** @type {Map<string, string[]>} */
  const found = new Map();
  const visit = (/** @type {string} */ id) => {
    if (found.has(id)) return;
    const linked = (nodes.get(id)?.deps ?? []).filter(({ dep_kinds }) => dep_kinds.some(({ kind }) => kind === null));
    found.set(
      id,
      linked.map(({ pkg }) => pkg),
    );
    for (const { pkg } of linked) visit(pkg);
  };
  const top = packages.find((/** @type {Crate} */ { name }) => name === 'tsloop-node').id;
  visit(top);
  return [...found].map(([id, needs]) => ({ crate: /** @type {Crate} */ (byId.get(id)), needs, byId }));
}

/** What Cargo.lock says a crate's file hashes to. @param {Crate} crate */
function checksumOf({ name, version }) {
  const lock = readFileSync(join(root, 'Cargo.lock'), 'utf8');
  const entry = lock.split('[[package]]').find((text) => text.includes(`name = "${name}"\nversion = "${version}"\n`));
  return /^checksum = "(\w+)"$/m.exec(entry ?? '')?.[1] ?? null;
}

const urlOf = (/** @type {{ name: string, version: string }} */ { name, version }) => `pkg:cargo/${name}@${version}`;

/**
 * All that is in the addon: crates, Rust's standard library, and zig's run-time libraries where zig linked it.
 *
 * @param {Target} target
 * @param {{ rust: string, zig: boolean }} by
 * @returns {Part[]}
 */
export function partsOf(target, { rust, zig }) {
  const parts = crates(target).map(({ crate, needs, byId }) => ({
    name: crate.name,
    version: crate.version,
    // The slash is how it was written before SPDX.
    licence: (crate.license ?? '').replaceAll('/', ' OR '),
    texts: crate.source === null ? [] : textsOf(crate),
    sha256: checksumOf(crate),
    needs: needs.map((id) => urlOf(/** @type {Crate} */ (byId.get(id)))).sort(),
    id: urlOf(crate),
  }));
  // Of the same authors under the same words.
  const rustTexts = parts.find(({ name }) => name === 'libc')?.texts ?? [];
  parts.push({
    name: 'rust-std',
    version: rust,
    licence: 'MIT OR Apache-2.0',
    texts: rustTexts,
    sha256: null,
    needs: [],
    id: `pkg:generic/rust-std@${rust}`,
  });
  if (zig) {
    parts.push({
      name: 'llvm-libunwind',
      version: `zig-${zigVersion()}`,
      licence: 'Apache-2.0 WITH LLVM-exception',
      texts: [readFileSync(zigLicence, 'utf8').trim()],
      sha256: null,
      needs: [],
      id: `pkg:generic/llvm-libunwind@zig-${zigVersion()}`,
    });
  }
  const bare = parts.filter(({ licence, texts, sha256 }) => licence === '' || (sha256 !== null && texts.length === 0));
  if (bare.length > 0) throw new Error(`no licence was found of ${bare.map(({ name }) => name).join(', ')}`);
  return parts.sort((one, other) => (one.id < other.id ? -1 : 1));
}

/** Ours, which the licence beside it covers. */
const isOwn = (/** @type {Part} */ { name }) => name.startsWith('tsloop');

/** @param {readonly Part[]} parts */
export function noticesOf(parts) {
  const head =
    'tsloop.node contains the following software of others, under their licences. Where a licence is offered as one of\n' +
    'several, each of its texts is given.\n';
  const entries = parts
    .filter((part) => !isOwn(part))
    .map(({ name, version, licence, texts }) =>
      [`${'='.repeat(80)}\n${name} ${version}\n${licence}\n${'='.repeat(80)}`, ...texts].join('\n\n'),
    );
  return `${[head, ...entries].join('\n\n')}\n`;
}

/**
 * CycloneDX 1.5, as JSON.
 *
 * @param {Target} target
 * @param {string} version
 * @param {readonly Part[]} parts
 * @param {Buffer} addon
 */
export function billOf(target, version, parts, addon) {
  const name = packageOf(target);
  const id = `pkg:npm/${name.replace('@', '%40')}@${version}`;
  const digest = createHash('sha256').update(addon).digest('hex');
  const licences = (/** @type {string} */ expression) => [{ expression }];
  const bill = {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    serialNumber: uuidOf(digest),
    version: 1,
    metadata: {
      component: {
        type: 'library',
        'bom-ref': id,
        name,
        version,
        purl: id,
        licenses: licences('MIT'),
        hashes: [{ alg: 'SHA-256', content: digest }],
      },
    },
    components: parts.map((part) => ({
      type: 'library',
      'bom-ref': part.id,
      name: part.name,
      version: part.version,
      purl: part.id,
      licenses: licences(part.licence),
      ...(part.sha256 === null ? {} : { hashes: [{ alg: 'SHA-256', content: part.sha256 }] }),
    })),
    dependencies: [
      {
        ref: id,
        dependsOn: parts.filter(({ name }) => /^(tsloop-node|rust-std|llvm-libunwind)$/.test(name)).map(({ id }) => id),
      },
      ...parts.map(({ id, needs }) => ({ ref: id, dependsOn: needs })),
    ],
  };
  return `${JSON.stringify(bill, null, 2)}\n`;
}

/** A number for the bill that the same addon gets again. @param {string} digest */
function uuidOf(digest) {
  const groups = [digest.slice(0, 8), digest.slice(8, 12), `8${digest.slice(13, 16)}`, `8${digest.slice(17, 20)}`];
  return `urn:uuid:${[...groups, digest.slice(20, 32)].join('-')}`;
}
