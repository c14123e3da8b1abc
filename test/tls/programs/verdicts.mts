/** For each chain of the corpus and both roles: what a handshake of Node's says of it, and what the oracle says. One line each. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import * as tls from 'node:tls';
import { keyPem } from '../../support/certificates.mjs';
import { type Case, corpus } from './corpus.mjs';
import { describe, judge, open } from './probe.mjs';

/** The error that a socket of Node's says it would refuse the peer with. */
type Native = { verifyError(): (Error & { code: string }) | null };
const verifyError = (socket: tls.TLSSocket) => (socket as unknown as { _handle: Native })._handle.verifyError();

/** Weak keys and digests have to get as far as the verifier. */
const anything = 'DEFAULT:@SECLEVEL=0';

/** Who shows a chain, as Node wants it. */
function shown({ chain }: Case): tls.SecureContextOptions {
  const [leaf] = chain;
  if (leaf === undefined) throw new Error('a chain without certificates');
  // No authorities of its own: the usual ones take longer to load than all the rest.
  return { key: keyPem(leaf.keys), cert: chain.map(({ pem }) => pem).join(''), ca: [], ciphers: anything };
}

const cases = corpus();
/** A key of the verifier's own, which has to have a certificate where it is a server. */
const own = shown(cases[0] as Case);

async function handshake(
  server: tls.Server,
  options: tls.ConnectionOptions,
  atServer: boolean,
): Promise<{ code: string | null; message: string }> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const accepted = once(server, 'secureConnection') as Promise<[tls.TLSSocket]>;
  const client = tls.connect({
    ...options,
    port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  });
  const failed = new Promise<never>((_, reject) => {
    client.once('error', reject);
    server.once('tlsClientError', reject);
  });
  try {
    const [[socket]] = await Promise.race([Promise.all([accepted, once(client, 'secureConnect')]), failed]);
    const error = verifyError(atServer ? socket : client);
    socket.on('error', () => {});
    return { code: error?.code ?? null, message: error?.message ?? '' };
  } finally {
    accepted.catch(() => {});
    failed.catch(() => {});
    client.destroy();
    server.close();
  }
}

for (const one of cases) {
  const presented = shown(one);
  const { trust } = one;
  // As the context of who presents it has it, which is not asked by name here: what is sent.
  const chain = describe(open(tls.createSecureContext(presented))).pairs[0]?.chain.map((der) =>
    Buffer.from(der, 'hex'),
  );
  for (const atServer of [false, true]) {
    let node: { code: string | null; message: string };
    let context: number;
    try {
      if (atServer) {
        const server = tls.createServer({
          ...own,
          ...trust,
          requestCert: true,
          rejectUnauthorized: false,
          ciphers: 'DEFAULT',
        });
        context = open((server as unknown as { _sharedCreds: { context: unknown } })._sharedCreds);
        node = await handshake(server, { ...presented }, true);
      } else {
        const secureContext = tls.createSecureContext(trust);
        context = open(secureContext);
        node = await handshake(tls.createServer(presented), { secureContext }, false);
      }
    } catch (error) {
      console.log(JSON.stringify({ name: one.name, atServer, failed: String(error) }));
      continue;
    }
    console.log(JSON.stringify({ name: one.name, atServer, node, oracle: judge(context, atServer, chain ?? []) }));
  }
}
