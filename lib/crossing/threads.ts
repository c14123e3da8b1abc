/**
 * Sockets and servers that cross from one thread to another, on the lines of Node that allow it: Node's messages carry
 * native handles only, so ours leave as a native one on a duplicate of the descriptor, and a native one that arrives
 * becomes ours where lib/ takes it in (docs/architecture.md, "One handle to another process or thread"). Stays in place once it is there: open handles of ours go on after
 * `uninstall()`, and may be sent.
 */

import type { Stream } from '../bindings/stream';
import { streamOf } from '../bindings/stream-handle';
import { nextTick } from '../boot/host';
import { SafeMap } from '../collections';
import { getEnvironment } from '../context/environment';
import { Command } from '../native/protocol';
import {
  ArrayPrototypeFind,
  ArrayPrototypeMap,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ObjectGetOwnPropertySymbols,
  ObjectHasOwn,
  ReflectApply,
} from '../primordials';
import { isLoaded } from '../seam';
import type { NativeHandle } from '../shapes';
import type { Pairs } from './pairs';

type Prototype = Record<PropertyKey, unknown>;
type Method = (this: Prototype, ...args: unknown[]) => unknown;

interface Transferred {
  data: { handle?: unknown };
}

/** Handles of ours that are being sent, each with the native one that goes in its place. */
const leaving = new SafeMap<object, NativeHandle>();

let hooked = false;

/** Attaches to a `net` that is loaded, once; to be called early enough for the first handle that is sent or received. */
export function hookThreads(pairs: Pairs): void {
  if (hooked || !isLoaded('net')) return;
  hooked = true;
  const net = require('node:net') as Record<string, { prototype: Prototype } | undefined>;
  const classes = [net['Socket'], net['Server'], net['BoundSocket']];
  for (let index = 0; index < classes.length; index += 1) {
    const prototype = classes[index]?.prototype;
    if (prototype === undefined) continue;
    const list = symbolOf(prototype, 'messaging_transfer_list_symbol');
    const transfer = symbolOf(prototype, 'messaging_transfer_symbol');
    if (list === undefined || transfer === undefined) continue;
    wrap(prototype, list, sendNative(pairs));
    wrap(prototype, transfer, letGo);
    const arrive = symbolOf(prototype, 'kReinitializeHandle');
    if (arrive !== undefined) wrap(prototype, arrive, takeIn(pairs));
    if (ObjectHasOwn(prototype, '_listen2')) wrap(prototype, '_listen2', listenOnOurs(pairs));
  }
}

function symbolOf(prototype: Prototype, description: string): symbol | undefined {
  return ArrayPrototypeFind(ObjectGetOwnPropertySymbols(prototype), (symbol) => symbol.description === description);
}

function wrap(prototype: Prototype, name: PropertyKey, make: (original: Method) => Method): void {
  const descriptor = ObjectGetOwnPropertyDescriptor(prototype, name);
  if (typeof descriptor?.value !== 'function') return;
  ObjectDefineProperty(prototype, name, {
    __proto__: null,
    ...descriptor,
    value: make(descriptor.value),
  } as PropertyDescriptor);
}

/** What a socket names as its handles: native ones instead of ours. */
function sendNative(pairs: Pairs): (original: Method) => Method {
  return (original) =>
    function (this: Prototype) {
      const stream = streamOf(this['_handle']);
      if (stream !== null && hasTaken(stream)) return refused(stream, () => ReflectApply(original, this, []));
      return ArrayPrototypeMap(ReflectApply(original, this, []) as object[], (handle) => {
        const native = leaving.get(handle) ?? (streamOf(handle) === null ? null : pairs.toNative(handle));
        if (native === null) return handle;
        leaving.set(handle, native);
        nextTick(forget, handle);
        return native;
      });
    };
}

/** The message was refused for the sake of something else in it: the socket stays here. */
function forget(handle: object): void {
  leaving.get(handle)?.close();
  leaving.delete(handle);
}

/**
 * Whether bytes have left the kernel that lib/ has not seen: they cannot go along. Reading ends first, so that there
 * will be no more of them.
 */
function hasTaken(stream: Stream): boolean {
  if (stream.slot < 0 || stream.listening || stream.connectRequest !== null) return false;
  const environment = getEnvironment();
  environment.command(Command.readStop, stream);
  environment.submit();
  const taken = environment.native.hasRead(stream.slot, stream.generation) === 1;
  if (stream.reading && taken) stream.askToRead();
  return taken && stream.bytesRead === 0;
}

/** lib/ refuses a socket that has read, with an error of its own. */
function refused(stream: Stream, ask: () => unknown): unknown {
  stream.bytesRead += 1;
  try {
    return ask();
  } finally {
    stream.bytesRead -= 1;
  }
}

/** lib/ lets go of the handle, without closing it: the other thread has it now. */
function letGo(original: Method): Method {
  return function (this: Prototype) {
    const made = ReflectApply(original, this, []) as Transferred;
    const { handle } = made.data;
    const native = leaving.get(handle as object);
    if (native === undefined) return made;
    leaving.delete(handle as object);
    made.data.handle = native;
    const stream = streamOf(handle) as Stream;
    if (stream.listening) stream.stopListening();
    else stream.close(null);
    return made;
  };
}

function takeIn(pairs: Pairs): (original: Method) => Method {
  return (original) =>
    function (this: Prototype, ...args) {
      args[0] = pairs.toOurs(args[0]);
      return ReflectApply(original, this, args);
    };
}

function listenOnOurs(pairs: Pairs): (original: Method) => Method {
  return (original) =>
    function (this: Prototype, ...args) {
      if (this['_handle']) this['_handle'] = pairs.toOurs(this['_handle']);
      return ReflectApply(original, this, args);
    };
}
