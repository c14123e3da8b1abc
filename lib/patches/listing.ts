/** What is open and under way, Node's and ours, in the order of its making: what the functions of resources.ts answer with. */

import { liveChildren } from '../bindings/child';
import { liveDatagrams } from '../bindings/datagram';
import { completingRequest, idOf } from '../bindings/requests';
import { closingStreams, liveStreams, type Stream } from '../bindings/stream';
import { birthOf } from '../bindings/stream-handle';
import type { Provider } from '../context/async-scope';
import {
  ArrayPrototypeFind,
  ArrayPrototypeForEach,
  ArrayPrototypeMap,
  ArrayPrototypePush,
  ArrayPrototypeSlice,
  ArrayPrototypeSort,
  ObjectGetOwnPropertySymbols,
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

export function handlesWith(native: readonly unknown[]): unknown[] {
  return ArrayPrototypeMap(merged(native, [], ours().handles), shownOf);
}

export function requestsWith(native: readonly unknown[]): unknown[] {
  return ArrayPrototypeMap(merged(native, [], ours().requests), shownOf);
}

/** Node lists requests, then handles, then timers and immediates. */
export function namesWith(
  native: readonly string[],
  nativeRequests: readonly unknown[],
  nativeHandles: readonly unknown[],
): string[] {
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
}
