/**
 * Random clients at random servers: what choose.rs says of the hello, beside what plain Node then does with it. One line each.
 *
 * The client's hello and the server's first flight are taken on the way, so that the truth is what was on the wire.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import * as tls from 'node:tls';
import { certificate, extensions, type Keys, keyPem, newKeys } from '../../support/certificates.mjs';
import { choose, describe, open, parse } from './probe.mjs';
import { messages } from './wire.mjs';

const SERVERS = Number(process.argv[3] ?? 30);
const CLIENTS = Number(process.argv[4] ?? 12);

/** A generator that can be started at the same place again: the seed is in every line. */
let state = Number(process.argv[5] ?? 1) >>> 0;
function random(below: number): number {
  // xorshift, of 32 bits.
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % below;
}
const pick = <T,>(of: readonly T[]): T => of[random(of.length)] as T;
const sometimes = <T,>(one: T, chance = 3): T | undefined => (random(chance) === 0 ? one : undefined);

const leaf = [extensions.endEntity(), extensions.signs(), extensions.hosts('localhost')];
const one = (keys: Keys) => {
  const { pem } = certificate({ subject: 'localhost', keys, extensions: leaf });
  return { key: keyPem(keys), cert: pem };
};
const keys = {
  rsa: one(newKeys.rsa()),
  ec: one(newKeys.ec()),
  p384: one(newKeys.ec('secp384r1')),
  p521: one(newKeys.ec('secp521r1')),
  ed: one(newKeys.ed25519()),
  pss: one(newKeys.pss()),
  koblitz: one(newKeys.ec('secp256k1')),
};
const pools: readonly (keyof typeof keys)[][] = [
  ['rsa'],
  ['ec'],
  ['rsa', 'ec'],
  ['p384'],
  ['ed'],
  ['ec', 'ed'],
  ['rsa', 'p384', 'ed'],
  ['p521'],
  ['pss', 'rsa'],
  ['koblitz', 'rsa'],
];
const lists = [
  'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:DHE-RSA-AES128-GCM-SHA256',
  'HIGH:!aNULL:!MD5',
  'ECDHE-RSA-AES128-SHA256:ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-CHACHA20-POLY1305',
  'AES128-SHA:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384:AES256-GCM-SHA384:DHE-RSA-AES256-GCM-SHA384',
  'TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256',
  'TLS_AES_128_CCM_SHA256:TLS_AES_256_GCM_SHA384:ECDHE-RSA-AES128-GCM-SHA256',
];
const curves = [
  'P-256',
  'X25519:P-256',
  'P-384:P-256',
  'P-521:P-256:X25519',
  'X448:X25519',
  'P-521',
  'P-256:P-384:X25519',
];
/** Lines with OpenSSL 3.5 know these. */
const newer =
  Number(process.versions.openssl.split('.')[1]) >= 5 ? ['X25519MLKEM768:X25519', 'P-256:X25519MLKEM768'] : [];
const algorithms = [
  'rsa_pss_rsae_sha256:ecdsa_secp256r1_sha256',
  'rsa_pkcs1_sha256:ecdsa_secp384r1_sha384:ecdsa_secp256r1_sha256',
  'ed25519:rsa_pkcs1_sha384:rsa_pss_rsae_sha512',
  'ecdsa_secp521r1_sha512:rsa_pss_pss_sha256:rsa_pss_rsae_sha384',
  'RSA+SHA224:ECDSA+SHA224:RSA+SHA256:ECDSA+SHA256',
];
const versions = [
  {},
  {},
  { maxVersion: 'TLSv1.2' as const },
  { minVersion: 'TLSv1.3' as const },
  { minVersion: 'TLSv1' as const, maxVersion: 'TLSv1.2' as const },
];

/** Options without those that are not asked for. */
function given<T extends object>(options: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never;
}

interface Wire {
  hello: Buffer;
  answer: Buffer;
}

