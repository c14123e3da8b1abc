/**
 * Our handles stand on Node's JSStream, whose own async resource would be seen beside the one that carries Node's
 * type name. Hooks made by programs do not hear of it, neither its birth nor its calls nor its end, and are shown
 * the handle or request where Node would show it.
 *
 * They hear of ours from within the making of a native object (`expect`, the object, `born`), as they hear of Node's: finders of
 * leaks keep the stack, V8 keeps ten frames of it, and the way through `AsyncResource` would leave none for the program. For the
 * frames that are ours still, room is made.
 */

import { AsyncResource } from 'node:async_hooks';
import { SafeSet } from '../collections';
import {
  ArrayPrototypePush,
  ArrayPrototypeSome,
  ObjectCreate,
  ObjectDefineProperty,
  ObjectGetOwnPropertySymbols,
  ReflectApply,
} from '../primordials';
import { fetchSeam } from '../seam';
import { kOwner } from './create-hook';

type AsyncHooks = typeof import('node:async_hooks');
type Hooks = Parameters<AsyncHooks['createHook']>[0];

const { runInAsyncScope } = AsyncResource.prototype;

/** The arguments of `runInAsyncScope`, for a call that is passed on. */
export function passOn(fn: unknown, thisArg: unknown, args: readonly unknown[]): unknown[] {
  const all = [fn, thisArg];
  for (let index = 0; index < args.length; index += 1) ArrayPrototypePush(all, args[index]);
  return all;
}

/** We say when a resource ends; no finalizer is registered. */
const byHand = { requireManualDestroy: true };

/** What asks a handle of ours for the id of its native base. */
export const kBaseId: unique symbol = Symbol('tsloop.baseId');

/** A program has made hooks: from then on what we make is seen as the handle or request that it belongs to. */
let watched = false;

/** A resource that hooks are to hear of, between `expect` and `born`. */
interface Expected {
  readonly type: string;
  readonly owner: object;
  readonly triggerAsyncId: number | null;
  /** Where it is looked for: hooks may ask the owner for its id already. */
  readonly holder: { scope: Scope } | null;
  scope: OwnerScope | null;
}

/** Until a holder has its resource. */
export const UNBORN = null as unknown as Scope;

let expected: Expected | null = null;

/** The resource of an expected one is being made: of its own event hooks do not hear. */
let making = false;

/** Most frames of ours between a hook and lib/, those of a request; of a handle there are half as many. */
const OUR_FRAMES = 6;

const { set } = Reflect;

/** Something is made that nobody is to hear of. */
let unheardOf = false;

