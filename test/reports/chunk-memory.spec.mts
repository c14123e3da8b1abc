/** A chunk is its own memory, and `bytesRead` counts what was handed over. */
import { twin } from '../support/twin.mjs';

describe('reports: the memory of a chunk', () => {
  // From Node 26 on its own large chunks have a buffer of 64 KiB; ours are exact on every line.
  twin('nothing lies behind the bytes of a chunk, whatever its size', { before: 26 }, async (t) => {
    const server = t.net.createServer(async (socket) => {
      for (const size of [10, 100, 5000, 40_000, 45_000, 50_000, 60_000, 200_000]) {
        socket.write(Buffer.alloc(size, 1));
        await t.sleep(20);
      }
      socket.end();
    });
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    let more = 0;
    let bytes = 0;
    client.on('data', (data) => {
      bytes += data.length;
      if (data.buffer.byteLength !== data.length || data.byteOffset !== 0) more += 1;
    });
    await t.closed(client);
    t.trace(bytes, more);
    server.close();
  });

  for (const destroys of [false, true]) {
    twin(
      `bytesRead inside the callback of onread${destroys ? ', which destroys the socket' : ''}`,
      { given: destroys },
      async (t, destroys) => {
        const server = t.net.createServer((socket) => {
          socket.on('error', () => {});
          socket.end('abcdefghijkl');
        });
        const port = await t.listen(server);
        const seen: number[] = [];
        const client = t.net.connect({
          port,
          host: '127.0.0.1',
          onread: {
            buffer: Buffer.alloc(4),
            callback: () => {
              seen.push(client.bytesRead);
              if (destroys && seen.length === 2) client.destroy();
              return true;
            },
          },
        });
        await t.closed(client);
        t.trace(seen, client.bytesRead);
        server.close();
      },
    );
  }
});
