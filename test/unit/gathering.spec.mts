/** When small writes of a delivery leave, whoever has the seat: against a native part that only counts. */
import { expect } from 'chai';
import { Environment } from '../../dist/context/environment.js';
import { createMemory, type Native } from '../../dist/native/index.js';
import { FEW_EVENTS, MOST_GATHER_MILLIS, URGENT_WRITES, WRITES_PER_HANDOVER } from '../../dist/native/protocol.js';

const entry = { slot: 1, generation: 1 };

function made(): { environment: Environment; handOvers: () => number } {
  let handOvers = 0;
  const native = { submit: () => ++handOvers && 0 } as unknown as Native;
  return { environment: new Environment(native, createMemory()), handOvers: () => handOvers };
}

function busy(milliseconds: number): void {
  const until = performance.now() + milliseconds;
  while (performance.now() < until);
}

function write(environment: Environment): void {
  environment.writeBytes(entry, Buffer.from('answer'), 0);
  environment.submitSoon();
}

describe('small writes of a delivery', () => {
  it('gather when it tells of many, and are handed over several at a time and at its end', () => {
    const { environment, handOvers } = made();
    environment.beginDelivery(FEW_EVENTS + 1);
    expect(environment.crowded).to.equal(true);
    write(environment);
    const first = handOvers();
    for (let count = 1; count < WRITES_PER_HANDOVER; count++) write(environment);
    expect(first, 'nothing was handed over for long').to.equal(1);
    // A slow machine may have handed over between them, as after any while.
    expect(handOvers()).to.be.below(WRITES_PER_HANDOVER);
    environment.endDelivery();
    const all = handOvers();
    environment.endDelivery();
    expect(handOvers(), 'nothing is left behind').to.equal(all);
    expect(environment.crowded).to.equal(false);
  });

  it('do not when it tells of few, or outside of one', () => {
    const { environment, handOvers } = made();
    write(environment);
    expect(handOvers()).to.equal(1);
    environment.beginDelivery(FEW_EVENTS);
    expect(environment.crowded).to.equal(false);
  });

  it('leave at once after one had to wait for a slow callback', () => {
    const { environment, handOvers } = made();
    const deliver = (pause: number): number => {
      const before = handOvers();
      environment.beginDelivery(8);
      for (let count = 0; count < 4; count++) {
        write(environment);
        if (count === 2) busy(pause);
      }
      environment.endDelivery();
      return handOvers() - before;
    };
    // Until one gathers on a machine that is busy with something else.
    do {
      deliver(MOST_GATHER_MILLIS * 4);
    } while (deliver(0) < 4);
    for (let writes = 4; writes < URGENT_WRITES - 16; writes += 4) expect(deliver(0)).to.equal(4);
    const least = Math.min(...Array.from({ length: 64 }, () => deliver(0)));
    expect(least, 'and gather again later').to.be.below(4);
  });
});
