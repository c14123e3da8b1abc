/**
 * Where the native part is: the file that `TSLOOP_ADDON` names, else the one that a checkout's build put into `dist/`, else the
 * one of the package for this platform (`@tsloop/linux-x64-gnu` and its like), which npm installs as an optional dependency.
 *
 * It is looked for while the program starts, and read when the first handle asks: by then the file system may be a mock, the
 * rights to it given up, its descriptors used up. So the looking is over by then, and what is left to do is the system's
 * loader's. Folders are looked into, nobody's `require` is asked: that may be hooked, and loads its own machinery.
 */

import { dirname, resolve } from 'node:path';
import { StringPrototypeIncludes, StringPrototypeSlice } from '../primordials';
import type { Config } from './config';
import { arch, fs, platform } from './host';

/** The two C libraries of Linux, by the names that Node's own report uses. */
export type Libc = 'glibc' | 'musl';

/** `dist/`, where the build puts the native part beside the compiled sources. */
const home = resolve(__dirname, '..');

const MODULES = '/node_modules';

/** Where npm put this copy; false in a checkout, whose build makes the native part. */
export const isInstalled: boolean = StringPrototypeIncludes(home, `${MODULES}/`);

/** The name of the file in a package. */
const FILE = 'tsloop.node';

/** Whether there is a file that may be read. */
export function exists(path: string): boolean {
  // Most of what is asked for is not there, and an exception is dear: it gathers a stack.
  if (!fs.existsSync(path)) return false;
  try {
    fs.accessSync(path, fs.constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** What was found while the program started. */
export interface Found {
  /** What `TSLOOP_ADDON` names; null where it is not set. */
  readonly named: string | null;
  /** The file for each C library; null where there is none. The named one, if it is there, stands for both. */
  readonly glibc: string | null;
  readonly musl: string | null;
}

/** The file that a build makes for this machine and C library. */
export function addonPath(libc: Libc): string {
  return `${home}/tsloop.${platform}-${arch}-${libc}.node`;
}

/** The package for this machine and C library, named as everybody's prebuilt packages are. */
export function packageName(libc: Libc): string {
  return `@tsloop/${platform}-${arch}-${libc === 'musl' ? 'musl' : 'gnu'}`;
}

/** Looks whether there is a file, without reading any. */
export function findAddon(config: Config, isThere: (path: string) => boolean = exists): Found {
  if (config.addon !== null) {
    const named = absolute(config.addon);
    const file = isThere(named) ? named : null;
    return { named, glibc: file, musl: file };
  }
  const own = findBoth(addonPath, isThere);
  return own ?? findPackage(isThere) ?? { named: null, glibc: null, musl: null };
}

/** The files for either C library, where there is one: which of them this process needs is found out when it is loaded. */
function findBoth(pathOf: (libc: Libc) => string, isThere: (path: string) => boolean): Found | null {
  const glibc = pathOf('glibc');
  const musl = pathOf('musl');
  const found = { named: null, glibc: isThere(glibc) ? glibc : null, musl: isThere(musl) ? musl : null };
  return found.glibc === null && found.musl === null ? null : found;
}

/** In the folders where Node looks for packages, from the nearest one up. */
function findPackage(isThere: (path: string) => boolean): Found | null {
  for (let folder = dirname(home), last = home; folder !== last; last = folder, folder = dirname(folder)) {
    // Within node_modules Node looks for no other.
    const isModules = StringPrototypeSlice(folder, -MODULES.length) === MODULES;
    const modules = isModules ? folder : (folder === '/' ? '' : folder) + MODULES;
    if (!isThere(`${modules}/@tsloop`)) continue;
    const found = findBoth((libc) => `${modules}/${packageName(libc)}/${FILE}`, isThere);
    if (found !== null) return found;
  }
  return null;
}

/** The program may change its directory before the file is read. */
function absolute(path: string): string {
  try {
    return resolve(path);
  } catch {
    // There is no directory to start from.
    return path;
  }
}
