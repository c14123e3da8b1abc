/** What native/openssl reads out of secure contexts is what Node's connections of the same context show. */
import { expect } from 'chai';
import { nodes } from '../support/nodes.mjs';
import type { Snapshot } from './programs/probe.mjs';
import { lines, needProbe } from './support.mjs';

interface Line {
  readonly name: string;
  readonly skipped?: string;
  readonly snapshot: Snapshot;
  readonly keys: readonly string[];
  readonly own: readonly string[];
  readonly node: {
    readonly min: number;
    readonly max: number;
    readonly certificate: string | null;
    readonly suites: readonly number[] | null;
    readonly groups: readonly number[] | null;
    readonly signatures: readonly number[] | null;
    readonly sent: readonly string[];
  };
  readonly fits: { readonly server: string | null; readonly client: string | null };
  readonly unchanged: boolean;
}

/** A promise that a client of TLS 1.2 makes in its list of suites, which is none. */
const RENEGOTIATION = 0x00ff;
const RUSTLS = [0x1301, 0x1302, 0x1303, 0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca8, 0xcca9];

/** What keeps a context from rustls, by its name, as server and as client; of all others nothing does, once there is a key. */
const reasons: Record<string, readonly [string | null, string | null]> = {
  'a level of 0': ['security-level', 'security-level'],
  'a level of 3': ['security-level', 'security-level'],
  'a key of 1,024 bits': ['security-level', 'security-level'],
  'from 1.0 on': ['key', 'low-minimum'],
  // It makes no hello from which its groups could be read.
  'by a method of servers': ['no-group', 'no-group'],
  'a group that rustls lacks': ['no-group', 'no-group'],
  'an option that rustls lacks': ['options', 'options'],
  'a key for PSS': ['key', 'key'],
  'a curve that nobody has': ['key', 'key'],
};

for (const node of nodes) {
  describe(`secure contexts read by the oracle, Node ${node.version}`, () => {
    let all: Line[] = [];

    before(async function () {
      needProbe(this);
      all = await lines<Line>(node, 'contexts');
      for (const { skipped } of all) if (skipped !== undefined) console.log(`skipped in part: ${skipped}`);
      all = all.filter(({ skipped }) => skipped === undefined);
      expect(all.length).to.be.greaterThan(25);
    });

    const each = (check: (line: Line) => void) => {
      for (const line of all) {
        try {
          check(line);
        } catch (error) {
          (error as Error).message = `${line.name}: ${(error as Error).message}`;
          throw error;
        }
      }
    };

    it('versions', () =>
      each(({ snapshot, node }) => expect([snapshot.min, snapshot.max]).to.deep.equal([node.min, node.max])));

    it('suites, in order', () =>
      each(({ snapshot, node }) => {
        if (node.suites === null) return;
        const offered = node.suites.filter((suite) => suite !== RENEGOTIATION);
        // A hello leaves out what its versions and its level of security do not allow.
        expect(snapshot.suites.filter((suite) => offered.includes(suite))).to.deep.equal(offered);
        const max = snapshot.max || 0xffff;
        const wanted = snapshot.suites.filter((suite, place) => {
          const since = snapshot.since[place] ?? 0;
          const fits = since === 0x0304 ? max >= 0x0304 : snapshot.min <= 0x0303;
          return RUSTLS.includes(suite) && fits;
        });
        // With configured signatures a client offers no suite that none of them is for.
        if (snapshot.signatures !== null && snapshot.signatures.length > 6) {
          expect(offered.filter((suite) => RUSTLS.includes(suite))).to.deep.equal(wanted);
        }
      }));

    it('groups and signatures, in order', () =>
      each(({ snapshot, node }) => {
        expect(snapshot.groups).to.deep.equal(node.groups);
        expect(snapshot.signatures).to.deep.equal(node.signatures);
      }));

    it('keys, each with the chain that a server sends', () =>
      each(({ name, snapshot, keys, own, node }) => {
        for (const key of keys) expect(own).to.include(key);
        const chains = snapshot.pairs.map(({ chain }) => chain.join());
        if (node.certificate !== null) expect(snapshot.pairs.map(({ chain }) => chain[0])).to.include(node.certificate);
        for (const sent of node.sent) expect(chains).to.include(sent);
        // A server of TLS 1.3 alone, and keys that no client here takes, are not seen.
        if (snapshot.pairs.length > 0 && snapshot.min <= 0x0303 && !/PSS|nobody/.test(name)) {
          expect(node.sent).not.to.be.empty;
        }
      }));

    it('options, levels, time-outs, authorities', () => {
      const by = new Map(all.map((line) => [line.name, line.snapshot]));
      expect(BigInt(by.get('options')?.options ?? 0) & (1n << 14n)).to.equal(1n << 14n);
      expect(BigInt(by.get('nothing asked for')?.options ?? 0) & (1n << 14n)).to.equal(0n);
      expect(by.get('a timeout')?.timeout).to.equal(1234);
      expect(by.get('a level of 0')?.securityLevel).to.equal(0);
      expect(by.get('authorities')?.authorities).to.have.length(2);
    });

    it('says which contexts rustls can serve', () =>
      each(({ name, snapshot, fits }) => {
        const [server, client] = reasons[name] ?? [snapshot.pairs.length > 0 ? null : 'key', null];
        expect([fits.server, fits.client]).to.deep.equal([server, client]);
      }));

    it('changes nothing of them, and tells nobody a key', () =>
      each(({ snapshot, keys, unchanged }) => {
        expect(unchanged).to.equal(true);
        for (const key of keys) expect(snapshot.debug).not.to.include(key.slice(-32));
        expect(snapshot.debug).not.to.match(/key/i);
      }));
  });
}
