/**
 * Where timers wait: a hierarchical wheel of slots, each a list of timers and one deadline.
 *
 * Node keeps one list per distinct duration and makes, queues and drops it whenever its last timer is cleared: that is
 * most of what a timer costs there. Here the lists are those of the wheel: on the finest level a slot is one
 * millisecond, on each next one 256 slots of the level below. A timer waits on the level that its distance asks for and
 * moves down when its slot comes near, at most three times. Timers hang in their slot by Node's own fields
 * (`_idleNext`, `_idlePrev`), so Node's own code takes them out: `clearTimeout` needs no part of ours.
 *
 * Slots run in the order of their milliseconds, however late the loop is: a slot that is reached brings along what comes
 * before it. Deadlines alone would not: Node walks a list of one duration to its end before it looks at the next.
 *
 * A timer is due no earlier than asked for: Node compares whole milliseconds, so the fraction in which it was set is
 * kept by the slot. All timers of a slot become due together, when the last of them is, as those that are set
 * within one millisecond do on plain Node.
 *
 * Runs on JavaScript's thread; one wheel per environment.
 */

import { SafeSet } from '../collections';
import {
  ArrayPrototypeFilter,
  ArrayPrototypeForEach,
  ArrayPrototypeIncludes,
  ArrayPrototypeMap,
  ArrayPrototypePop,
  ArrayPrototypePush,
  ArrayPrototypeSort,
  MathFloor,
  MathMax,
  MathTrunc,
} from '../primordials';

/** A member of a list, or its head. `_idlePrev` leads to the newer one and, from the head, to the oldest. */
export interface Link {
  _idleNext: Link | null;
  _idlePrev: Link | null;
}

/** What the wheel reads and writes of Node's Timeout. */
export interface Timer extends Link {
  _idleStart: number;
  /** The duration, at least 1; a fraction does not count, as on plain Node. */
  readonly _idleTimeout: number;
}

/** Something that comes back to its slot after so many milliseconds, unless armed again. */
export interface Deadline {
  /** Answers the millisecond from which it counts: the clock may have gone on since its caller read it. */
  arm(milliseconds: number): number;
}

/** Slots of one level that make one of the next, as a power of two. */
const BITS = 8;
const SPAN = 2 ** BITS;
/** Timers up to twice the span ahead, and as many slots of the past that the loop has not reached yet. */
const PLACES = 4 * SPAN;
const MASK = PLACES - 1;
/** The farthest timer, 2^31 - 1 ms ahead, falls into the last level. */
const LEVELS = 4;
/** The level of a slot that waits for its next use. */
const UNUSED = -1;
/** When a slot was armed that no deadline reaches. */
const NEVER = -1;
/**
 * How long before its first timer a coarse slot moves down, in milliseconds for each level. A loop that is late by less
 * still reaches every timer at its place among those that are Node's.
 */
const LEAD = SPAN;

/**
 * Timers set after their slot's deadline was armed must be dated back when it is reached. Where they are many that is a
 * walk through cold memory, and arming the deadline anew is cheaper.
 */
const MOST_DATED_BACK = 64;

const widths = listOf(LEVELS, (level) => SPAN ** level);
/** Powers of two: multiplying by them is exact, and cheaper than dividing. */
const inverses = ArrayPrototypeMap(widths, (width) => 1 / width);

/** The millisecond in which a timer is due. */
const expiryOf = (timer: Timer): number => timer._idleStart + MathTrunc(timer._idleTimeout);

/** The head of a list, under the name that Node's own has when a timer is printed. */
class TimersList implements Link {
  _idleNext: Link | null = this;
  _idlePrev: Link | null = this;
}

/** Timers whose expiries share a number on one level. */
export class Slot {
  readonly head: Link = new TimersList();
  readonly deadline: Deadline;
  level = 0;
  key = 0;
  /** Of two with one expiry, the older has the lower. */
  serial = 0;
  /** The largest fraction of a millisecond in which a timer of this slot was set. */
  fraction = 0;
  /** When its deadline was armed. */
  armed = 0;
  /** Timers that were set in a later millisecond than that. */
  later = 0;
  /** It may hold older timers behind newer ones: what moved down. */
  mixed = false;

