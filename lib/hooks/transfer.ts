/**
 * Handles that cross a process border: Node's own code sends and receives native ones, so ours become native on a
 * duplicate of the descriptor when they leave, and native ones become ours when they arrive (contract 1.3, 9.3, 11.4).
 */

import type { Datagram } from '../bindings/datagram';
import { settledDescriptor, settleNumber } from '../bindings/descriptors';
import { countFallback } from '../bindings/fallback';
import type { StdioEntry } from '../bindings/process-wrap';
import { isLoaded, type NativeClass } from '../bindings/seam';
import { env, openNative, type Stream, shareListeners } from '../bindings/stream';
import { streamOf } from '../bindings/stream-handle';
import { datagramOf } from '../bindings/udp-wrap';
import { openEnvironment } from '../environment';
import {
  ArrayIsArray,
  ArrayPrototypeFind,
  ArrayPrototypeMap,
  FunctionPrototypeSymbolHasInstance,
  ObjectDefineProperty,
  ObjectGetOwnPropertySymbols,
  ObjectGetPrototypeOf,
  ReflectApply,
  SafeWeakSet,
} from '../primordials';

const SOCKET = 0;

/** A handle of Node's, as far as we use it. */
export interface NativeHandle {
  fd: number;
  open(fd: number): number;
  close(): void;
}

/** Both sides of one handle class. */
export interface Pair {
  readonly Native: NativeClass;
  readonly Ours: NativeClass;
  /** What arrives from another process becomes ours. */
  readonly adopts: boolean;
}

let pairs: readonly Pair[] = [];

/** Set when the classes are defined. */
export function attachPairs(all: readonly Pair[]): void {
  pairs = all;
}

/** What is inside one of our handles of any class. */
function insideOf(handle: unknown): Stream | Datagram | null {
  return streamOf(handle) ?? datagramOf(handle);
}

/** The descriptor of a handle of anybody's that a child is to have. */
export function descriptorOf(handle: unknown): number {
  const inside = insideOf(handle);
  return inside === null ? ((handle as NativeHandle | null | undefined)?.fd ?? -1) : settledDescriptor(inside);
}

/** A native handle on a duplicate of ours; null if the descriptor cannot be duplicated (`EMFILE`). */
export function toNative(handle: object): NativeHandle | null {
  const inside = insideOf(handle);
  const pair = ArrayPrototypeFind(pairs, ({ Ours }) => ObjectGetPrototypeOf(handle) === Ours.prototype);
  if (inside === null || pair === undefined || inside.fd < 0) return null;
  const copy = env().native.duplicate(settledDescriptor(inside));
  if (copy < 0) return null;
  const native = new pair.Native(SOCKET) as NativeHandle;
  if (openNative(native, copy) !== 0) {
    native.close();
    return null;
  }
  return native;
}

/** One of our handles on a duplicate of a native one, which is closed; the native one itself if that fails. */
export function toOurs(handle: unknown): unknown {
  const native = handle as NativeHandle;
  if (handle === null || typeof handle !== 'object' || insideOf(handle) !== null) return handle;
  const pair = ArrayPrototypeFind(pairs, ({ Native }) => ObjectGetPrototypeOf(handle) === Native.prototype);
  if (pair === undefined || !pair.adopts) return handle;
  const ours = new pair.Ours(SOCKET) as NativeHandle;
  if (insideOf(ours) === null) {
    ours.close();
    return handle;
  }
  const copy = env().native.duplicate(native.fd);
  if (copy < 0) {
    ours.close();
    return handle;
  }
  // A new number, so nothing of ours can be on it: not by `open`, which would look.
  streamOf(ours)?.openDescriptor(copy);
  native.close();
  return ours;
}

interface Channel {
  writeUtf8String(request: object, text: string, handle?: object): number;
  writeBuffer(request: object, data: Uint8Array, handle?: object): number;
  pendingHandle?: unknown;
}

const channels = new SafeWeakSet<object>();

/** As {@link adoptChannel}, of a channel to a child of ours. */
export function adoptChildsChannel(channel: object): void {
  shareListeners();
  adoptChannel(channel);
}

