/**
 * Finds and loads the native part; failure is a reason, never an exception.
 *
 * Nothing native is loaded while a program starts: the first handle asks. `process.dlopen` is called directly, as
 * `require` of a `.node` file would run through whatever other preloads hooked into `require`.
 */

import { accessSync, closeSync, constants, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { type Reason, reason } from '../errors';
import type { Config } from './config';

/** The two C libraries of Linux, by npm's names. */
export type Libc = 'glibc' | 'musl';

/** What loading needs from outside, so that the tests can stand in for it. */
export interface Loader {
  exists(path: string): boolean;
  dlopen(module: { exports: unknown }, path: string): void;
  libc(): Libc;
}

export type Loaded = { readonly addon: unknown; readonly path: string } | { readonly reason: Reason };

/** `dist/`, where the build puts the native part beside the compiled sources. */
const home = join(__dirname, '..');

const system: Loader = {
  exists(path) {
    try {
      accessSync(path, constants.R_OK);
      return true;
    } catch {
      return false;
    }
  },
  dlopen: (module, path) => process.dlopen(module, path),
  libc: detectLibc,
};

/** The file for this machine, or the one that `TSLOOP_ADDON` names. */
export function addonPath(config: Config, libc: Libc): string {
  return config.addon ?? join(home, `tsloop.${process.platform}-${process.arch}-${libc}.node`);
}

/** Loads the native part. Call once per environment: Node-API registers a fresh copy of the exports at every call. */
export function loadAddon(config: Config, loader: Loader = system): Loaded {
  try {
    const path = addonPath(config, config.addon === null ? loader.libc() : 'glibc');
    if (!loader.exists(path)) return { reason: reason('ERR_TSLOOP_ADDON_MISSING', path) };
    const module = { exports: {} as unknown };
    loader.dlopen(module, path);
    return { addon: module.exports, path };
  } catch (error) {
    return { reason: reason('ERR_TSLOOP_ADDON_UNLOADABLE', firstLine(error)) };
  }
}

/** Whether a file for this machine is there, without loading it: what boot can know before the first handle. */
export function addonIsPresent(config: Config, loader: Loader = system): Reason | null {
  try {
    const path = addonPath(config, config.addon === null ? loader.libc() : 'glibc');
    return loader.exists(path) ? null : reason('ERR_TSLOOP_ADDON_MISSING', path);
  } catch (error) {
    return reason('ERR_TSLOOP_ADDON_UNLOADABLE', firstLine(error));
  }
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 1)[0] ?? text;
}

/**
 * The C library this Node was linked with, read from the name of its own interpreter in the executable's header:
 * no child process, and not `process.report`, whose report of the whole process takes tens of milliseconds. Where the
 * executable cannot be read, the memory map names the loader too.
 */
export function detectLibc(executable = process.execPath): Libc {
  const interpreter = readInterpreter(executable) ?? readMap();
  return interpreter.includes('ld-musl-') ? 'musl' : 'glibc';
}

/** ELF64: the PT_INTERP program header points at the loader's path. Null if it is not there to be read. */
function readInterpreter(executable: string): string | null {
  const PT_INTERP = 3;
  let descriptor = -1;
  try {
    descriptor = openSync(executable, 'r');
    const header = readAt(descriptor, 0, 64);
    const tableAt = Number(header.readBigUInt64LE(32));
    const entrySize = header.readUInt16LE(54);
    const table = readAt(descriptor, tableAt, entrySize * header.readUInt16LE(56));
    for (let at = 0; at < table.length; at += entrySize) {
      if (table.readUInt32LE(at) !== PT_INTERP) continue;
      const offset = Number(table.readBigUInt64LE(at + 8));
      return readAt(descriptor, offset, Number(table.readBigUInt64LE(at + 32))).toString('latin1');
    }
  } catch {
    // Not an ELF file, or not ours to read: the map decides.
  } finally {
    if (descriptor !== -1) closeSync(descriptor);
  }
  return null;
}

function readAt(descriptor: number, position: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  const read = readSync(descriptor, bytes, 0, length, position);
  if (read !== length) throw new RangeError('the file ends early');
  return bytes;
}

function readMap(): string {
  try {
    return readFileSync('/proc/self/maps', 'latin1');
  } catch {
    // Without /proc nothing tells; glibc is by far the more common, and a wrong guess ends in a reason.
    return '';
  }
}
