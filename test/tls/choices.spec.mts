/** Where choose.rs says that rustls may serve a client, plain Node negotiates exactly what it says. */
import { expect } from 'chai';
import { nodes, seed } from '../support/nodes.mjs';
import type { Choice } from './programs/probe.mjs';
import type { Said } from './programs/wire.mjs';
import { lines, needProbe } from './support.mjs';

interface Line {
  readonly seed: number;
  readonly pool: readonly string[];
  /** The client had nothing to offer. */
  readonly silent?: boolean;
  readonly whole: boolean;
  readonly choice: (Choice & { readonly certificate?: string }) | null;
  readonly node: Omit<Said, 'certificates'> & {
    readonly secure: { readonly certificate: string; readonly protocol: string | null } | null;
  };
}

const SUITES = [0x1301, 0x1302, 0x1303, 0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca8, 0xcca9];
const GROUPS = [29, 23, 24, 0x11ec, 0x11eb];
/** What TLS 1.2 lets a key sign with, and rustls does not: a digest that is not the curve's, or a weak one. */
const tied: Record<string, readonly number[]> = { ec: [0x0403], p384: [0x0503], p521: [0x0603], ed: [0x0807] };
const RSA = [0x0401, 0x0501, 0x0601, 0x0804, 0x0805, 0x0806];

for (const node of nodes) {
  describe(`OpenSSL’s choices foretold, Node ${node.version}, seed ${seed}`, () => {
    let all: Line[] = [];

    before(async function () {
      needProbe(this);
      all = (await lines<Line>(node, 'choices', ['30', '12', seed])).filter(({ silent }) => silent !== true);
    });

    it('reads every hello that Node’s clients send', () => {
      expect(all.length).to.be.greaterThan(200);
      expect(all.filter(({ whole, choice }) => !whole || choice === null)).to.deep.equal([]);
    });

    it('is what is negotiated wherever rustls may serve', () => {
      const ours = all.filter(({ choice }) => choice?.reason === undefined);
      expect(ours.length).to.be.greaterThan(30);
      const wrong = ours.filter(
        ({ choice, node }) =>
          choice === null ||
          node.secure === null ||
          choice.version !== node.version ||
          choice.suite !== node.suite ||
          choice.group !== node.group ||
          choice.retry !== node.retry ||
          (node.scheme !== null && choice.scheme !== node.scheme) ||
          choice.certificate !== node.secure.certificate ||
          choice.protocol !== node.secure.protocol,
      );
      expect(wrong).to.deep.equal([]);
    });

    it('leaves to OpenSSL nothing that rustls can do', () => {
      const careful = all.filter(({ pool, choice, node }) => {
        if (choice?.reason === undefined || node.secure === null) return false;
        const able = SUITES.includes(node.suite ?? 0) && GROUPS.includes(node.group ?? 0);
        const signs = node.scheme === null || pool.some((key) => (tied[key] ?? RSA).includes(node.scheme ?? 0));
        // Keys whose place in OpenSSL's choice is not computed.
        const unjudged = pool.some((key) => key === 'pss' || key === 'koblitz');
        return able && signs && !unjudged;
      });
      expect(careful).to.deep.equal([]);
    });
  });
}
