/**
 * `udp_wrap`: UDP as Node's lib/ knows it (docs/seams.md, the row of `udp_wrap`). lib/ makes `bind6`, `connect6` and `send6` own properties under
 * the other names, and copies methods from one handle to another: they rely on `this` alone.
 */

import { getSystemErrorMap } from 'node:util';
import { createResource, UNBORN } from '../context/async-hooks';
import { getEnvironment } from '../context/environment';
import { errno } from '../native';
import { UdpNumber } from '../native/protocol';
import { ArrayPrototypeSlice, StringPrototypeIncludes, uncurryThis } from '../primordials';
import type { NativeClass } from '../shapes';
import type { MustBeNative } from './choice';
import { afterCloseTcp, NOTHING } from './closed';
import { Datagram, type UdpShell } from './datagram';
import { send } from './datagram-send';
import { isWatched } from './descriptors';
import { fillName, type Name } from './name';
import { providerNumber } from './provider';
import type { Request } from './requests';

let find: (handle: object) => Datagram | null = () => null;

/** The socket inside anything, if it is one of ours. */
export function datagramOf(handle: unknown): Datagram | null {
  return typeof handle === 'object' && handle !== null ? find(handle) : null;
}

/** What a handle of Node's may be asked by way of ours. */
type NativeUdp = Record<'bind' | 'bind6' | 'send' | 'send6', (this: object, ...args: unknown[]) => number>;

const MOST_TTL = 255;

/** Code and sentence by number. */
const errorNames = getSystemErrorMap();
/** The async id of what has no native handle any more. */
const NO_ID = -1;

