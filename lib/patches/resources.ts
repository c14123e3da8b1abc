/**
 * `process._getActiveHandles()`, `_getActiveRequests()` and `getActiveResourcesInfo()` with ours in them, in the order of their making
 * (docs/seams.md has the row). Wrapped while a program starts, as somebody may keep the functions; what they need is loaded when there may be
 * a handle.
 */

import type { Provider } from '../context/async-scope';

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
  const symbol = Object.getOwnPropertySymbols(handle).find((found) => found.description === 'owner_symbol');
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
    if (shown !== null) requests.push({ born: idOf(shown) ?? birthOf(shown), name, shown });
  };
  for (const stream of [...liveStreams(), ...closingStreams()]) {
    const name = resourceNames[stream.type] as string;
    if (stream.referenced) handles.push({ born: birthOf(stream.handle), name, shown: ownerOf(stream) });
    request('ConnectWrap', stream.connectRequest);
    for (const write of stream.writes) request('SimpleWriteWrap', write.request ?? write.native);
    request('SimpleShutdownWrap', stream.shutdownRequest ?? stream.shutdownNative);
  }
  for (const socket of liveDatagrams()) {
    const shown = ownerOf(socket);
    if (socket.referenced) handles.push({ born: socket.scope.asyncId(), name: 'UDPWrap', shown });
    for (const send of socket.sends) request('SendWrap', send.request);
  }
  for (const child of liveChildren())
    if (child.hasRef) handles.push({ born: child.place, name: 'ProcessWrap', shown: ownerOf(child) });
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
  const all = native.map((shown, index): Listed => {
    before = bornOf(shown, before);
    return { born: before, name: names[index] ?? '', shown };
  });
  return [...all, ...more].sort((one, other) => one.born - other.born);
}

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
    const native = handles.call(process);
    if (!mayHaveHandles()) return native;
    return merged(native, [], ours().handles).map(({ shown }) => shown);
  };
  internals._getActiveRequests = function _getActiveRequests() {
    const native = requests.call(process);
    if (!mayHaveHandles()) return native;
    return merged(native, [], ours().requests).map(({ shown }) => shown);
  };
  internals.getActiveResourcesInfo = function getActiveResourcesInfo() {
    const native = resources.call(process);
    if (!mayHaveHandles()) return native;
    // Node lists requests, then handles, then timers and immediates.
    const [nativeRequests, nativeHandles] = [requests.call(process), handles.call(process)];
    const end = nativeRequests.length + nativeHandles.length;
    const found = ours();
    const names = [
      ...merged(nativeRequests, native.slice(0, nativeRequests.length), found.requests),
      ...merged(nativeHandles, native.slice(nativeRequests.length, end), found.handles),
    ].map(({ name }) => name);
    return [...names, ...native.slice(end)];
  };
}
