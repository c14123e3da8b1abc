/**
 * `process._getActiveHandles()`, `_getActiveRequests()` and `getActiveResourcesInfo()` with ours in them (docs/seams.md has the
 * row). Wrapped while a program starts, as somebody may keep the functions; what they need is loaded when there may be a
 * handle.
 */

import { ReflectApply } from '../primordials';

interface Introspection {
  _getActiveHandles(): unknown[];
  _getActiveRequests(): unknown[];
  getActiveResourcesInfo(): string[];
}

/** Loaded when it is asked for. */
const listing = (): typeof import('./listing') => require('./listing');

/** Puts ours into what Node lists, once there may be any. */
export function hookResources(mayHaveHandles: () => boolean): void {
  const internals = process as unknown as Introspection;
  const { _getActiveHandles: handles, _getActiveRequests: requests, getActiveResourcesInfo: resources } = internals;
  internals._getActiveHandles = function _getActiveHandles() {
    const native: unknown[] = ReflectApply(handles, process, []);
    return mayHaveHandles() ? listing().handlesWith(native) : native;
  };
  internals._getActiveRequests = function _getActiveRequests() {
    const native: unknown[] = ReflectApply(requests, process, []);
    return mayHaveHandles() ? listing().requestsWith(native) : native;
  };
  internals.getActiveResourcesInfo = function getActiveResourcesInfo() {
    const native: string[] = ReflectApply(resources, process, []);
    if (!mayHaveHandles()) return native;
    return listing().namesWith(native, ReflectApply(requests, process, []), ReflectApply(handles, process, []));
  };
}
