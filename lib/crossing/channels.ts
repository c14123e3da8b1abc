/** Channels to other processes, which are Node's: what they send of ours, and deliver to us, is converted. */

import { insideOf } from '../bindings/inside';
import { shareListeners } from '../bindings/stream';
import { SafeWeakSet } from '../collections';
import { findEnvironment } from '../context/environment';
import { ArrayPrototypeFind, ObjectDefineProperty, ObjectGetOwnPropertySymbols, ReflectApply } from '../primordials';
import { isLoaded } from '../seam';
import type { NativeHandle } from '../shapes';
import type { Pairs } from './pairs';

interface Channel {
  writeUtf8String(request: object, text: string, handle?: object): number;
  writeBuffer(request: object, data: Uint8Array, handle?: object): number;
  pendingHandle?: unknown;
}

const channels = new SafeWeakSet<object>();

/** As {@link adoptChannel}, of a channel to a child of ours. */
export function adoptChildsChannel(channel: object, pairs: Pairs): void {
  shareListeners();
  adoptChannel(channel, pairs);
}

/** Makes an IPC channel of Node's send and deliver handles of ours. */
function adoptChannel(channel: object, pairs: Pairs): void {
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
        const native = ours ? pairs.toNative(handle) : null;
        // What was written to sockets before the message leaves before it, as with libuv: who receives the message may
        // look at the other end of one. A handle of ours that goes along has seen to it.
        if (native === null) findEnvironment()?.settle();
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
      pending = pairs.toOurs(handle);
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
export function adoptLateChannels(pairs: Pairs): void {
  adoptChannelOf(process, adoptChannel, pairs);
  if (hearsOfChannels || !isLoaded('child_process')) return;
  hearsOfChannels = true;
  const { prototype } = (require('node:child_process') as typeof import('node:child_process'))
    .ChildProcess as unknown as {
    prototype: { spawn(...args: unknown[]): unknown };
  };
  const { spawn } = prototype;
  prototype.spawn = function (this: object, ...args) {
    const result = ReflectApply(spawn, this, args);
    adoptChannelOf(this, adoptChildsChannel, pairs);
    return result;
  };
}

function adoptChannelOf(owner: object, adopt: typeof adoptChannel, pairs: Pairs): void {
  const symbol = ArrayPrototypeFind(
    ObjectGetOwnPropertySymbols(owner),
    (found) => found.description === 'kChannelHandle',
  );
  const channel = symbol === undefined ? undefined : (owner as Record<symbol, unknown>)[symbol];
  if (channel !== null && typeof channel === 'object') adopt(channel, pairs);
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
