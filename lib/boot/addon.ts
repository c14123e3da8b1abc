/**
 * Loads the native part that was found (found.ts); failure is a reason, never an exception. `process.dlopen` is called directly,
 * as `require` of a `.node` file would run through whatever other preloads hooked into `require`.
 */

import { messageOf, type Reason, reason } from '../errors';
import { buildInfo } from '../native';
import { StringPrototypeIncludes, StringPrototypeSplit } from '../primordials';
import { faultOf, interpreterOf } from './elf';
import { addonPath, type Found, isInstalled, type Libc, packageName } from './found';
import { arch, dlopen, execPath, fs } from './host';

const { version } = require('../../package.json') as { version: string };

/** What loading needs from outside, so that the tests can stand in for it. */
export interface Loader {
  dlopen(module: { exports: unknown }, path: string): void;
  /** What is wrong with a file that the system's loader does not say; null for nothing. */
  fault(path: string): string | null;
  /** Null where it cannot be told. */
  libc(): Libc | null;
  /** Whether a package manager put this copy where it is. */
  readonly installed: boolean;
}

export type Loaded =
  | { readonly addon: unknown; readonly path: string; readonly reason: null }
  | { readonly reason: Reason };

const system: Loader = {
  dlopen,
  fault: (path) => faultOf(path, arch),
  libc: detectLibc,
  installed: isInstalled,
};

/** Why there is none to load; null where there is one. */
export function whyMissing(found: Found, loader: Loader = system): Reason | null {
  if (found.glibc !== null || found.musl !== null) return null;
  return missing(found, loader.libc() ?? 'glibc', loader);
}

/** Loads the native part. Call once per environment: Node-API registers a fresh copy of the exports at every call. */
export function loadAddon(found: Found, loader: Loader = system): Loaded {
  try {
    const path = pathFor(found, loader);
    if (path === null) return { reason: missing(found, loader.libc() ?? 'glibc', loader) };
    const fault = loader.fault(path);
    if (fault !== null) return { reason: unloadable(`${path}: ${fault}`, found, loader) };
    const module = { exports: {} as unknown };
    loader.dlopen(module, path);
    const other = whyAnother(module.exports);
    if (other !== null) return { reason: unloadable(`${path}: ${other}`, found, loader) };
    return { addon: module.exports, path, reason: null };
  } catch (error) {
    return { reason: unloadable(firstLine(error), found, loader) };
  }
}

/** The file for this process. What cannot be told any more is taken for the C library that a file was found for. */
function pathFor(found: Found, loader: Loader): string | null {
  if (found.glibc === found.musl) return found.glibc;
  return found[loader.libc() ?? (found.glibc === null ? 'musl' : 'glibc')];
}

/** Both halves speak one protocol, which only the same version is sure to know. */
function whyAnother(addon: unknown): string | null {
  if (typeof (addon as { buildInfo?: unknown }).buildInfo !== 'function') return 'the file is no native part of tsloop';
  const other = buildInfo(addon).version;
  return other === version ? null : `the file is of version ${other}, this is tsloop ${version}`;
}

/** The sentence that the person who deploys sees: what is missing, and the very command that brings it. */
function missing(found: Found, libc: Libc, loader: Loader): Reason {
  const detail =
    found.named ??
    (loader.installed
      ? `${packageName(libc)} is not installed, as a lockfile written on another platform or --omit=optional leaves it out; ${remedy(found, libc, loader)}`
      : `${addonPath(libc)}; ${remedy(found, libc, loader)}`);
  return reason('ERR_TSLOOP_ADDON_MISSING', detail);
}

function unloadable(text: string, found: Found, loader: Loader): Reason {
  const quiet = isCircumstance(text, found);
  const libc = loader.libc() ?? (found.glibc === null ? 'musl' : 'glibc');
  return reason('ERR_TSLOOP_ADDON_UNLOADABLE', `${text}; ${remedy(found, libc, loader)}`, quiet);
}

function remedy(found: Found, libc: Libc, loader: Loader): string {
  if (found.named !== null) return 'TSLOOP_ADDON names it';
  if (!loader.installed) return 'npm run build:native builds it';
  return `npm install --save-optional ${packageName(libc)}@${version} brings it`;
}

/**
 * Whether the loader could not get at a file that was there when the program started: no descriptor or memory is left, or
 * the rights are gone. That is no news to the program, which sees the same from whatever it opens. A library that the file
 * asks for and the system does not have is news: the file is for another system.
 */
function isCircumstance(text: string, { glibc, musl }: Found): boolean {
  if (StringPrototypeIncludes(text, 'Cannot allocate memory')) return true;
  const refused =
    StringPrototypeIncludes(text, 'cannot open shared object file') ||
    StringPrototypeIncludes(text, 'Error loading shared library');
  return refused && (StringPrototypeIncludes(text, `${glibc}: `) || StringPrototypeIncludes(text, `${musl}: `));
}

function firstLine(error: unknown): string {
  return StringPrototypeSplit(messageOf(error), '\n')[0] as string;
}

/**
 * The C library this Node was linked with, read from the name of its own interpreter in the executable's header:
 * no child process, and not `process.report`, whose report of the whole process takes tens of milliseconds. Where the
 * executable cannot be read, the memory map names the loader too.
 */
export function detectLibc(executable = execPath): Libc | null {
  const interpreter = interpreterOf(executable) ?? readMap();
  if (interpreter === null) return null;
  return StringPrototypeIncludes(interpreter, 'ld-musl-') ? 'musl' : 'glibc';
}

function readMap(): string | null {
  try {
    return fs.readFileSync('/proc/self/maps', 'latin1');
  } catch {
    // Without /proc nothing tells.
    return null;
  }
}
