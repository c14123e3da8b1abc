/**
 * `process._getActiveHandles()`, `_getActiveRequests()` and `getActiveResourcesInfo()` with ours in them, in the order of their making
 * (docs/seams.md has the row). Wrapped while a program starts, as somebody may keep the functions; what they need is loaded when there may be
 * a handle.
 */

import type { Stream } from '../bindings/stream';
import type { Provider } from '../context/async-scope';
import {
  ArrayPrototypeFind,
  ArrayPrototypeForEach,
  ArrayPrototypeMap,
  ArrayPrototypePush,
  ArrayPrototypeSlice,
  ArrayPrototypeSort,
  ObjectGetOwnPropertySymbols,
  ReflectApply,
} from '../primordials';

/** Node's names for what keeps a process alive. */
const resourceNames: Partial<Record<Provider, string>> = {
  TCPWRAP: 'TCPSocketWrap',
  TCPSERVERWRAP: 'TCPServerWrap',
  PIPEWRAP: 'PipeWrap',
  PIPESERVERWRAP: 'PipeWrap',
};

/** One of ours, or of Node's, as the lists have it. */
interface Listed {
  /** When it was made, by the numbers that async hooks count in. */
  readonly born: number;
  readonly name: string;
  readonly shown: unknown;
}

function ownerOf(inside: { handle: unknown }): unknown {
  const handle = inside.handle as Record<PropertyKey, unknown>;
  const symbol = ArrayPrototypeFind(
    ObjectGetOwnPropertySymbols(handle),
    (found) => found.description === 'owner_symbol',
  );
  return (symbol === undefined ? undefined : handle[symbol]) ?? handle;
}

/** Our handles, and what is under way on them. */
function ours(): { handles: Listed[]; requests: Listed[] } {
  const { closingStreams, liveStreams }: typeof import('../bindings/stream') = require('../bindings/stream');
  const { liveDatagrams }: typeof import('../bindings/datagram') = require('../bindings/datagram');
  const { liveChildren }: typeof import('../bindings/child') = require('../bindings/child');
  const { birthOf }: typeof import('../bindings/stream-handle') = require('../bindings/stream-handle');
  const { completingRequest, idOf }: typeof import('../bindings/requests') = require('../bindings/requests');
  const handles: Listed[] = [];
  const requests: Listed[] = [];
  const request = (name: string, shown: object | null): void => {
    if (shown !== null) ArrayPrototypePush(requests, { born: idOf(shown) ?? birthOf(shown), name, shown });
  };
  const handle = (name: string, born: number, inside: { handle: unknown }): void => {
    ArrayPrototypePush(handles, { born, name, shown: ownerOf(inside) });
  };
  const list = (stream: Stream): void => {
    if (stream.referenced) handle(resourceNames[stream.type] as string, birthOf(stream.handle), stream);
    request('ConnectWrap', stream.connectRequest);
    ArrayPrototypeForEach(stream.writes, (write) => request('SimpleWriteWrap', write.request ?? write.native));
    request('SimpleShutdownWrap', stream.shutdownRequest ?? stream.shutdownNative);
  };
  ArrayPrototypeForEach(liveStreams(), list);
  ArrayPrototypeForEach(closingStreams(), list);
  ArrayPrototypeForEach(liveDatagrams(), (socket) => {
    if (socket.referenced) handle('UDPWrap', socket.scope.asyncId(), socket);
    ArrayPrototypeForEach(socket.sends, (send) => request('SendWrap', send.request));
  });
  ArrayPrototypeForEach(liveChildren(), (child) => {
    if (child.hasRef) handle('ProcessWrap', child.place, child);
  });
  const completing = completingRequest();
  if (completing !== null) request(nameOf(completing), completing);
  return { handles, requests };
}

const requestNames: Readonly<Record<string, string>> = {
  TCPConnectWrap: 'ConnectWrap',
  PipeConnectWrap: 'ConnectWrap',
  WriteWrap: 'SimpleWriteWrap',
  ShutdownWrap: 'SimpleShutdownWrap',
};

function nameOf(request: object): string {
  const { name } = request.constructor;
  return requestNames[name] ?? name;
}

/** When something of Node's was made, as far as it can be asked: a handle, a request, or what lib/ wraps a handle in. */
function bornOf(native: unknown, before: number): number {
  const one = native as { getAsyncId?(): unknown; _handle?: { getAsyncId?(): unknown } | null } | null;
  const id = one?.getAsyncId?.() ?? one?._handle?.getAsyncId?.();
  return typeof id === 'number' && id > 0 ? id : before;
}

/** Those of Node's, which are in the order of their making, with ours at their places. */
function merged(native: readonly unknown[], names: readonly string[], more: readonly Listed[]): Listed[] {
  let before = 0;
  const all = ArrayPrototypeMap(native, (shown, index): Listed => {
    before = bornOf(shown, before);
    return { born: before, name: names[index] ?? '', shown };
  });
  ArrayPrototypeForEach(more, (one) => {
    ArrayPrototypePush(all, one);
  });
  return ArrayPrototypeSort(all, (one, other) => one.born - other.born);
}

const shownOf = ({ shown }: Listed): unknown => shown;

interface Introspection {
  _getActiveHandles(): unknown[];
  _getActiveRequests(): unknown[];
  getActiveResourcesInfo(): string[];
}

/** Puts ours into what Node lists, once there may be any. */
export function hookResources(mayHaveHandles: () => boolean): void {
  const internals = process as unknown as Introspection;
  const { _getActiveHandles: handles, _getActiveRequests: requests, getActiveResourcesInfo: resources } = internals;
  internals._getActiveHandles = function _getActiveHandles() {
    const native = ReflectApply(handles, process, []);
    if (!mayHaveHandles()) return native;
    return ArrayPrototypeMap(merged(native, [], ours().handles), shownOf);
  };
  internals._getActiveRequests = function _getActiveRequests() {
    const native = ReflectApply(requests, process, []);
    if (!mayHaveHandles()) return native;
    return ArrayPrototypeMap(merged(native, [], ours().requests), shownOf);
  };
  internals.getActiveResourcesInfo = function getActiveResourcesInfo() {
    const native = ReflectApply(resources, process, []);
    if (!mayHaveHandles()) return native;
    // Node lists requests, then handles, then timers and immediates.
    const nativeRequests: unknown[] = ReflectApply(requests, process, []);
    const nativeHandles: unknown[] = ReflectApply(handles, process, []);
    const end = nativeRequests.length + nativeHandles.length;
    const found = ours();
    const names: string[] = [];
    const add = ({ name }: Listed): void => {
      ArrayPrototypePush(names, name);
    };
    const requestsFirst = ArrayPrototypeSlice(native, 0, nativeRequests.length);
    ArrayPrototypeForEach(merged(nativeRequests, requestsFirst, found.requests), add);
    const handlesNext = ArrayPrototypeSlice(native, nativeRequests.length, end);
    ArrayPrototypeForEach(merged(nativeHandles, handlesNext, found.handles), add);
    for (let index = end; index < native.length; index += 1) ArrayPrototypePush(names, native[index] as string);
    return names;
  };
}
