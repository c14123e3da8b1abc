/**
 * Sessions of rustls' at one end, plain Node's OpenSSL at the other, in both roles. One line for each connection.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import * as tls from 'node:tls';
import { certificate, extensions, type Keys, keyPem, newKeys } from '../../support/certificates.mjs';
import { begin, client as clientOf, type Facts, facts, judge, open, parse, serve, step } from './probe.mjs';

const authority = [extensions.authority(), extensions.signsCertificates()];
const root = certificate({ subject: 'root', keys: newKeys.ec(), extensions: authority });
const leafOf = [extensions.endEntity(), extensions.signs(), extensions.hosts('localhost')];
const one = (keys: Keys) => {
  const { pem } = certificate({ subject: 'localhost', keys, issuer: root, extensions: leafOf });
  return { key: keyPem(keys), cert: pem };
};
const identities = {
  rsa: one(newKeys.rsa()),
  ec: one(newKeys.ec()),
  p384: one(newKeys.ec('secp384r1')),
  p521: one(newKeys.ec('secp521r1')),
  ed: one(newKeys.ed25519()),
  old: (() => {
    const keys = newKeys.ec();
    return { key: keyPem(keys), cert: certificate({ subject: 'localhost', keys, issuer: root, version: 1 }).pem };
  })(),
};
type Identity = keyof typeof identities;

/** What goes each way: several records. */
const TEXT = Buffer.from('There and back again. '.repeat(3000));

/** What one end says of a connection. */
interface End {
  readonly version: string | null;
  readonly suite: string;
  readonly protocol: string | null;
  readonly reused: boolean;
  readonly peer: string | null;
  readonly exported: string;
  readonly verdict: string | null;
}

function endOf(socket: tls.TLSSocket): End {
  const { alpnProtocol } = socket;
  // The names differ between rustls' list and OpenSSL's, the standard's do not.
  const { standardName } = socket.getCipher();
  const native = (socket as unknown as { _handle: { verifyError(): { code: string } | null } })._handle;
  return {
    version: socket.getProtocol(),
    suite: standardName,
    protocol: typeof alpnProtocol === 'string' ? alpnProtocol : null,
    reused: socket.isSessionReused(),
    peer: socket.getPeerCertificate().raw?.toString('hex') ?? null,
    exported: socket.exportKeyingMaterial(24, 'EXPORTER-tsloop', Buffer.from('context')).toString('hex'),
    verdict: native.verifyError()?.code ?? null,
  };
}

/** Moves bytes between a socket and a session, echoes or sends, and says what became of it. */
function drive(socket: Socket, session: number, first: Buffer, speaks: boolean, done: (result: object) => void) {
  let [told, got, spoken]: [Facts | null, number, boolean] = [null, 0, false];
  let [finished, closing] = [false, false];
  const finish = (result: object) => {
    if (finished) return;
    finished = true;
    done({ facts: told, got, ...result });
  };
  const move = (bytes: Buffer, plaintext?: Buffer, last = false) => {
    const { records, plaintext: read, failure, handshaking, ended } = step(session, bytes, plaintext, last);
    if (records.length > 0) socket.write(records);
    if (failure !== null) {
      finish({ failure });
      socket.end();
      return;
    }
    if (!handshaking) told ??= facts(session);
    got += read.length;
    if (!handshaking && speaks && !spoken) {
      spoken = true;
      move(Buffer.alloc(0), TEXT);
    }
    // What came goes back; who began ends when everything is back.
    if (read.length > 0 && !speaks) move(Buffer.alloc(0), read);
    if (speaks && got === TEXT.length && !closing) {
      closing = true;
      move(Buffer.alloc(0), undefined, true);
    }
    if (ended && !finished) {
      finish({ ended });
      socket.end(step(session, Buffer.alloc(0), undefined, true).records);
    }
  };
  socket.on('data', (bytes: Buffer) => !finished && move(bytes));
  socket.on('close', () => finish({ closed: true }));
  socket.on('error', () => {});
  move(first);
}

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A server of rustls', at which Node is the client. */
async function served(
  name: string,
  pool: readonly Identity[],
  options: tls.TlsOptions,
  asked: tls.ConnectionOptions,
  times = 1,
) {
  const secure = tls.createSecureContext({
    key: pool.map((key) => identities[key].key),
    cert: pool.map((key) => identities[key].cert),
    ca: root.pem,
    ...options,
  });
  const context = open(secure);
  const keys = (secure.context as unknown as { getTicketKeys(): Buffer }).getTicketKeys();
  const results: object[] = [];
  let settled: () => void = () => {};
  const server = createServer((socket) => {
    socket.on('error', () => {});
    let held = Buffer.alloc(0);
    const hold = (bytes: Buffer) => {
      held = Buffer.concat([held, bytes]);
      if (parse(held).more !== undefined) return;
      socket.removeListener('data', hold);
      const { requestCert = false, rejectUnauthorized = false } = options;
      const begun = serve(context, held, keys, {
        request: requestCert,
        require: rejectUnauthorized,
        protocols: (options.ALPNProtocols ?? []) as string[],
        curves: options.ecdhCurve ?? '',
      });
      const told = (result: object) => {
        results.push(result);
        settled();
      };
      if (begun.session === undefined) {
        told(begun);
        socket.destroy();
      } else drive(socket, begun.session, held, false, told);
    };
    socket.on('data', hold);
  });
  const port = await listening(server);
  let session: Buffer | undefined;
  for (let time = 0; time < times; time++) {
    const finished = new Promise<void>((fulfil) => (settled = fulfil));
    const socket = tls.connect({
      port,
      host: '127.0.0.1',
      servername: 'localhost',
      ca: root.pem,
      rejectUnauthorized: false,
      ...asked,
      ...(session === undefined ? {} : { session }),
    });
    socket.on('session', (ticket) => (session = ticket));
    let [end, back, error]: [End | null, number, string | null] = [null, 0, null];
    socket.on('secureConnect', () => {
      end = endOf(socket);
      socket.write(TEXT);
    });
    socket.on('data', (bytes: Buffer) => {
      back += bytes.length;
      if (back === TEXT.length) socket.end();
    });
    socket.on('error', (failure: NodeJS.ErrnoException) => (error = failure.code ?? failure.message));
    await Promise.all([finished, new Promise((fulfil) => socket.on('close', fulfil))]);
    console.log(JSON.stringify({ name, role: 'server', time, node: end, back, error, ...results.at(-1) }));
  }
  server.close();
}

