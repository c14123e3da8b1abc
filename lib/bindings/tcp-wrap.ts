/** `tcp_wrap`: TCP as Node's lib/ knows it (contract 5). */

import { errno } from '../native';
import { Control } from '../native/protocol';
import { ObjectDefineProperty } from '../primordials';
import { isWatched } from './descriptors';
import { fillName, type Name } from './name';
import type { Request } from './requests';
import type { NativeClass } from './seam';
import { env, type Stream } from './stream';
import { type defineStreamHandle, kStream, mustBeNative } from './stream-handle';

const SERVER = 1;

/** Seconds between probes and probes before giving up, where the line's lib/ does not say (libuv's own numbers). */
const KEEP_ALIVE_INTERVAL = 1;
const KEEP_ALIVE_COUNT = 10;

export function defineTcp(
  Handle: ReturnType<typeof defineStreamHandle>,
  Native: NativeClass,
  features: { typeOfService: boolean },
): NativeClass {
  class TCP extends Handle {
    // biome-ignore lint/correctness/noUnreachableSuper: where Node's own handle is the answer there is none of ours
    constructor(type: number) {
      // biome-ignore lint/correctness/noConstructorReturn: a derived class may answer with another object: Node's own handle
      if (mustBeNative()) return new Native(type);
      super(type === SERVER ? 'TCPSERVERWRAP' : 'TCPWRAP');
    }

    open(fd: number): number {
      return isWatched(fd) ? errno.EEXIST : this[kStream].openDescriptor(fd);
    }

    bind(host: string, port: number, flags = 0): number {
      return bind(this[kStream], false, host, port, flags);
    }

    bind6(host: string, port: number, flags = 0): number {
      return bind(this[kStream], true, host, port, flags);
    }

    listen(backlog: number): number {
      const stream = this[kStream];
      if (stream.closed) return stream.closedError;
      if (stream.delayedError !== 0) return stream.delayedError;
      const { native, control } = env();
      const status = native.listenTcp(stream.fd, backlog);
      stream.fd = control[Control.out] as number;
      if (status !== 0) return status;
      stream.enterListening();
      return 0;
    }

    connect(request: Request, host: string, port: number): number {
      return connect(this[kStream], request, false, host, port);
    }

    connect6(request: Request, host: string, port: number): number {
      return connect(this[kStream], request, true, host, port);
    }

    getsockname(out: Name): number {
      return name(this[kStream], out, false);
    }

    getpeername(out: Name): number {
      return name(this[kStream], out, true);
    }

    setNoDelay(on: boolean): number {
      const stream = this[kStream];
      if (stream.gone) return errno.EINVAL;
      return stream.fd < 0 ? 0 : env().native.setNoDelay(stream.fd, Boolean(on));
    }

    setKeepAlive(on: boolean, delay: number, interval?: number, count?: number): number {
      const stream = this[kStream];
      if (stream.gone) return errno.EINVAL;
      if (stream.fd < 0) return 0;
      return env().native.setKeepAlive(
        stream.fd,
        Boolean(on),
        delay | 0,
        (interval ?? KEEP_ALIVE_INTERVAL) | 0,
        (count ?? KEEP_ALIVE_COUNT) | 0,
      );
    }

    reset(callback?: (this: unknown) => void): number {
      const stream = this[kStream];
      if (stream.closed) return stream.closedError;
      if (stream.fd < 0) return errno.EBADF;
      if (stream.shutdownRequest !== null || stream.shutdownNative !== null) return errno.EINVAL;
      stream.close(typeof callback === 'function' ? callback : null, true);
      return 0;
    }
  }

  const define = (name: string, value: (this: TCP, value: number) => number): void => {
    ObjectDefineProperty(TCP.prototype, name, {
      __proto__: null,
      value,
      configurable: true,
      writable: true,
    } as PropertyDescriptor);
  };
  if (features.typeOfService) {
    define('setTypeOfService', function (this: TCP, value: number) {
      const { fd } = this[kStream];
      return fd < 0 ? errno.EBADF : env().native.setTypeOfService(fd, value | 0);
    });
    define('getTypeOfService', function (this: TCP) {
      const { fd } = this[kStream];
      return fd < 0 ? errno.EBADF : env().native.typeOfService(fd);
    });
  }
  return TCP;
}

function bind(stream: Stream, v6: boolean, host: string, port: number, flags: number): number {
  if (stream.closed) return stream.closedError;
  const { native, control } = env();
  const status = native.bindTcp(stream.fd, v6, String(host), port | 0, flags | 0);
  stream.fd = control[Control.out] as number;
  if (status !== 0) return status;
  stream.delayedError = control[Control.out2] as number;
  return 0;
}

function connect(stream: Stream, request: Request, v6: boolean, host: string, port: number): number {
  if (stream.closed) return stream.closedError;
  if (stream.connectRequest !== null) return errno.EALREADY;
  if (stream.delayedError !== 0) {
    stream.connect(request, 'TCPCONNECTWRAP', 1, stream.delayedError);
    return 0;
  }
  const { native, control } = env();
  const status = native.connectTcp(stream.fd, v6, String(host), port | 0);
  stream.fd = control[Control.out] as number;
  if (status < 0) return status;
  stream.connect(request, 'TCPCONNECTWRAP', status, control[Control.out2] as number);
  return 0;
}

function name(stream: Stream, out: Name, peer: boolean): number {
  if (stream.closed) return stream.closedError;
  if (stream.delayedError !== 0) return stream.delayedError;
  return fillName(stream.fd, out, peer);
}
