/** Children that Node's own Process starts, with handles of ours among what they are to have. */

import { SOCKET } from '../bindings/accepted';
import { settledDescriptor, settleNumber } from '../bindings/descriptors';
import { countFallback } from '../bindings/fallback';
import { insideOf } from '../bindings/inside';
import { ArrayIsArray, ArrayPrototypeMap, ReflectApply } from '../primordials';
import type { NativeClass, NativeHandle, StdioEntry } from '../shapes';

/**
 * Wraps `spawn` of Node's Process, which runs where ours does not: children's pipes are Node's own handles then, and a
 * stream of ours that a child inherits goes to it by descriptor. Node's C++ would end the process over one.
 */
export function wrapSpawn(
  spawn: (...args: unknown[]) => number,
  NativePipe: NativeClass,
): (...args: unknown[]) => number {
  const convert = (stdio: StdioEntry[]): StdioEntry[] =>
    ArrayPrototypeMap(stdio, (entry) => {
      const inside = insideOf(entry.handle);
      if (inside === null && typeof entry.fd === 'number') settleNumber(entry.fd);
      if (inside === null) return entry;
      if (entry.type === 'wrap') return { type: 'fd', fd: settledDescriptor(inside) };
      countFallback('child-stdio');
      // In place: lib/ makes its sockets from this very entry afterwards.
      entry.handle = new NativePipe(SOCKET) as NativeHandle;
      return entry;
    });
  return function (this: unknown, ...args: unknown[]): number {
    // Five or more positional arguments on newer lines, one object with `stdio` on older ones.
    if (ArrayIsArray(args[4])) {
      args[4] = convert(args[4]);
      return ReflectApply(spawn, this, args) as number;
    }
    const options = args[0] as { stdio?: StdioEntry[] } | undefined;
    if (!ArrayIsArray(options?.stdio)) return ReflectApply(spawn, this, args);
    const { stdio } = options;
    options.stdio = convert(stdio);
    try {
      return ReflectApply(spawn, this, args);
    } finally {
      options.stdio = stdio;
    }
  };
}
