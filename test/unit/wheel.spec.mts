import { expect } from 'chai';
import { type Deadline, type Link, type Slot, type Timer, Wheel } from '../../dist/timers/wheel.js';

/** What the model knows of a timer. */
class Waiting implements Timer {
  _idleNext: Link | null = null;
  _idlePrev: Link | null = null;
  _idleStart = 0;
  readonly _idleTimeout: number;
  serial = 0;
  expiry = 0;
  tick = 0;
  /** How often it ran, and should have by the end. */
  fired = 0;
  owed = 0;

  constructor(after: number) {
    this._idleTimeout = after;
  }

  /** Set, or refreshed. */
  begin(now: number, serial: number): void {
    this.serial = serial;
    this.expiry = now + Math.trunc(this._idleTimeout);
    this.tick = Math.floor(now) + Math.trunc(this._idleTimeout);
    this.owed = this.fired + 1;
  }
}

/** A repeatable source of numbers in [0, 1). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A list of Node's: whatever waits for so many milliseconds, in the order of setting. */
interface List {
  readonly wait: number;
  readonly head: Link;
  expiry: number;
  id: number;
}

/** A deadline in such a list. */
class Entry implements Deadline, Link {
  _idleNext: Link | null = null;
  _idlePrev: Link | null = null;
  _idleStart = 0;
  readonly slot: Slot;
  readonly #loop: Loop;

  constructor(loop: Loop, slot: Slot) {
    this.#loop = loop;
    this.slot = slot;
  }

  arm(milliseconds: number): number {
    return this.#loop.arm(this, milliseconds);
  }
}

const THROWN = new Error('thrown by a callback');

/** A loop with a clock of its own, which wakes when it is told and walks its lists as Node does. */
class Loop {
  now: number;
  readonly wheel: Wheel;
  readonly ran: { readonly tick: number; readonly serial: number }[] = [];
  onRun: (timer: Waiting) => void = () => {};
  /** The time that passes between the wheel's reading of the clock and Node's. */
  pause: () => number = () => 0;
  readonly #lists = new Map<number, List>();
  #serial = 0;
  #id = 0;

  constructor(start: number) {
    this.now = start;
    this.wheel = new Wheel(
      () => this.now,
      (slot) => new Entry(this, slot),
    );
  }

  /** How many deadlines wait. */
  get armed(): number {
    let count = 0;
    for (const { head } of this.#lists.values())
      for (let link = head._idleNext; link !== head; link = (link as Link)._idleNext) count += 1;
    return count;
  }

  arm(entry: Entry, wait: number): number {
    expect(wait).to.be.within(1, 2 ** 31 - 1);
    this.now += this.pause();
    const start = Math.floor(this.now);
    unlink(entry);
    let list = this.#lists.get(wait);
    if (list === undefined) {
      const head = { _idleNext: null, _idlePrev: null } as Link;
      head._idleNext = head;
      head._idlePrev = head;
      list = { wait, head, expiry: start + wait, id: this.#id++ };
      this.#lists.set(wait, list);
    }
    entry._idleStart = start;
    const newest = list.head._idleNext as Link;
    Object.assign(entry, { _idleNext: newest, _idlePrev: list.head });
    newest._idlePrev = entry;
    list.head._idleNext = entry;
    return start;
  }

  set(after: number): Waiting {
    const timer = new Waiting(after);
    timer.begin(this.now, this.#serial++);
    this.wheel.insert(timer);
    return timer;
  }

  /** As Node's own code takes a timer out of whatever list it is in. */
  clear(timer: Waiting): void {
    timer.owed = timer.fired;
    unlink(timer);
  }

  refresh(timer: Waiting): void {
    timer.begin(this.now, this.#serial++);
    this.wheel.insert(timer);
  }

  /** When the loop would wake by itself. */
  next(): number {
    return this.#first()?.expiry ?? Number.POSITIVE_INFINITY;
  }

  #first(): List | undefined {
    let first: List | undefined;
    for (const list of this.#lists.values()) {
      const by = first === undefined ? -1 : list.expiry - first.expiry || list.id - first.id;
      if (by < 0) first = list;
    }
    return first;
  }

  /** One timers phase; after a callback that throws Node begins another, with the clock as it is then. */
  phase(): void {
    for (;;) {
      try {
        this.#phase(Math.floor(this.now));
        return;
      } catch (error) {
        if (error !== THROWN) throw error;
      }
    }
  }

  #phase(phase: number): void {
    for (;;) {
      const list = this.#first();
      if (list === undefined || list.expiry > phase) return;
      this.#walk(list, phase);
    }
  }

  #walk(list: List, phase: number): void {
    while (list.head._idlePrev !== list.head) {
      const item = list.head._idlePrev as Entry | Waiting;
      if (phase - item._idleStart < list.wait) {
        // Timers that the wheel put here are due.
        expect(item).to.be.instanceOf(Entry);
        list.expiry = Math.max(item._idleStart + list.wait, phase + 1);
        list.id = this.#id++;
        return;
      }
      unlink(item);
      if (item instanceof Entry) this.wheel.reach(item.slot, list.head, item._idleStart);
      else this.#run(item);
    }
    this.#lists.delete(list.wait);
  }

  #run(timer: Waiting): void {
    timer.fired += 1;
    expect(timer.fired).to.equal(timer.owed);
    expect(this.now).to.be.at.least(timer.expiry);
    this.ran.push({ tick: timer.tick, serial: timer.serial });
    this.onRun(timer);
  }
}

