/**
 * Our handles stand on Node's JSStream, whose own async resource would be seen beside the one that carries Node's
 * type name. Hooks made by programs do not hear of it: neither its birth nor its end.
 */

type AsyncHooks = typeof import('node:async_hooks');
type Hooks = Parameters<AsyncHooks['createHook']>[0];

/** Wraps `createHook`; `isOurs` tells whether a resource is one of our handles. */
export function hookCreateHook(isOurs: (resource: object) => boolean): void {
  // The module object itself, not a view of it: what programs require is what is changed.
  const module = require('node:async_hooks') as { createHook: AsyncHooks['createHook'] };
  const original = module.createHook;
  module.createHook = function createHook(hooks: Hooks) {
    const init = hooks?.init;
    if (typeof init !== 'function') return original(hooks);
    const silent = new Set<number>();
    const wrapped: Hooks = {
      ...hooks,
      init(this: unknown, id, type, trigger, resource) {
        if (type === 'JSSTREAM' && isOurs(resource)) silent.add(id);
        else init.call(this as never, id, type, trigger, resource);
      },
    };
    const { destroy } = hooks;
    if (typeof destroy === 'function') {
      wrapped.destroy = function (this: unknown, id) {
        if (!silent.delete(id)) destroy.call(this as never, id);
      };
    }
    return original(wrapped);
  };
}
