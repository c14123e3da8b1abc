/**
 * Requests: Node's own objects, which lib/ makes and fills and which a handle of Node's must be able to take as well,
 * and the one of ours that a write of Node 26 gets back.
 */

import { SafeWeakSet } from '../collections';
import { createTriggeredScope, type Provider, runIn, type Scope } from '../context/async-scope';
import { ObjectDefineProperty, ObjectGetPrototypeOf, ReflectApply, uncurryThis } from '../primordials';

/** The async resource of a request under way. */
export const kScope: unique symbol = Symbol('tsloop.scope');

/** What all requests have in common: lib/ fills in whatever it needs. */
export interface Request {
  oncomplete?: ((...args: unknown[]) => void) | null | undefined;
  error?: string;
  [kScope]?: Scope;
}

/** Answer to a write without a request (Node 26): pending as long as `writeStatus` is null. */
export class StreamWriteRequest implements Request {
  oncomplete: ((...args: unknown[]) => void) | null = null;
  callback: unknown = null;
  handle: unknown = null;
  async = false;
  bytes = 0;
  buffer: unknown = null;
  writeStatus: number | null = null;
}

/** Who lists active requests sees the name that Node's own has. */
ObjectDefineProperty(StreamWriteRequest, 'name', { __proto__: null, value: 'WriteWrap' } as PropertyDescriptor);

/** Prototypes of Node's requests that tell our id while a handle of ours has them. */
const taught = new SafeWeakSet<object>();

/** Node's request knows an id only from a native handle: with ours it asks here, once per class. */
function teach(prototype: object): void {
  taught.add(prototype);
  const native = (prototype as { getAsyncId?: (this: object) => number }).getAsyncId;
  if (typeof native !== 'function') return;
  const ask = uncurryThis(native);
  ObjectDefineProperty(prototype, 'getAsyncId', {
    __proto__: null,
    configurable: true,
    enumerable: true,
    writable: true,
    value: function getAsyncId(this: Request): number {
      return this[kScope]?.asyncId() ?? ask(this);
    },
  } as PropertyDescriptor);
}

/** Gives a request its resource, in the context that dispatches it, triggered by its handle. */
export function begin(request: Request, type: Provider, handle: Scope): void {
  const prototype: object | null = ObjectGetPrototypeOf(request);
  if (prototype !== null && !taught.has(prototype)) teach(prototype);
  request[kScope] = createTriggeredScope(type, request, handle.asyncId());
}

function complete(this: Request, args: unknown[]): void {
  // lib/ may have taken the callback away meanwhile (a connection attempt that timed out).
  if (typeof this.oncomplete === 'function') ReflectApply(this.oncomplete, this, args);
}

/** The async id of a request that is under way with us. */
export function idOf(request: Request): number | undefined {
  return request[kScope]?.asyncId();
}

/** The request whose callback runs: Node's introspection lists it still. */
let completing: Request | null = null;

export function completingRequest(): Request | null {
  return completing;
}

/** Ends a request: `oncomplete` in its resource, which is over afterwards. */
export function finish(request: Request, ...args: unknown[]): void {
  const scope = request[kScope];
  if (scope === undefined) return;
  const outer = completing;
  completing = request;
  runIn(scope, request, complete as never, args);
  completing = outer;
  if (request[kScope] === scope) delete request[kScope];
  scope.emitDestroy();
}
