/** rustls at one end, plain Node at the other: both say the same of the connection, and what is sent arrives. */
import { expect } from 'chai';
import { nodes } from '../support/nodes.mjs';
import type { Facts } from './programs/probe.mjs';
import { lines, needProbe } from './support.mjs';

interface Line {
  readonly name: string;
  readonly role: 'server' | 'client';
  readonly time: number;
  readonly node: {
    readonly version: string;
    readonly suite: string;
    readonly protocol: string | null;
    readonly reused: boolean;
    readonly peer: string | null;
    readonly exported: string;
  } | null;
  readonly error: string | null;
  readonly back?: number;
  readonly got: number;
  readonly verdict?: string | null;
  readonly failure?: number;
  readonly facts: Facts | null;
}

const VERSIONS: Record<number, string> = { 771: 'TLSv1.2', 772: 'TLSv1.3' };
const SUITES: Record<number, string> = {
  4865: 'TLS_AES_128_GCM_SHA256',
  4866: 'TLS_AES_256_GCM_SHA384',
  4867: 'TLS_CHACHA20_POLY1305_SHA256',
  49195: 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
  49199: 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
};
const BYTES = 66_000;

/** How those end that are to fail: what rustls says (`SSL_R_…`, or 1000 and the alert), and what Node does. */
const failures: Record<string, readonly [number, RegExp]> = {
  'server: certificate required, 1.2': [199, /ALERT_HANDSHAKE_FAILURE$/],
  'server: certificate required, 1.3': [199, /^ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED$/],
  'client: certificate required, 1.2': [1040, /^ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE$/],
  'client: certificate required, 1.3': [1116, /^ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE$/],
  'client: nothing but CBC': [1040, /^ERR_SSL_NO_SHARED_CIPHER$/],
  // rustls does not name the group of that curve, so in 1.2 the server has no certificate for it.
  'client: p521, 1.2': [1040, /^ERR_SSL_NO_SHARED_CIPHER$/],
};

for (const node of nodes) {
  describe(`sessions of rustls’ with Node ${node.version}`, () => {
    let all: Line[] = [];

    before(async function () {
      needProbe(this);
      all = await lines<Line>(node, 'sessions');
      expect(all.length).to.be.greaterThan(60);
    });

    const each = (which: (line: Line) => boolean, check: (line: Line) => void) => {
      const chosen = all.filter(which);
      expect(chosen).not.to.be.empty;
      for (const line of chosen) {
        try {
          check(line);
        } catch (error) {
          (error as Error).message = `${line.role}, ${line.name}: ${(error as Error).message}`;
          throw error;
        }
      }
    };
    const expected = ({ role, name }: Line) => failures[`${role}: ${name}`];

    it('agree on all there is to agree on', () =>
      each(
        (line) => expected(line) === undefined,
        ({ node, facts, error }) => {
          expect(error).to.equal(null);
          if (node === null || facts === null) throw new Error('there is no connection');
          expect({
            version: VERSIONS[facts.version],
            suite: SUITES[facts.suite],
            protocol: facts.protocol,
            reused: facts.reused,
            exported: facts.exported,
          }).to.deep.equal({
            version: node.version,
            suite: node.suite,
            protocol: node.protocol,
            reused: node.reused,
            exported: node.exported,
          });
        },
      ));

    it('carry everything there and back', () =>
      each(
        (line) => expected(line) === undefined,
        ({ role, back, got }) => {
          expect(got).to.equal(BYTES);
          if (role === 'server') expect(back).to.equal(BYTES);
        },
      ));

    it('fail as they should, and the peer is told in OpenSSL’s way', () =>
      each(
        (line) => expected(line) !== undefined,
        (line) => {
          expect(line.failure).to.equal(expected(line)?.[0]);
          expect(line.error).to.match(expected(line)?.[1] ?? /nothing/);
        },
      ));

    it('are resumed, and no others', () => {
      each(
        ({ name, time }) => name.startsWith('resumed') && time > 0,
        ({ facts }) => expect(facts?.reused).to.equal(true),
      );
      each(
        ({ time, facts }) => time === 0 && facts !== null,
        ({ facts }) => expect(facts?.reused).to.equal(false),
      );
    });

    it('show certificates, and see them', () => {
      each(
        ({ name, role }) => name.startsWith('certificate of') && role === 'server',
        ({ facts }) => expect(facts?.chain).not.to.be.empty,
      );
      each(
        ({ name, role }) => name.startsWith('certificate of') && role === 'client',
        ({ node }) => expect(node?.peer).to.be.a('string'),
      );
      each(
        ({ name, role }) => name.startsWith('no certificate') && role === 'server',
        ({ facts }) => expect(facts?.chain).to.be.empty,
      );
    });

    it('are judged by the oracle', () =>
      each(
        ({ role, facts }) => role === 'client' && facts !== null,
        ({ name, verdict }) => expect(verdict).to.equal(name === 'unknown root' ? 'SELF_SIGNED_CERT_IN_CHAIN' : null),
      ));
  });
}
