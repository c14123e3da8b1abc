/** Reading: what arrives goes to lib/, to a native consumer or, while nobody reads, to a waiting list. */

import { readIn, reportException } from '../context/async-scope';
import { getEnvironment } from '../context/environment';
import { defer } from '../context/phases';
import { errno } from '../native';
import { CHUNK_BYTES, Command, UV_EOF } from '../native/protocol';
import {
  ArrayPrototypePush,
  ArrayPrototypeShift,
  ArrayPrototypeUnshift,
  FunctionPrototypeToString,
  MathMin,
  StringPrototypeIncludes,
  TypedArrayPrototypeSet,
  TypedArrayPrototypeSlice,
  TypedArrayPrototypeSubarray,
} from '../primordials';
import { fetchSeam } from '../seam';
import { afterClose } from './closed';
import type { Stream } from './stream';
import { Consumer, type HeldRead } from './stream-state';

/** The array that Node shares with its native streams. */
const state = fetchSeam().stream.streamBaseState;
const READ_BYTES_OR_ERROR = 0;
const ARRAY_BUFFER_OFFSET = 1;

export function readStart(stream: Stream): number {
  if (stream.closed) return afterClose(stream, errno.EINVAL);
  if (stream.ended && stream.held === null && !stream.reading) return errno.ENOTCONN;
  if (stream.lazy) return readLater(stream);
  if (!stream.open) return errno.ENOTCONN;
  if (stream.reading) return errno.EALREADY;
  stream.reading = true;
  if (stream.held !== null) defer(() => deliverHeld(stream));
  if (!stream.ended) {
    if (stream.bytesRead > 0 && getEnvironment().offloaded) askInTurn(stream);
    else stream.askToRead();
  }
  stream.updateLiveness();
  return 0;
}

/** An adopted descriptor that lib/ reads at once may be connected, or given away, in the same breath: reading begins a turn later. */
function readLater(stream: Stream): number {
  if (stream.reading) return errno.EALREADY;
  stream.reading = true;
  stream.updateLiveness();
  askInTurn(stream);
  return 0;
}

/**
 * Reading begins with the next turn of the loop, as libuv's does, which reads in its poll phase: what the program has put off until
 * then comes first. The other thread would read at once, and what peers in this very process have still to write of an end
 * (TLS's last word behind http2's) would reach the reader in pieces that plain Node is never given.
 */
function askInTurn(stream: Stream): void {
  if (stream.asks) return;
  stream.asks = true;
  defer(() => {
    stream.asks = false;
    if (!stream.reading || stream.closed || stream.ended) return;
    // A write may have opened it meanwhile; an attempt to connect starts the reading when it succeeds.
    stream.ensureOpen();
    if (stream.open) stream.askToRead();
  });
}

export function readStop(stream: Stream): number {
  if (stream.closed) return afterClose(stream, 0);
  if (!stream.reading) return 0;
  stream.reading = false;
  stream.chunks = 0;
  stream.once = false;
  if (stream.slot >= 0 && !stream.ended) getEnvironment().command(Command.readStop, stream);
  stream.updateLiveness();
  return 0;
}

/** Gives what was held back to whoever reads now, in order, for as long as it reads. */
function deliverHeld(stream: Stream): void {
  while (stream.reading && stream.held !== null) {
    const next = ArrayPrototypeShift(stream.held);
    if (stream.held.length === 0) stream.held = null;
    if (next === undefined) return;
    if (typeof next === 'number') end(stream, next);
    else deliver(stream, next, new Uint8Array(next), 0, next.byteLength, true);
  }
}

/** Bytes in a batch: `buffer` is shared, so what lib/ keeps is copied to its exact size. */
export function onData(stream: Stream, buffer: ArrayBuffer, bytes: Uint8Array, offset: number, length: number): void {
  if (stream.closed) return;
  if (mustHold(stream)) hold(stream, copyOf(bytes, offset, length));
  else deliver(stream, buffer, bytes, offset, length, false);
}

/** Bytes in a block of their own, which becomes the receiver's. */
export function onBlock(stream: Stream, block: ArrayBuffer): void {
  if (stream.closed) return;
  if (mustHold(stream)) hold(stream, block);
  else deliver(stream, block, new Uint8Array(block), 0, block.byteLength, true);
}

/** The end of reading: `UV_EOF` or an errno. */
export function onReadEnd(stream: Stream, status: number): void {
  if (stream.closed) return;
  if (mustHold(stream)) hold(stream, status);
  else end(stream, status);
}

/** lib/'s `onread`, once it was seen. */
let libOnread: unknown = null;

/**
 * Whether a function is the `onread` that lib/ puts on handles and makes a Buffer with `new FastBuffer(arrayBuffer, …)`.
 * Shown a view instead of an ArrayBuffer, that copies the bytes, and up to 64 of them without any allocation outside
 * V8's heap: a small chunk costs a fifth of one with a buffer of its own. Any other function gets an ArrayBuffer.
 */
