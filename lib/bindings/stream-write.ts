/**
 * Writing: small writes gather in the outbox, large ones stay in JavaScript's memory until the kernel has them.
 *
 * While the inline driver has the seat a write tries the kernel inside the call, or, in a delivery that tells of many, with
 * its neighbours. While the offload driver has it, or among such neighbours, a small write counts as written at once, up to a
 * mark that a kernel's send buffer would take too; beyond the mark, under back-pressure or behind a write that is under way
 * it ends later, as a libuv write that did not fit does.
 */

import { SafeMap, SafeWeakMap } from '../collections';
import { callNative, readIn } from '../context/async-scope';
import { getEnvironment } from '../context/environment';
import { deferToImmediate } from '../context/phases';
import { errno } from '../native';
import { ACKNOWLEDGED_BYTES, LARGE_CHUNK, MORE, NOTIFY } from '../native/protocol';
import {
  ArrayPrototypeFind,
  ArrayPrototypeForEach,
  ArrayPrototypePop,
  ArrayPrototypePush,
  BufferByteLength,
  BufferFrom,
  ObjectGetOwnPropertySymbols,
} from '../primordials';
import { fetchSeam } from '../seam';
import { afterClose } from './closed';
import { begin, finish, type Request, StreamWriteRequest } from './requests';
import { liveStreams, type Stream } from './stream';
import { Consumer } from './stream-state';

/** The array that Node shares with its native streams. */
const state = fetchSeam().stream.streamBaseState;
const BYTES_WRITTEN = 2;
const LAST_WRITE_WAS_ASYNC = 3;
const LAST_WRITE_ERROR = 4;

/** 0 or a negative errno, or (Node 26, no request given) the request of a write under way. */
export type WriteResult = number | StreamWriteRequest;

/** What the four string methods write. */
export type Encoding = 'latin1' | 'utf8' | 'ucs2' | 'ascii';

function refusal(stream: Stream): number {
  if (stream.closed) return afterClose(stream, errno.EBADF);
  stream.ensureOpen();
  // A socket that is bound or listens is none to write to; one that connects has no peer yet.
  if (!stream.open) return stream.fd < 0 || stream.connectRequest !== null ? errno.EBADF : errno.EPIPE;
  return stream.ending || stream.deserted ? errno.EPIPE : 0;
}

function report(bytes: number, async: 0 | 1, error: number): void {
  state[BYTES_WRITTEN] = bytes;
  state[LAST_WRITE_WAS_ASYNC] = async;
  if (state.length > LAST_WRITE_ERROR) state[LAST_WRITE_ERROR] = error;
}

/** Whether a small write may count as written before the kernel has it. */
function mayAcknowledge(stream: Stream, bytes: number): boolean {
  const environment = getEnvironment();
  if (stream.acknowledged + bytes > ACKNOWLEDGED_BYTES) {
    if (bytes > ACKNOWLEDGED_BYTES || !environment.hasReachedKernel(stream.acknowledgedIn)) return false;
    stream.acknowledged = 0;
  }
  if (!environment.hasRoom()) return false;
  stream.acknowledged += bytes;
  return true;
}

/**
 * Whether a small write may wait for others of the same delivery while the inline driver has the seat, and count as written
 * meanwhile: never more than a kernel's send buffer would take.
 */
function mayGather(stream: Stream, bytes: number): boolean {
  const { deliveries } = getEnvironment();
  if (stream.gatheredIn !== deliveries) {
    stream.gatheredIn = deliveries;
    stream.gathered = 0;
  }
  if (stream.gathered + bytes > ACKNOWLEDGED_BYTES) return false;
  stream.gathered += bytes;
  return true;
}

/** Flags for a small write, decided before it is encoded: notice is only wanted if it may end later. */
function flagsFor(stream: Stream, bytes: number): number {
  // Not where the buffer is known to be full or the peer gone, nor ahead of what waits.
  if (stream.pressed || stream.writes.length > 0 || !stream.open) return NOTIFY;
  const environment = getEnvironment();
  if (environment.offloaded) return mayAcknowledge(stream, bytes) ? 0 : NOTIFY;
  return environment.crowded && mayGather(stream, bytes) ? 0 : NOTIFY;
}

