/**
 * `setTimeout` and `setInterval`, in `timers` and as globals: Node's own Timeout, which waits in our wheel.
 *
 * Nothing else of the family is replaced. A timer is an instance of Node's class, made by its constructor, so that its
 * fields, id, warnings, async resource and reference count are Node's; what clears, refreshes or unreferences it is
 * Node's code, which takes it out of our lists as out of its own; and Node runs it (see deadline.ts).
 */

import {
  ArrayPrototypeFind,
  ArrayPrototypeForEach,
  ArrayPrototypePush,
  ArrayPrototypeSlice,
  NumberIsInteger,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ObjectGetOwnPropertySymbols,
  ObjectGetPrototypeOf,
  ReflectOwnKeys,
  uncurryThis,
} from '../primordials';
import { clockFrom } from './clock';
import { deadlinesOf } from './deadline';
import { type Timer, Wheel } from './wheel';

// biome-ignore lint/suspicious/noExplicitAny: as Node's own declarations have it
type Callback = (...args: any[]) => void;
type SetTimer = (callback: Callback, after?: number, ...args: unknown[]) => Timer;
interface TimeoutClass {
  readonly prototype: { refresh: (this: object) => unknown };
  new (
    callback: Callback,
    after: number | undefined,
    args: unknown[] | undefined,
    isRepeat: boolean,
    isReferenced: boolean,
  ): Timer;
}

const names = ['setTimeout', 'setInterval'] as const;
type Setters = Record<(typeof names)[number], SetTimer>;
type Timers = Setters & { clearTimeout(timer: unknown): void };

/** Where Node's `refresh` is, and both of them. */
interface Refreshing {
  readonly prototype: { refresh: (this: object) => unknown };
  readonly original: (this: object) => unknown;
  readonly ours: (this: object) => unknown;
}

let wheel: Wheel | null = null;
let ours: Setters | null = null;
let refreshing: Refreshing | null = null;
/** What stood where ours were put: put back unless somebody else has put something there since. */
let replaced: { readonly on: Setters; readonly name: keyof Setters; readonly by: SetTimer; readonly was: SetTimer }[] =
  [];

/** For `stats()`. */
export function timerCounts(): { readonly reached: number; readonly moved: number } {
  return { reached: wheel?.reached ?? 0, moved: wheel?.moved ?? 0 };
}

/** Counts from zero again. */
export function resetTimerCounts(): void {
  if (wheel === null) return;
  wheel.reached = 0;
  wheel.moved = 0;
}

/**
 * Replaces the functions; returns how to put Node's back, where timers that wait go on waiting.
 *
 * @throws Error when Node's timers are not what we know: they stay as they are.
 */
export function hookTimers(): () => void {
  const timers = require('node:timers') as Timers;
  ours ??= createSetters(timers);
  if (refreshing?.prototype.refresh === refreshing?.original) setRefresh(refreshing?.ours);
  const globals = globalThis as unknown as Setters;
  for (let index = 0; index < names.length; index += 1) {
    const name = names[index] as keyof Setters;
    // A global that somebody else has replaced is theirs; what they call is what they found.
    const isNodes = globals[name] === timers[name];
    replace(timers, name, ours[name]);
    if (isNodes) replace(globals, name, ours[name]);
  }
  return putBack;
}

function replace(on: Setters, name: keyof Setters, by: SetTimer): void {
  ArrayPrototypePush(replaced, { on, name, by, was: on[name] });
  on[name] = by;
}

function putBack(): void {
  ArrayPrototypeForEach(replaced, ({ on, name, by, was }) => {
    if (on[name] === by) on[name] = was;
  });
  if (refreshing?.prototype.refresh === refreshing?.ours) setRefresh(refreshing?.original);
  replaced = [];
}

function setRefresh(value: ((this: object) => unknown) | undefined): void {
  if (refreshing !== null)
    ObjectDefineProperty(refreshing.prototype, 'refresh', { __proto__: null, value } as PropertyDescriptor);
}