function unlink(link: Link): void {
  if (link._idleNext !== null) link._idleNext._idlePrev = link._idlePrev;
  if (link._idlePrev !== null) link._idlePrev._idleNext = link._idleNext;
  link._idleNext = null;
  link._idlePrev = null;
}

/** Durations of every level of the wheel, and its borders. */
function duration(random: () => number): number {
  const kind = random();
  if (kind < 0.3) return 1 + Math.floor(random() * 20);
  if (kind < 0.4) return 1 + random() * 300;
  if (kind < 0.6) return 1 + Math.floor(random() * 2000);
  if (kind < 0.7) return [255, 256, 257, 511, 512, 65535, 65536, 65537][Math.floor(random() * 8)] as number;
  if (kind < 0.9) return 1 + Math.floor(random() * 200_000);
  return 1 + Math.floor(random() * (2 ** 31 - 2));
}

interface Play {
  /** How far the clock goes on between two turns of the loop. */
  readonly step: (loop: Loop, random: () => number) => number;
  /** And between two reads of it; never by default. */
  readonly pause?: (random: () => number) => number;
}

/** Sets, clears, refreshes and lets time pass at random, from callbacks too, some of which throw. */
function play(seed: number, { step, pause }: Play): Loop {
  const random = numbers(seed);
  const loop = new Loop(random() * 2 ** (seed % 34));
  if (pause !== undefined) loop.pause = () => pause(random);
  const all: Waiting[] = [];
  const act = (): void => {
    const kind = random();
    const one = all[Math.floor(random() * all.length)];
    if (kind < 0.7 || one === undefined) all.push(loop.set(duration(random)));
    else if (one.fired === one.owed) return;
    else if (kind < 0.85) loop.clear(one);
    else loop.refresh(one);
  };
  loop.onRun = (timer) => {
    if (random() < 0.3) act();
    if (random() < 0.1) loop.refresh(timer);
    if (random() < 0.1) throw THROWN;
  };
  for (let turn = 0; turn < 300; turn++) {
    for (let times = random() * 5; times > 0; times--) act();
    loop.now += step(loop, random);
    loop.phase();
  }
  loop.onRun = () => {};
  while (loop.next() < Number.POSITIVE_INFINITY) {
    loop.now = Math.max(loop.now, loop.next()) + random();
    loop.phase();
  }
  for (const timer of all) expect(timer.fired, `timer ${timer.serial}`).to.equal(timer.owed);
  return loop;
}

/** In the order of their milliseconds, and within one as they were set. */
function expectOrder(title: string, ran: Loop['ran']): void {
  const sorted = [...ran].sort((a, b) => a.tick - b.tick || a.serial - b.serial);
  const odd = ran.findIndex(({ serial }, at) => serial !== sorted[at]?.serial);
  expect(ran.slice(Math.max(odd - 1, 0), odd + 3), `${title}, at ${odd}`).to.deep.equal(
    sorted.slice(Math.max(odd - 1, 0), odd + 3),
  );
}

const SEEDS = 25;
const onTime: Play = {
  step: (loop, random) => Math.min(Math.max(loop.next() - loop.now, 0), random() * 40) + random() * 2,
};
const jumping: Play = {
  step: (_, random) => (random() < 0.1 ? random() * 10 ** (1 + random() * 8) : random() * 30),
};

describe('timers/wheel', () => {
  it('runs timers in the order of the model while the loop is on time: none lost, none twice, none early', () => {
    for (let seed = 1; seed <= SEEDS; seed++) expectOrder(`seed ${seed}`, play(seed, onTime).ran);
  });

  it('does so however late the loop is: the clock jumps', () => {
    for (let seed = 1; seed <= SEEDS; seed++) expectOrder(`seed ${seed}`, play(seed, jumping).ran);
  });

  it('does so when the process is stopped between two reads of the clock', () => {
    const pause = (random: () => number): number => (random() < 0.2 ? random() * 10 ** (random() * 4) : 0);
    for (let seed = 1; seed <= SEEDS; seed++) expectOrder(`seed ${seed}`, play(seed, { ...onTime, pause }).ran);
  });

  it('waits for the fraction in which the last timer of a millisecond was set, and no longer', () => {
    const loop = new Loop(100.25);
    loop.set(5);
    loop.now = 105.2;
    loop.phase();
    expect(loop.ran).to.have.lengthOf(0);
    expect(loop.next()).to.equal(106);
    loop.now = 105.25;
    const other = new Loop(100.25);
    other.set(5);
    other.now = 105.25;
    other.phase();
    expect(other.ran).to.have.lengthOf(1);
  });

  it('wakes for a far timer a few times at most', () => {
    const loop = new Loop(0.5);
    loop.set(2 ** 31 - 1);
    let wakes = 0;
    while (loop.armed > 0) {
      loop.now = loop.next() + 0.6;
      loop.phase();
      wakes += 1;
    }
    expect(loop.ran).to.have.lengthOf(1);
    expect(wakes).to.be.at.most(4);
  });

  it('arms once for all timers of a slot, however many durations they have', () => {
    const loop = new Loop(0);
    for (let after = 1; after < 100_000; after++) loop.set(after);
    // One for each of the 512 milliseconds ahead, and for each 256 of the rest.
    expect(loop.armed).to.be.within(2, 512 + 100_000 / 256);
  });
});
