/**
 * Secure contexts of many shapes: what the oracle reads out of each, beside what Node says, or sends, itself. One line each.
 *
 * The suites, groups and signatures of a context are what a client of it offers; what is sent with its keys is what a server of it sends
 * to a client of TLS 1.2, where certificates travel in the clear.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tls from 'node:tls';
import { certificate, extensions, keyPem, newKeys, revocationList } from '../../support/certificates.mjs';
import { describe, fits, open, parse } from './probe.mjs';
import { messages } from './wire.mjs';

const authority = [extensions.authority(), extensions.signsCertificates()];
const leafOf = [extensions.endEntity(), extensions.signs(), extensions.hosts('localhost')];
const root = certificate({ subject: 'root', keys: newKeys.ec(), extensions: authority });
const middle = certificate({ subject: 'middle', keys: newKeys.ec(), issuer: root, extensions: authority });
const leaf = (keys: ReturnType<typeof newKeys.ec>) =>
  certificate({ subject: 'localhost', keys, issuer: middle, extensions: leafOf });
const [ec, rsa, ed, p384] = [
  leaf(newKeys.ec()),
  leaf(newKeys.rsa()),
  leaf(newKeys.ed25519()),
  leaf(newKeys.ec('secp384r1')),
];
const [weak, pss, koblitz] = [leaf(newKeys.rsa(1024)), leaf(newKeys.pss()), leaf(newKeys.ec('secp256k1'))];
const pairOf = (one: typeof ec, chain = [one, middle]) => ({
  key: keyPem(one.keys),
  cert: chain.map(({ pem }) => pem).join(''),
});

/** A PKCS#12 file, where there is a tool that makes one. */
function pfx(): Buffer | null {
  const folder = mkdtempSync(join(tmpdir(), 'tsloop-pfx-'));
  try {
    const file = (name: string) => join(folder, name);
    writeFileSync(file('key'), keyPem(ec.keys));
    writeFileSync(file('cert'), ec.pem);
    writeFileSync(file('chain'), middle.pem);
    const args = ['-inkey', file('key'), '-in', file('cert'), '-certfile', file('chain'), '-passout', 'pass:secret'];
    execFileSync('openssl', ['pkcs12', '-export', ...args, '-out', file('pfx')], { stdio: 'ignore' });
    return readFileSync(file('pfx'));
  } catch {
    return null;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const shapes: Record<string, tls.SecureContextOptions> = {
  'nothing asked for': {},
  'intermediate list': {
    ...pairOf(ec),
    ciphers:
      'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305',
    honorCipherOrder: true,
  },
  'a list by keywords': { ciphers: 'HIGH:!aNULL:!MD5', ca: [] },
  'one old suite': { ciphers: 'AES128-SHA', ca: [] },
  'suites of 1.3 alone': { ciphers: 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256', ca: [] },
  'a level of 0': { ciphers: 'DEFAULT:@SECLEVEL=0', ca: [] },
  'a level of 3': { ciphers: 'DEFAULT:@SECLEVEL=3', ca: [] },
  '1.2 alone': { ...pairOf(rsa), maxVersion: 'TLSv1.2', minVersion: 'TLSv1.2' },
  '1.3 alone': { ...pairOf(rsa), minVersion: 'TLSv1.3' },
  'from 1.0 on': { ca: [], minVersion: 'TLSv1' },
  'by a method': { ca: [], secureProtocol: 'TLSv1_2_method' },
  'by a method of servers': { ...pairOf(rsa), secureProtocol: 'TLSv1_2_server_method' },
  groups: { ca: [], ecdhCurve: 'P-384:X25519' },
  'a group that rustls lacks': { ca: [], ecdhCurve: 'P-521' },
  signatures: { ca: [], sigalgs: 'ecdsa_secp384r1_sha384:rsa_pss_rsae_sha256' },
  options: { ca: [], secureOptions: 1 << 14 },
  'an option that rustls lacks': { ca: [], secureOptions: 1 << 21 },
  'a timeout': { ca: [], sessionTimeout: 1234 },
  'two keys': { key: [keyPem(rsa.keys), keyPem(ec.keys)], cert: [rsa, ec].map((one) => one.pem + middle.pem) },
  'three keys': {
    key: [ed, rsa, p384].map(({ keys }) => keyPem(keys)),
    cert: [ed, rsa, p384].map((one) => one.pem + middle.pem),
  },
  'a key that is encrypted': { ...pairOf(rsa), key: keyPem(rsa.keys, 'secret'), passphrase: 'secret' },
  'a certificate alone': { ...pairOf(ec, [ec]), ca: [] },
  'a certificate whose issuers are known': { ...pairOf(ec, [ec]), ca: [root.pem, middle.pem] },
  'a chain of three': pairOf(ec, [ec, middle, root]),
  'a key of 1,024 bits': { ...pairOf(weak), ca: [], ciphers: 'DEFAULT:@SECLEVEL=0' },
  'a key for PSS': { ...pairOf(pss), ca: [] },
  'a curve that nobody has': { ...pairOf(koblitz), ca: [] },
  authorities: { ...pairOf(ec), ca: [root.pem, middle.pem] },
  'a list of the revoked': { ca: [root.pem], crl: revocationList(root, []) },
};
const file = pfx();
if (file === null) console.log(JSON.stringify({ skipped: 'there is no openssl to make a PKCS#12 file with' }));
else shapes['a PKCS#12 file'] = { pfx: file, passphrase: 'secret' };

/** The first flight that a client of a context sends. */
async function offer(secureContext: tls.SecureContext): Promise<Buffer | null> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const taken = once(server, 'connection') as Promise<[Socket]>;
  const client = tls.connect({ port, host: '127.0.0.1', secureContext, rejectUnauthorized: false });
  const refused = new Promise<null>((fulfil) => client.once('error', () => fulfil(null)));
  const [socket] = await taken;
  const bytes = await Promise.race([once(socket, 'data').then(([chunk]) => chunk as Buffer), refused]);
  client.destroy();
  socket.destroy();
  server.close();
  return bytes;
}

/** Chains that a server of these options sends to clients that want this or that kind of key, as digests. */
async function sent(options: tls.SecureContextOptions): Promise<string[]> {
  const server = tls.createServer(options).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const chains = new Set<string>();
  server.on('tlsClientError', () => {});
  for (const sigalgs of ['rsa_pss_rsae_sha256', 'ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384', 'ed25519']) {
    // In between: certificates are in the clear up to TLS 1.2, and Node does not show those of its server.
    const proxy = createServer((near) => {
      const far = connect(port, '127.0.0.1');
      const seen: Buffer[] = [];
      far.on('data', (chunk: Buffer) => {
        seen.push(chunk);
        near.write(chunk);
      });
      far.on('close', () => near.destroy());
      near.on('data', (chunk) => far.write(chunk));
      for (const socket of [near, far]) socket.on('error', () => {});
      near.on('close', () => {
        far.destroy();
        const { certificates } = messages(Buffer.concat(seen));
        if (certificates !== null) chains.add(certificates.map(digest).join());
      });
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const client = tls.connect({
      port: (proxy.address() as AddressInfo).port,
      host: '127.0.0.1',
      maxVersion: 'TLSv1.2',
      sigalgs,
      ca: [],
      ciphers: 'DEFAULT:@SECLEVEL=0',
      rejectUnauthorized: false,
    });
    client.on('secureConnect', () => client.destroy());
    client.on('error', () => {});
    // Not `once` of events, which an error ends.
    await new Promise((fulfil) => client.on('close', fulfil));
    await new Promise((fulfil) => proxy.close(fulfil));
  }
  server.close();
  return [...chains].sort();
}

const digest = (der: Buffer) => createHash('sha256').update(der).digest('hex').slice(0, 16);
const bytes = (hex: string) => Buffer.from(hex, 'hex');

for (const [name, options] of Object.entries(shapes)) {
  const secure = tls.createSecureContext(options);
  const context = open(secure);
  const snapshot = describe(context);
  const native = secure.context as unknown as {
    getMinProto(): number;
    getMaxProto(): number;
    getCertificate(): Buffer | null;
  };
  const hello = await offer(secure);
  const offered = hello === null ? null : parse(hello);
  const certificateOf = native.getCertificate();
  const hasKey = snapshot.pairs.length > 0;
  console.log(
    JSON.stringify({
      name,
      snapshot: {
        ...snapshot,
        // Keys are compared here: they are no matter for a line of output.
        pairs: snapshot.pairs.map(({ kind, chain, signs, compressed }) => ({
          kind,
          signs,
          compressed,
          chain: chain.map(bytes).map(digest),
        })),
      },
      keys: snapshot.pairs.map(({ key }) => key),
      own: [ec, rsa, ed, p384, weak, pss, koblitz].map(({ keys }) =>
        keys.privateKey.export({ type: 'pkcs8', format: 'der' }).toString('hex'),
      ),
      node: {
        min: native.getMinProto(),
        max: native.getMaxProto(),
        certificate: certificateOf === null ? null : digest(certificateOf),
        suites: offered?.suites ?? null,
        groups: offered?.groups ?? null,
        signatures: offered?.signatures ?? null,
        sent: hasKey ? await sent(options) : [],
      },
      fits: { server: fits(context, true), client: fits(context, false) },
      unchanged: native.getCertificate()?.equals(certificateOf ?? Buffer.alloc(0)) ?? certificateOf === null,
    }),
  );
}
