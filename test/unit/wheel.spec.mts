import { expect } from 'chai';
import { type Deadline, type Link, type Slot, type Timer, Wheel } from '../../dist/timers/wheel.js';

/** What the model knows of a timer. */
class Waiting implements Timer {
  _idleNext: Link | null = null;
  _idlePrev: Link | null = null;
  _idleStart = 0;
  readonly _idleTimeout: number;
  readonly serial: number;
  readonly expiry: number;
  readonly tick: number;
  fired = 0;
  cleared = false;

  constructor(after: number, now: number, serial: number) {
    this._idleTimeout = after;
    this.serial = serial;
    this.expiry = now + Math.trunc(after);
    this.tick = Math.floor(now) + Math.trunc(after);
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

interface Armed {
  readonly slot: Slot;
  readonly at: number;
  readonly from: number;
  readonly order: number;
}

/** A loop with a clock of its own: it wakes when it is told, and reaches the deadlines in their order. */
class Loop {
  now: number;
  readonly wheel: Wheel;
  readonly ran: Waiting[] = [];
  onRun: (timer: Waiting) => void = () => {};
  readonly #armed = new Map<Slot, Armed>();
  #serial = 0;
  #order = 0;

  constructor(start: number) {
    this.now = start;
    this.wheel = new Wheel(
      () => this.now,
      (slot): Deadline => ({
        arm: (milliseconds) => {
          expect(milliseconds).to.be.within(1, 2 ** 31 - 1);
          const from = Math.floor(this.now);
          this.#armed.set(slot, { slot, at: from + milliseconds, from, order: this.#order++ });
        },
      }),
    );
  }

  get armed(): number {
    return this.#armed.size;
  }

  set(after: number): Waiting {
    const timer = new Waiting(after, this.now, this.#serial++);
    this.wheel.insert(timer);
    return timer;
  }

  /** As Node's own code takes a timer out of whatever list it is in. */
  clear(timer: Waiting): void {
    timer.cleared = true;
    this.#unlink(timer);
  }

  /** When the loop would wake by itself. */
  next(): number {
    return Math.min(...[...this.#armed.values()].map(({ at }) => at));
  }

  /** One timers phase. */
  phase(): void {
    const phase = Math.floor(this.now);
    for (;;) {
      const due = [...this.#armed.values()]
        .filter(({ at }) => at <= phase)
        .sort((a, b) => a.at - b.at || a.order - b.order)[0];
      if (due === undefined) return;
      this.#armed.delete(due.slot);
      const list = { _idleNext: null, _idlePrev: null } as Link;
      list._idleNext = list;
      list._idlePrev = list;
      this.wheel.reach(due.slot, list, due.from);
      while (list._idlePrev !== list) {
        const timer = list._idlePrev as Waiting;
        // The list is one of the duration of its deadline.
        expect(phase - timer._idleStart).to.be.at.least(due.at - due.from);
        this.#unlink(timer);
        this.#run(timer);
      }
    }
  }

  #run(timer: Waiting): void {
    expect(timer.cleared).to.equal(false);
    expect(timer.fired++).to.equal(0);
    expect(this.now).to.be.at.least(timer.expiry);
    this.ran.push(timer);
    this.onRun(timer);
  }

  #unlink(timer: Waiting): void {
    if (timer._idleNext !== null) timer._idleNext._idlePrev = timer._idlePrev;
    if (timer._idlePrev !== null) timer._idlePrev._idleNext = timer._idleNext;
    timer._idleNext = null;
    timer._idlePrev = null;
  }
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

/** Sets, clears and lets time pass at random; `step` says by how much. */
function play(seed: number, step: (loop: Loop, random: () => number) => number): Loop {
  const random = numbers(seed);
  const loop = new Loop(random() * 2 ** (seed % 34));
  const all: Waiting[] = [];
  const act = (): void => {
    if (random() < 0.7) all.push(loop.set(duration(random)));
    const victim = all[Math.floor(random() * all.length)];
    if (random() < 0.25 && victim !== undefined && victim.fired === 0) loop.clear(victim);
  };
  loop.onRun = () => {
    if (random() < 0.3) act();
  };
  for (let turn = 0; turn < 300; turn++) {
    for (let times = random() * 5; times > 0; times--) act();
    loop.now += step(loop, random);
    loop.phase();
  }
  loop.onRun = () => {};
  while (loop.armed > 0) {
    loop.now = Math.max(loop.now, loop.next()) + random();
    loop.phase();
  }
  for (const timer of all) expect(timer.fired, `timer ${timer.serial}`).to.equal(timer.cleared ? 0 : 1);
  return loop;
}

describe('timers/wheel', () => {
  it('runs timers in the order of the model while the loop is on time: none lost, none twice, none early', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const loop = play(seed, (it, random) => Math.min(Math.max(it.next() - it.now, 0), random() * 40) + random() * 2);
      const ticks = loop.ran.map(({ tick, serial }): [number, number] => [tick, serial]);
      const sorted = [...ticks].sort(([a, first], [b, second]) => a - b || first - second);
      const odd = ticks.findIndex(([, serial], at) => serial !== sorted[at]?.[1]);
      expect(ticks.slice(odd - 1, odd + 3), `seed ${seed}, at ${odd}`).to.deep.equal(sorted.slice(odd - 1, odd + 3));
    }
  });

  it('loses none, runs none early, and keeps equals in order when the clock jumps', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const loop = play(seed, (_, random) => (random() < 0.1 ? random() * 10 ** (1 + random() * 8) : random() * 30));
      const last = new Map<number, number>();
      for (const { tick, serial } of loop.ran) {
        expect(serial, `seed ${seed}, tick ${tick}`).to.be.above(last.get(tick) ?? -1);
        last.set(tick, serial);
      }
    }
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
    for (let after = 300; after < 100_300; after++) loop.set(after);
    expect(loop.armed).to.be.below(520);
  });
});
