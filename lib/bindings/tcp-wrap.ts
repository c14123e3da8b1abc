/** `tcp_wrap`: TCP as Node's lib/ knows it (docs/seams.md, the row of `tcp_wrap`). */

import { announcer, born, isExpecting } from '../context/async-hooks';
import { getEnvironment } from '../context/environment';
import { errno } from '../native';
import { Control } from '../native/protocol';
import { ObjectDefineProperty } from '../primordials';
import type { NativeClass } from '../shapes';
import { kStream, SERVER, SOCKET } from './accepted';
import type { MustBeNative } from './choice';
import { afterCloseTcp } from './closed';
import { isWatched } from './descriptors';
import { fillName, type Name } from './name';
import { providerNumber } from './provider';
import type { Request } from './requests';
import type { Stream } from './stream';
import type { defineStreamHandle } from './stream-handle';

/** Seconds between probes and probes before giving up, where the line's lib/ does not say (libuv's own numbers). */
const KEEP_ALIVE_INTERVAL = 1;
const KEEP_ALIVE_COUNT = 10;

export function defineTcp(
  Handle: ReturnType<typeof defineStreamHandle>,
  Native: NativeClass,
  mustBeNative: MustBeNative,
  features: { typeOfService: boolean },
): NativeClass {
  class TCP extends Handle {
    static types = ['TCPWRAP', 'TCPSERVERWRAP'] as const;

    static instead(kind: number): object | null {
      return mustBeNative() ? new Native(kind) : null;
    }

    constructor(kind: number) {
      super(kind);
      if (isExpecting()) {
        new (announcer())();
        born();
      }
    }

    getProviderType(): number {
      const stream = this[kStream];
      return stream.dead
        ? 0
        : providerNumber(stream.type, () => new Native(stream.type === 'TCPSERVERWRAP' ? SERVER : SOCKET));
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
      if (stream.closed) return afterCloseTcp(stream, errno.EINVAL);
      if (stream.delayedError !== 0) return stream.delayedError;
      const { native, control } = getEnvironment();
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
      return stream.fd < 0 ? afterCloseTcp(stream, 0) : getEnvironment().native.setNoDelay(stream.fd, Boolean(on));
    }

    setKeepAlive(on: boolean, delay: number, interval?: number, count?: number): number {
      const stream = this[kStream];
      if (stream.fd < 0) return afterCloseTcp(stream, 0);
      return getEnvironment().native.setKeepAlive(
        stream.fd,
        Boolean(on),
        delay | 0,
        (interval ?? KEEP_ALIVE_INTERVAL) | 0,
        (count ?? KEEP_ALIVE_COUNT) | 0,
      );
    }

    reset(callback?: (this: unknown) => void): number {
      const stream = this[kStream];
      if (stream.closed) return afterCloseTcp(stream, 0);
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
      return fd < 0 ? errno.EBADF : getEnvironment().native.setTypeOfService(fd, value | 0);
    });
    define('getTypeOfService', function (this: TCP) {
      const { fd } = this[kStream];
      return fd < 0 ? errno.EBADF : getEnvironment().native.typeOfService(fd);
    });
  }
  return TCP;
}

function bind(stream: Stream, v6: boolean, host: string, port: number, flags: number): number {
  if (stream.closed) return afterCloseTcp(stream, errno.EINVAL);
  const { native, control } = getEnvironment();
  const status = native.bindTcp(stream.fd, v6, String(host), port | 0, flags | 0);
  stream.fd = control[Control.out] as number;
  if (status !== 0) return status;
  stream.delayedError = control[Control.out2] as number;
  return 0;
}

function connect(stream: Stream, request: Request, v6: boolean, host: string, port: number): number {
  if (stream.closed) return afterCloseTcp(stream, errno.EINVAL);
  if (stream.connectRequest !== null) return errno.EALREADY;
  if (stream.delayedError !== 0) {
    stream.connect(request, 'TCPCONNECTWRAP', 1, stream.delayedError);
    return 0;
  }
  const { native, control } = getEnvironment();
  const status = native.connectTcp(stream.fd, v6, String(host), port | 0);
  stream.fd = control[Control.out] as number;
  if (status < 0) return status;
  stream.connect(request, 'TCPCONNECTWRAP', status, control[Control.out2] as number);
  return 0;
}

function name(stream: Stream, out: Name, peer: boolean): number {
  if (stream.closed) return errno.EBADF;
  if (stream.delayedError !== 0) return stream.delayedError;
  return fillName(stream.fd, out, peer);
}
