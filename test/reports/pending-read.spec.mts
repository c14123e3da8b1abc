/** What waits on a socket before the loop has looked: newer lines' http Agent asks, and gives no request to such a socket. */
import { twin } from '../support/twin.mjs';

// The bodies look at Node's private handles, which have no types.
// biome-ignore lint/suspicious/noExplicitAny: see above
type Loose = any;

describe('reports: a socket on which something unasked for waits', () => {
  twin('the handle says so, where the line has the question', async (t) => {
    for (const what of ['nothing', 'bytes', 'bytes and the end', 'end', 'reset', 'closed'] as const) {
      const server = t.net.createServer();
      const port = await t.listen(server);
      const accepted = t.once(server, 'connection');
      const client: Loose = t.net.connect(port, '127.0.0.1');
      client.on('error', () => undefined);
      const [peer] = (await accepted) as Loose[];
      await t.turn();
      const handle = client._handle;
      const asked = (): unknown => handle.hasPendingRead?.();
      t.trace(what, typeof handle.hasPendingRead, asked());
      // Each is in the kernel when the call returns, and the loop has not looked.
      if (what.startsWith('bytes')) peer.write('x');
      if (what.endsWith('end')) peer.destroy();
      if (what === 'reset') peer.resetAndDestroy();
      if (what === 'closed') client.destroy();
      t.trace(asked());
      if (what === 'closed') {
        await t.closed(client);
        await t.turn();
        t.trace(asked());
      }
      client.destroy();
      peer.destroy();
      await new Promise((done) => server.close(done));
    }
  });

  for (const end of ['resetAndDestroy', 'end'] as const) {
    twin(
      `a request does not go to a connection that its server is done with: ${end}`,
      { given: end },
      async (t, end) => {
        const server = t.net.createServer((socket) => {
          socket.on('error', () => undefined);
          socket.on('data', () => {
            socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
            setImmediate(() => (socket as Loose)[end]());
          });
        });
        const port = await t.listen(server);
        const agent = new t.http.Agent({ keepAlive: true, maxSockets: 1 });
        const asks = 'hasPendingRead' in t.binding('tcp_wrap').TCP.prototype;
        for (let round = 0; round < 20; round++) {
          await new Promise<void>((done) => {
            const request = t.http.get({ port, host: '127.0.0.1', agent }, (response) => {
              response.resume().on('end', () => {
                // Lines without the question reuse it, or not, as the phases of the loop fall.
                if (asks) t.trace(response.statusCode, request.reusedSocket);
                done();
              });
            });
            request.on('error', (error) => {
              if (asks) t.trace(error);
              done();
            });
          });
          await new Promise<void>((done) => setImmediate(done));
        }
        agent.destroy();
        server.close();
      },
    );
  }
});
