/**
 * Our handles stand on Node's JSStream, whose own async resource would be seen beside the one that carries Node's
 * type name. Hooks made by programs do not hear of it, neither its birth nor its calls nor its end, and are shown
 * the handle or request where Node would show it.
 */

import { AsyncResource, executionAsyncResource } from 'node:async_hooks';
import { ObjectDefineProperty } from '../primordials';

type AsyncHooks = typeof import('node:async_hooks');
type Hooks = Parameters<AsyncHooks['createHook']>[0];

/** We say when a resource ends; no finalizer is registered. */
const byHand = { requireManualDestroy: true };

/** What asks a handle of ours for the id of its native base. */
export const kBaseId: unique symbol = Symbol('tsloop.baseId');

/** What a plain resource of ours stands for, while nobody watches. */
const kOwner: unique symbol = Symbol('tsloop.owner');

/** A program has made hooks: from then on what we make is seen as the handle or request that it belongs to. */
let watched = false;

/** What the resource that is being made stands for: hooks hear of it inside the constructor. */
let newborn: object | null = null;

/** What we use of a resource. */
export interface Scope {
  asyncId(): number;
  // biome-ignore lint/suspicious/noExplicitAny: as AsyncResource has it
  runInAsyncScope<This, Result>(fn: (this: This, ...args: any[]) => Result, thisArg?: This, ...args: any[]): Result;
  emitDestroy(): unknown;
}

class OwnedResource extends AsyncResource {}

/**
 * A class of its own, so that V8 keeps this id as a small integer: where some instances take it from Node's own memory,
 * it is a number with memory of its own in all of them.
 */
class TriggeredResource extends AsyncResource {
  constructor(type: string, triggerAsyncId: number) {
    const small = triggerAsyncId | 0;
    triggered.triggerAsyncId = small === triggerAsyncId ? small : triggerAsyncId;
    super(type, triggered);
  }
}

/** Read by the constructor only. */
const triggered = { requireManualDestroy: true, triggerAsyncId: 0 };

/** A resource that runs its callbacks as its owner, so that this is what `executionAsyncResource()` answers with. */
class OwnerScope implements Scope {
  readonly #resource: AsyncResource;
  readonly #owner: object;

  constructor(type: string, owner: object, options: typeof byHand & { triggerAsyncId?: number }) {
    const outer = newborn;
    newborn = owner;
    this.#resource = new OwnedResource(type, options);
    newborn = outer;
    this.#owner = owner;
    // Ids, context frame and stores are properties under symbols on every line: the owner becomes as good a resource.
    for (const symbol of Object.getOwnPropertySymbols(this.#resource)) {
      const value = (this.#resource as unknown as Record<symbol, unknown>)[symbol];
      ObjectDefineProperty(owner, symbol, {
        __proto__: null,
        value,
        configurable: true,
        writable: true,
        enumerable: false,
      } as PropertyDescriptor);
    }
  }

  asyncId(): number {
    return this.#resource.asyncId();
  }

  // biome-ignore lint/suspicious/noExplicitAny: as AsyncResource has it
  runInAsyncScope<This, Result>(fn: (this: This, ...args: any[]) => Result, thisArg?: This, ...args: any[]): Result {
    return AsyncResource.prototype.runInAsyncScope.call(this.#owner, fn as never, thisArg, ...args) as Result;
  }

  emitDestroy(): void {
    this.#resource.emitDestroy();
  }
}

/** A resource of ours; `triggerAsyncId` is null for the current one. */
export function createResource(type: string, owner: object, triggerAsyncId: number | null): Scope {
  if (watched) return new OwnerScope(type, owner, triggerAsyncId === null ? byHand : { ...byHand, triggerAsyncId });
  const resource: AsyncResource & { [kOwner]?: object } =
    triggerAsyncId === null ? new AsyncResource(type, byHand) : new TriggeredResource(type, triggerAsyncId);
  resource[kOwner] = owner;
  return resource;
}

/** Wraps `createHook`; `isOurs` tells whether a resource is one of our handles. */
export function hookCreateHook(isOurs: (resource: object) => boolean): void {
  // The module object itself, not a view of it: what programs require is what is changed.
  const module = require('node:async_hooks') as Pick<AsyncHooks, 'createHook' | 'executionAsyncResource'>;
  const original = module.createHook;
  const current = module.executionAsyncResource;
  module.executionAsyncResource = function executionAsyncResource() {
    const resource = current() as { [kOwner]?: object } | undefined;
    return resource?.[kOwner] ?? (resource as object);
  };

  /** Whether the call that begins or ends is one of the native base, under whose id no hook saw a birth. */
  const isSilent = (id: number): boolean => {
    const resource = executionAsyncResource();
    return isOurs(resource) && (resource as { [kBaseId](): number })[kBaseId]() === id;
  };

  const shown = (resource: object): object =>
    newborn !== null && resource instanceof OwnedResource ? newborn : resource;

  module.createHook = function createHook(hooks: Hooks) {
    const init = hooks?.init;
    const before = hooks?.before;
    const after = hooks?.after;
    const destroy = hooks?.destroy;
    if ([init, before, after, destroy].some((hook) => hook !== undefined && typeof hook !== 'function')) {
      return original(hooks);
    }
    if (init === undefined && before === undefined && after === undefined && destroy === undefined)
      return original(hooks);
    watched = true;
    // On top of what the program gave, whose other options and inherited methods are read as ever.
    const wrapped = Object.create(hooks) as Hooks;
    /** Ids that nobody is to hear the end of; kept only where ends are heard, so that it shrinks again. */
    const silent = new Set<number>();
    if (init !== undefined || destroy !== undefined) {
      wrapped.init = function (this: unknown, id, type, trigger, resource) {
        if (type === 'JSSTREAM' && isOurs(resource)) {
          if (destroy !== undefined) silent.add(id);
        } else if (init !== undefined) init.call(this as never, id, type, trigger, shown(resource));
      };
    }
    if (before !== undefined) {
      wrapped.before = function (this: unknown, id) {
        if (!isSilent(id)) before.call(this as never, id);
      };
    }
    if (after !== undefined) {
      wrapped.after = function (this: unknown, id) {
        if (!isSilent(id)) after.call(this as never, id);
      };
    }
    if (destroy !== undefined) {
      wrapped.destroy = function (this: unknown, id) {
        if (!silent.delete(id)) destroy.call(this as never, id);
      };
    }
    return original(wrapped);
  };
}