  constructor(makeDeadline: (slot: Slot) => Deadline) {
    this.deadline = makeDeadline(this);
  }
}

/** A list of so many, packed. */
function listOf<T>(length: number, make: (index: number) => T): T[] {
  const all: T[] = [];
  for (let index = 0; index < length; index += 1) ArrayPrototypePush(all, make(index));
  return all;
}

type Level = (Slot | undefined)[];

export class Wheel {
  /** How often a slot was reached, and how often it held coarse timers: for `stats()`. */
  reached = 0;
  moved = 0;
  readonly #clock: () => number;
  readonly #makeDeadline: (slot: Slot) => Deadline;
  readonly #levels = listOf(LEVELS, (): Level => listOf(PLACES, () => undefined));
  /** Slots in use on the levels above the finest. */
  #coarse = 0;
  readonly #inUse = listOf(LEVELS, () => 0);
  /**
   * Slots of the finest level that may not be found in their place at their time: reached before their last timer was
   * due, armed when the clock had gone on, or displaced by a later one.
   */
  #late: Slot[] = [];
  /** Timers that came down after their time: handed over at once. */
  #overdue: Timer[] = [];
  /** Coarse slots that were displaced. */
  #displaced: Slot[] = [];
  #serial = 0;
  /** The last millisecond whose slot was reached. */
  #through = 0;
  /** Slots that were reached, for the next in need: their deadlines are not armed. */
  readonly #spare: Slot[] = [];

  /** `clock` tells milliseconds with their fraction, of the same epoch as Node's `_idleStart`. */
  constructor(clock: () => number, makeDeadline: (slot: Slot) => Deadline) {
    this.#clock = clock;
    this.#makeDeadline = makeDeadline;
  }

  /** Starts a timer, or starts it again, wherever it waits. */
  insert(timer: Timer): void {
    const exact = this.#clock();
    const now = MathFloor(exact);
    timer._idleStart = now;
    const slot = this.#slotFor(expiryOf(timer), now, LEVELS - 1);
    const fraction = exact - now;
    if (fraction > slot.fraction) slot.fraction = fraction;
    // Started again, it may be the newest there as it is.
    if (timer._idlePrev !== slot.head) {
      unlink(timer);
      append(slot.head, timer);
    }
    if (now !== slot.armed && ++slot.later >= MOST_DATED_BACK && slot.level === 0) this.#arm(slot, slot.key - now, now);
  }

