/**
 * Processes in which `dgram` was loaded before the preload ran (the list is that of `late-net`): lib/ has captured Node's
 * class, and makes a handle of it in the constructor of every socket. The constructor's last step with it is to put it
 * into the socket's state, under a symbol: there ours takes the place of one that nothing has happened to yet, in the
 * async context in which Node's was made.
 */

import type { NativeClass } from '../bindings/seam';
import { datagramOf } from '../bindings/udp-wrap';

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
    Object.getOwnPropertySymbols(sample).find((symbol) => symbol.description === description);
  const state = symbolOf('state symbol');
  const asyncId = symbolOf('async_id_symbol');
  sample.close();
  if (state === undefined || asyncId === undefined || state in Socket.prototype) return () => {};
  const set = function (this: Properties, value: { handle?: Handle | null }): void {
    Object.defineProperty(this, state, { value, configurable: true, enumerable: true, writable: true });
    const native = value?.handle;
    if (!native || Object.getPrototypeOf(native) !== NativeUDP.prototype) return;
    const ours = inPlaceOf(native, UDP);
    if (ours === null) return;
    value.handle = ours;
    this[asyncId] = ours.getAsyncId();
  };
  Object.defineProperty(Socket.prototype, state, { configurable: true, get: () => undefined, set });
  return () => {
    if (Object.getOwnPropertyDescriptor(Socket.prototype, state)?.set === set)
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
  for (const key of Reflect.ownKeys(native)) {
    ours[key] = BY_FAMILY.includes(String(key)) ? ours[`${String(key)}6`] : native[key];
  }
  native.close();
  return ours;
}
