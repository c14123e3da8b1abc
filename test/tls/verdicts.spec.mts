/** The oracle's verdict over each chain of the corpus is the one of a handshake on plain Node: code and sentence. */
import { expect } from 'chai';
import { nodes } from '../support/nodes.mjs';
import type { Verdict } from './programs/probe.mjs';
import { lines, needProbe } from './support.mjs';

interface Line {
  readonly name: string;
  readonly atServer: boolean;
  readonly failed?: string;
  readonly node: { readonly code: string | null; readonly message: string };
  readonly oracle: Verdict;
}

for (const node of nodes) {
  describe(`verdicts of the oracle, Node ${node.version}`, () => {
    let all: Line[] = [];

    before(async function () {
      needProbe(this);
      all = await lines<Line>(node, 'verdicts');
    });

    it('have something to judge: at least 70 chains in both roles, of every kind', () => {
      expect(all.filter(({ failed }) => failed !== undefined)).to.deep.equal([]);
      expect(new Set(all.map(({ name }) => name)).size).to.be.at.least(70);
      for (const atServer of [false, true])
        expect(all.filter((line) => line.atServer === atServer).length).to.be.at.least(70);
      // A corpus that has become harmless would agree with anything.
      expect(new Set(all.map(({ node: { code } }) => code)).size).to.be.at.least(15);
    });

    it('accept nothing that Node refuses', () => {
      expect(all.filter((line) => line.oracle.number === 0 && line.node.code !== null)).to.deep.equal([]);
    });

    it('are Node’s', () => {
      // Newer lines append advice to the sentence of some.
      const differ = all.filter(
        ({ node, oracle }) =>
          node.code !== oracle.code || (node.code !== null && !node.message.startsWith(oracle.message)),
      );
      expect(differ).to.deep.equal([]);
    });
  });
}