function createSetters(timers: Timers): Setters {
  const { setTimeout: originalTimeout, setInterval: originalInterval } = timers;
  const { Timeout, referenced, ...machinery } = examine(timers);
  const clock = clockFrom(() => {
    const probe = originalTimeout(() => {}, FARTHEST);
    timers.clearTimeout(probe);
    return probe._idleStart;
  });
  const own: Wheel = new Wheel(
    clock,
    deadlinesOf(machinery, () => own),
  );
  wheel = own;
  const original = machinery.refresh;
  const refresh = uncurryThis(original);
  const holder = {
    /** Back into the wheel; in Node's lists it would come before what was set earlier and waits here. */
    refresh(this: Timer & { _destroyed: boolean; [key: symbol]: unknown }) {
      // What lib/ sets for itself is unreferenced and stays where it is, and so does what is odd.
      if (this[referenced] !== true || this._destroyed !== false || !(this._idleTimeout >= 1)) return refresh(this);
      own.insert(this);
      return this;
    },
  };
  refreshing = { prototype: Timeout.prototype, original, ours: holder.refresh as (this: object) => unknown };

  function setTimeout(callback: Callback, after?: number): Timer {
    // Node's function says what is wrong with the call.
    if (typeof callback !== 'function') return originalTimeout(callback, after);
    // biome-ignore lint/complexity/noArguments: a rest parameter makes an array for every timer that has none
    const timer = new Timeout(callback, after, arguments.length > 2 ? behind(arguments) : undefined, false, true);
    own.insert(timer);
    return timer;
  }

  function setInterval(callback: Callback, repeat?: number): Timer {
    if (typeof callback !== 'function') return originalInterval(callback, repeat);
    // biome-ignore lint/complexity/noArguments: as above
    const timer = new Timeout(callback, repeat, arguments.length > 2 ? behind(arguments) : undefined, true, true);
    own.insert(timer);
    return timer;
  }

  return {
    setTimeout: likeOriginal(setTimeout, originalTimeout),
    setInterval: likeOriginal(setInterval, originalInterval),
  };
}

/** What the callback is to be given: everything behind it and the duration. */
function behind(given: IArguments): unknown[] {
  return ArrayPrototypeSlice(given, 2);
}

/** Everything that Node's function has of its own: its length, what `util.promisify` looks for. */
function likeOriginal(made: SetTimer, original: SetTimer): SetTimer {
  ArrayPrototypeForEach(ReflectOwnKeys(original), (key) => {
    if (key === 'prototype') return;
    const descriptor = ObjectGetOwnPropertyDescriptor(original, key);
    ObjectDefineProperty(made, key, { __proto__: null, ...descriptor } as PropertyDescriptor);
  });
  return made;
}

/** The longest duration Node takes. */
const FARTHEST = 2 ** 31 - 1;

/** Finds in a timer of Node's what the wheel stands on. */
function examine(timers: Timers) {
  const probe = timers.setTimeout(() => {}, FARTHEST) as unknown as Record<PropertyKey, unknown> & Timer;
  try {
    const list = probe._idlePrev as (Timer & { msecs?: unknown }) | null;
    const prototype = ObjectGetPrototypeOf(probe) as { constructor: TimeoutClass; refresh: (this: object) => unknown };
    const symbol = (name: string) =>
      ArrayPrototypeFind(ObjectGetOwnPropertySymbols(probe), ({ description }) => description === name);
    const asyncId = symbol('asyncId');
    const referenced = symbol('refed');
    const known =
      list?.msecs === FARTHEST &&
      list._idlePrev === probe &&
      list._idleNext === probe &&
      probe._idleNext === list &&
      probe._idleTimeout === FARTHEST &&
      NumberIsInteger(probe._idleStart) &&
      typeof probe['_onTimeout'] === 'function' &&
      probe['_destroyed'] === false &&
      probe['_repeat'] === null &&
      prototype.constructor.name === 'Timeout' &&
      typeof prototype.refresh === 'function';
    if (!known || asyncId === undefined || referenced === undefined)
      throw new Error("Node's timers are of another make");
    return { Timeout: prototype.constructor, refresh: prototype.refresh, asyncId, referenced };
  } finally {
    timers.clearTimeout(probe);
  }
}
