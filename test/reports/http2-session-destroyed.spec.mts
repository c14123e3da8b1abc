/** An http2 session is given up: the other side hears of the end, and of no error of a write that came after it. */
import { twin } from '../support/twin.mjs';

describe('reports: an http2 session that its server gives up', () => {
  twin('the request closes, without an error', async (t) => {
    for (let round = 0; round < 5; round++) {
      const server = t.http2.createServer();
      server.on('stream', (stream) => {
        stream.on('error', (error) => t.lane('server')('stream', error));
        stream.session?.destroy();
      });
      const client = t.http2.connect(`http://127.0.0.1:${await t.listen(server)}`);
      client.on('error', (error) => t.trace('session', error));
      const request = client.request();
      request.on('error', (error) => t.trace('request', error));
      request.resume();
      await new Promise((done) => request.on('close', done));
      t.trace('closed', request.rstCode);
      client.close();
      server.close();
      await t.turn();
    }
  });

  twin('over TLS a server that goes on writing to a client that has left is told of no failure', async (t) => {
    const { key, cert } = t.certificate();
    for (let round = 0; round < 8; round++) {
      const server = t.http2.createSecureServer({ key, cert });
      server.on('sessionError', (error) => t.trace('server session', error));
      server.on('stream', (stream) => {
        stream.on('error', (error) => t.trace('server stream', error));
        const write = (): void => {
          stream.write('a'.repeat(10_240));
          stream.once('drain', write);
        };
        write();
      });
      const client = t.http2.connect(`https://127.0.0.1:${await t.listen(server)}`, {
        ca: cert,
        servername: 'localhost',
      });
      await Promise.all(
        Array.from({ length: 10 }, async (_, index) => {
          const request = client.request({ ':path': `/${index}` });
          await new Promise((done) => request.once('data', done));
          request.destroy();
        }),
      );
      client.destroy();
      await new Promise((done) => server.close(done));
      t.trace('closed', round);
    }
  });

  twin('over TLS a server writes for each chunk of a request whose client leaves in the middle', async (t) => {
    const { key, cert } = t.certificate();
    for (let round = 0; round < 8; round++) {
      const server = t.http2.createSecureServer({ key, cert, maxSessionMemory: 1000 });
      server.on('session', (session) => session.on('close', () => t.lane('server')('session closed')));
      server.on('stream', (stream) => {
        stream.on('close', () => t.lane('server')('stream closed', stream.rstCode));
        stream.on('data', () => {
          stream.write(Buffer.alloc(1));
          process.nextTick(() => request.destroy());
        });
      });
      const client = t.http2.connect(`https://127.0.0.1:${await t.listen(server)}`, {
        ca: cert,
        servername: 'localhost',
        maxSessionMemory: 1000,
      });
      const request = client.request({ ':method': 'POST' }).resume();
      request.write(Buffer.alloc(64 * 1024));
      await new Promise((done) => request.on('close', done));
      client.close();
      await new Promise((done) => server.close(done));
      t.trace('closed', round);
    }
  });
});