/** What we use of a resource. */
export interface Scope {
  asyncId(): number;
  // biome-ignore lint/suspicious/noExplicitAny: as AsyncResource has it
  runInAsyncScope<This, Result>(fn: (this: This, ...args: any[]) => Result, thisArg?: This, ...args: any[]): Result;
  emitDestroy(): unknown;
}

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

  constructor({ type, owner, triggerAsyncId }: Expected) {
    making = true;
    this.#resource = new AsyncResource(type, triggerAsyncId === null ? byHand : { ...byHand, triggerAsyncId });
    making = false;
    this.#owner = owner;
    // Ids, context frame and stores are properties under symbols on every line: the owner becomes as good a resource.
    const symbols = ObjectGetOwnPropertySymbols(this.#resource);
    for (let index = 0; index < symbols.length; index += 1) {
      const symbol = symbols[index] as symbol;
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

  triggerAsyncId(): number {
    return this.#resource.triggerAsyncId();
  }

  // biome-ignore lint/suspicious/noExplicitAny: as AsyncResource has it
  runInAsyncScope<This, Result>(fn: (this: This, ...args: any[]) => Result, thisArg?: This, ...args: any[]): Result {
    return ReflectApply(runInAsyncScope, this.#owner, passOn(fn, thisArg, args)) as Result;
  }

  emitDestroy(): void {
    this.#resource.emitDestroy();
  }
}

/** Whether there are hooks to be told: whoever makes a handle announces it then from its own constructor. */
export function isWatched(): boolean {
  return watched;
}

/** The next native object that is made stands for a resource of ours; `triggerAsyncId` is null for the current one. */
export function expect(
  type: string,
  owner: object,
  triggerAsyncId: number | null,
  holder: { scope: Scope } | null,
): void {
  expected = { type, owner, triggerAsyncId, holder, scope: null };
}

function bear(due: Expected): OwnerScope {
  due.scope = new OwnerScope(due);
  if (due.holder !== null) due.holder.scope = due.scope;
  return due.scope;
}

/** Whether there is such a one. */
export function isExpecting(): boolean {
  return expected !== null;
}

/** That resource. */
export function born(): Scope {
  const due = expected as Expected;
  expected = null;
  return due.scope ?? bear(due);
}

/** The native class whose objects tell hooks of ours. */
export function announcer(): new () => object {
  return fetchSeam().jsStream.JSStream;
}

/** Makes a native object of which hooks do not hear. */
export function unheard<T>(make: () => T): T {
  unheardOf = true;
  try {
    return make();
  } finally {
    unheardOf = false;
  }
}

/** A resource of ours; `triggerAsyncId` is null for the current one. */
export function createResource(
  type: string,
  owner: object,
  triggerAsyncId: number | null,
  holder: { scope: Scope } | null = null,
): Scope {
  if (watched) {
    expect(type, owner, triggerAsyncId, holder);
    new (announcer())();
    return born();
  }
  const resource: AsyncResource & { [kOwner]?: object } =
    triggerAsyncId === null ? new AsyncResource(type, byHand) : new TriggeredResource(type, triggerAsyncId);
  resource[kOwner] = owner;
  return resource;
}

/**
 * Hooks of a program's, made by Node's `createHook` so that they hear of ours as of Node's. `current` is `executionAsyncResource`,
 * `isOurs` tells whether a resource is one of our handles.
 */
export function createHooks(
  original: AsyncHooks['createHook'],
  hooks: Hooks,
  current: () => object,
  isOurs: (resource: object) => boolean,
): ReturnType<AsyncHooks['createHook']> {
  /** Whether the call that begins or ends is one of the native base, under whose id no hook saw a birth. */
  const isSilent = (id: number): boolean => {
    const resource = current();
    return isOurs(resource) && (resource as { [kBaseId](): number })[kBaseId]() === id;
  };

  const init = hooks?.init;
  const before = hooks?.before;
  const after = hooks?.after;
  const destroy = hooks?.destroy;
  if (ArrayPrototypeSome([init, before, after, destroy], (hook) => hook !== undefined && typeof hook !== 'function')) {
    return original(hooks);
  }
  if (init === undefined && before === undefined && after === undefined && destroy === undefined)
    return original(hooks);
  watched = true;
  // On top of what the program gave, whose other options and inherited methods are read as ever.
  const wrapped = ObjectCreate(hooks) as Hooks;
  /** Ids that nobody is to hear the end of; kept only where ends are heard, so that it shrinks again. */
  const silent = new SafeSet<number>();
  if (init !== undefined || destroy !== undefined) {
    wrapped.init = function (this: unknown, id, type, trigger, resource) {
      if (making) return;
      const due = expected;
      if (due === null && !unheardOf && !(type === 'JSSTREAM' && isOurs(resource))) {
        if (init !== undefined) ReflectApply(init, this, [id, type, trigger, resource]);
        return;
      }
      if (destroy !== undefined) silent.add(id);
      if (due === null || init === undefined) return;
      const scope = due.scope ?? bear(due);
      // What a hook makes in turn is a birth of its own.
      expected = null;
      const limit = Error.stackTraceLimit;
      const wider = limit > 0 ? limit + OUR_FRAMES : limit;
      set(Error, 'stackTraceLimit', wider);
      try {
        ReflectApply(init, this, [scope.asyncId(), due.type, scope.triggerAsyncId(), due.owner]);
      } finally {
        // Unless the hook has set another one for good.
        if (Error.stackTraceLimit === wider) set(Error, 'stackTraceLimit', limit);
      }
      expected = due;
    };
  }
  if (before !== undefined) {
    wrapped.before = function (this: unknown, id) {
      if (!isSilent(id)) ReflectApply(before, this, [id]);
    };
  }
  if (after !== undefined) {
    wrapped.after = function (this: unknown, id) {
      if (!isSilent(id)) ReflectApply(after, this, [id]);
    };
  }
  if (destroy !== undefined) {
    wrapped.destroy = function (this: unknown, id) {
      if (!silent.delete(id)) ReflectApply(destroy, this, [id]);
    };
  }
  return original(wrapped);
}
