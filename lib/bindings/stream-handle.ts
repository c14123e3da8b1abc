/**
 * What TCP and Pipe handles have in common: a true native StreamBase (`JSStream`) outside, so that http's parser, http2
 * and Node's OpenSSL accept it, and a {@link Stream} of ours inside, which every method goes to (contract 2, 3, 4, 8).
 */

import { executionAsyncId } from 'node:async_hooks';
import { environment } from '../environment';
import { kBaseId } from '../hooks/async-hooks';
import { ArrayBufferIsView, ObjectDefineProperty, ObjectHasOwn, ReflectSet } from '../primordials';
import { createScope, createTriggeredScope, LazyScope, type Scope } from './async-scope';
import { countFallback, whyNative } from './fallback';
import type { Request } from './requests';
import type { NativeClass } from './seam';
import { env, type Shell, Stream } from './stream';
import { makesBuffers, readStart, readStop } from './stream-read';
import { Consumer, type StreamType } from './stream-state';
import { type WriteResult, writeBuffer, writeNative, writeString, writev } from './stream-write';

/** The stream inside a handle. */
export const kStream: unique symbol = Symbol('tsloop.stream');

/** Set while an accepted connection's handle is made: who accepted it. */
let acceptedBy = 0;

/** What the classes are told that a handle is for; a server is the other. */
const SOCKET = 0;

/** Makes the handle of an accepted connection: outside any store, triggered by its server. */
export function makeAccepted(server: Stream): StreamHandle {
  const Handle = server.handle.constructor as new (type: number) => StreamHandle;
  acceptedBy = server.scope.asyncId();
  try {
    return new Handle(SOCKET);
  } finally {
    acceptedBy = 0;
  }
}

/** Whether the handle under construction has to be Node's own, which is then counted; never that of an accepted connection. */
export function mustBeNative(disabled = false): boolean {
  if (acceptedBy !== 0) return false;
  const why = disabled ? 'disabled' : (whyNative() ?? (environment() === null ? 'unavailable' : null));
  if (why !== null) countFallback(why);
  return why !== null;
}

export interface StreamHandle extends Shell {
  readonly [kStream]: Stream;
  reading: boolean;
  close(callback?: () => void): void;
}

/** The stream inside anything, if it is one of ours. */
export function streamOf(handle: unknown): Stream | null {
  return ((handle as { [kStream]?: Stream } | null | undefined)?.[kStream] as Stream | undefined) ?? null;
}

/** How a handle has its stream: one description for all, made anew it would be most of a connection's rubbish. */
const hidden: { __proto__: null; value: Stream | null; enumerable: false; writable: true } = {
  __proto__: null,
  value: null,
  enumerable: false,
  writable: true,
};

/** The resource of a new handle. A pipe's waits: those that lib/ makes for a child's stdio are replaced (`transfer`). */
function scopeOf(type: StreamType, handle: object): Scope {
  if (acceptedBy !== 0) return createTriggeredScope(type, handle, acceptedBy);
  return type === 'PIPEWRAP' ? new LazyScope(type, handle) : createScope(type, handle);
}

