import { expect } from 'chai';
import { restore, swap, swapOnRead } from '../../dist/seam.js';

class Native {}
class Ours {}

describe('seam', () => {
  afterEach(() => restore());

  it('swaps, and takes back exactly what was there', () => {
    const holder = { TCP: Native };
    const before = Object.getOwnPropertyDescriptor(holder, 'TCP');
    swap(holder, 'TCP', Ours);
    expect(holder.TCP).to.equal(Ours);
    restore();
    expect(Object.getOwnPropertyDescriptor(holder, 'TCP')).to.deep.equal(before);
  });

  it('makes nothing before somebody reads, and makes it once', () => {
    const holder = { TCP: Native };
    let made = 0;
    swapOnRead(holder, 'TCP', () => {
      made += 1;
      return Ours;
    });
    expect(Object.keys(holder)).to.deep.equal(['TCP']);
    expect(made).to.equal(0);
    expect([holder.TCP, holder.TCP, made]).to.deep.equal([Ours, Ours, 1]);
    expect(Object.getOwnPropertyDescriptor(holder, 'TCP')).to.include({ value: Ours, writable: true });
  });

  it('takes back what nobody has read', () => {
    const holder = { TCP: Native };
    swapOnRead(holder, 'TCP', () => expect.fail('made for nobody'));
    restore();
    expect(Object.getOwnPropertyDescriptor(holder, 'TCP')).to.include({ value: Native, writable: true });
  });

  it('takes back what was read', () => {
    const holder = { TCP: Native };
    swapOnRead(holder, 'TCP', () => Ours);
    expect(holder.TCP).to.equal(Ours);
    restore();
    expect(holder.TCP).to.equal(Native);
  });

  it('leaves alone what somebody else has put there since, read or not', () => {
    for (const read of [true, false]) {
      class Theirs {}
      const holder = { TCP: Native as object };
      swapOnRead(holder, 'TCP', () => Ours);
      if (read) expect(holder.TCP).to.equal(Ours);
      holder.TCP = Theirs;
      expect(holder.TCP).to.equal(Theirs);
      restore();
      expect(holder.TCP).to.equal(Theirs);
    }
  });

  it("answers with Node's own when making ours takes everything back", () => {
    const holder = { TCP: Native };
    swapOnRead(holder, 'TCP', () => {
      restore();
      return Native;
    });
    expect(holder.TCP).to.equal(Native);
    expect(Object.getOwnPropertyDescriptor(holder, 'TCP')).to.include({ value: Native, writable: true });
  });

  it('refuses to stand in for what is not there', () => {
    expect(() => swap({}, 'TCP', Ours)).to.throw('TCP is missing');
    expect(() => swapOnRead({}, 'TCP', () => Ours)).to.throw('TCP is missing');
  });
});
