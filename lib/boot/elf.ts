/** What the header of an executable or library says (ELF64, little-endian), read with the file system as it was at the start. */

import { BufferPrototypeLatin1Slice } from '../primordials';
import { fs } from './host';

/** Bytes of the header, and where in it the fields are that we read. */
const HEADER_BYTES = 64;
const MAGIC = 0x7f454c46;
const MACHINE = 18;
const PROGRAM_TABLE = 32;
const SECTION_TABLE = 40;
const PROGRAM_ENTRY_SIZE = 54;
const PROGRAM_ENTRIES = 56;
const SECTION_ENTRY_SIZE = 58;
const SECTION_ENTRIES = 60;

/** The program header that points at the loader's path. */
const PT_INTERP = 3;

/** The processors that there are native parts for, by Node's names. */
const machines: Readonly<Record<string, number>> = { __proto__: null, x64: 62, arm64: 183 } as never;

/**
 * What is wrong with a library for this processor, as far as the system's loader does not say so by itself: of a file that
 * ends early it maps what is not there, and the process dies when it gets there; one for another processor it calls absent.
 * Null where nothing is wrong, and where the file cannot be read: the loader cannot either, and says why.
 */
export function faultOf(path: string, arch: string): string | null {
  return ask(path, (descriptor) => {
    const header = readAt(descriptor, 0, HEADER_BYTES);
    if (header === null) return 'the file ends early';
    if (header.getUint32(0) !== MAGIC || header.getUint16(MACHINE, true) !== machines[arch]) {
      return `the file is not for ${arch}`;
    }
    // The table of sections is the last thing in the file.
    const sections = header.getUint16(SECTION_ENTRY_SIZE, true) * header.getUint16(SECTION_ENTRIES, true);
    const end = Number(header.getBigUint64(SECTION_TABLE, true)) + sections;
    return readAt(descriptor, end - 1, 1) === null ? 'the file ends early' : null;
  });
}

/** The path of the loader that an executable asks for; null if it is not there to be read. */
export function interpreterOf(path: string): string | null {
  return ask(path, (descriptor) => {
    const header = readAt(descriptor, 0, HEADER_BYTES);
    if (header === null) return null;
    const size = header.getUint16(PROGRAM_ENTRY_SIZE, true);
    const bytes = size * header.getUint16(PROGRAM_ENTRIES, true);
    const table = readAt(descriptor, Number(header.getBigUint64(PROGRAM_TABLE, true)), bytes);
    if (table === null) return null;
    for (let at = 0; at < bytes; at += size) {
      if (table.getUint32(at, true) !== PT_INTERP) continue;
      const place = Number(table.getBigUint64(at + 8, true));
      const text = readAt(descriptor, place, Number(table.getBigUint64(at + 32, true)));
      return text && BufferPrototypeLatin1Slice(new Uint8Array(text.buffer), 0, text.byteLength);
    }
    return null;
  });
}

/** An answer out of a file; null where it cannot be opened or read, or is no ELF file by any means. */
function ask(path: string, question: (descriptor: number) => string | null): string | null {
  let descriptor = -1;
  try {
    descriptor = fs.openSync(path, 'r');
    return question(descriptor);
  } catch {
    return null;
  } finally {
    if (descriptor !== -1) fs.closeSync(descriptor);
  }
}

/** A view whose methods nobody has an interest in replacing; null where the file ends before. */
function readAt(descriptor: number, position: number, length: number): DataView<ArrayBuffer> | null {
  const bytes = new Uint8Array(length);
  return fs.readSync(descriptor, bytes, 0, length, position) === length ? new DataView(bytes.buffer) : null;
}
