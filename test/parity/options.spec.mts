/** Socket options as seen from outside, through the kernel's own view of the descriptor. */
import { twin } from '../support/twin.mjs';

describe('parity: socket options', () => {
  twin('setNoDelay, setKeepAlive and their options: what they return and accept', async (t) => {
    const server = t.net.createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 5000 }, (socket) => {
      socket.resume();
      socket.on('end', () => socket.end());
    });
    const port = await t.listen(server);
    const client = t.net.connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 1000,
    });
    t.trace(client.setNoDelay() === client, client.setKeepAlive(true, 2000) === client);
    await t.once(client, 'connect');
    for (const value of [true, false, undefined]) t.trace(client.setNoDelay(value) === client);
    t.trace(
      client.setKeepAlive(true) === client,
      client.setKeepAlive(true, 3000) === client,
      client.setKeepAlive(false) === client,
    );
    client.end();
    await t.closed(client.resume());
    t.trace(client.setNoDelay(true) === client, client.setKeepAlive(true) === client);
    server.close();
  });

  twin('the handle: every signature of setKeepAlive, setNoDelay and its numbers', async (t) => {
    const server = t.net.createServer((socket) => socket.resume().on('end', () => socket.end()));
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    await t.once(client, 'connect');
    const handle = (client as unknown as { _handle: Record<string, (...args: unknown[]) => unknown> })._handle;
    const arities: unknown[][] = [
      [true, 0],
      [true, 1],
      [false],
      [true, 1, 1, 3],
      [true, 1, undefined, undefined],
      [true, -1],
    ];
    for (const args of arities) t.trace('keepAlive', args.length, handle['setKeepAlive']?.(...args));
    for (const args of [[true], [false], []]) t.trace('noDelay', handle['setNoDelay']?.(...args));
    t.trace(
      typeof handle['setTypeOfService'],
      typeof handle['getTypeOfService'],
      typeof handle['setSimultaneousAccepts'],
    );
    client.end();
    await t.closed(client.resume());
    server.close();
  });

  twin('typeOfService is set and read back', { since: 24 }, async (t) => {
    type Marked = { setTypeOfService(n: number): unknown; getTypeOfService(): number };
    const server = t.net.createServer((socket) => socket.resume().on('end', () => socket.end()));
    const port = await t.listen(server);
    const client = t.net.connect({ port, host: '127.0.0.1', typeOfService: 0x10 } as never);
    const marked = client as unknown as Marked;
    if (typeof marked.setTypeOfService === 'function') {
      await t.once(client, 'connect');
      t.trace('set at birth', marked.getTypeOfService());
      for (const value of [0, 0x28, 255]) {
        marked.setTypeOfService(value);
        t.trace(value, marked.getTypeOfService());
      }
      for (const value of [-1, 256, 1.5, 'x']) {
        try {
          marked.setTypeOfService(value as number);
        } catch (error) {
          t.trace('thrown', error);
        }
      }
    }
    client.end();
    await t.closed(client.resume());
    server.close();
  });

  twin('keep-alive and nagle as the kernel sees them', async (t) => {
    // /proc/net/tcp tells the pending timer of a connection: 2 is keep-alive.
    const server = t.net.createServer((socket) => socket.resume().on('end', () => socket.end()));
    const port = await t.listen(server);
    const timer = (client: import('node:net').Socket): string => {
      const local = client.localPort?.toString(16).toUpperCase().padStart(4, '0');
      const remote = port.toString(16).toUpperCase().padStart(4, '0');
      for (const row of t.fs.readFileSync('/proc/net/tcp', 'utf8').split('\n')) {
        const cells = row.trim().split(/\s+/);
        if (cells[1]?.endsWith(`:${local}`) && cells[2]?.endsWith(`:${remote}`)) return String(cells[5]).slice(0, 2);
      }
      return 'none';
    };
    const plain = t.net.connect(port, '127.0.0.1');
    await t.once(plain, 'connect');
    t.trace('plain', timer(plain));
    plain.setKeepAlive(true, 5000);
    t.trace('set', timer(plain));
    plain.setKeepAlive(false);
    t.trace('unset', timer(plain));
    const early = t.net.connect({ port, host: '127.0.0.1', keepAlive: true, keepAliveInitialDelay: 9000 });
    await t.once(early, 'connect');
    t.trace('option', timer(early));
    for (const client of [plain, early]) client.destroy();
    server.close();
  });

  twin('descriptors: close-on-exec and non-blocking, for listeners, accepted and connected', async (t) => {
    const flags = (socket: unknown): string => {
      const fd = (socket as { _handle: { fd: number } })._handle.fd;
      const info = t.fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
      return String(/flags:\s+(\d+)/.exec(info)?.[1]);
    };
    const peers: import('node:net').Socket[] = [];
    const server = t.net.createServer((socket) => peers.push(socket));
    const port = await t.listen(server);
    t.trace('listener', flags(server));
    const client = t.net.connect(port, '127.0.0.1');
    await t.once(client, 'connect');
    while (peers.length === 0) await t.turn();
    t.trace('client', flags(client), 'accepted', flags(peers[0]));
    client.destroy();
    peers[0]?.destroy();
    server.close();
    const local = t.net.createServer((socket) => socket.end());
    await t.listen(local, { path: t.path('s') });
    t.trace('path', flags(local));
    local.close();
  });
});
