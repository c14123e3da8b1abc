/** Node's own TLS on top of tsloop's TCP: handshakes, data, sessions, failures, STARTTLS, https. */
import { type Bench, twin } from '../support/twin.mjs';

describe('parity: TLS over our transport', () => {
  // A handshake on a busy machine takes its time.
  const options = { timeout: 30_000 } as const;

  twin('a handshake, data both ways, close-notify and what the socket says', options, async (t: Bench) => {
    const { key, cert } = t.certificate();
    const server = t.tls.createServer({ key, cert, ALPNProtocols: ['echo'] }, (socket) => {
      const seen = t.lane('server');
      seen('secure', socket.authorized, socket.alpnProtocol, socket.getProtocol(), socket.remoteFamily);
      socket.pipe(socket);
      socket.on('close', (had) => seen('close', had));
    });
    const port = await t.listen(server);
    const client = t.tls.connect({
      port,
      host: '127.0.0.1',
      ca: cert,
      servername: 'localhost',
      ALPNProtocols: ['echo'],
    });
    for (const name of ['connect', 'secureConnect', 'ready', 'end', 'close']) client.on(name, () => t.trace(name));
    await t.once(client, 'secureConnect');
    t.trace(
      client.authorized,
      client.alpnProtocol,
      client.getProtocol(),
      client.getCipher().standardName,
      client.isSessionReused(),
    );
    let size = 0;
    client.on('data', (data) => {
      size += data.length;
      if (size === 1_000_000) client.end();
    });
    client.write(Buffer.alloc(1_000_000, 't'));
    await t.closed(client);
    t.trace(size, client.bytesWritten > 1_000_000 || client.bytesWritten);
    server.close();
  });

  twin(
    'failures: unknown authority, wrong name, plain text to a TLS port, a cut in the handshake',
    options,
    async (t) => {
      const { key, cert } = t.certificate();
      const server = t.tls.createServer({ key, cert }, (socket) => socket.on('error', () => {}).end('x'));
      server.on('tlsClientError', (error: NodeJS.ErrnoException) => t.lane('server')(error.code));
      const port = await t.listen(server);
      for (const [name, more] of [
        ['unknown', {}],
        ['name', { ca: cert, servername: 'elsewhere' }],
        ['fine', { ca: cert, servername: 'localhost' }],
      ] as const) {
        const client = t.tls.connect({ port, host: '127.0.0.1', ...more });
        client.on('error', (error: NodeJS.ErrnoException) => t.trace(name, 'error', error.code));
        client.on('secureConnect', () => t.trace(name, 'secure'));
        await t.closed(client.resume());
      }
      const plain = t.net.connect(port, '127.0.0.1');
      plain.on('error', () => {});
      plain.write('GET / HTTP/1.0\r\n\r\n');
      await t.closed(plain.resume());
      const told = t.once(server, 'tlsClientError');
      const cut = t.net.connect(port, '127.0.0.1');
      await t.once(cut, 'connect');
      cut.destroy();
      await t.closed(cut);
      await told;
      // Not before it has read what there is: unread, it would turn the end into a reset.
      const nobody = t.net.createServer((socket) => socket.once('data', () => socket.destroy()));
      const other = await t.listen(nobody);
      const client = t.tls.connect({ port: other, host: '127.0.0.1' });
      client.on('error', (error) => t.trace('cut', error));
      await t.closed(client);
      nobody.close();
      server.close();
    },
  );

  twin('https with keep-alive, resumption, and http2 over TLS', options, async (t) => {
    const { key, cert } = t.certificate();
    const server = t.https.createServer({ key, cert }, (request, response) => {
      response.setHeader('date', 'fixed');
      request.pipe(response);
    });
    const port = await t.listen(server);
    for (const keepAlive of [true, false]) {
      const agent = new t.https.Agent({ keepAlive, ca: cert });
      for (let round = 0; round < 3; round++) {
        await new Promise<void>((done) => {
          const request = t.https.request({ port, host: '127.0.0.1', method: 'POST', agent }, (response) => {
            const socket = response.socket as import('node:tls').TLSSocket;
            const reused = socket.isSessionReused();
            let size = 0;
            response.on('data', (data) => {
              size += data.length;
            });
            response.on('end', () => {
              t.trace(keepAlive, round, size, request.reusedSocket, reused);
              done();
            });
          });
          request.end(Buffer.alloc(40_000));
        });
      }
      agent.destroy();
    }
    server.close();
    const secure = t.http2.createSecureServer({ key, cert }, (request, response) => response.end(`h2 ${request.url}`));
    const h2 = await t.listen(secure);
    const session = t.http2.connect(`https://localhost:${h2}`, {
      ca: cert,
      lookup: ((_h: string, o: { all?: boolean }, done: (...args: unknown[]) => void) =>
        o.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4)) as never,
    });
    const request = session.request({ ':path': '/x' });
    let text = '';
    request.on('data', (data) => {
      text += data;
    });
    await t.closed(request);
    t.trace(text, session.alpnProtocol, session.encrypted, (session.socket as import('node:tls').TLSSocket).authorized);
    session.close();
    secure.close();
  });

  twin('STARTTLS: a plain socket becomes secure in the middle, and TLS inside TLS', options, async (t) => {
    const { key, cert } = t.certificate();
    const server = t.net.createServer((plain) => {
      plain.once('data', (data) => {
        t.lane('server')(String(data));
        plain.write('go ahead', () => {
          const secure = new t.tls.TLSSocket(plain, { isServer: true, key, cert });
          secure.on('error', (error) => t.lane('server')('error', error));
          secure.once('data', (text) => {
            t.lane('server')('secure', String(text));
            secure.end('bye');
          });
        });
      });
    });
    const port = await t.listen(server);
    const plain = t.net.connect(port, '127.0.0.1');
    plain.write('STARTTLS');
    const [answer] = await t.once(plain, 'data');
    t.trace(String(answer));
    const secure = t.tls.connect({ socket: plain, ca: cert, servername: 'localhost' });
    secure.on('data', (data) => t.trace(String(data)));
    await t.once(secure, 'secureConnect');
    secure.write('hidden');
    await t.closed(secure);
    server.close();
  });

  twin('a server that ends at once: the handshake arrives whole, and so do its last words', options, async (t) => {
    const { key, cert } = t.certificate();
    const server = t.tls.createServer({ key, cert, maxVersion: 'TLSv1.2' }, (socket) => {
      socket.on('error', (error) => t.lane('server')('error', error)).end('bye');
    });
    const port = await t.listen(server);
    for (let round = 0; round < 20; round++) {
      const client = t.tls.connect({ port, host: '127.0.0.1', ca: cert, servername: 'localhost' });
      let text = '';
      client.on('data', (data) => {
        text += data;
      });
      client.on('error', (error) => t.trace('error', error));
      await t.closed(client);
      t.trace(round, text);
    }
    server.close();
  });

  twin('a write behind one whose callback destroys the socket still arrives', options, async (t) => {
    const { key, cert } = t.certificate();
    const server = t.tls.createServer({ key, cert }, (socket) => {
      const seen = t.lane('server');
      socket.write('first ', () => {
        socket.write('second ', () => {
          seen('second written');
          socket.destroy();
        });
        socket.write('third', (error) => seen('third written', error));
      });
    });
    const port = await t.listen(server);
    const client = t.tls.connect({ port, host: '127.0.0.1', ca: cert, servername: 'localhost' });
    let text = '';
    client.on('data', (data) => {
      text += data;
    });
    client.on('end', () => t.trace('end', text));
    await t.closed(client);
    server.close();
  });
});
