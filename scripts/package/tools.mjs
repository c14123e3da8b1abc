// @ts-check
// The tool chain of a target: zig as the linker, from PyPI, for a C library that is older than this machine's; for the targets
// that this machine's Rust has no standard library for, what scripts/cross.sh has laid under target/cross.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { isThere, root, run } from '../processes.mjs';
import { GLIBC_FLOOR } from './targets.mjs';

/** @typedef {import('./targets.mjs').Target} Target */

/** Thrown with a sentence for the reader: a tool is not to be had on this machine. */
export class NotHere extends Error {}

const zigHome = join(root, 'target/tools/zig');
const requirements = join(root, 'scripts/package/requirements.txt');

/** Most seconds that pip may take: 100 MB over a slow line. */
const PATIENCE = 300;

/** Installs the linker, once for these requirements. */
async function bringZig() {
  const stamp = join(zigHome, 'requirements.txt');
  const wanted = readFileSync(requirements, 'utf8');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  if (!isThere('python3', ['-m', 'pip', '--version'])) throw new NotHere('python3 with pip was not found');
  rmSync(zigHome, { recursive: true, force: true });
  console.log('Installing cargo-zigbuild and ziglang (under target/tools) ...');
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '--target', zigHome];
  const env = { ...process.env, PIP_ROOT_USER_ACTION: 'ignore' };
  const { code } = await run('python3', [...pip, '-r', requirements], { env, seconds: PATIENCE });
  if (code !== 0) throw new NotHere('pip cannot install cargo-zigbuild and ziglang here');
  writeFileSync(stamp, wanted);
}

/** What zig links in, for the notices: its own unwinder and the compiler's run-time library. */
export const zigLicence = join(zigHome, 'ziglang/lib/libunwind/LICENSE.TXT');

/** The version of zig, as the requirements pin it. */
export const zigVersion = () => /^ziglang==(.*)$/m.exec(readFileSync(requirements, 'utf8'))?.[1] ?? '';

/** A folder of this target that scripts/cross.sh made: `sysroot`, `rustc`, `environment.json`, `node-<line>`. */
export const crossHome = (/** @type {Target} */ target) => join(root, 'target/cross', target.name);

/**
 * What scripts/cross.sh says of the Rust for a target; null where this machine's own Rust does.
 *
 * @param {Target} target
 * @returns {Record<string, string> | null}
 */
function crossRust(target) {
  const file = join(crossHome(target), 'environment.json');
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : null;
}

/** @param {readonly string[]} args @param {NodeJS.ProcessEnv} env */
const rustc = (args, env) => execFileSync(env['RUSTC'] ?? 'rustc', args, { cwd: root, env, encoding: 'utf8' }).trim();

/**
 * What builds for a target: a command, arguments of cargo's behind its own, and the environment.
 *
 * @param {Target} target
 */
export async function toolsFor(target) {
  if (!isThere('cargo')) throw new NotHere('cargo was not found');
  await bringZig();
  const cross = crossRust(target);
  const env = {
    ...process.env,
    ...cross,
    CARGO_ZIGBUILD_ZIG_PATH: join(zigHome, 'ziglang/zig'),
    CARGO_ZIGBUILD_CACHE_DIR: join(root, 'target/tools/cache/zigbuild'),
    ZIG_GLOBAL_CACHE_DIR: join(root, 'target/tools/cache/zig'),
  };
  const sysroot = rustc(['--print', 'sysroot'], env);
  const buildsStd = cross?.['TSLOOP_BUILD_STD'] !== undefined;
  if (!buildsStd && !existsSync(join(sysroot, 'lib/rustlib', target.triple, 'lib'))) {
    throw new NotHere(`Rust has no standard library for ${target.triple}: rustup target add, or bash scripts/cross.sh`);
  }
  return {
    cargo: join(zigHome, 'bin/cargo-zigbuild'),
    args: [
      'zigbuild',
      ...['--target', target.libc === 'glibc' ? `${target.triple}.${GLIBC_FLOOR}` : target.triple],
      ...(buildsStd ? ['-Zbuild-std=std,panic_unwind'] : []),
    ],
    env: { ...env, CARGO_ENCODED_RUSTFLAGS: flagsFor(target, sysroot).join('\x1f') },
    sysroot,
  };
}

/**
 * @param {Target} target
 * @param {string} sysroot
 */
export function flagsFor(target, sysroot) {
  const cargoHome = process.env['CARGO_HOME'] ?? join(homedir(), '.cargo');
  return [
    // Names the debug information that was taken off.
    '-Clink-arg=-Wl,--build-id=sha1',
    // Messages of panics name sources: those of this machine are nobody's business, and differ from one to the next.
    `--remap-path-prefix=${cargoHome}=cargo`,
    `--remap-path-prefix=${sysroot}=rust`,
    `--remap-path-prefix=${root.replace(/\/$/, '')}=tsloop`,
    // An addon is loaded by a Node that has musl already.
    ...(target.libc === 'musl' ? ['-Ctarget-feature=-crt-static'] : []),
  ];
}

/** The version of the Rust that builds. @param {NodeJS.ProcessEnv} env */
export const rustVersion = (env) => /^rustc (\S+)/.exec(rustc(['--version'], env))?.[1] ?? '';

/** LLVM's objcopy comes with rustc and knows every processor; the system's knows its own. */
export function objcopy() {
  const host = /^host: (.*)$/m.exec(rustc(['-vV'], process.env))?.[1] ?? '';
  const own = join(rustc(['--print', 'sysroot'], process.env), 'lib/rustlib', host, 'bin/rust-objcopy');
  for (const command of [own, 'llvm-objcopy', 'objcopy']) if (isThere(command)) return command;
  throw new NotHere('objcopy was not found');
}