/** Makes an IPC channel of Node's send and deliver handles of ours. */
export function adoptChannel(channel: object): void {
  if (channels.has(channel)) return;
  channels.add(channel);
  const adoptWrite = (name: 'writeUtf8String' | 'writeBuffer'): void => {
    const write = (channel as Channel)[name] as (
      this: object,
      request: object,
      data: unknown,
      handle?: object,
    ) => number;
    ObjectDefineProperty(channel, name, {
      __proto__: null,
      configurable: true,
      writable: true,
      value(this: object, request: object, data: unknown, handle?: object) {
        const ours = handle !== undefined && insideOf(handle) !== null;
        const native = ours ? toNative(handle) : null;
        // What was written to sockets before the message leaves before it, as with libuv: who receives the message may
        // look at the other end of one. A handle of ours that goes along has seen to it.
        if (native === null) openEnvironment()?.settle();
        if (!ours) return ReflectApply(write, this, [request, data, handle]);
        const result = ReflectApply(write, this, [request, data, native ?? undefined]) as number;
        if (native !== null) closeWhenSent(request, native, result);
        return result;
      },
    } as PropertyDescriptor);
  };
  adoptWrite('writeUtf8String');
  adoptWrite('writeBuffer');
  let pending: unknown = (channel as Channel).pendingHandle ?? null;
  ObjectDefineProperty(channel, 'pendingHandle', {
    __proto__: null,
    configurable: true,
    enumerable: true,
    get: () => pending,
    set(handle: unknown) {
      pending = toOurs(handle);
    },
  } as PropertyDescriptor);
}

/** `ChildProcess` tells of its channels: once is enough, however often tsloop is put in. */
let hearsOfChannels = false;

/**
 * Where Node's modules were loaded before us: the channel to the parent, if there is one, and those that `child_process`
 * makes of Node's class, of which we would not hear otherwise. Stays: open handles of ours may be sent after
 * `uninstall()` too.
 */
export function adoptLateChannels(): void {
  adoptChannelOf(process, adoptChannel);
  if (hearsOfChannels || !isLoaded('child_process')) return;
  hearsOfChannels = true;
  const { prototype } = (require('node:child_process') as typeof import('node:child_process'))
    .ChildProcess as unknown as {
    prototype: { spawn(...args: unknown[]): unknown };
  };
  const { spawn } = prototype;
  prototype.spawn = function (this: object, ...args) {
    const result = ReflectApply(spawn, this, args);
    adoptChannelOf(this, adoptChildsChannel);
    return result;
  };
}

function adoptChannelOf(owner: object, adopt: (channel: object) => void): void {
  const symbol = ArrayPrototypeFind(
    ObjectGetOwnPropertySymbols(owner),
    (found) => found.description === 'kChannelHandle',
  );
  const channel = symbol === undefined ? undefined : (owner as Record<symbol, unknown>)[symbol];
  if (channel !== null && typeof channel === 'object') adopt(channel);
}

/** libuv reads the descriptor when it gets to the message: the native handle lives until then. */
function closeWhenSent(request: object, native: NativeHandle, result: number): void {
  if (result !== 0) {
    native.close();
    return;
  }
  let callback: unknown;
  ObjectDefineProperty(request, 'oncomplete', {
    __proto__: null,
    configurable: true,
    enumerable: true,
    set(value: unknown) {
      callback = value;
    },
    get() {
      return function oncomplete(this: unknown, ...args: unknown[]) {
        native.close();
        if (typeof callback === 'function') ReflectApply(callback as () => void, this, args);
      };
    },
  } as PropertyDescriptor);
}

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

/**
 * Makes `instanceof` on a class answer for both kinds: lib/ may have captured either. `asked` hears of each question:
 * lib/ asks it of a handle that comes from another thread, before anything else.
 */
export function acceptBoth({ Native, Ours }: Pair, asked: () => void): void {
  const accept = (target: NativeClass): void => {
    ObjectDefineProperty(target, Symbol.hasInstance, {
      __proto__: null,
      configurable: true,
      value(this: unknown, value: unknown) {
        // A subclass of somebody else's asks for itself.
        if (this !== target) return FunctionPrototypeSymbolHasInstance(this as never, value);
        asked();
        return FunctionPrototypeSymbolHasInstance(Native, value) || FunctionPrototypeSymbolHasInstance(Ours, value);
      },
    } as PropertyDescriptor);
  };
  accept(Native);
  accept(Ours);
}
