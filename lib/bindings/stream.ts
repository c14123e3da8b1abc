/**
 * One byte stream on our side of a handle: its descriptor, its place in the reactor, what is under way. The handle
 * classes (`tcp-wrap`, `pipe-wrap`) are shells around it, the dispatcher calls its `on…` methods.
 *
 * Life: without a descriptor → with one (bound, opened) → in the reactor (listening, connecting, open) → closed. Reads
 * and writes live in `stream-read` and `stream-write`.
 */

import { SafeMap, SafeSet } from '../collections';
import { callNative, type Provider, runIn, type Scope } from '../context/async-scope';
import { getEnvironment } from '../context/environment';
import { closingNow, defer, deferToCheck, waitForClosing } from '../context/phases';
import { errno } from '../native';
import { CONNECTED, COUNTED, Command, NOTIFY, ONCE, RESET, SHARED, STEADY_CHUNKS } from '../native/protocol';
import {
  ArrayPrototypeFilter,
  ArrayPrototypeForEach,
  ArrayPrototypeIndexOf,
  ArrayPrototypePush,
  ArrayPrototypeSplice,
} from '../primordials';
import { afterClose } from './closed';
import { begin, finish, type Request } from './requests';
import { StreamState, type StreamType } from './stream-state';

/** The handle as we see it: properties that Node's lib/ and native consumers put there. */
export interface Shell {
  onread: (data?: ArrayBuffer) => unknown;
  onconnection?: ((status: number, handle?: object) => void) | null;
  readBuffer(data: Uint8Array): void;
  emitEOF(): void;
  finishWrite(request: object, status: number): void;
  finishShutdown(request: object, status: number): void;
}

/** Writes of closed streams out of whose memory the reactor may still read: their requests keep that memory. */
const lending = new SafeMap<Stream, readonly Write[]>();

/** Streams of the reactor by slot; what `slot` and `generation` say is the dispatcher's to compare. */
export const table: (Stream | undefined)[] = [];

/** Open streams that have no place in the table: not bound, not connected yet. */
const unplaced = new SafeSet<Stream>();

/** Live streams, for `process._getActiveHandles` and its like. */
export function liveStreams(): Stream[] {
  const all: Stream[] = [];
  const add = (stream: Stream | undefined): void => {
    if (stream !== undefined && !stream.closed) ArrayPrototypePush(all, stream);
  };
  ArrayPrototypeForEach(table, add);
  unplaced.forEach(add);
  return all;
}

/** Streams between `close` and its callback: Node's introspection still lists them. */
export function closingStreams(): readonly Stream[] {
  return ArrayPrototypeFilter(closingNow(), (one) => one instanceof Stream) as Stream[];
}

/** A write under way. */
export interface Write {
  readonly request: Request | null;
  readonly native: object | null;
  readonly bytes: number;
}

/** Shared by all streams without one; never changed. */
const none: Write[] = [];

/** The last of the descriptors that the whole process shares, which no handle closes and none of ours is known by. */
export const LAST_STANDARD = 2;

let sharesListeners = false;

/**
 * This process has children that it may send a listener to: from here on none of its listeners accepts ahead of
 * JavaScript. What waits in the kernel when a listener is sent, and closed here, is the receiver's to serve.
 */
export function shareListeners(): void {
  if (sharesListeners) return;
  sharesListeners = true;
  ArrayPrototypeForEach(table, (stream) => {
    if (stream?.listening) getEnvironment().command(Command.share, stream);
  });
}

export class Stream extends StreamState {
  readonly handle: Shell;
  scope: Scope;
  slot = -1;
  generation = 0;
  /** Descriptor, −1 without one. After the close callback lib/ sees EINVAL instead. */
  fd = -1;
  bytesRead = 0;
  /** Chunks that it was given since it last paused, while each is asked for (`once`). */
  chunks = 0;
  once = false;
  bytesWritten = 0;
  /** Writes under way, oldest first. */
  writes: Write[] = none;
  /**
   * Bytes acknowledged while the offload driver had the seat, up to and with the hand-over `acknowledgedIn`: those that
   * the kernel is not known to have. Looked after only when they come near their bound.
   */
  acknowledged = 0;
  acknowledgedIn = 0;
  /** Bytes that count as written because they gathered in the inline driver's delivery `gatheredIn`. */
  gathered = 0;
  gatheredIn = 0;
  requests = 0;