/** Hands over a small write that was appended: 0 done, 1 waits, negative failed. */
function handOverGathered(stream: Stream, flags: number): number {
  const environment = getEnvironment();
  if (flags === 0) {
    // Not before it was appended: that may have handed over what was there.
    if (environment.offloaded) stream.acknowledgedIn = environment.nextRequest;
    environment.submitSoon();
    return 0;
  }
  const { offloaded } = environment;
  const status = environment.submit();
  return offloaded ? 1 : status;
}

/** After a small write was appended: hands it over and says how it stands. */
function settle(stream: Stream, request: Request | null, bytes: number, flags: number): WriteResult {
  stream.bytesWritten += bytes;
  return conclude(stream, request, bytes, handOverGathered(stream, flags));
}

/** Turns a status (0 done, 1 waits, negative failed) into the answer of the protocol in use. */
function conclude(stream: Stream, request: Request | null, bytes: number, status: number, keep?: unknown): WriteResult {
  if (status <= 0) {
    report(bytes, 0, status);
    return status;
  }
  const waiting = request ?? new StreamWriteRequest();
  begin(waiting, 'WRITEWRAP', stream.scope);
  if (keep !== undefined) kept.set(waiting, keep);
  stream.beginWrite({ request: waiting, native: null, bytes });
  report(bytes, 1, 0);
  return request === null ? (waiting as StreamWriteRequest) : 0;
}

/** Memory that the reactor reads until the request ends; the request itself may outlive its fields. */
const kept = new SafeWeakMap<object, unknown>();

function nothing(): number {
  report(0, 0, 0);
  return 0;
}

function fail(stream: Stream, request: Request | null, bytes: number, status: number): WriteResult {
  report(bytes, 0, status);
  // Node 26: a write on a handle without a descriptor answers with a request, the error beside it.
  return request === null && stream.fd < 0 ? new StreamWriteRequest() : status;
}

export function writeBuffer(stream: Stream, request: Request | null, data: Uint8Array): WriteResult {
  const length = data.length;
  const refused = refusal(stream);
  if (refused !== 0) return fail(stream, request, length, refused);
  if (length === 0) return nothing();
  if (length > LARGE_CHUNK) return writeLarge(stream, request, [data], length);
  const flags = flagsFor(stream, length);
  getEnvironment().writeBytes(stream, data, flags);
  return settle(stream, request, length, flags);
}

export function writeString(stream: Stream, request: Request | null, text: string, encoding: Encoding): WriteResult {
  const refused = refusal(stream);
  // The most that it can come to: only then is a short string known to fit without being measured.
  const most = encoding === 'utf8' ? text.length * 3 : encoding === 'ucs2' ? text.length * 2 : text.length;
  if (refused !== 0) return fail(stream, request, BufferByteLength(text, encoding), refused);
  if (text.length === 0) return nothing();
  if (most > LARGE_CHUNK) return writeBuffer(stream, request, BufferFrom(text, encoding));
  const flags = flagsFor(stream, most);
  const environment = getEnvironment();
  const header = environment.beginWrite(stream, flags);
  const length = put(text, encoding, 0);
  environment.endWrite(header, length);
  return settle(stream, request, length, flags);
}

function put(text: string, encoding: string, at: number): number {
  const environment = getEnvironment();
  if (encoding === 'latin1' || encoding === 'ascii' || encoding === 'binary') return environment.putLatin1(text, at);
  if (encoding === 'utf8' || encoding === 'utf-8') return environment.putUtf8(text, at);
  if (encoding === 'ucs2') return environment.putUcs2(text, at);
  return environment.putBytes(BufferFrom(text, encoding as BufferEncoding), at);
}

/** `chunks` is an array of buffers, or pairs of a chunk and its encoding. */
export function writev(
  stream: Stream,
  request: Request | null,
  chunks: readonly unknown[],
  allBuffers: boolean,
): WriteResult {
  const step = allBuffers ? 1 : 2;
  let most = 0;
  for (let index = 0; index < chunks.length; index += step) {
    const chunk = chunks[index] as string | Uint8Array;
    most += typeof chunk === 'string' ? chunk.length * 3 : chunk.length;
  }
  const refused = refusal(stream);
  if (refused !== 0 || most > LARGE_CHUNK) {
    const buffers = toBuffers(chunks, step);
    const total = totalOf(buffers);
    return refused !== 0 ? fail(stream, request, total, refused) : writeLarge(stream, request, buffers, total);
  }
  if (most === 0) return nothing();
  const flags = flagsFor(stream, most);
  const environment = getEnvironment();
  const header = environment.beginWrite(stream, flags);
  let length = 0;
  for (let index = 0; index < chunks.length; index += step) {
    const chunk = chunks[index] as string | Uint8Array;
    length +=
      typeof chunk === 'string' ? put(chunk, chunks[index + 1] as string, length) : environment.putBytes(chunk, length);
  }
  environment.endWrite(header, length);
  return settle(stream, request, length, flags);
}

