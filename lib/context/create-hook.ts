/** `createHook` and `executionAsyncResource` as programs find them; what is more than a look is in async-hooks.ts. */

type AsyncHooks = typeof import('node:async_hooks');

/** What a plain resource of ours stands for, while nobody watches. */
export const kOwner: unique symbol = Symbol('tsloop.owner');

/** Wraps both. `createHooks` makes hooks that hear of our handles as of Node's. */
export function hookCreateHook(
  createHooks: (
    original: AsyncHooks['createHook'],
    hooks: Parameters<AsyncHooks['createHook']>[0],
    current: () => object,
  ) => ReturnType<AsyncHooks['createHook']>,
): void {
  // The module object itself, not a view of it: what programs require is what is changed.
  const module = require('node:async_hooks') as Pick<AsyncHooks, 'createHook' | 'executionAsyncResource'>;
  const original = module.createHook;
  const current = module.executionAsyncResource;
  const ownerOrCurrent = function executionAsyncResource() {
    const resource = current() as { [kOwner]?: object } | undefined;
    return resource?.[kOwner] ?? (resource as object);
  };
  module.executionAsyncResource = ownerOrCurrent;
  module.createHook = function createHook(hooks) {
    return createHooks(original, hooks, ownerOrCurrent);
  };
}
