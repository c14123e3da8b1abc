/** A process that ends while threads are inside OpenSSL ends as it would without them. */
import { expect } from 'chai';
import { nodes } from '../support/nodes.mjs';
import { needProbe, run } from './support.mjs';

/** Ends of each kind. Without the gate one in five of them crashes where two processors are busy. */
const TIMES = Number(process.env['TSLOOP_TEST_ENDS'] ?? 8);
const ways = { exit: 7, natural: 0, throw: 1 };

for (const node of nodes) {
  for (const [way, code] of Object.entries(ways)) {
    it(`ends by ${way} in the middle of verifications, Node ${node.version}`, async function () {
      needProbe(this);
      for (let time = 0; time < TIMES; time++) {
        const { signal, timedOut, ...ending } = await run(node, 'ending', [way, String(20 + 7 * time)]);
        expect({ code: ending.code, signal, timedOut }, ending.stderr).to.deep.equal({
          code,
          signal: null,
          timedOut: false,
        });
      }
    });
  }
}