  /** `accepted`: it is about to {@link adopt} its place. */
  constructor(handle: Shell, type: StreamType, scope: Scope, accepted: boolean) {
    super(type);
    this.handle = handle;
    this.scope = scope;
    if (!accepted) unplaced.add(this);
  }

  /** Keeps the event loop alive exactly when libuv would (docs/seams.md, "What holds the loop"). */
  updateLiveness(): void {
    const active = !this.closed && (this.listening || (this.reading && (this.open || this.lazy) && !this.ended));
    const alive = (active && this.referenced) || this.requests > 0;
    if (alive === this.alive) return;
    this.alive = alive;
    if (alive) getEnvironment().hold();
    else getEnvironment().release();
  }

  /** Bytes that the kernel has not taken, asked of the reactor: lib/ tells by it, once a time-out is due, that a write makes progress. */
  get queued(): number {
    if (this.slot < 0 || this.closed) return 0;
    const environment = getEnvironment();
    environment.submit();
    return environment.native.unsent(this.slot, this.generation);
  }

  /** Whether there is more to be told than lib/ has been: bytes, the end or an error, with us or in the kernel. */
  get pending(): boolean {
    if (!this.open || this.slot < 0 || this.closed) return false;
    if (this.held !== null) return true;
    const environment = getEnvironment();
    environment.submit();
    return environment.native.hasPending(this.slot, this.generation, this.bytesRead | 0) === 1;
  }

  /** As libuv's loop knows it: reading, writing, listening or connecting. Another handle on its descriptor is refused then. */
  get watched(): boolean {
    if (this.closed || this.fd < 0) return false;
    return this.listening || (this.reading && !this.ended) || this.connectRequest !== null || this.writes.length > 0;
  }

  /** A request begins or ends. */
  countRequest(by: 1 | -1): void {
    this.requests += by;
    this.updateLiveness();
  }

  /** Gives the descriptor to the reactor. */
  enter(command: number, flags = 0): void {
    const environment = getEnvironment();
    environment.assign(this);
    table[this.slot] = this;
    unplaced.delete(this);
    environment.command(command, this, this.fd, flags);
    this.open = command === Command.openStream;
    this.listening = command === Command.openListener;
    this.updateLiveness();
  }

  /** Our descriptor is no longer ours alone: a listener takes one connection after the other, when JavaScript is there. */
  share(): void {
    if (this.listening) getEnvironment().command(Command.share, this);
  }

  /** A bound descriptor listens. */
  enterListening(): void {
    if (this.listening) return;
    this.lazy = false;
    this.enter(Command.openListener, this.shared || sharesListeners ? SHARED : 0);
  }

  /**
   * Accepts no more: the listener goes on in another thread. What was accepted before is still delivered here, and then
   * this handle is closed.
   */
  stopListening(): void {
    const environment = getEnvironment();
    this.listening = false;
    this.fd = -1;
    environment.command(Command.close, this, 0, NOTIFY);
    environment.settle();
    this.updateLiveness();
  }

  /** Takes the place of an accepted connection, which is in the reactor already. */
  adopt(slot: number, generation: number, fd: number): void {
    this.slot = slot;
    this.generation = generation;
    this.fd = fd;
    this.open = true;
    table[slot] = this;
    unplaced.delete(this);
  }

