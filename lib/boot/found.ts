/**
 * Where the native part is. It is looked for while the program starts, and read when the first handle asks: by then the file
 * system may be a mock, the rights to it given up, its descriptors used up. So the looking is over by then, and what is left
 * to do is the system's loader's.
 */

import { resolve } from 'node:path';
import type { Config } from './config';
import { arch, fs, platform } from './host';

/** The two C libraries of Linux, by npm's names. */
export type Libc = 'glibc' | 'musl';

/** `dist/`, where the build puts the native part beside the compiled sources. */
const home = resolve(__dirname, '..');

/** Whether there is a file that may be read. */
export function exists(path: string): boolean {
  try {
    fs.accessSync(path, fs.constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** What was found while the program started: the file that `TSLOOP_ADDON` names, or one for this kind of machine. */
export interface Found {
  readonly named: string | null;
  /** The C library of a file that is there; null for none. (Of the named one it does not matter.) */
  readonly libc: Libc | null;
}

/** The file for this machine and C library. */
export function addonPath(libc: Libc): string {
  return `${home}/tsloop.${platform}-${arch}-${libc}.node`;
}

/** Looks whether there is a file, without reading any. */
export function findAddon(config: Config, isThere: (path: string) => boolean = exists): Found {
  const named = config.addon === null ? null : absolute(config.addon);
  if (isThere(named ?? addonPath('glibc'))) return { named, libc: 'glibc' };
  return { named, libc: named === null && isThere(addonPath('musl')) ? 'musl' : null };
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
