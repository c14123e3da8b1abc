/**
 * `pipe_wrap`: unix-domain sockets and pipes as Node's lib/ knows them (docs/seams.md, the row of `pipe_wrap`). No method may exist here whose
 * presence means TCP to lib/ (`getsockname`, `setNoDelay`, …).
 */

import { announcer, born, isExpecting } from '../context/async-hooks';
import { getEnvironment } from '../context/environment';
import { errno } from '../native';
import { Access, Control } from '../native/protocol';
import {
  BufferFrom,
  BufferPrototypeUtf8Slice,
  StringPrototypeIndexOf,
  StringPrototypeRepeat,
  StringPrototypeSlice,
} from '../primordials';
import type { NativeClass } from '../shapes';
import { kStream, SERVER, SOCKET } from './accepted';
import type { MustBeNative } from './choice';
import { afterClosePipe } from './closed';
import { isWatched, openNative } from './descriptors';
import { countFallback } from './fallback';
import { providerNumber } from './provider';
import type { Request } from './requests';
import type { defineStreamHandle } from './stream-handle';

const IPC = 2;

/** Room for a name in the kernel's address. */
const NAME_BYTES = 108;

/** A name that has none, in a directory that is not there. */
const LONG = `/nonexistent/${StringPrototypeRepeat('x', 200)}`;
/** The same, short and with a NUL inside. */
const TAILED = '/nonexistent/path\0tail';

export function definePipe(
  Handle: ReturnType<typeof defineStreamHandle>,
  Native: NativeClass,
  mustBeNative: MustBeNative,
  adoptIpc: (channel: object) => void,
  ipcOnly: boolean,
): NativeClass {
  /** Whether a name is refused that older lines cut: Node's own handle knows, asked once of either kind. */
  const asker = (name: string): (() => boolean) => {
    let refused: boolean | undefined;
    return () => {
      if (refused === undefined) {
        const probe = new Native(0);
        refused = probe.bind(name) === errno.EINVAL;
        probe.close();
      }
      return refused;
    };
  };
  const refusesLong = asker(LONG);
  const refusesTail = asker(TAILED);
  const fit = (name: string): string | null => {
    let path = name;
    // A path ends at a NUL. An abstract name begins with one, and others in it are bytes like any.
    const end = StringPrototypeIndexOf(name, '\0');
    if (end > 0) {
      if (refusesTail()) return null;
      path = StringPrototypeSlice(name, 0, end);
    }
    const bytes = BufferFrom(path);
    if (bytes.length <= NAME_BYTES) return path;
    // What libuv keeps of a longer name: as much as fits with a terminator.
    return refusesLong() ? null : BufferPrototypeUtf8Slice(bytes, 0, NAME_BYTES - 1);
  };

  class Pipe extends Handle {
    static types = ['PIPEWRAP', 'PIPESERVERWRAP'] as const;

    static instead(kind: number): object | null {
      if (kind === IPC) {
        // An IPC channel stays Node's: libuv passes descriptors through it.
        const channel = new Native(kind);
        adoptIpc(channel);
        countFallback('ipc');
        return channel;
      }
      // The channel matters to datagram sockets too; the rest of us may be switched off.
      return mustBeNative(ipcOnly) ? new Native(kind) : null;
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
        : providerNumber(stream.type, () => new Native(stream.type === 'PIPESERVERWRAP' ? SERVER : SOCKET));
    }

    /** What a descriptor is open for decides which way the pipe goes. */
    open(fd: number): number {
      const stream = this[kStream];
      if (stream.closed) return afterClosePipe(stream, errno.EBADF);
      if (isWatched(fd)) return errno.EEXIST;
      const status = stream.openDescriptor(fd);
      if (status !== 0) return status;
      const mode = getEnvironment().native.accessMode(fd);
      if ((mode & Access.reading) === 0) stream.ended = true;
      if ((mode & Access.writing) === 0) stream.ending = true;
      return 0;
    }

    bind(name: string): number {
      const stream = this[kStream];
      if (stream.closed) return afterClosePipe(stream, errno.EINVAL);
      if (stream.fd >= 0) return errno.EINVAL;
      const short = fit(name);
      if (short === null) return errno.EINVAL;
      const { native, control } = getEnvironment();
      const status = native.bindPipe(short);
      if (status !== 0) return status;
      stream.fd = control[Control.out] as number;
      stream.path = control[Control.out2] === 1 ? short : null;
      return 0;
    }

    listen(backlog: number): number {
      const stream = this[kStream];
      if (stream.closed) return afterClosePipe(stream, errno.EINVAL);
      if (stream.fd < 0) return errno.EINVAL;
      const status = getEnvironment().native.listenPipe(stream.fd, backlog);
      if (status !== 0) return status;
      stream.enterListening();
      return 0;
    }

    connect(request: Request, name: string): number {
      const stream = this[kStream];
      if (stream.closed) return afterClosePipe(stream, errno.EINVAL);
      if (stream.connectRequest !== null) return errno.EALREADY;
      const short = fit(name);
      if (short === null) return errno.EINVAL;
      const { native, control } = getEnvironment();
      const status = native.connectPipe(stream.fd, short);
      stream.fd = control[Control.out] as number;
      if (status < 0) return status;
      stream.connect(request, 'PIPECONNECTWRAP', status, control[Control.out2] as number);
      return 0;
    }

    /** By Node's own handle on the same socket: whether the file's other bits stay is libuv's to say, and it changed. */
    fchmod(mode: number): number {
      const stream = this[kStream];
      if (stream.closed || stream.fd < 0) return afterClosePipe(stream, errno.EBADF);
      const { native } = getEnvironment();
      const copy = native.duplicate(stream.fd);
      if (copy < 0) return copy;
      const twin = new Native(0);
      let status = openNative(twin, copy);
      if (status === 0) status = twin.fchmod(mode);
      twin.close();
      return status;
    }
  }
  return Pipe;
}