/** Passes on what two say to each other, and keeps both sides' first words. */
function between(port: number, told: (wire: Wire) => void): Server {
  return createServer((near) => {
    const far = connect(port, '127.0.0.1');
    const heard: [Buffer[], Buffer[]] = [[], []];
    near.on('data', (chunk: Buffer) => {
      heard[0].push(chunk);
      far.write(chunk);
    });
    far.on('data', (chunk: Buffer) => {
      heard[1].push(chunk);
      near.write(chunk);
    });
    for (const socket of [near, far]) socket.on('error', () => {});
    near.on('end', () => far.end());
    far.on('close', () => near.end());
    near.on('close', () => {
      far.destroy();
      told({ hello: Buffer.concat(heard[0]), answer: Buffer.concat(heard[1]) });
    });
  });
}

for (let place = 0; place < SERVERS; place++) {
  const pool = pick(pools);
  const configured = {
    ciphers: sometimes(pick(lists), 2),
    honorCipherOrder: pick([true, true, true, false]),
    ecdhCurve: sometimes(pick([...curves, ...newer])),
    sigalgs: sometimes(pick(algorithms), 5),
    dhparam: sometimes('auto', 4),
    ALPNProtocols: sometimes(['h2', 'http/1.1']),
    ...pick(versions),
  };
  const options = {
    key: pool.map((name) => keys[name].key),
    cert: pool.map((name) => keys[name].cert),
    ca: [],
    ...given(configured),
  };
  const server = tls.createServer(options as tls.TlsOptions);
  const context = open((server as unknown as { _sharedCreds: { context: unknown } })._sharedCreds);
  const { pairs } = describe(context);
  server.on('tlsClientError', () => {});
  server.on('secureConnection', (socket) => socket.on('error', () => {}));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  for (let client = 0; client < CLIENTS; client++) {
    const from = state;
    const asked = {
      ciphers: sometimes(pick(lists), 2),
      ecdhCurve: sometimes(pick([...curves, ...newer])),
      sigalgs: sometimes(pick(algorithms)),
      ALPNProtocols: sometimes(pick([['http/1.1'], ['spdy/3'], ['h2']])),
      servername: sometimes('localhost', 2),
      ...pick(versions),
    };
    let tell: (wire: Wire) => void = () => {};
    const wired = new Promise<Wire>((fulfil) => (tell = fulfil));
    const proxy = between((server.address() as AddressInfo).port, tell).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const port = (proxy.address() as AddressInfo).port;
    const socket = tls.connect({
      ...given(asked),
      port,
      host: '127.0.0.1',
      ca: [],
      rejectUnauthorized: false,
    } as tls.ConnectionOptions);
    let secure: { certificate: string; protocol: string | null } | null = null;
    socket.on('secureConnect', () => {
      const protocol = socket.alpnProtocol;
      secure = {
        certificate: socket.getPeerCertificate().raw.toString('hex'),
        protocol: typeof protocol === 'string' ? protocol : null,
      };
      socket.end();
    });
    let offered = true;
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // The client has nothing to offer with these options: there is no hello.
      if (/NO_CIPHERS|NO_PROTOCOLS|NO_SUITABLE|INTERNAL_ERROR/.test(error.code ?? '')) offered = false;
    });
    socket.resume();
    const wire = await wired;
    proxy.close();
    socket.destroy();
    const hello = parse(wire.hello);
    const truth = messages(wire.answer);
    const line = { seed: from, pool, configured, asked };
    if (wire.hello.length === 0 && !offered) {
      console.log(JSON.stringify({ ...line, silent: true }));
      continue;
    }
    const choice = choose(context, wire.hello, {
      curves: configured.ecdhCurve ?? '',
      diffieHellman: configured.dhparam !== undefined,
      protocols: configured.ALPNProtocols ?? [],
    });
    console.log(
      JSON.stringify({
        ...line,
        whole: hello.refused === undefined && hello.more === undefined,
        choice: choice && { ...choice, certificate: pairs[choice.pair]?.chain[0] },
        node: { ...truth, certificates: truth.certificates?.map((der) => der.toString('hex')) ?? null, secure },
      }),
    );
  }
  server.close();
}
