/**
 * One state per thread, whatever module registry asks: the copy of tsloop that is put in first is the one, and everybody
 * else's public functions go to it. A second copy comes about by a bundler, by another path or version of the package, in
 * a registry of jest's, and after the require cache was cleared. What they all see is `process`.
 *
 * The rule for versions: the first copy serves the others, whatever theirs is; its functions are what is handed on.
 */

import type { Api } from './api';
import { ObjectDefineProperty } from './primordials';

/** Known to every copy and version. */
const KEY: unique symbol = Symbol.for('tsloop.instance');

type Holder = { [KEY]?: () => Api };

/** The thread's own object: a registry of jest's shows its modules a copy of it. */
const holder = ((process as { getBuiltinModule?(name: string): unknown }).getBuiltinModule?.('process') ??
  process) as Holder;

/** The functions of the copy that is in force in this thread; ours while there is none. */
export function instance(): Api {
  const find = holder[KEY] ?? ours;
  return find();
}

function ours(): Api {
  const { api }: typeof import('./api') = require('./api');
  return api;
}

/** Makes this copy the one of the thread. False where another is, or the thread's object takes nothing on. */
export function claim(): boolean {
  const found = holder[KEY];
  if (found !== undefined) return found === ours;
  ObjectDefineProperty(holder, KEY, {
    __proto__: null,
    value: ours,
    configurable: false,
    enumerable: false,
    writable: false,
  } as PropertyDescriptor);
  return true;
}
