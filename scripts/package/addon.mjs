// @ts-check
// One target's addon: built, its debug information taken off into a file of its own, and held against what it may ask of a system.

import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { addonFile, BuildError } from '../build.mjs';
import { root, run } from '../processes.mjs';
import { ADDON, GLIBC_FLOOR, SIZE_CAP } from './targets.mjs';
import { objcopy, toolsFor } from './tools.mjs';

/** @typedef {import('./targets.mjs').Target} Target */

/** The only name that anybody outside looks up. */
const EXPORTED = ['napi_register_module_v1'];

/** What may be loaded with it: parts of the C library, and what Node itself needs. */
const NEEDED = {
  glibc:
    /^(lib(c\.so\.6|m\.so\.6|pthread\.so\.0|dl\.so\.2|rt\.so\.1|util\.so\.1|gcc_s\.so\.1)|ld-linux-[\w-]+\.so\.\d)$/,
  musl: /^lib(c\.so|c\.musl-\w+\.so\.1|gcc_s\.so\.1)$/,
};

/** @param {Target} target */
const folderOf = (target) => join(root, 'target/packages', target.name);

/**
 * Builds a target's addon by its tool chain; returns the library as the linker left it.
 *
 * @param {Target} target
 */
export async function build(target) {
  const tools = await toolsFor(target);
  const args = [...tools.args, '--release', '--locked', '-p', 'tsloop-node'];
  const { code } = await run(tools.cargo, args, { env: tools.env });
  if (code !== 0) throw new BuildError(`The native part for ${target.name} did not build: cargo says why above.`);
  const output = process.env['CARGO_TARGET_DIR'] ?? join(root, 'target');
  return join(output, target.triple, 'release/libtsloop_node.so');
}

/** The checkout's own build: what there is where the tool chain is not to be had. */
export const hostBuild = () => join(root, addonFile());

/**
 * Takes the debug information off a library.
 *
 * @param {Target} target
 * @param {string} library
 * @param {string} version
 * @returns {{ addon: string, debug: string }}
 */
export function strip(target, library, version) {
  const folder = folderOf(target);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const addon = join(folder, ADDON);
  // Debuggers look for it by this name, which the addon keeps.
  const debug = join(folder, `tsloop-${target.name}-${version}.debug`);
  const command = objcopy();
  const whole = join(folder, 'whole.so');
  copyFileSync(library, whole);
  execFileSync(command, ['--only-keep-debug', '--compress-debug-sections=zlib', whole, debug], { cwd: folder });
  execFileSync(command, ['--strip-all', `--add-gnu-debuglink=${debug}`, whole, addon], { cwd: folder });
  rmSync(whole);
  return { addon, debug };
}

/** @param {string} one @param {string} other */
function isNewer(one, other) {
  const [a = [], b = []] = [one, other].map((version) => version.split('.').map(Number));
  return a[0] === b[0] ? (a[1] ?? 0) > (b[1] ?? 0) : (a[0] ?? 0) > (b[0] ?? 0);
}

/**
 * What an addon asks of a system, read from the file.
 *
 * @param {string} file
 */
export function inspect(file) {
  const text = execFileSync('readelf', ['--wide', '-h', '-d', '-l', '-V', '--dyn-syms', file], {
    encoding: 'utf8',
    maxBuffer: 64 << 20,
    env: { ...process.env, LC_ALL: 'C' },
  });
  const all = (/** @type {RegExp} */ pattern) => [
    ...new Set([...text.matchAll(pattern)].map(([, found = '']) => found)),
  ];
  const versions = all(/\bGLIBC_(2\.\d+)/g).sort((one, other) => (isNewer(one, other) ? 1 : -1));
  return {
    machine: all(/^\s*Machine:\s+(.*)$/gm)[0] ?? '',
    needed: all(/\(NEEDED\).*\[(.*)\]/g),
    glibc: versions.at(-1) ?? null,
    exported: all(/\b(?:FUNC|OBJECT|TLS)\s+GLOBAL\s+DEFAULT\s+\d+\s+(\S+)$/gm),
    executableStack: /GNU_STACK.*\bRWE\b/.test(text),
    size: statSync(file).size,
  };
}

/**
 * What is wrong with an addon, one line each.
 *
 * @param {Target} target
 * @param {string} file
 * @param {{ floor: boolean }} options `floor`: built by the tool chain that keeps it
 */
export function faultsOf(target, file, { floor }) {
  const found = inspect(file);
  const faults = [];
  if (found.machine !== target.machine) faults.push(`it is for ${found.machine}`);
  const strange = found.needed.filter((name) => !NEEDED[target.libc].test(name));
  if (found.needed.length === 0) faults.push('it needs no library at all: readelf is read wrongly');
  if (strange.length > 0) faults.push(`it needs ${strange.join(', ')}`);
  if (target.libc === 'musl' && found.glibc !== null) faults.push('it needs glibc');
  if (target.libc === 'glibc' && found.glibc === null) faults.push('it names no version of glibc');
  if (floor && found.glibc !== null && isNewer(found.glibc, GLIBC_FLOOR)) {
    faults.push(`it needs glibc ${found.glibc}; ${GLIBC_FLOOR} is the oldest that Node runs on`);
  }
  if (found.exported.join() !== EXPORTED.join()) faults.push(`it exports ${found.exported.join(', ') || 'nothing'}`);
  if (found.executableStack) faults.push('its stack is executable');
  if (found.size > SIZE_CAP) faults.push(`it has ${found.size} bytes; ${SIZE_CAP} is the cap`);
  if (floor) {
    const bytes = readFileSync(file, 'latin1');
    for (const place of [root, homedir()])
      if (place.length > 1 && bytes.includes(place)) faults.push('it names a folder of the machine that built it');
  }
  return { found, faults };
}
