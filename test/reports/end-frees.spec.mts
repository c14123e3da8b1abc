/** The end of a connection frees what it held, in the same turn of the loop. */
import { twin } from '../support/twin.mjs';

describe('reports: the end of a connection', () => {
  twin('its local port is free when it has closed', async (t) => {
    const server = t.net.createServer((socket) => socket.on('error', () => {}).end());
    const port = await t.listen(server);
    const probe = t.net.createServer();
    const localPort = await t.listen(probe);
    await new Promise((done) => probe.close(done));
    for (let round = 0; round < 40; round++) {
      const client = t.net.connect({ port, host: '127.0.0.1', localPort });
      client.on('error', (error) => t.trace(error)).resume();
      await t.closed(client);
    }
    server.close();
  });

  for (const how of ['destroy', 'resetAndDestroy', 'end'] as const)
    twin(`its descriptor is free when it has closed: ${how}`, { given: how }, async (t, how: 'destroy' | 'end') => {
      const { clients, peers, end } = await t.connections(9);
      // What is opened once, when a first connection closes, is there from here on.
      const first = clients.shift() as import('node:net').Socket;
      peers.shift()?.destroy();
      first.destroy();
      await t.closed(first);
      await t.sleep(20);
      const before = t.descriptors();
      for (const peer of peers) peer.on('error', () => {}).resume();
      for (const [index, client] of clients.entries()) {
        client.on('error', () => {}).resume();
        client[how]();
        await t.closed(client);
        // Its own; the other end may close whenever it likes.
        const gone = before - t.descriptors();
        t.trace(gone > index ? 'free' : gone);
      }
      end();
    });

  twin('a pool never uses a connection again that was reset behind its answer', { before: 24 }, async (t) => {
    const server = t.net.createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
        setImmediate(() => socket.resetAndDestroy());
      });
    });
    const port = await t.listen(server);
    const agent = new t.http.Agent({ keepAlive: true, maxSockets: 1 });
    for (let round = 0; round < 20; round++) {
      await new Promise<void>((done) => {
        const request = t.http.get({ port, host: '127.0.0.1', agent }, (response) => {
          response.resume();
          response.on('end', () => {
            t.trace(response.statusCode, request.reusedSocket);
            done();
          });
        });
        request.on('error', (error) => {
          t.trace(error);
          done();
        });
      });
      await t.turn();
    }
    agent.destroy();
    server.close();
  });

  // With a second thread it is that thread's speed that decides the turn.
  for (const how of ['end', 'resetAndDestroy'] as const)
    twin(
      `write and ${how}: in which turn the peer hears of them`,
      { given: how, drivers: ['inline'] },
      async (t, how) => {
        let turn = 0;
        const tick = (): void => {
          turn++;
          if (turn < 12) setImmediate(tick);
        };
        const server = t.net.createServer((socket) => {
          socket.on('error', () => {});
          socket.on('data', () => {
            socket.write('answer');
            socket[how as 'end']();
          });
        });
        const port = await t.listen(server);
        const client = t.net.connect(port, '127.0.0.1', () => {
          setTimeout(() => {
            tick();
            client.write('q');
          }, 30);
        });
        for (const event of ['data', 'end', 'error', 'close']) client.on(event, () => t.trace(event, turn));
        await t.closed(client);
        server.close();
      },
    );
});
