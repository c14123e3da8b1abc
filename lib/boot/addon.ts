/**
 * Loads the native part that was found (found.ts); failure is a reason, never an exception. `process.dlopen` is called directly,
 * as `require` of a `.node` file would run through whatever other preloads hooked into `require`.
 */

import { messageOf, type Reason, reason } from '../errors';
import { BufferPrototypeLatin1Slice, StringPrototypeIncludes, StringPrototypeSplit } from '../primordials';
import { addonPath, exists, type Found, type Libc } from './found';
import { dlopen, execPath, fs } from './host';

/** What loading needs from outside, so that the tests can stand in for it. */
export interface Loader {
  exists(path: string): boolean;
  dlopen(module: { exports: unknown }, path: string): void;
  /** Null where it cannot be told. */
  libc(): Libc | null;
}

export type Loaded =
  | { readonly addon: unknown; readonly path: string; readonly reason: null }
  | { readonly reason: Reason };

const system: Loader = {
  exists,
  dlopen,
  libc: detectLibc,
};

/** Why there is none to load; null where there is one. */
export function whyMissing({ named, libc }: Found, loader: Loader = system): Reason | null {
  return libc !== null ? null : reason('ERR_TSLOOP_ADDON_MISSING', named ?? addonPath(loader.libc() ?? 'glibc'));
}

/** Loads the native part. Call once per environment: Node-API registers a fresh copy of the exports at every call. */
export function loadAddon(found: Found, loader: Loader = system): Loaded {
  try {
    const missing = whyMissing(found, loader);
    if (missing !== null) return { reason: missing };
    // What cannot be told any more is taken for the one that a file was found for.
    const libc = found.named === null ? (loader.libc() ?? (found.libc as Libc)) : found.libc;
    const path = found.named ?? addonPath(libc as Libc);
    if (libc !== found.libc && !loader.exists(path)) return { reason: reason('ERR_TSLOOP_ADDON_MISSING', path) };
    const module = { exports: {} as unknown };
    loader.dlopen(module, path);
    return { addon: module.exports, path, reason: null };
  } catch (error) {
    const text = firstLine(error);
    return { reason: reason('ERR_TSLOOP_ADDON_UNLOADABLE', text, isCircumstance(text)) };
  }
}

/**
 * Whether the loader could not get at a file that was there when the program started: no descriptor or memory is left, or
 * the rights are gone. That is no news to the program, which sees the same from whatever it opens.
 */
function isCircumstance(text: string): boolean {
  return (
    StringPrototypeIncludes(text, 'cannot open shared object file') ||
    StringPrototypeIncludes(text, 'Error loading shared library') ||
    StringPrototypeIncludes(text, 'Cannot allocate memory')
  );
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
  const interpreter = readInterpreter(executable) ?? readMap();
  if (interpreter === null) return null;
  return StringPrototypeIncludes(interpreter, 'ld-musl-') ? 'musl' : 'glibc';
}

/** ELF64: the PT_INTERP program header points at the loader's path. Null if it is not there to be read. */
function readInterpreter(executable: string): string | null {
  const PT_INTERP = 3;
  let descriptor = -1;
  try {
    descriptor = fs.openSync(executable, 'r');
    const header = readAt(descriptor, 0, 64);
    const entrySize = header.getUint16(54, true);
    const table = readAt(descriptor, Number(header.getBigUint64(32, true)), entrySize * header.getUint16(56, true));
    for (let at = 0; at < table.byteLength; at += entrySize) {
      if (table.getUint32(at, true) !== PT_INTERP) continue;
      const { buffer } = readAt(
        descriptor,
        Number(table.getBigUint64(at + 8, true)),
        Number(table.getBigUint64(at + 32, true)),
      );
      return BufferPrototypeLatin1Slice(new Uint8Array(buffer), 0, buffer.byteLength);
    }
  } catch {
    // Not an ELF file, or not ours to read: the map decides.
  } finally {
    if (descriptor !== -1) fs.closeSync(descriptor);
  }
  return null;
}

/** A view whose methods nobody has an interest in replacing. */
function readAt(descriptor: number, position: number, length: number): DataView<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  if (fs.readSync(descriptor, bytes, 0, length, position) !== length) throw new RangeError('the file ends early');
  return new DataView(bytes.buffer);
}

function readMap(): string | null {
  try {
    return fs.readFileSync('/proc/self/maps', 'latin1');
  } catch {
    // Without /proc nothing tells.
    return null;
  }
}
