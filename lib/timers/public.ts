/**
 * `setTimeout` and `setInterval`, in `timers` and as globals: Node's own Timeout, which waits in our wheel.
 *
 * Nothing else of the family is replaced. A timer is an instance of Node's class, made by its constructor, so that its
 * fields, id, warnings, async resource and reference count are Node's; what clears, refreshes or unreferences it is
 * Node's code, which takes it out of our lists as out of its own; and Node runs it (see deadline.ts).
 */

import { clockFrom } from './clock';
import { deadlinesOf } from './deadline';
import { type Timer, Wheel } from './wheel';

// biome-ignore lint/suspicious/noExplicitAny: as Node's own declarations have it
type Callback = (...args: any[]) => void;
type SetTimer = (callback: Callback, after?: number, ...args: unknown[]) => Timer;
type TimeoutClass = new (
  callback: Callback,
  after: number | undefined,
  args: unknown[] | undefined,
  isRepeat: boolean,
  isReferenced: boolean,
) => Timer;

const names = ['setTimeout', 'setInterval'] as const;
type Setters = Record<(typeof names)[number], SetTimer>;
type Timers = Setters & { clearTimeout(timer: unknown): void };

let wheel: Wheel | null = null;
let ours: Setters | null = null;
/** What stood where ours were put: put back unless somebody else has put something there since. */
let replaced: { readonly on: Setters; readonly name: keyof Setters; readonly by: SetTimer; readonly was: SetTimer }[] = [];

/** For `stats()`. */
export function timerCounts(): { readonly reached: number; readonly moved: number } {
  return { reached: wheel?.reached ?? 0, moved: wheel?.moved ?? 0 };
}

/** Counts from zero again. */
export function resetTimerCounts(): void {
  if (wheel !== null) Object.assign(wheel, { reached: 0, moved: 0 });
}

/**
 * Replaces the functions.
 *
 * @throws Error when Node's timers are not what we know: they stay as they are.
 */
export function attachTimers(): void {
  const timers = require('node:timers') as Timers;
  ours ??= createSetters(timers);
  const globals = globalThis as unknown as Setters;
  for (const name of names) {
    // A global that somebody else has replaced is theirs; what they call is what they found.
    const isNodes = globals[name] === timers[name];
    replace(timers, name, ours[name]);
    if (isNodes) replace(globals, name, ours[name]);
  }
}

function replace(on: Setters, name: keyof Setters, by: SetTimer): void {
  replaced.push({ on, name, by, was: on[name] });
  on[name] = by;
}

/** Puts Node's functions back; timers that wait go on waiting. */
export function detachTimers(): void {
  for (const { on, name, by, was } of replaced) {
    if (on[name] === by) on[name] = was;
  }
  replaced = [];
}

function createSetters(timers: Timers): Setters {
  const { setTimeout: originalTimeout, setInterval: originalInterval } = timers;
  const { Timeout, ...machinery } = examine(timers);
  const clock = clockFrom(() => {
    const probe = originalTimeout(() => {}, FARTHEST);
    timers.clearTimeout(probe);
    return probe._idleStart;
  });
  const own: Wheel = new Wheel(clock, deadlinesOf(machinery, () => own));
  wheel = own;

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

  return { setTimeout: likeOriginal(setTimeout, originalTimeout), setInterval: likeOriginal(setInterval, originalInterval) };
}

/** What the callback is to be given: everything behind it and the duration. */
function behind(given: IArguments): unknown[] {
  return Array.prototype.slice.call(given, 2);
}

/** Everything that Node's function has of its own: its length, what `util.promisify` looks for. */
function likeOriginal(made: SetTimer, original: SetTimer): SetTimer {
  for (const key of Reflect.ownKeys(original)) {
    if (key === 'prototype') continue;
    Object.defineProperty(made, key, Object.getOwnPropertyDescriptor(original, key) as PropertyDescriptor);
  }
  return made;
}

/** The longest duration Node takes. */
const FARTHEST = 2 ** 31 - 1;

/** Finds in a timer of Node's what the wheel stands on. */
function examine(timers: Timers) {
  const probe = timers.setTimeout(() => {}, FARTHEST) as unknown as Record<PropertyKey, unknown> & Timer;
  try {
    const list = probe._idlePrev as (Timer & { msecs?: unknown }) | null;
    const prototype = Object.getPrototypeOf(probe) as { constructor: TimeoutClass; refresh: (this: object) => unknown };
    const asyncId = Object.getOwnPropertySymbols(probe).find(({ description }) => description === 'asyncId');
    const known =
      list?.msecs === FARTHEST &&
      list._idlePrev === probe &&
      list._idleNext === probe &&
      probe._idleNext === list &&
      probe._idleTimeout === FARTHEST &&
      Number.isInteger(probe._idleStart) &&
      typeof probe['_onTimeout'] === 'function' &&
      probe['_destroyed'] === false &&
      probe['_repeat'] === null &&
      prototype.constructor.name === 'Timeout' &&
      typeof prototype.refresh === 'function';
    if (!known || asyncId === undefined) throw new Error("Node's timers are of another make");
    return { Timeout: prototype.constructor, refresh: prototype.refresh, asyncId };
  } finally {
    timers.clearTimeout(probe);
  }
}
