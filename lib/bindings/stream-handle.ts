/**
 * What TCP and Pipe handles have in common: a true native StreamBase (`JSStream`) outside, so that http's parser, http2
 * and Node's OpenSSL accept it, and a {@link Stream} of ours inside, which every method goes to (docs/seams.md, the rows of `JSStream`).
 */

import { executionAsyncId } from 'node:async_hooks';
import { createResource, expect, isWatched, kBaseId, UNBORN } from '../context/async-hooks';
import { LazyScope, type Scope } from '../context/async-scope';
import { getEnvironment } from '../context/environment';
import { errno } from '../native';
import {
  ArrayBufferIsView,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ReflectApply,
  ReflectDeleteProperty,
  ReflectSet,
  uncurryThis,
} from '../primordials';
import type { NativeClass } from '../shapes';
import { acceptor, kStream, SERVER, type StreamHandle } from './accepted';
import { afterClose, NOTHING } from './closed';
import type { Request } from './requests';
import { type Shell, Stream } from './stream';
import { makesBuffers, readStart, readStop, takeBack } from './stream-read';
import { Consumer, type StreamType } from './stream-state';
import { type WriteResult, writeBuffer, writeNative, writeString, writev } from './stream-write';

let find: (handle: object) => Stream | null = () => null;

/** The stream inside anything, if it is one of ours. */
export function streamOf(handle: unknown): Stream | null {
  return typeof handle === 'object' && handle !== null ? find(handle) : null;
}

/** When a handle of anybody's was made, by the numbers that async hooks count in; 0 for what has none. */
export function birthOf(handle: unknown): number {
  const { [kBaseId]: ofBase, getAsyncId } = (handle ?? {}) as { [kBaseId]?(): number; getAsyncId?(): number };
  const id = ofBase ?? getAsyncId;
  return id === undefined ? 0 : (ReflectApply(id, handle, []) as number);
}

/** How a flag of the handle's own is put where the prototype has an accessor of that name. */
const consumedFlag = { __proto__: null, value: true, configurable: true, enumerable: true, writable: true };

/** The async id of what has no native handle any more. */
const NO_ID = -1;

/** What the classes say of themselves. */
interface HandleClass {
  /** What hooks call a socket and a server. */
  readonly types: readonly [StreamType, StreamType];
  /** The handle of Node's that is the answer instead of one of ours; null where it is to be ours. */
  instead(kind: number): object | null;
}