  /**
   * The deadline of a slot has passed. What is due goes to the old end of `list`, which the caller runs; timers set after
   * `since` are dated back to it, as the list holds timers of one duration, which that of the deadline is.
   */
  reach(slot: Slot, list: Link, since: number): void {
    // Moved down already, when a later one was reached.
    if (slot.level === UNUSED) return;
    const exact = this.#clock();
    const now = MathFloor(exact);
    if (this.#late.length > 0) this.#late = ArrayPrototypeFilter(this.#late, (late) => late !== slot);
    if (slot.level > 0 && slot.key * (widths[slot.level] as number) > now) {
      this.#moveDown(slot, now);
    } else if (slot.level === 0 && exact < slot.key + slot.fraction) {
      // Within the last millisecond: the loop woke for something else.
      this.#arm(slot, 1, now);
    } else {
      this.reached += 1;
      // A coarse one may serve as another by the time that all have moved down.
      const fine = slot.level === 0 ? slot : null;
      if (this.#coarse > 0) this.#moveAllDown(now);
      this.#handOver(fine, list, since);
    }
  }

  /** Puts a slot and all that comes before it into the list, and what came down too late to have a deadline. */
  #handOver(slot: Slot | null, list: Link, since: number): void {
    const overdue = this.#overdue.length > 0 ? this.#slotsOfOverdue() : [];
    const last = MathMax(slot?.key ?? 0, overdue[overdue.length - 1]?.key ?? 0);
    const due = new SafeSet<Slot>();
    const add = (each: Slot): void => {
      due.add(each);
    };
    ArrayPrototypeForEach(overdue, add);
    if (slot !== null) due.add(slot);
    // Their deadlines will find them empty.
    this.#between(0, this.#through + 1, last, add);
    if (this.#late.length > 0) {
      ArrayPrototypeForEach(this.#late, (late) => {
        if (late.key <= last) due.add(late);
      });
      this.#late = ArrayPrototypeFilter(this.#late, ({ key }) => key > last);
    }
    // The latest first, as each goes before what is there.
    const ordered: Slot[] = [];
    due.forEach((each) => {
      ArrayPrototypePush(ordered, each);
    });
    if (ordered.length > 1) ArrayPrototypeSort(ordered, (a, b) => b.key - a.key || b.serial - a.serial);
    for (let index = 0; index < ordered.length; index += 1) {
      const each = ordered[index] as Slot;
      if (each.later > 0 || each !== slot) dateBack(each.head, since, each.mixed);
      prepend(list, each.head);
    }
    if (last > this.#through) this.#through = last;
    for (let index = 0; index < overdue.length; index += 1)
      if (overdue[index]?.armed === NEVER) this.#drop(overdue[index] as Slot);
    if (slot !== null) this.#drop(slot);
  }

  /** Timers whose time passed before they came down, in the order of their times. */
  #slotsOfOverdue(): Slot[] {
    const slots: Slot[] = [];
    let slot: Slot | undefined;
    const timers = ArrayPrototypeSort(this.#overdue, (a, b) => expiryOf(a) - expiryOf(b));
    for (let index = 0; index < timers.length; index += 1) {
      const timer = timers[index] as Timer;
      const key = expiryOf(timer);
      if (slot?.key !== key) {
        slot = (this.#levels[0] as Level)[key & MASK];
        if (slot?.key !== key) {
          slot = this.#take(0, key);
          slot.armed = NEVER;
        }
        slot.mixed = true;
        ArrayPrototypePush(slots, slot);
      }
      append(slot.head, timer);
    }
    this.#overdue = [];
    return slots;
  }

  /** Moves down every coarse slot that has begun; the finer first, as what waits there for one expiry is older. */
  #moveAllDown(now: number): void {
    for (let level = 1; level < LEVELS; level++) {
      if (this.#inUse[level] === 0) continue;
      const width = widths[level] as number;
      const begun = ArrayPrototypeFilter(this.#displaced, (slot) => slot.level === level);
      this.#between(level, MathFloor(this.#through / width), MathFloor(now / width), (slot) => {
        ArrayPrototypePush(begun, slot);
      });
      for (let index = 0; index < begun.length; index += 1) this.#moveDown(begun[index] as Slot, now);
    }
    this.#displaced = [];
  }

  /** Calls for every slot of a level that is in its place, from the first key to the last. */
  #between(level: number, first: number, last: number, call: (slot: Slot) => void): void {
    const slots = this.#levels[level] as Level;
    for (let key = MathMax(first, last - MASK); key <= last; key++) {
      const slot = slots[key & MASK];
      // The place may be held by one of a round earlier.
      if (slot !== undefined && slot.key >= first && slot.key <= last) call(slot);
    }
  }

  /** The slot of an expiry, made and armed if there is none; at most on the level `highest`. */
  #slotFor(expiry: number, now: number, highest: number): Slot {
    // Where older timers of the same expiry wait: what is set later comes behind them. What moves down is older than
    // what still waits on the levels above it.
    if (this.#coarse > 0) {
      const found = this.#coarseSlotOf(expiry, highest);
      if (found !== null) return found;
    }
    const distance = expiry - now;
    let level = 0;
    let key = expiry;
    if (distance >= 2 * SPAN && highest > 0) {
      do level++;
      while (level < highest && distance >= 2 * (widths[level + 1] as number));
      key = MathFloor(expiry * (inverses[level] as number));
    }
    const found = (this.#levels[level] as Level)[key & MASK];
    return found !== undefined && found.key === key ? found : this.#make(level, key, distance, now);
  }

  /** The slot above the finest level that an expiry falls into; null if there is none. */
  #coarseSlotOf(expiry: number, highest: number): Slot | null {
    for (let level = highest; level > 0; level--) {
      if ((this.#inUse[level] as number) === 0) continue;
      const key = MathFloor(expiry * (inverses[level] as number));
      const slot = (this.#levels[level] as Level)[key & MASK];
      if (slot !== undefined && slot.key === key) return slot;
    }
    return null;
  }

  #make(level: number, key: number, distance: number, now: number): Slot {
    const slot = this.#take(level, key);
    const slots = this.#levels[level] as Level;
    const there = slots[key & MASK];
    if (there !== undefined) this.#displace(there);
    slots[key & MASK] = slot;
    this.#arm(slot, level > 0 ? key * (widths[level] as number) - level * LEAD - now : distance, now);
    return slot;
  }

  /** One of the past, which the loop is late for. */
  #displace(slot: Slot): void {
    const kept = slot.level > 0 ? this.#displaced : this.#late;
    if (!ArrayPrototypeIncludes(kept, slot)) ArrayPrototypePush(kept, slot);
  }

