/** Errors are worded as the line words them. */
import { expect } from 'chai';
import { nodes } from '../support/nodes.mjs';
import { lines, needProbe } from './support.mjs';

interface Line {
  readonly number: number | string;
  readonly node: string | null;
  readonly oracle: string | readonly string[] | null;
}

for (const node of nodes) {
  it(`words alerts and reasons as Node ${node.version} does`, async function () {
    needProbe(this);
    const all = await lines<Line>(node, 'wordings');
    expect(all.length).to.be.greaterThan(25);
    for (const { number, node, oracle } of all) {
      if (Array.isArray(oracle)) expect(oracle, String(number)).to.include(node);
      else expect(oracle, String(number)).to.equal(node);
    }
    // Most of them are words: nothing would agree with nothing.
    expect(all.filter(({ node }) => node !== null).length).to.be.greaterThan(15);
  });
}