/** A client of rustls', whose server is Node. */
async function connected(
  name: string,
  pool: readonly Identity[],
  options: tls.TlsOptions,
  asked: tls.SecureContextOptions & { protocols?: string[] },
  times = 1,
) {
  const server = tls.createServer({
    key: pool.map((key) => identities[key].key),
    cert: pool.map((key) => identities[key].cert),
    ca: root.pem,
    ...options,
  });
  let [end, error]: [End | null, string | null] = [null, null];
  server.on('secureConnection', (socket) => {
    end = endOf(socket);
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  server.on('tlsClientError', (failure: NodeJS.ErrnoException) => (error = failure.code ?? failure.message));
  const port = await listening(server);
  const { protocols = [], ...secure } = asked;
  const context = open(tls.createSecureContext({ ca: root.pem, ...secure }));
  const of = clientOf(context, asked.ecdhCurve);
  for (let time = 0; time < times; time++) {
    [end, error] = [null, null];
    const begun = begin(of, 'localhost', protocols);
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const result = await new Promise<{ facts: Facts | null }>((fulfil) => {
      if (begun.session === undefined) fulfil({ ...begun, facts: null });
      else drive(socket, begun.session, Buffer.alloc(0), true, (result) => fulfil(result as { facts: Facts | null }));
    });
    socket.destroy();
    const chain = result.facts?.chain.map((der) => Buffer.from(der, 'hex')) ?? [];
    const verdict = chain.length > 0 ? judge(context, false, chain).code : null;
    console.log(
      JSON.stringify({
        name,
        role: 'client',
        time,
        node: end,
        error,
        verdict,
        own: identities[pool[0] ?? 'ec'].cert,
        ...result,
      }),
    );
  }
  server.close();
}

const only12 = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;
const only13 = { minVersion: 'TLSv1.3' } as const;
const both = [only12, only13] as const;

for (const versions of both) {
  const version = versions === only12 ? '1.2' : '1.3';
  for (const key of Object.keys(identities) as Identity[]) {
    // Before 1.3 OpenSSL signs with SHA-256 whatever the curve, which rustls does not: those are OpenSSL's.
    if (versions === only13 || !/p384|p521/.test(key)) await served(`${key}, ${version}`, [key], versions, {});
    await connected(`${key}, ${version}`, [key], versions, {});
  }
  await served(`resumed, ${version}`, ['ec'], versions, {}, 3);
  await connected(`resumed, ${version}`, ['ec'], versions, {}, 3);
  const request = { ...versions, requestCert: true, rejectUnauthorized: false };
  const require = { ...versions, requestCert: true, rejectUnauthorized: true };
  for (const key of ['rsa', 'ec', 'p384', 'ed'] as const) {
    await served(`certificate of ${key}, ${version}`, ['ec'], request, identities[key]);
    await connected(`certificate of ${key}, ${version}`, ['ec'], request, identities[key]);
  }
  await served(`no certificate, ${version}`, ['ec'], request, {});
  await served(`certificate required, ${version}`, ['ec'], require, {});
  await connected(`certificate required, ${version}`, ['ec'], require, {});
  const protocols = ['h2', 'http/1.1'];
  await served(
    `protocols, ${version}`,
    ['ec'],
    { ...versions, ALPNProtocols: protocols },
    { ALPNProtocols: ['http/1.1', 'h2'] },
  );
  await connected(
    `protocols, ${version}`,
    ['ec'],
    { ...versions, ALPNProtocols: protocols },
    { protocols: ['http/1.1', 'h2'] },
  );
  await served(`group, ${version}`, ['ec'], { ...versions, ecdhCurve: 'P-384' }, { ecdhCurve: 'P-256:P-384' });
  await connected(`group, ${version}`, ['ec'], { ...versions, ecdhCurve: 'P-384' }, { ecdhCurve: 'P-256:P-384' });
}
await connected('nothing but CBC', ['ec'], { ...only12, ciphers: 'ECDHE-ECDSA-AES128-SHA' }, {});
await connected('unknown root', ['ec'], {}, { ca: certificate({ subject: 'another', keys: newKeys.ec() }).pem });
await served('two keys', ['rsa', 'ec'], {}, { sigalgs: 'rsa_pss_rsae_sha256' });