  /** `open(fd)` of Node's handles: a descriptor of any kind becomes a stream. A standard stream stays open when we close. */
  openDescriptor(fd: number): number {
    if (this.closed) return errno.EBADF;
    const { native } = getEnvironment();
    const mode = native.accessMode(fd);
    if (mode < 0) return mode;
    if (this.fd >= 0) return fd === this.shownFd ? 0 : errno.EBUSY;
    const standard = fd <= LAST_STANDARD;
    const own = standard ? native.duplicate(fd) : fd;
    const status = own < 0 ? own : native.adopt(own);
    if (status !== 0) return status;
    this.fd = own;
    if (standard) this.standard = fd;
    // Whoever gave us the number may have given it to others: as a listener it leaves to them whom we do not come to.
    this.shared = true;
    this.lazy = true;
    return 0;
  }

  /** The number by which the program knows our descriptor. */
  get shownFd(): number {
    return this.standard >= 0 && this.fd >= 0 ? this.standard : this.fd;
  }

  /** Makes an adopted descriptor a stream when it is first used as one; an end of a child's pipe is in the reactor already. */
  ensureOpen(): void {
    if (!this.lazy) return;
    this.lazy = false;
    if (this.slot < 0) this.enter(Command.openStream);
  }

  /**
   * Becomes our end of a child's pipe. lib/ reads it at once; nothing is taken from it before the next turn, as another
   * child may be given it in this one.
   */
  adoptPipe(slot: number, generation: number, fd: number): void {
    this.adopt(slot, generation, fd);
    this.lazy = true;
  }

  /** A write that has not ended inside its call. */
  beginWrite(write: Write): void {
    if (this.writes.length === 0) this.writes = [write];
    else ArrayPrototypePush(this.writes, write);
    this.countRequest(1);
  }

  /** Ends a write under way; false if there is none such any more. */
  endWrite(write: Write | undefined): write is Write {
    const at = write === undefined ? -1 : ArrayPrototypeIndexOf(this.writes, write);
    if (write === undefined || at < 0) return false;
    if (this.writes.length === 1) this.writes = none;
    else ArrayPrototypeSplice(this.writes, at, 1);
    this.countRequest(-1);
    return true;
  }

  /** A connection attempt: under way in the reactor, or ended and reported later. */
  connect(request: Request, type: Provider, status: number, outcome: number): void {
    begin(request, type, this.scope);
    this.connectRequest = request;
    this.lazy = false;
    this.countRequest(1);
    if (status === 0) {
      this.enter(Command.openConnecting);
      return;
    }
    defer(() => {
      if (this.connectRequest !== request) return;
      // A second attempt on a connected socket: it is in the reactor already.
      if (outcome === 0 && this.slot < 0) this.enter(Command.openStream, CONNECTED);
      this.onConnected(outcome);
    });
  }

  /** Asks the reactor to read, on and on or, of a stream that may pause, for what comes next. */
  askToRead(): void {
    const environment = getEnvironment();
    this.once = environment.offloaded && this.chunks < STEADY_CHUNKS;
    environment.command(Command.readStart, this, 0, this.once ? ONCE : 0);
  }

  /** JavaScript has had what was read. */
  readOn(): void {
    if (!this.reading || this.closed || this.ended) return;
    this.chunks += 1;
    this.askToRead();
  }

  onConnected(status: number): void {
    const request = this.connectRequest;
    if (request === null) return;
    this.connectRequest = null;
    this.open = status === 0;
    if (this.open && this.reading) this.askToRead();
    this.countRequest(-1);
    finish(request, status, this.handle, request, status === 0, status === 0);
  }

  onShutdownDone(status: number): void {
    const { shutdownRequest, shutdownNative } = this;
    this.shutdownRequest = null;
    this.shutdownNative = null;
    if (shutdownNative !== null) {
      this.countRequest(-1);
      callNative(this.handle, this.handle.finishShutdown, shutdownNative, status);
    } else if (shutdownRequest !== null) {
      this.countRequest(-1);
      finish(shutdownRequest, status, this.handle, undefined);
    }
  }

