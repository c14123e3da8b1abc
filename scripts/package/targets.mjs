// @ts-check
// The platforms that there are packages for. Their names are those that lib/boot/found.ts looks for.

/**
 * @typedef {object} Target
 * @property {string} name of the package, behind `@tsloop/`
 * @property {string} triple Rust's name
 * @property {'x64' | 'arm64'} cpu Node's name
 * @property {'glibc' | 'musl'} libc npm's name
 * @property {string} machine as readelf says it
 */

/**
 * The oldest C library that Node's own releases run on since 20: what we ask for must not be newer (RHEL 8, Debian 10,
 * Ubuntu 18.10).
 */
export const GLIBC_FLOOR = '2.28';

/** Most bytes of a stripped addon: half as much again as it has today, so that a dependency that doubles it is seen. */
export const SIZE_CAP = 900_000;

/** @type {readonly Target[]} */
export const targets = [
  {
    name: 'linux-x64-gnu',
    triple: 'x86_64-unknown-linux-gnu',
    cpu: 'x64',
    libc: 'glibc',
    machine: 'Advanced Micro Devices X86-64',
  },
  { name: 'linux-arm64-gnu', triple: 'aarch64-unknown-linux-gnu', cpu: 'arm64', libc: 'glibc', machine: 'AArch64' },
  {
    name: 'linux-x64-musl',
    triple: 'x86_64-unknown-linux-musl',
    cpu: 'x64',
    libc: 'musl',
    machine: 'Advanced Micro Devices X86-64',
  },
  { name: 'linux-arm64-musl', triple: 'aarch64-unknown-linux-musl', cpu: 'arm64', libc: 'musl', machine: 'AArch64' },
];

/** The one that is built and tried by every run of continuous integration. */
export const home = /** @type {Target} */ (targets[0]);

/** @param {Target} target */
export const packageOf = (target) => `@tsloop/${target.name}`;

/** The file in a package. */
export const ADDON = 'tsloop.node';
