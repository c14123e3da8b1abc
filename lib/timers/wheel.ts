/**
 * Where timers wait: a hierarchical wheel of slots, each a list of timers and one deadline.
 *
 * Node keeps one list per distinct duration and makes, queues and drops it whenever its last timer is cleared: that is
 * most of what a timer costs there. Here the lists are those of the wheel: on the finest level a slot is one
 * millisecond, on each next one 256 slots of the level below. A timer waits on the level that its distance asks for and
 * moves down when its slot comes near, at most three times. Timers hang in their slot by Node's own fields
 * (`_idleNext`, `_idlePrev`), so Node's own code takes them out: `clearTimeout` needs no part of ours.
 *
 * A timer is due no earlier than asked for: Node compares whole milliseconds, so the fraction in which it was set is
 * kept by the slot. All timers of a slot become due together, when the last of them is, as those that are set
 * within one millisecond do on plain Node.
 *
 * Runs on JavaScript's thread; one wheel per environment.
 */

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
  arm(milliseconds: number): void;
}

/** Slots of one level before the next takes over, as a power of two. */
const BITS = 8;
const SPAN = 2 ** BITS;
/** Twice the span: slots of the past that have not been reached yet stay clear of those of the future. */
const PLACES = 2 * SPAN;
const MASK = PLACES - 1;
/** The farthest timer, 2^31 - 1 ms ahead, falls into the last level. */
const LEVELS = 4;
/** How long before its first timer a coarse slot moves down, in milliseconds: a loop that is a little late does no harm. */
const LEAD = 16;

/**
 * Timers set after their slot's deadline was armed must be dated back when it is reached. Where they are many that is a
 * walk through cold memory, and arming the deadline anew is cheaper.
 */
const MOST_DATED_BACK = 64;

const widths = Array.from({ length: LEVELS }, (_, level) => SPAN ** level);

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

type Level = (Slot | undefined)[];

export class Wheel {
  /** How often a slot was reached, and how often it held coarse timers: for `stats()`. */
  reached = 0;
  moved = 0;
  readonly #clock: () => number;
  readonly #makeDeadline: (slot: Slot) => Deadline;
  readonly #levels = Array.from({ length: LEVELS }, () => new Array<Slot | undefined>(PLACES).fill(undefined) as Level);
  /** Slots in use on the levels above the finest. */
  #coarse = 0;
  readonly #inUse = new Array<number>(LEVELS).fill(0);
  /** The slot that was reached within its millisecond, but before its last timer was due. */
  #postponed: Slot | null = null;
  /** Slots that were reached, for the next in need: their deadlines are not armed. */
  readonly #spare: Slot[] = [];

  /** `clock` tells milliseconds with their fraction, of the same epoch as Node's `_idleStart`. */
  constructor(clock: () => number, makeDeadline: (slot: Slot) => Deadline) {
    this.#clock = clock;
    this.#makeDeadline = makeDeadline;
  }

  /** Starts a timer that is in no list. */
  insert(timer: Timer): void {
    const exact = this.#clock();
    const now = Math.floor(exact);
    timer._idleStart = now;
    const slot = this.#slotFor(now + Math.trunc(timer._idleTimeout), now, LEVELS - 1);
    const fraction = exact - now;
    if (fraction > slot.fraction) slot.fraction = fraction;
    append(slot.head, timer);
    if (now !== slot.armed && ++slot.later >= MOST_DATED_BACK && slot.level === 0) this.#arm(slot, slot.key - now, now);
  }