  shutdown(request: Request | null, native: object | null): number {
    if (this.closed) return afterClose(this, errno.ENOTCONN);
    this.ensureOpen();
    if (!this.open || this.ending) return errno.ENOTCONN;
    this.ending = true;
    this.shutdownRequest = request;
    this.shutdownNative = native;
    if (request !== null) begin(request, 'SHUTDOWNWRAP', this.scope);
    this.countRequest(1);
    const environment = getEnvironment();
    if (request === null) {
      environment.command(Command.shutdown, this, 0, NOTIFY);
      return 0;
    }
    let asked = false;
    let concludes = false;
    // As libuv does, after the events of this turn: what the peer answers to it then comes a turn later, and a socket that is
    // destroyed meanwhile sends no end of its own. Or, asked for outside the poll phase, before the events of the next: a
    // reset that waits there is not told before.
    const end = (): void => {
      if (this.closed || this.shutdownRequest !== request) return;
      if (!asked) {
        asked = true;
        concludes = this.hasLeft();
        // Notice of what we tell ourselves would be a delivery for nothing, and the only one of that turn of the loop.
        environment.command(Command.shutdown, this, 0, concludes ? 0 : NOTIFY);
      }
      if (!concludes && !this.hasLeft()) return;
      if (!environment.offloaded) environment.submit();
      this.onShutdownDone(0);
    };
    deferToCheck(end);
    if (!environment.delivering) defer(end);
    return 0;
  }

  /** Whether all that counts as written has been handed to the kernel, as far as we know. */
  hasLeft(): boolean {
    if (this.writes.length > 0) return false;
    return (
      this.broken || (!this.pressed && (this.acknowledged === 0 || getEnvironment().hasApplied(this.acknowledgedIn)))
    );
  }

  private finishLeaving(): void {
    this.slot = -1;
    this.close(null);
  }

  /** Begins to close; the callback comes in libuv's closing phase. A second call does nothing. */
  close(callback: ((this: unknown) => void) | null, reset = false): void {
    if (this.closed) return;
    const environment = getEnvironment();
    this.closed = true;
    this.reading = false;
    this.held = null;
    unplaced.delete(this);
    this.closeCallback = callback;
    if (this.path !== null) environment.native.unlink(this.path);
    const lent = this.writes.length > 0;
    if (this.slot >= 0) {
      // Whoever reads large writes out of JavaScript's memory says when it is done: until then the table holds us, and
      // the writes, whose requests end sooner, are held too.
      if (lent) lending.set(this, this.writes);
      else if (table[this.slot] === this) table[this.slot] = undefined;
      environment.command(Command.close, this, this.bytesRead, COUNTED | (reset ? RESET : 0) | (lent ? NOTIFY : 0));
      // The port of a listener is free again when close returns.
      if (this.listening) environment.settle();
    } else if (this.fd >= 0) {
      environment.native.closeDescriptor(this.fd);
    }
    this.fd = -1;
    waitForClosing(this);
    this.updateLiveness();
  }

  /** The closing phase: what was under way is cancelled in order, then the callback, then nothing more. */
  finishClosing(tick: () => void): void {
    this.gone = true;
    if (this.connectRequest !== null) {
      this.onConnected(errno.ECANCELED);
      tick();
    }
    const { writes } = this;
    this.writes = none;
    for (let index = 0; index < writes.length; index += 1) {
      const { request, native } = writes[index] as Write;
      this.countRequest(-1);
      if (native !== null) callNative(this.handle, this.handle.finishWrite, native, errno.ECANCELED);
      else if (request !== null) finish(request, errno.ECANCELED, this.handle, undefined);
      tick();
    }
    if (this.shutdownRequest !== null || this.shutdownNative !== null) {
      this.onShutdownDone(errno.ECANCELED);
      tick();
    }
    const callback = this.closeCallback;
    this.closeCallback = null;
    if (typeof callback === 'function') runIn(this.scope, this.handle, callback as never);
    this.dead = true;
    this.scope.emitDestroy();
  }

  /** The reactor has let go of what was lent. */
  onClosed(): void {
    if (table[this.slot] === this) table[this.slot] = undefined;
    lending.delete(this);
    // It has left for another thread; nobody here will close it.
    if (!this.closed) this.finishLeaving();
  }
}
