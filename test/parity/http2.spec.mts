/** http2 in clear text: a native consumer of our handle on both sides. */
import { twin } from '../support/twin.mjs';

describe('parity: http2 in clear text', () => {
  twin('streams, headers, bodies both ways, trailers, and what the session tells of its socket', async (t) => {
    const server = t.http2.createServer();
    server.on('session', (session) => {
      t.lane('server')('session', session.alpnProtocol, session.encrypted, session.socket.remoteAddress, session.type);
    });
    server.on('stream', (stream, headers) => {
      let size = 0;
      stream.on('data', (data) => {
        size += data.length;
      });
      stream.on('end', () => {
        stream.respond(
          { ':status': 200, 'x-path': headers[':path'] as string, 'x-size': String(size) },
          { waitForTrailers: true },
        );
        stream.on('wantTrailers', () => stream.sendTrailers({ 'x-end': 'yes' }));
        stream.end('r'.repeat(size));
      });
    });
    const port = await t.listen(server);
    const session = t.http2.connect(`http://127.0.0.1:${port}`);
    await t.once(session, 'connect');
    t.trace(session.alpnProtocol, session.encrypted, session.socket.remotePort, session.connecting);
    const sizes = [0, 10, 20_000, 300_000];
    const rows = await Promise.all(
      sizes.map(
        (size) =>
          new Promise<unknown>((done) => {
            const request = session.request({ ':method': 'POST', ':path': `/${size}` });
            let got = 0;
            let status: unknown;
            let trailers: unknown;
            request.on('response', (headers) => {
              status = [headers[':status'], headers['x-path'], headers['x-size']];
            });
            request.on('trailers', (headers) => {
              trailers = headers['x-end'];
            });
            request.on('data', (data) => {
              got += data.length;
            });
            request.on('close', () => done([status, got, trailers, request.rstCode]));
            request.end(Buffer.alloc(size));
          }),
      ),
    );
    t.trace(rows);
    session.ping((error, _duration, payload) => {
      t.trace('ping', error, payload.length);
      session.close(() => t.trace('session closed'));
      server.close(() => t.lane('server')('server closed'));
    });
  });

  twin('resets, goaway, destroyed sessions and lost connections', async (t) => {
    const server = t.http2.createServer();
    server.on('sessionError', () => {});
    server.on('stream', (stream, headers) => {
      stream.on('error', () => {});
      if (headers[':path'] === '/reset') stream.close(t.http2.constants.NGHTTP2_CANCEL);
      else if (headers[':path'] === '/goaway') stream.session?.goaway(0);
      else if (headers[':path'] === '/destroy') stream.session?.destroy();
      else if (headers[':path'] === '/cut') stream.session?.socket.destroy();
    });
    const port = await t.listen(server);
    for (const path of ['/reset', '/destroy', '/abort']) {
      const session = t.http2.connect(`http://127.0.0.1:${port}`);
      session.on('error', (error) => t.trace(path, 'session', error));
      session.on('close', () => t.trace(path, 'session close'));
      const request = session.request({ ':path': path });
      request.on('error', (error) => t.trace(path, 'stream', error));
      request.on('close', () => {
        t.trace(path, 'stream close', request.rstCode);
        session.close();
      });
      request.resume();
      if (path === '/abort') {
        await t.once(server, 'stream');
        request.close(t.http2.constants.NGHTTP2_CANCEL);
      }
      await t.closed(session);
    }
    server.close();
  });

  twin('the compatibility layer and many streams at once', async (t) => {
    const server = t.http2.createServer((request, response) => {
      request.resume();
      setImmediate(() => response.end(`<${request.url}>`));
    });
    const port = await t.listen(server);
    const session = t.http2.connect(`http://127.0.0.1:${port}`);
    const texts = await Promise.all(
      Array.from(
        { length: 80 },
        (_, index) =>
          new Promise<string>((done) => {
            const request = session.request({ ':path': `/${index}` });
            let text = '';
            request.on('data', (data) => {
              text += data;
            });
            request.on('end', () => done(text));
          }),
      ),
    );
    t.trace(texts.join(''));
    session.close();
    server.close();
  });

  twin('flow control: a reader that stops', async (t) => {
    const server = t.http2.createServer();
    server.on('stream', (stream) => {
      stream.respond({ ':status': 200 });
      stream.end(Buffer.alloc(2_000_000, 'f'));
    });
    const port = await t.listen(server);
    const session = t.http2.connect(`http://127.0.0.1:${port}`);
    const request = session.request({ ':path': '/' });
    let size = 0;
    request.on('data', (data) => {
      size += data.length;
      request.pause();
      setTimeout(() => request.resume(), 1);
    });
    await t.closed(request);
    t.trace(size);
    session.close();
    server.close();
  });

  twin('an echo through a pipeline on both sides, byte for byte', async (t) => {
    const server = t.http2.createServer();
    server.on('stream', (stream) => {
      stream.respond({ ':status': 200 });
      // What this side says of the end is Node's own race up to 24: a last chunk that waits for the peer's window closes
      // the stream before its write has ended.
      t.stream.pipeline(stream, stream, () => {});
    });
    const port = await t.listen(server);
    const session = t.http2.connect(`http://127.0.0.1:${port}`);
    for (let round = 0; round < 5; round++) {
      const request = session.request({ ':method': 'POST', ':path': '/' });
      const sent = Buffer.alloc(400_000, `round ${round} `);
      const chunks: Buffer[] = [];
      request.on('data', (data) => chunks.push(data));
      request.end(sent);
      await t.closed(request);
      t.trace(round, Buffer.concat(chunks).equals(sent));
    }
    session.close();
    server.close();
  });
});