  #take(level: number, key: number): Slot {
    const slot = ArrayPrototypePop(this.#spare) ?? new Slot(this.#makeDeadline);
    if (level > 0) this.#coarse += 1;
    this.#inUse[level] = (this.#inUse[level] as number) + 1;
    slot.level = level;
    slot.key = key;
    slot.serial = this.#serial++;
    slot.fraction = 0;
    slot.mixed = false;
    return slot;
  }

  #arm(slot: Slot, wait: number, now: number): void {
    slot.armed = now;
    slot.later = 0;
    let left = wait > 1 ? wait : 1;
    let end = slot.deadline.arm(left) + left;
    const due = now + wait;
    // The process may have been stopped for any time since it read the clock.
    while (end > due && left > 1) {
      left = MathMax(left - (end - due), 1);
      end = slot.deadline.arm(left) + left;
    }
    if (slot.level === 0 && end > slot.key) ArrayPrototypePush(this.#late, slot);
  }

  /** Spreads a coarse slot over the finer ones, oldest first. */
  #moveDown(slot: Slot, now: number): void {
    this.moved += 1;
    const { head, fraction, level } = slot;
    if (this.#displaced.length > 0) this.#displaced = ArrayPrototypeFilter(this.#displaced, (other) => other !== slot);
    let link = head._idlePrev as Link;
    head._idleNext = head;
    head._idlePrev = head;
    // Out of its place first: its timers must not find it again.
    this.#drop(slot);
    while (link !== head) {
      const timer = link as Timer;
      link = timer._idlePrev as Link;
      const expiry = expiryOf(timer);
      if (expiry < now) {
        ArrayPrototypePush(this.#overdue, timer);
        continue;
      }
      // The next level down, even where the lead makes the distance a little more than it spans.
      const finer = this.#slotFor(expiry, now, level - 1);
      if (fraction > finer.fraction) finer.fraction = fraction;
      if (timer._idleStart > finer.armed) finer.later += 1;
      finer.mixed = true;
      append(finer.head, timer);
    }
  }

  #drop(slot: Slot): void {
    const slots = this.#levels[slot.level] as Level;
    if (slot.level > 0) this.#coarse -= 1;
    this.#inUse[slot.level] = (this.#inUse[slot.level] as number) - 1;
    if (slots[slot.key & MASK] === slot) slots[slot.key & MASK] = undefined;
    slot.level = UNUSED;
    ArrayPrototypePush(this.#spare, slot);
  }
}

function unlink(timer: Timer): void {
  if (timer._idleNext !== null) timer._idleNext._idlePrev = timer._idlePrev;
  if (timer._idlePrev !== null) timer._idlePrev._idleNext = timer._idleNext;
}

function append(head: Link, link: Link): void {
  const newest = head._idleNext as Link;
  link._idleNext = newest;
  link._idlePrev = head;
  newest._idlePrev = link;
  head._idleNext = link;
}

/** Moves the members of one list before those of another. */
function prepend(list: Link, head: Link): void {
  if (head._idlePrev === head) return;
  const oldest = head._idlePrev as Link;
  const newest = head._idleNext as Link;
  const after = list._idlePrev as Link;
  oldest._idleNext = list;
  list._idlePrev = oldest;
  newest._idlePrev = after;
  after._idleNext = newest;
  head._idleNext = head;
  head._idlePrev = head;
}

function dateBack(head: Link, since: number, mixed: boolean): void {
  for (let link = head._idleNext as Link; link !== head; link = link._idleNext as Link) {
    const timer = link as Timer;
    if (timer._idleStart > since) timer._idleStart = since;
    // From the newest back: the rest is older still.
    else if (!mixed) return;
  }
}
