// @ts-check
// The packages as npm takes them: `tsloop`, which names one optional package for each platform at its own version, and those.
// The names stand in the packed manifest only. In the checkout's they would be looked for by every `npm ci` here.

import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../processes.mjs';
import { ADDON, packageOf, targets } from './targets.mjs';

/** @typedef {import('./targets.mjs').Target} Target */

const manifest = () => JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** The version of every package. */
export const version = () => /** @type {string} */ (manifest().version);

/** Whether both halves have one version: the loader takes no other. */
export function versionFault() {
  const own = /^\[workspace\.package\]\nversion = "(.*)"$/m.exec(readFileSync(join(root, 'Cargo.toml'), 'utf8'))?.[1];
  return own === version() ? null : `Cargo.toml has version ${own}, package.json ${version()}`;
}

/**
 * Where the sources are, for the packed manifests: provenance binds a package to the repository that builds it, so it is that
 * one which says its address. Nothing is said where nobody does.
 *
 * @param {string | null} repository an https address
 */
function origin(repository) {
  if (repository === null) return {};
  const url = repository.replace(/\.git$/, '').replace(/\/$/, '');
  return {
    repository: { type: 'git', url: `git+${url}.git` },
    homepage: `${url}#readme`,
    bugs: { url: `${url}/issues` },
  };
}

/** The folder that is packed: made anew. @param {string} name */
function stage(name) {
  const folder = join(root, 'target/packages/stage', name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

/**
 * @param {string} folder
 * @param {object} content
 * @param {string} out
 * @returns {string} the tarball
 */
function pack(folder, content, out) {
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(content, null, 2)}\n`);
  mkdirSync(out, { recursive: true });
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', out];
  const [{ filename }] = JSON.parse(execFileSync('npm', args, { cwd: folder, encoding: 'utf8' }));
  return join(out, filename.replace('@', '').replace('/', '-'));
}

/**
 * @param {{ out: string, repository: string | null }} options
 */
export function packMain({ out, repository }) {
  const { devDependencies: _, scripts: __, overrides: ___, ...content } = manifest();
  const folder = stage('tsloop');
  for (const name of [...content.files, 'README.md', 'LICENSE']) {
    if (!existsSync(join(root, name))) throw new Error(`package.json names ${name}, which is not there`);
    // What a checkout builds for itself stays there.
    const filter = (/** @type {string} */ path) => !/\.node$|\.node\.|\/\.sources-of-/.test(path);
    cpSync(join(root, name), join(folder, name), { recursive: true, filter });
  }
  const optionalDependencies = Object.fromEntries(targets.map((target) => [packageOf(target), content.version]));
  return pack(folder, { ...content, ...origin(repository), optionalDependencies }, out);
}

/**
 * @param {Target} target
 * @param {{ addon: string, notices: string, bill: string, out: string, repository: string | null }} options
 */
export function packAddon(target, { addon, notices, bill, out, repository }) {
  const { version, license, engines, publishConfig } = manifest();
  const folder = stage(target.name);
  copyFileSync(addon, join(folder, ADDON));
  chmodSync(join(folder, ADDON), 0o755);
  copyFileSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  writeFileSync(join(folder, 'THIRD-PARTY-NOTICES.txt'), notices);
  writeFileSync(join(folder, 'sbom.cdx.json'), bill);
  writeFileSync(
    join(folder, 'README.md'),
    `# ${packageOf(target)}\n\nThe native part of tsloop for Linux on ${target.cpu} with ${target.libc}. Install \`tsloop\`, which brings it.\n`,
  );
  const content = {
    name: packageOf(target),
    version,
    description: `The native part of tsloop for Linux on ${target.cpu} with ${target.libc}`,
    license,
    ...origin(repository),
    main: ADDON,
    files: [ADDON, 'THIRD-PARTY-NOTICES.txt', 'sbom.cdx.json'],
    os: ['linux'],
    cpu: [target.cpu],
    libc: [target.libc],
    engines,
    publishConfig,
    // A library is mapped from a file: it cannot stay within an archive.
    preferUnplugged: true,
  };
  return pack(folder, content, out);
}