/** The bytes of any view; what is none is refused as Node's streams refuse it. */
function bytesOf(data: unknown): Uint8Array {
  if (ArrayBufferIsView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const refusal: TypeError & { code?: string } = new TypeError('Second argument must be a buffer');
  refusal.code = 'ERR_INVALID_ARG_TYPE';
  throw refusal;
}

/** Builds the base class on Node's JSStream. */
export function defineStreamHandle(Base: NativeClass) {
  const base = Base.prototype as object;
  const baseId = Base.prototype.getAsyncId as (this: object) => number;

  abstract class Handle extends (Base as new () => Shell) {
    declare readonly [kStream]: Stream;
    declare reading: boolean;
    declare onconnection: ((status: number, handle?: object) => void) | null;

    constructor(type: StreamType) {
      super();
      this.reading = false;
      this.onconnection = null;
      const scope = scopeOf(type, this);
      const stream = new Stream(this, type, scope, acceptedBy !== 0);
      if (scope instanceof LazyScope) scope.holder = stream;
      hidden.value = stream;
      ObjectDefineProperty(this, kStream, hidden as unknown as PropertyDescriptor);
      hidden.value = null;
    }

    // Life.

    close(callback?: (this: unknown) => void): void {
      this[kStream].close(typeof callback === 'function' ? callback : null);
    }

    ref(): void {
      const stream = this[kStream];
      if (stream.closed) return;
      stream.referenced = true;
      stream.updateLiveness();
    }

    unref(): void {
      const stream = this[kStream];
      if (stream.closed) return;
      stream.referenced = false;
      stream.updateLiveness();
    }

    hasRef(): boolean {
      const stream = this[kStream];
      return !stream.gone && stream.referenced;
    }

    getAsyncId(): number {
      return this[kStream].scope.asyncId();
    }

    /** The id of the native base, of which hooks do not hear. */
    [kBaseId](): number {
      return baseId.call(this);
    }

    /** A reused keep-alive socket becomes a new resource: same type, new id, triggered by whoever reuses it. */
    asyncReset(resource?: unknown): void {
      const stream = this[kStream];
      stream.scope.emitDestroy();
      // Hooks are shown what lib/ wraps the handle in, so that they can tell one use from the next.
      const owner = typeof resource === 'object' && resource !== null ? resource : this;
      stream.scope = createTriggeredScope(stream.type, owner, executionAsyncId());
    }

    get fd(): number {
      const stream = this[kStream];
      if (stream.gone) return -22;
      // Who asks may write to the number: what counts as written is to be before that.
      if (stream.slot >= 0 && !stream.closed && !stream.hasLeft()) env().settle();
      return stream.shownFd;
    }

    // Reading.

    readStart(): number {
      return readStart(this[kStream]);
    }

    readStop(): number {
      return readStop(this[kStream]);
    }

    useUserBuffer(buffer: Uint8Array): void {
      this[kStream].userBuffer = buffer;
    }

    get bytesRead(): number {
      return this[kStream].bytesRead;
    }

    // Writing.

    writeBuffer(request: Request | null, data: Uint8Array): WriteResult {
      return writeBuffer(this[kStream], request, data instanceof Uint8Array ? data : bytesOf(data));
    }

    writev(request: Request | null, chunks: readonly unknown[], allBuffers: boolean): WriteResult {
      return writev(this[kStream], request, chunks, allBuffers);
    }

    writeUtf8String(request: Request | null, text: string): WriteResult {
      return writeString(this[kStream], request, text, 'utf8');
    }

    writeLatin1String(request: Request | null, text: string): WriteResult {
      return writeString(this[kStream], request, text, 'latin1');
    }

    writeAsciiString(request: Request | null, text: string): WriteResult {
      return writeString(this[kStream], request, text, 'ascii');
    }

    writeUcs2String(request: Request | null, text: string): WriteResult {
      return writeString(this[kStream], request, text, 'ucs2');
    }

    shutdown(request: Request): number {
      return this[kStream].shutdown(request, null);
    }

    get bytesWritten(): number {
      return this[kStream].bytesWritten;
    }

    get writeQueueSize(): number {
      return this[kStream].queued;
    }

    setBlocking(): number {
      return 0;
    }

    // What native consumers call (contract 8.1).

    isClosing(): boolean {
      return this[kStream].closed;
    }

    onreadstart(): number {
      const stream = this[kStream];
      if (stream.consumer === Consumer.lib) stream.consumer = Consumer.native;
      stream.nativeReads = true;
      // lib/ may be reading already, or tell us later through readStart; a consumer that starts alone reads too.
      const status = stream.reading ? 0 : readStart(stream);
      return status;
    }

    onreadstop(): number {
      return readStop(this[kStream]);
    }

    onwrite(request: object, buffers: readonly Uint8Array[]): number {
      return writeNative(this[kStream], request, buffers);
    }

    onshutdown(request: object): number {
      return this[kStream].shutdown(null, request);
    }

    /**
     * lib/ looks here just before http2 consumes us, which nothing else announces. Whoever looks gets bytes through the
     * native side from here on: with nobody consuming they come back to `onread`, a little later.
     */
    get isStreamBase(): boolean {
      const stream = this[kStream];
      if (stream.consumer === Consumer.lib) stream.consumer = Consumer.native;
      return true;
    }

    /** http's server asks after `isStreamBase`, sets it when its parser consumes us, and never takes it back. */
    get _consumed(): boolean {
      const stream = this[kStream];
      const consumed = stream.consumer === Consumer.parser;
      if (!consumed && stream.tls === null && !stream.nativeReads) stream.consumer = Consumer.lib;
      return consumed;
    }

    set _consumed(on: boolean) {
      this[kStream].consumer = on ? Consumer.parser : Consumer.lib;
    }
  }

  // The native default listener reads `onread` from an internal field: keep it in step, but read ours without C++.
  const kOnread = Symbol('tsloop.onread');
  ObjectDefineProperty(Handle.prototype, 'onread', {
    __proto__: null,
    configurable: true,
    enumerable: true,
    get(this: Record<symbol, unknown>) {
      return this[kOnread];
    },
    set(this: Handle & Record<symbol, unknown>, value: unknown) {
      this[kStream].copies = makesBuffers(value);
      if (!ObjectHasOwn(this, kOnread))
        ObjectDefineProperty(this, kOnread, {
          __proto__: null,
          value,
          writable: true,
          enumerable: false,
          configurable: true,
        } as PropertyDescriptor);
      else this[kOnread] = value;
      // Through Reflect: the property is an accessor pair on newer lines and a native data property on older ones.
      if (typeof value === 'function') ReflectSet(base, 'onread', value, this);
    },
  } as PropertyDescriptor);
  return Handle;
}
