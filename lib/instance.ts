/**
 * One state per thread, whatever module registry asks: the copy of tsloop that is put in first is the one, and everybody
 * else's public functions go to it. A second copy comes about by a bundler, by another path or version of the package, in
 * a registry of jest's, and after the require cache was cleared. What they all see is `process`.
 *
 * The rule for versions: the first copy serves the others, whatever theirs is. So functions of {@link Api} are added and never
 * changed, and who asks for one that the copy in force may not have yet says what it does without.
 */

import type { Api } from './api';
import { ObjectDefineProperty } from './primordials';

/** Known to every copy and version. */
const KEY: unique symbol = Symbol.for('tsloop');

interface Slot {
  /** Of the copy in force, for who looks from outside. */
  readonly version: string;
  readonly api: () => Api;
}

type Holder = { [KEY]?: Slot };

/** The thread's own object: a registry of jest's shows its modules a copy of it. */
const holder = ((process as { getBuiltinModule?(name: string): unknown }).getBuiltinModule?.('process') ??
  process) as Holder;

/** The functions of the copy that is in force in this thread; ours while there is none. */
export function instance(): Api {
  const slot = holder[KEY];
  return slot === undefined ? ours() : slot.api();
}

function ours(): Api {
  const { api }: typeof import('./api') = require('./api');
  return api;
}

/** Makes this copy the one of the thread. False where another is, or the thread's object takes nothing on. */
export function claim(): boolean {
  const found = holder[KEY];
  if (found !== undefined) return found.api === ours;
  const { version } = require('../package.json') as { version: string };
  ObjectDefineProperty(holder, KEY, {
    __proto__: null,
    value: { __proto__: null, version, api: ours },
    configurable: false,
    enumerable: false,
    writable: false,
  } as PropertyDescriptor);
  return true;
}