/** Bytes of several pieces. */
export function totalOf(buffers: readonly Uint8Array[]): number {
  let total = 0;
  for (let index = 0; index < buffers.length; index += 1) total += (buffers[index] as Uint8Array).length;
  return total;
}

function toBuffers(chunks: readonly unknown[], step: number): Uint8Array[] {
  const buffers: Uint8Array[] = [];
  for (let index = 0; index < chunks.length; index += step) {
    const chunk = chunks[index] as string | Uint8Array;
    ArrayPrototypePush(
      buffers,
      typeof chunk === 'string' ? BufferFrom(chunk, chunks[index + 1] as BufferEncoding) : chunk,
    );
  }
  return buffers;
}

/** Pieces of one request: large ones are lent, small neighbours travel together through the outbox. */
function writeLarge(
  stream: Stream,
  request: Request | null,
  buffers: readonly Uint8Array[],
  total: number,
): WriteResult {
  if (total === 0) return nothing();
  const offloaded = getEnvironment().offloaded;
  const flags = offloaded ? flagsFor(stream, total) : NOTIFY;
  const status = handOverAll(stream, buffers, flags);
  stream.bytesWritten += total;
  if (flags === 0) {
    stream.acknowledgedIn = getEnvironment().lastRequest;
    report(total, 0, 0);
    return 0;
  }
  return conclude(stream, request, total, offloaded ? 1 : status, buffers);
}

/** Hands over a whole request; the status is that of its last piece. */
function handOverAll(stream: Stream, buffers: readonly Uint8Array[], flags: number): number {
  const first = buffers[0];
  if (buffers.length === 1 && first !== undefined && first.length >= LARGE_CHUNK)
    return handOverLarge(stream, first, flags);
  const pieces = group(buffers);
  const last = ArrayPrototypePop(pieces) as Piece;
  for (let index = 0; index < pieces.length; index += 1) handOver(stream, pieces[index] as Piece, flags | MORE);
  return handOver(stream, last, flags);
}

type Piece = { readonly lent: Uint8Array } | { readonly copied: Uint8Array[]; bytes: number };

function group(buffers: readonly Uint8Array[]): Piece[] {
  const pieces: Piece[] = [];
  for (let index = 0; index < buffers.length; index += 1) {
    const buffer = buffers[index] as Uint8Array;
    if (buffer.length === 0) continue;
    const before = pieces[pieces.length - 1];
    if (buffer.length >= LARGE_CHUNK) {
      ArrayPrototypePush(pieces, { lent: buffer });
    } else if (before !== undefined && 'copied' in before && before.bytes + buffer.length <= LARGE_CHUNK) {
      ArrayPrototypePush(before.copied, buffer);
      before.bytes += buffer.length;
    } else {
      ArrayPrototypePush(pieces, { copied: [buffer], bytes: buffer.length });
    }
  }
  return pieces;
}

function handOverLarge(stream: Stream, data: Uint8Array, flags: number): number {
  const environment = getEnvironment();
  // What counts as written may be changed by its owner at once: then a copy travels.
  return flags & NOTIFY ? environment.lend(stream, data, flags) : environment.copy(stream, data, flags);
}

function handOver(stream: Stream, piece: Piece, flags: number): number {
  if ('lent' in piece) return handOverLarge(stream, piece.lent, flags);
  const environment = getEnvironment();
  environment.writeChunks(stream, piece.copied, piece.bytes, flags);
  return flags & MORE ? 0 : environment.submit();
}

