/**
 * Processes in which `dgram` was loaded before the preload ran (the list is that of `late-net`): lib/ has captured Node's
 * class, and makes a handle of it in the constructor of every socket. The constructor's last step with it is to put it
 * into the socket's state, under a symbol: there ours takes the place of one that nothing has happened to yet, in the
 * async context in which Node's was made.
 */

import { datagramOf } from '../bindings/udp-wrap';
import {
  ArrayPrototypeFind,
  ArrayPrototypeIncludes,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ObjectGetOwnPropertySymbols,
  ObjectGetPrototypeOf,
  ReflectOwnKeys,
} from '../primordials';
import { put } from '../seam';
import type { NativeClass } from '../shapes';

type Properties = Record<PropertyKey, unknown>;

interface Handle extends Properties {
  close(): void;
  getAsyncId(): number;
}

interface DgramModule {
  Socket: { new (type: string): { close(): void }; prototype: object };
}

/** What lib/ makes own properties of an IPv6 handle under these names are its methods for that family. */
const BY_FAMILY = ['bind', 'connect', 'send'];

/** Attaches to a dgram that is loaded; returns how to detach. */
export function hookLateDgram(NativeUDP: NativeClass, UDP: NativeClass): () => void {
  const { Socket } = require('node:dgram') as DgramModule;
  const sample = new Socket('udp4');
  const symbolOf = (description: string) =>
    ArrayPrototypeFind(ObjectGetOwnPropertySymbols(sample), (symbol) => symbol.description === description);
  const state = symbolOf('state symbol');
  const asyncId = symbolOf('async_id_symbol');
  sample.close();
  if (state === undefined || asyncId === undefined || state in Socket.prototype) return () => {};
  const set = function (this: Properties, value: { handle?: Handle | null }): void {
    put(this, state, value);
    const native = value?.handle;
    if (!native || ObjectGetPrototypeOf(native) !== NativeUDP.prototype) return;
    const ours = inPlaceOf(native, UDP);
    if (ours === null) return;
    value.handle = ours;
    this[asyncId] = ours.getAsyncId();
  };
  ObjectDefineProperty(Socket.prototype, state, {
    __proto__: null,
    configurable: true,
    get: () => undefined,
    set,
  } as PropertyDescriptor);
  return () => {
    if (ObjectGetOwnPropertyDescriptor(Socket.prototype, state)?.set === set)
      delete (Socket.prototype as Properties)[state];
  };
}

/** A handle of ours with what lib/ has put on a new one of Node's, which is closed; null where there can be none. */
function inPlaceOf(native: Handle, UDP: NativeClass): Handle | null {
  const ours: Handle = new UDP();
  if (datagramOf(ours) === null) {
    ours.close();
    return null;
  }
  const keys = ReflectOwnKeys(native);
  for (let index = 0; index < keys.length; index += 1) {
    const key = keys[index] as string;
    ours[key] = ArrayPrototypeIncludes(BY_FAMILY, String(key)) ? ours[`${String(key)}6`] : native[key];
  }
  native.close();
  return ours;
}
