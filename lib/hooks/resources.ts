/** `process._getActiveHandles()` and `process.getActiveResourcesInfo()` with our handles in them (contract 15). */

import type { Provider } from '../bindings/async-scope';
import { liveStreams, type Stream } from '../bindings/stream';

/** Node's names for what keeps a process alive. */
const resourceNames: Partial<Record<Provider, string>> = {
  TCPWRAP: 'TCPSocketWrap',
  TCPSERVERWRAP: 'TCPServerWrap',
  PIPEWRAP: 'PipeWrap',
  PIPESERVERWRAP: 'PipeServerWrap',
};

function listed(): Stream[] {
  return liveStreams().filter((stream) => stream.referenced);
}

function ownerOf(stream: Stream): unknown {
  const handle = stream.handle as unknown as Record<PropertyKey, unknown>;
  const symbol = Object.getOwnPropertySymbols(handle).find((found) => found.description === 'owner_symbol');
  return (symbol === undefined ? undefined : handle[symbol]) ?? handle;
}

interface Introspection {
  _getActiveHandles(): unknown[];
  getActiveResourcesInfo(): string[];
}

/** Appends ours to what Node lists. */
export function hookResources(): void {
  const internals = process as unknown as Introspection;
  const { _getActiveHandles: handles, getActiveResourcesInfo: resources } = internals;
  internals._getActiveHandles = function _getActiveHandles() {
    return [...handles.call(process), ...listed().map(ownerOf)];
  };
  internals.getActiveResourcesInfo = function getActiveResourcesInfo() {
    const ours = listed().flatMap((stream) => {
      const name = stream.connectRequest === null ? resourceNames[stream.type] : undefined;
      return stream.connectRequest === null
        ? [name ?? stream.type]
        : [
            stream.type === 'PIPEWRAP' ? 'PipeConnectWrap' : 'TCPConnectWrap',
            resourceNames[stream.type] ?? stream.type,
          ];
    });
    return [...resources.call(process), ...ours];
  };
}