  /**
   * The deadline of a slot has passed. What is due goes to the old end of `list`, which the caller runs; timers set after
   * `since` are dated back to it, as the list holds timers of one duration, which that of the deadline is.
   */
  reach(slot: Slot, list: Link, since: number): void {
    const exact = this.#clock();
    const postponed = this.#postponed;
    if (postponed === slot) this.#postponed = null;
    if (slot.level > 0) {
      this.#moveDown(slot, Math.floor(exact));
    } else if (exact >= slot.key + slot.fraction) {
      this.reached += 1;
      if (slot.later > 0) dateBack(slot.head, since, slot.mixed);
      prepend(list, slot.head);
      this.#drop(slot);
      if (postponed !== null && postponed.key < slot.key) {
        // Its deadline comes behind this one; its timers do not.
        dateBack(postponed.head, since, true);
        prepend(list, postponed.head);
      }
    } else {
      // Within the last millisecond: the loop woke for something else.
      this.#postponed = slot;
      this.#arm(slot, 1, Math.floor(exact));
    }
  }

  /** The slot of an expiry, made and armed if there is none; at most on the level `highest`. */
  #slotFor(expiry: number, now: number, highest: number): Slot {
    // Where older timers of the same expiry wait: what is set later comes behind them.
    if (this.#coarse > 0) {
      const found = this.#coarseSlotOf(expiry);
      if (found !== null) return found;
    }
    const distance = expiry - now;
    let level = 0;
    let key = expiry;
    if (distance >= SPAN && highest > 0) {
      do level++;
      while (level < highest && distance >= (widths[level + 1] as number));
      key = Math.floor(expiry / (widths[level] as number));
    }
    const found = (this.#levels[level] as Level)[key & MASK];
    // Another key in its place is one of the past that the loop is late for: it is reached by its deadline all the same.
    return found !== undefined && found.key === key ? found : this.#make(level, key, distance, now);
  }

  /** The slot above the finest level that an expiry falls into; null if there is none. */
  #coarseSlotOf(expiry: number): Slot | null {
    for (let level = LEVELS - 1; level > 0; level--) {
      if ((this.#inUse[level] as number) === 0) continue;
      const key = Math.floor(expiry / (widths[level] as number));
      const slot = (this.#levels[level] as Level)[key & MASK];
      if (slot !== undefined && slot.key === key) return slot;
    }
    return null;
  }

  #make(level: number, key: number, distance: number, now: number): Slot {
    const slot = this.#spare.pop() ?? new Slot(this.#makeDeadline);
    slot.level = level;
    slot.key = key;
    slot.fraction = 0;
    slot.mixed = false;
    (this.#levels[level] as Level)[key & MASK] = slot;
    let wait = distance;
    if (level > 0) {
      this.#coarse += 1;
      this.#inUse[level] = (this.#inUse[level] as number) + 1;
      wait = key * (widths[level] as number) - LEAD - now;
    }
    this.#arm(slot, wait, now);
    return slot;
  }

  #arm(slot: Slot, wait: number, now: number): void {
    slot.armed = now;
    slot.later = 0;
    slot.deadline.arm(wait > 1 ? wait : 1);
  }

  /** Spreads a coarse slot over the finer ones, oldest first. */
  #moveDown(slot: Slot, now: number): void {
    this.moved += 1;
    const { head, fraction, level } = slot;
    let link = head._idlePrev as Link;
    head._idleNext = head;
    head._idlePrev = head;
    // Out of its place first: its timers must not find it again.
    this.#drop(slot);
    while (link !== head) {
      const timer = link as Timer;
      link = timer._idlePrev as Link;
      const expiry = timer._idleStart + Math.trunc(timer._idleTimeout);
      // The next level down, even where the lead makes the distance a little more than it spans.
      const finer = this.#slotFor(expiry > now ? expiry : now + 1, now, level - 1);
      if (fraction > finer.fraction) finer.fraction = fraction;
      if (timer._idleStart > finer.armed) finer.later += 1;
      finer.mixed = true;
      append(finer.head, timer);
    }
  }

  #drop(slot: Slot): void {
    const slots = this.#levels[slot.level] as Level;
    if (slot.level > 0) {
      this.#coarse -= 1;
      this.#inUse[slot.level] = (this.#inUse[slot.level] as number) - 1;
    }
    if (slots[slot.key % PLACES] === slot) slots[slot.key % PLACES] = undefined;
    this.#spare.push(slot);
  }
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