/** The bytes of any view; what is none is refused as Node's streams refuse it. */
function bytesOf(data: unknown): Uint8Array {
  if (ArrayBufferIsView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const refusal: TypeError & { code?: string } = new TypeError('Second argument must be a buffer');
  refusal.code = 'ERR_INVALID_ARG_TYPE';
  throw refusal;
}

/** Builds the base class on Node's JSStream. `replacesPipes`: a child's pipes, made here, may have to become Node's own. */
export function defineStreamHandle(
  Base: NativeClass,
  replacesPipes: () => boolean,
  features: { pendingRead: boolean },
): new (
  kind: number,
) => StreamHandle {
  const base = Base.prototype as object;
  const baseId = uncurryThis(Base.prototype.getAsyncId as (this: object) => number);

  class Handle extends (Base as new () => Shell) {
    declare reading: boolean;
    declare onconnection: ((status: number, handle?: object) => void) | null;
    /** Private, both, as a program that looks at a handle's properties sees none of ours. */
    readonly #stream!: Stream;
    #onread: unknown;

    static {
      find = (handle) => (#stream in handle ? (handle as Handle).#stream : null);
    }

    /** Where hooks are to hear of it the class below announces it: each frame of ours is one less of the program's to them. */
    // biome-ignore lint/correctness/noUnreachableSuper: where Node's own handle is the answer there is none of ours
    constructor(kind: number) {
      const { types, instead } = new.target as unknown as HandleClass;
      const native = instead(kind);
      // biome-ignore lint/correctness/noConstructorReturn: a derived class may answer with another object: Node's own handle
      if (native !== null) return native as never;
      super();
      const type = types[kind === SERVER ? 1 : 0];
      // Of Node's own handles too only TCP's are born with these.
      if (type === 'TCPWRAP' || type === 'TCPSERVERWRAP') {
        this.reading = false;
        this.onconnection = null;
      }
      const trigger = acceptor() || null;
      let scope: Scope;
      if (type === 'PIPEWRAP' && trigger === null && (!isWatched() || replacesPipes())) {
        // Those that lib/ makes for a child's stdio may be replaced (`transfer`): hooks must not hear of the first.
        scope = new LazyScope(type, this);
      } else if (isWatched()) {
        scope = UNBORN;
      } else scope = createResource(type, this, trigger);
      this.#stream = new Stream(this, type, scope, trigger !== null);
      if (scope instanceof LazyScope) scope.holder = this.#stream;
      else if (scope === UNBORN) expect(type, this, trigger, this.#stream);
    }

    /** The stream inside, for the classes below. */
    get [kStream](): Stream {
      return this.#stream;
    }

    // Life.

    close(callback?: (this: unknown) => void): void {
      this[kStream].close(typeof callback === 'function' ? callback : null);
    }

    ref(): void {
      const stream = this[kStream];
      if (stream.gone) return;
      stream.referenced = true;
      stream.updateLiveness();
    }

    unref(): void {
      const stream = this[kStream];
      if (stream.gone) return;
      stream.referenced = false;
      stream.updateLiveness();
    }

    hasRef(): boolean {
      const stream = this[kStream];
      if (stream.dead) return NOTHING as never;
      return !stream.gone && stream.referenced;
    }

    getAsyncId(): number {
      const stream = this[kStream];
      return stream.dead ? NO_ID : stream.scope.asyncId();
    }

    /** The id of the native base, of which hooks do not hear. */
    [kBaseId](): number {
      return baseId(this);
    }

    /** A reused keep-alive socket becomes a new resource: same type, new id, triggered by whoever reuses it. */
    asyncReset(resource?: unknown): void {
      const stream = this[kStream];
      stream.scope.emitDestroy();
      // Hooks are shown what lib/ wraps the handle in, so that they can tell one use from the next.
      const owner = typeof resource === 'object' && resource !== null ? resource : this;
      stream.scope = createResource(stream.type, owner, executionAsyncId());
    }

    get fd(): number {
      const stream = this[kStream];
      if (stream.gone) return -22;
      // Who asks may write to the number: what counts as written is to be before that.
      if (stream.slot >= 0 && !stream.closed && !stream.hasLeft()) getEnvironment().settle();
      return stream.shownFd;
    }

    // Reading.

    readStart(): number {
      return readStart(this[kStream]);
    }

    readStop(): number {
      return readStop(this[kStream]);
    }

    useUserBuffer(buffer: Uint8Array): number {
      const stream = this[kStream];
      if (stream.closed) return afterClose(stream, 0);
      stream.userBuffer = buffer;
      return 0;
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
      const stream = this[kStream];
      return stream.dead ? NOTHING : stream.queued;
    }

    /** Newer lines: http's Agent gives no request to a socket of which something unasked for waits. */
    hasPendingRead(): boolean {
      const stream = this[kStream];
      return stream.dead ? (NOTHING as never) : stream.pending;
    }

    /** The descriptor stays as it is: the reactor, and another thread with it, reads from it. */
    setBlocking(): number {
      const stream = this[kStream];
      if (stream.closed) return afterClose(stream, errno.EBADF);
      return stream.fd < 0 ? errno.EBADF : 0;
    }

    // What native consumers call (docs/seams.md, "What native consumers expect").

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

    /**
     * http's server asks after `isStreamBase`, sets it when its parser consumes us, and never takes it back: from then on it is the
     * handle's own, as on Node's. That the parser has let go is found out by `takeBack`.
     */
    get _consumed(): boolean | undefined {
      const stream = this[kStream];
      if (stream.tls === null && !stream.nativeReads) stream.consumer = Consumer.lib;
      return undefined;
    }

    set _consumed(on: unknown) {
      this[kStream].consumer = on ? Consumer.parser : Consumer.lib;
      consumedFlag.value = on as boolean;
      ObjectDefineProperty(this, '_consumed', consumedFlag);
    }

    override get onread(): Shell['onread'] {
      return this.#onread as Shell['onread'];
    }

    /** Native code keeps a function of its own for bytes that no consumer takes: ours, so that we learn of it. */
    override set onread(value: Shell['onread']) {
      this[kStream].copies = makesBuffers(value);
      // Through Reflect: the property is an accessor pair on newer lines and a native data property on older ones.
      if (this.#onread === undefined) ReflectSet(base, 'onread', untaken, this);
      this.#onread = value;
    }
  }

  if (!features.pendingRead) ReflectDeleteProperty(Handle.prototype, 'hasPendingRead');

  function untaken(this: Handle, data?: ArrayBuffer): unknown {
    return takeBack(this[kStream], data);
  }
  ObjectDefineProperty(Handle.prototype, 'onread', {
    __proto__: null,
    get: (ObjectGetOwnPropertyDescriptor(Handle.prototype, 'onread') as PropertyDescriptor).get,
    set: (ObjectGetOwnPropertyDescriptor(Handle.prototype, 'onread') as PropertyDescriptor).set,
    configurable: true,
    enumerable: true,
  } as PropertyDescriptor);

  return Handle;
}