export function defineUdp(Native: NativeClass, mustBeNative: MustBeNative): NativeClass {
  /** lib/ copies `bind` and `send` of a socket's first handle to the one that comes from another process, whoever's it is. */
  const native: NativeUdp = Native.prototype;
  const nativeBind = uncurryThis(native.bind);
  const nativeBind6 = uncurryThis(native.bind6);
  const nativeSend = uncurryThis(native.send);
  const nativeSend6 = uncurryThis(native.send6);
  class UDP implements UdpShell {
    declare onmessage: NonNullable<UdpShell['onmessage']>;
    /** Private, as a program that looks at a handle's properties sees none of ours. */
    readonly #socket!: Datagram;

    static {
      find = (handle) => (#socket in handle ? (handle as UDP).#socket : null);
    }

    constructor() {
      // biome-ignore lint/correctness/noConstructorReturn: where Node's own handle is the answer there is none of ours
      if (mustBeNative()) return new Native();
      this.#socket = new Datagram(this, UNBORN);
      this.#socket.scope = createResource('UDPWRAP', this, null, this.#socket);
    }

    // Life.

    close(callback?: (this: unknown) => void): void {
      this.#socket.close(typeof callback === 'function' ? callback : null);
    }

    ref(): void {
      setReferenced(this.#socket, true);
    }

    unref(): void {
      setReferenced(this.#socket, false);
    }

    hasRef(): boolean {
      const socket = this.#socket;
      if (socket.dead) return NOTHING as never;
      return !socket.gone && socket.referenced;
    }

    getAsyncId(): number {
      const socket = this.#socket;
      return socket.dead ? NO_ID : socket.scope.asyncId();
    }

    getProviderType(): number {
      return this.#socket.dead ? 0 : providerNumber('UDPWRAP', () => new Native());
    }

    get fd(): number {
      const { fd } = this.#socket;
      return fd < 0 ? errno.EBADF : fd;
    }

    // Binding and connecting.

    open(fd: number): number {
      return open(this.#socket, fd);
    }

    bind(host: string, port: number, flags: number): number {
      const socket = datagramOf(this);
      return socket === null ? nativeBind(this, host, port, flags) : bind(socket, false, host, port, flags);
    }

    bind6(host: string, port: number, flags: number): number {
      const socket = datagramOf(this);
      return socket === null ? nativeBind6(this, host, port, flags) : bind(socket, true, host, port, flags);
    }

    connect(host: string, port: number): number {
      return connect(this.#socket, false, host, port);
    }

    connect6(host: string, port: number): number {
      return connect(this.#socket, true, host, port);
    }

    disconnect(): number {
      const socket = this.#socket;
      if (socket.closed) return afterCloseTcp(socket, errno.ENOTCONN);
      if (!socket.connected) return errno.ENOTCONN;
      const status = getEnvironment().native.disconnectUdp(socket.settled());
      if (status === 0) forgetPeer(socket, false);
      return status;
    }

    getsockname(out: Name): number {
      return name(this.#socket, out, false);
    }

    getpeername(out: Name): number {
      return name(this.#socket, out, true);
    }

    // Messages.

    recvStart(): number {
      return this.#socket.receiveStart();
    }

    recvStop(): number {
      return this.#socket.receiveStop();
    }

    send(request: Request, list: ArrayBufferView[], count: number, ...rest: Rest): number {
      const socket = datagramOf(this);
      if (socket === null) return nativeSend(this, request, list, count, rest[0], rest[1], rest[2]);
      return sendBy(socket, false, request, list, count, rest);
    }

    send6(request: Request, list: ArrayBufferView[], count: number, ...rest: Rest): number {
      const socket = datagramOf(this);
      if (socket === null) return nativeSend6(this, request, list, count, rest[0], rest[1], rest[2]);
      return sendBy(socket, true, request, list, count, rest);
    }

    getSendQueueSize(): number {
      const socket = this.#socket;
      return afterCloseTcp(socket, socket.queuedBytes);
    }

    getSendQueueCount(): number {
      const socket = this.#socket;
      return afterCloseTcp(socket, socket.sends.length);
    }

    // Options.

    setBroadcast(on: number): number {
      return setNumber(this.#socket, UdpNumber.broadcast, on);
    }

    setTTL(value: number): number {
      if (this.#socket.dead) return errno.EBADF;
      return value < 1 || value > MOST_TTL ? errno.EINVAL : setNumber(this.#socket, UdpNumber.timeToLive, value);
    }

    setMulticastTTL(value: number): number {
      if (value < 0 || value > MOST_TTL) return errno.EINVAL;
      return setNumber(this.#socket, UdpNumber.multicastTimeToLive, value);
    }

    setMulticastLoopback(on: number): number {
      return setNumber(this.#socket, UdpNumber.multicastLoopback, on);
    }

    setMulticastInterface(address: string): number {
      this.#socket.proved.clear();
      return getEnvironment().native.setMulticastInterface(this.#socket.settled(), String(address));
    }

    addMembership(group: string, face?: string | null): number {
      return membership(this.#socket, true, group, face);
    }

    dropMembership(group: string, face?: string | null): number {
      return membership(this.#socket, false, group, face);
    }

    addSourceSpecificMembership(source: string, group: string, face?: string | null): number {
      return sourceMembership(this.#socket, true, source, group, face);
    }

    dropSourceSpecificMembership(source: string, group: string, face?: string | null): number {
      return sourceMembership(this.#socket, false, source, group, face);
    }

    bufferSize(size: number, receiving: boolean, context: Record<string, unknown>): number | undefined {
      const socket = this.#socket;
      if (socket.dead) return errno.EBADF;
      const fits = size === (size | 0);
      const result = fits ? socket.bufferSize(size, Boolean(receiving)) : errno.EINVAL;
      if (result >= 0) return result;
      const named = errorNames.get(result);
      context['errno'] = result;
      context['code'] = named?.[0] ?? 'UNKNOWN';
      context['message'] = named?.[1] ?? 'unknown error';
      context['syscall'] = receiving ? 'uv_recv_buffer_size' : 'uv_send_buffer_size';
      return undefined;
    }
  }
  return UDP;
}

/** Port, address and "has a callback"; on a connected socket the last alone. */
type Rest = [number, string, boolean] | [boolean];

function sendBy(
  socket: Datagram,
  v6: boolean,
  request: Request,
  list: ArrayBufferView[],
  count: number,
  rest: Rest,
): number {
  const chunks = count === list.length ? list : ArrayPrototypeSlice(list, 0, count);
  if (rest.length === 1) return send(socket, v6, request, chunks, 0, undefined, rest[0]);
  const { 0: port, 1: host, 2: hasCallback } = rest;
  return send(socket, v6, request, chunks, port & 0xffff, String(host), hasCallback);
}

function setReferenced(socket: Datagram, on: boolean): void {
  if (socket.gone) return;
  socket.referenced = on;
  socket.updateLiveness();
}

function open(socket: Datagram, fd: number): number {
  if (socket.closed) return errno.EBADF;
  if (socket.fd >= 0) return errno.EBUSY;
  if (isWatched(fd)) return errno.EEXIST;
  const { native } = getEnvironment();
  const status = native.openUdp(fd) || native.adopt(fd);
  if (status !== 0) return status;
  socket.fd = fd;
  socket.shared = true;
  socket.connected = typeof native.name(fd, true) === 'string';
  return 0;
}

function bind(socket: Datagram, v6: boolean, host: string, port: number, flags: number): number {
  if (socket.closed) return errno.EBADF;
  return socket.took(getEnvironment().native.bindUdp(socket.settled(), v6, String(host), port | 0, flags | 0), v6);
}

/** Which peers the kernel has taken messages for is to be found out again. */
function forgetPeer(socket: Datagram, connected: boolean): void {
  socket.connected = connected;
  socket.proved.clear();
}

function connect(socket: Datagram, v6: boolean, host: string, port: number): number {
  if (socket.closed) return errno.EBADF;
  if (socket.connected) return errno.EISCONN;
  const fresh = socket.fd < 0;
  const status = socket.took(
    getEnvironment().native.connectUdp(socket.settled(), v6, String(host), port | 0),
    fresh && v6,
  );
  if (status === 0) forgetPeer(socket, true);
  return status;
}

function setNumber(socket: Datagram, which: number, value: number): number {
  // What the kernel took may be refused from here on: a broadcast, for one.
  socket.proved.clear();
  return getEnvironment().native.setUdpNumber(socket.settled(), socket.v6, which, value | 0);
}

function membership(socket: Datagram, join: boolean, group: string, face: string | null | undefined): number {
  if (socket.closed) return errno.EBADF;
  const v6 = socket.fd < 0 && StringPrototypeIncludes(String(group), ':');
  return socket.took(
    getEnvironment().native.setMembership(socket.settled(), join, String(group), face ?? undefined),
    v6,
  );
}

function sourceMembership(
  socket: Datagram,
  join: boolean,
  source: string,
  group: string,
  face: string | null | undefined,
): number {
  if (socket.closed) return errno.EBADF;
  const v6 = socket.fd < 0 && StringPrototypeIncludes(String(group), ':');
  const { native } = getEnvironment();
  return socket.took(
    native.setSourceMembership(socket.settled(), join, String(source), String(group), face ?? undefined),
    v6,
  );
}

function name(socket: Datagram, out: Name, peer: boolean): number {
  if (socket.closed || socket.fd < 0) return errno.EBADF;
  if (peer && !socket.connected) return errno.ENOTCONN;
  return fillName(socket.fd, out, peer);
}