/** A native consumer (http2, OpenSSL) writes: `buffers` are its copies, the end is reported through the handle. */
export function writeNative(stream: Stream, native: object, buffers: readonly Uint8Array[]): number {
  const refused = refusal(stream);
  if (refused !== 0) return refused;
  const total = totalOf(buffers);
  let status = 0;
  if (total > LARGE_CHUNK) {
    const { offloaded } = getEnvironment();
    status = handOverAll(stream, buffers, NOTIFY);
    if (offloaded) status = 1;
    kept.set(native, buffers);
  } else if (total > 0) {
    const flags = flagsFor(stream, total);
    getEnvironment().writeChunks(stream, buffers, total, flags);
    status = handOverGathered(stream, flags);
  }
  if (status < 0) return status;
  stream.bytesWritten += total;
  if (status === 1) {
    stream.beginWrite({ request: null, native, bytes: total });
    return 0;
  }
  if (stream.tls === null) {
    // http2 takes the end inside the call, as it takes a libuv write that finished at once: a session that is
    // destroyed next must not find a write under way.
    finishNative(stream, native, 0);
    return 0;
  }
  // OpenSSL must not be told inside the call; Node's own TLSWrap waits for a turn of the loop too.
  const entry = { request: null, native, bytes: 0 };
  stream.beginWrite(entry);
  deferToImmediate(() => {
    if (stream.endWrite(entry)) callNative(stream.handle, stream.handle.finishWrite, native, 0);
  });
  return 0;
}

/** Streams that a consumer is being told of a finished write, with its further writes that have finished meanwhile. */
const finishing = new SafeMap<Stream, object[]>();

/**
 * Tells a native consumer that a write of its own has ended, never while it hears of another one. http2 then resumes
 * parsing what it held back and may write from inside the parser; told of that write there, it would start the parser
 * a second time on the same bytes.
 */
function finishNative(stream: Stream, native: object, status: number): void {
  const { handle } = stream;
  const outer = finishing.get(stream);
  if (outer !== undefined) {
    ArrayPrototypePush(outer, native);
    return;
  }
  const ended: object[] = [];
  finishing.set(stream, ended);
  callNative(handle, handle.finishWrite, native, status);
  for (let index = 0; index < ended.length; index += 1) callNative(handle, handle.finishWrite, ended[index], 0);
  finishing.delete(stream);
}

/**
 * Bytes that counted as written never reached the kernel. While lib/ reads, the end of reading tells it so; otherwise
 * nothing else would, so the stream ends with the error.
 */
export function onWriteFailed(stream: Stream, status: number): void {
  if (stream.closed || (stream.reading && !stream.ended)) return;
  // To http2, which has heard of the end, a write that fails behind it is no news on plain Node either; whether it is http2
  // that OpenSSL serves nobody can tell, and whoever else it is hears of the failure when it writes or ends.
  if (stream.ended && stream.consumer === Consumer.native) return;
  state[0] = status;
  readIn(stream.scope, stream.tls ?? stream.handle, undefined);
}

/** The oldest write under way has ended. */
export function onWriteDone(stream: Stream, status: number): void {
  if (stream.closed) return;
  // What counted as written before it has left with it.
  stream.acknowledged = 0;
  const write = ArrayPrototypeFind(stream.writes, (candidate) => candidate.bytes > 0);
  if (!stream.endWrite(write)) return;
  const { request, native } = write;
  if (native !== null) finishNative(stream, native, status);
  else if (request !== null) finish(request, status, stream.handle, undefined);
}

/** What a Writable has not given to its handle. */
interface Buffered {
  getBuffer?(): { chunk: unknown; encoding: string }[];
}

/**
 * The process is about to exit. libuv would have offered the kernel every write at once; what lib/ held back because
 * one of ours was under way is offered now.
 */
export function writeHeldBack(): void {
  ArrayPrototypeForEach(liveStreams(), (stream) => {
    if (stream.writes.length === 0 || stream.tls !== null) return;
    const handle = stream.handle as unknown as Record<PropertyKey, unknown>;
    const owner = ArrayPrototypeFind(
      ObjectGetOwnPropertySymbols(handle),
      (symbol) => symbol.description === 'owner_symbol',
    );
    const socket = owner === undefined ? undefined : (handle[owner] as { _writableState?: Buffered } | null);
    const chunks = socket?._writableState?.getBuffer?.() ?? [];
    if (chunks.length === 0) return;
    const pairs: unknown[] = [];
    ArrayPrototypeForEach(chunks, ({ chunk, encoding }) => {
      ArrayPrototypePush(pairs, chunk);
      ArrayPrototypePush<unknown>(pairs, encoding);
    });
    writev(stream, {}, pairs, false);
  });
}
