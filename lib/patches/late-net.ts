/**
 * Processes in which `net` was loaded before the preload ran (any child with an IPC channel, cluster workers,
 * `--watch`, a script on standard input, proxies from the environment): lib/ has captured Node's classes, so ours
 * come in through the three public places at which net takes a handle from outside (docs/seams.md, "Processes that loaded `net` first").
 */

import { streamOf } from '../bindings/stream-handle';
import {
  ArrayIsArray,
  ArrayPrototypeFind,
  NumberIsNaN,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ObjectGetOwnPropertySymbols,
  ReflectApply,
} from '../primordials';
import type { NativeClass } from '../shapes';

const SOCKET = 0;
const SERVER = 1;

interface Handle {
  fd: number;
  close(): void;
  bind(host: string, port?: number, flags?: number): number;
  bind6(host: string, port: number, flags: number): number;
}

type Method = (this: Record<PropertyKey, unknown>, ...args: unknown[]) => unknown;

interface NetModule {
  Socket: { prototype: Record<PropertyKey, unknown> };
  Server: { prototype: Record<PropertyKey, unknown> };
}

/** Attaches to a net that is loaded; returns how to detach. */
export function hookLateNet(TCP: NativeClass, Pipe: NativeClass): () => void {
  const net = require('node:net') as NetModule;
  const leaveSocket = hookConnect(net.Socket.prototype, TCP, Pipe);
  const leaveServer = hookListen(net.Server.prototype, TCP, Pipe);
  return () => {
    leaveSocket();
    leaveServer();
  };
}

function replace(
  holder: Record<PropertyKey, unknown>,
  name: PropertyKey,
  make: (original: Method) => Method,
): () => void {
  const original = holder[name] as Method;
  const ours = make(original);
  const descriptor = ObjectGetOwnPropertyDescriptor(holder, name) ?? {
    configurable: true,
    writable: true,
    enumerable: true,
  };
  ObjectDefineProperty(holder, name, { __proto__: null, ...descriptor, value: ours } as PropertyDescriptor);
  return () => {
    if (holder[name] === ours)
      ObjectDefineProperty(holder, name, { __proto__: null, ...descriptor, value: original } as PropertyDescriptor);
  };
}

/** A handle of ours on a socket that has none yet; a second one (happy eyeballs) takes the place of the native one. */
function hookConnect(prototype: Record<PropertyKey, unknown>, TCP: NativeClass, Pipe: NativeClass): () => void {
  const reinitialize = ArrayPrototypeFind(
    ObjectGetOwnPropertySymbols(prototype),
    (symbol) => symbol.description === 'kReinitializeHandle',
  );
  if (reinitialize === undefined) return () => {};
  const undoReinitialize = replace(
    prototype,
    reinitialize,
    (original) =>
      function (...given) {
        const handle = given[0];
        const native = handle as Handle;
        if (streamOf(handle) !== null || !(handle instanceof TCP) || native.fd >= 0)
          return ReflectApply(original, this, given);
        native.close();
        given[0] = new TCP(SOCKET);
        return ReflectApply(original, this, given);
      },
  );
  const undoConnect = replace(
    prototype,
    'connect',
    (original) =>
      function (...args) {
        if (!this['_handle'] && !this['destroyed']) {
          const options = (ArrayIsArray(args[0]) ? args[0][0] : args[0]) as
            | { path?: unknown }
            | string
            | null
            | undefined;
          // A path is a string that is no number, or `path` in the options; the rest is TCP.
          const isPath =
            typeof options === 'string'
              ? NumberIsNaN(Number(options))
              : Boolean(options && typeof options === 'object' && options.path);
          ReflectApply(this[reinitialize] as Method, this, [new (isPath ? Pipe : TCP)(SOCKET)]);
        }
        return ReflectApply(original, this, args);
      },
  );
  return () => {
    undoConnect();
    undoReinitialize();
  };
}

/** A server's handle, made by us as lib/ would make it; whatever fails is left to lib/, which makes the error. */
function hookListen(prototype: Record<PropertyKey, unknown>, TCP: NativeClass, Pipe: NativeClass): () => void {
  return replace(
    prototype,
    '_listen2',
    (original) =>
      function (...args) {
        const {
          0: address,
          1: port,
          2: addressType,
          3: backlog,
          4: fd,
          5: flags,
        } = args as [string | null, number, number, number, number | undefined, number | undefined];
        if (this['_handle'] || typeof fd === 'number') return ReflectApply(original, this, args);
        const made = bound(TCP, Pipe, address, port, addressType, flags ?? 0);
        if (made === null) return ReflectApply(original, this, args);
        this['_handle'] = made.handle;
        return ReflectApply(original, this, [made.address, port, made.addressType, backlog, fd, flags]);
      },
  );
}

function bound(
  TCP: NativeClass,
  Pipe: NativeClass,
  address: string | null,
  port: number,
  addressType: number,
  flags: number,
) {
  const attempt = (host: string, type: number) => {
    const handle: Handle = new (port === -1 && type === -1 ? Pipe : TCP)(SERVER);
    const isPipe = port === -1 && type === -1;
    const status = isPipe
      ? handle.bind(host)
      : type === 6
        ? handle.bind6(host, port, flags)
        : handle.bind(host, port, flags);
    if (status === 0) return { handle, address: host, addressType: type };
    handle.close();
    return null;
  };
  if (address) return attempt(address, addressType);
  return attempt('::', 6) ?? attempt('0.0.0.0', 4);
}
