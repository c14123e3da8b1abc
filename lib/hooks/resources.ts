/**
 * `process._getActiveHandles()` and `process.getActiveResourcesInfo()` with our handles in them (contract 15). Wrapped
 * while a program starts, as somebody may keep the functions; what they need is loaded when there may be a handle.
 */

import type { Provider } from '../bindings/async-scope';
import type { Child } from '../bindings/child';
import type { Datagram } from '../bindings/datagram';
import type { Stream } from '../bindings/stream';

/** Node's names for what keeps a process alive. */
const resourceNames: Partial<Record<Provider, string>> = {
  TCPWRAP: 'TCPSocketWrap',
  TCPSERVERWRAP: 'TCPServerWrap',
  PIPEWRAP: 'PipeWrap',
  PIPESERVERWRAP: 'PipeWrap',
};

function listedDatagrams(): Datagram[] {
  const { liveDatagrams }: typeof import('../bindings/datagram') = require('../bindings/datagram');
  return liveDatagrams().filter((socket) => socket.referenced);
}

function listed(): Stream[] {
  const { closingStreams, liveStreams }: typeof import('../bindings/stream') = require('../bindings/stream');
  return [...liveStreams(), ...closingStreams()].filter((stream) => stream.referenced);
}

function listedChildren(): Child[] {
  const { liveChildren }: typeof import('../bindings/child') = require('../bindings/child');
  return liveChildren().filter((child) => child.hasRef);
}

function ownerOf(inside: Stream | Datagram | Child): unknown {
  const handle = inside.handle as unknown as Record<PropertyKey, unknown>;
  const symbol = Object.getOwnPropertySymbols(handle).find((found) => found.description === 'owner_symbol');
  return (symbol === undefined ? undefined : handle[symbol]) ?? handle;
}

interface Introspection {
  _getActiveHandles(): unknown[];
  getActiveResourcesInfo(): string[];
}

/** Appends ours to what Node lists, once there may be any. */
export function hookResources(mayHaveHandles: () => boolean): void {
  const internals = process as unknown as Introspection;
  const { _getActiveHandles: handles, getActiveResourcesInfo: resources } = internals;
  internals._getActiveHandles = function _getActiveHandles() {
    const native = handles.call(process);
    if (!mayHaveHandles()) return native;
    return [...native, ...[...listed(), ...listedDatagrams(), ...listedChildren()].map(ownerOf)];
  };
  internals.getActiveResourcesInfo = function getActiveResourcesInfo() {
    const native = resources.call(process);
    if (!mayHaveHandles()) return native;
    const ours = listed().flatMap((stream) => {
      const name = stream.connectRequest === null ? resourceNames[stream.type] : undefined;
      return stream.connectRequest === null
        ? [name ?? stream.type]
        : [
            stream.type === 'PIPEWRAP' ? 'PipeConnectWrap' : 'TCPConnectWrap',
            resourceNames[stream.type] ?? stream.type,
          ];
    });
    const datagrams = listedDatagrams().flatMap((socket) => [...socket.sends.map(() => 'UDPSendWrap'), 'UDPWrap']);
    return [...native, ...ours, ...datagrams, ...listedChildren().map(() => 'ProcessWrap')];
  };
}