export function makesBuffers(onread: unknown): boolean {
  if (onread === libOnread) return onread !== null;
  if (typeof onread !== 'function' || onread.name !== 'onStreamRead') return false;
  if (!StringPrototypeIncludes(FunctionPrototypeToString(onread), 'new FastBuffer(arrayBuffer, offset, nread)'))
    return false;
  libOnread = onread;
  return true;
}

/** An exact-size copy. By way of a typed array: V8 copies those without the detour that `ArrayBuffer`'s own slice takes. */
function copyOf(bytes: Uint8Array, offset: number, length: number): ArrayBuffer {
  return TypedArrayPrototypeSlice(bytes, offset, offset + length).buffer;
}

/** Whether nobody reads, or something from before waits still. */
function mustHold(stream: Stream): boolean {
  return !stream.reading || (stream.rare !== null && stream.held !== null);
}

function hold(stream: Stream, what: HeldRead): void {
  if (stream.held === null) stream.held = [what];
  else ArrayPrototypePush(stream.held, what);
}

function deliver(
  stream: Stream,
  buffer: ArrayBuffer,
  bytes: Uint8Array,
  offset: number,
  length: number,
  owned: boolean,
): void {
  if (stream.consumer === Consumer.lib && stream.rare !== null && stream.userBuffer !== null) {
    fillUserBuffer(stream, bytes, offset, length);
    return;
  }
  stream.bytesRead += length;
  if (stream.consumer !== Consumer.lib) {
    consume(stream, buffer, offset, length);
  } else {
    state[READ_BYTES_OR_ERROR] = length;
    state[ARRAY_BUFFER_OFFSET] = 0;
    if (!owned && stream.copies) readIn(stream.scope, stream.handle, new Uint8Array(buffer, offset, length));
    else readIn(stream.scope, stream.handle, owned ? buffer : copyOf(bytes, offset, length));
  }
}

/** A native consumer copies what it needs. What it throws is its callbacks', and goes the way of all exceptions. */
function consume(stream: Stream, buffer: ArrayBuffer, offset: number, length: number): void {
  try {
    stream.handle.readBuffer(new Uint8Array(buffer, offset, length));
  } catch (error) {
    reportException(error);
  }
}

/** `onread: { buffer }` of net: data goes into the user's memory, which a callback may replace, piece by piece. */
function fillUserBuffer(stream: Stream, bytes: Uint8Array, offset: number, length: number): void {
  let at = offset;
  const end = offset + length;
  while (at < end) {
    const target = stream.userBuffer;
    if (target === null || stream.closed) return;
    if (!stream.reading) {
      // The callback paused: the rest must wait.
      const rest = TypedArrayPrototypeSlice(bytes, at, end).buffer;
      if (stream.held === null) stream.held = [rest];
      else ArrayPrototypeUnshift(stream.held, rest);
      return;
    }
    const count = MathMin(target.length, end - at, CHUNK_BYTES);
    if (count === 0) return;
    TypedArrayPrototypeSet(target, TypedArrayPrototypeSubarray(bytes, at, at + count));
    at += count;
    stream.bytesRead += count;
    state[READ_BYTES_OR_ERROR] = count;
    const next = readIn(stream.scope, stream.handle, undefined);
    if (next instanceof Uint8Array) stream.userBuffer = next;
  }
}

/**
 * Native code had nobody to give the bytes to, or the end: no consumer is left (an upgrade, a tunnel), or the one that was
 * announced never came. From here on lib/ has them directly.
 */
export function takeBack(stream: Stream, data: ArrayBuffer | undefined): unknown {
  // An end says nothing of who consumes: http2, which has it, passes it on to lib/.
  if (data === undefined) return readIn(stream.scope, stream.handle, undefined);
  stream.consumer = Consumer.lib;
  stream.nativeReads = false;
  if (stream.userBuffer === null) return readIn(stream.scope, stream.handle, data);
  // Some lines show more memory than the bytes: how many, and where, stands in the state array.
  const length = state[READ_BYTES_OR_ERROR] as number;
  // Counted when they were offered, and again now as the program gets them.
  stream.bytesRead -= length;
  fillUserBuffer(stream, new Uint8Array(data), state[ARRAY_BUFFER_OFFSET] as number, length);
  return undefined;
}

function end(stream: Stream, status: number): void {
  stream.ended = true;
  stream.updateLiveness();
  if (stream.consumer === Consumer.native && status === UV_EOF) {
    try {
      stream.handle.emitEOF();
    } catch (error) {
      reportException(error);
    }
    return;
  }
  state[READ_BYTES_OR_ERROR] = status;
  state[ARRAY_BUFFER_OFFSET] = 0;
  readIn(stream.scope, stream.tls ?? stream.handle, undefined);
}
