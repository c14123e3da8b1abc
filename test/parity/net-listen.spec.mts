/** Listening: addresses, families, sharing, adopted descriptors and handles, and what refuses. */
import { type Bench, twin } from '../support/twin.mjs';

describe('parity: net servers', () => {
  twin('an ephemeral port, its address, and the close callback', async (t: Bench) => {
    const server = t.net.createServer((socket) => {
      t.trace('connection', socket.remoteFamily, socket.localAddress, socket.remoteAddress);
      socket.end('bye');
    });
    server.on('close', () => t.trace('server close', server.listening, server.address()));
    const port = await t.listen(server);
    t.trace('listening', server.listening, server.address());
    const client = t.net.connect(port, '127.0.0.1');
    client.setEncoding('utf8');
    const got = t.lane('client');
    client.on('connect', () => got('connect', client.remotePort, client.remoteFamily));
    client.on('data', (text) => got('data', text));
    client.on('end', () => got('end'));
    await t.closed(client);
    while ((await new Promise((done) => server.getConnections((_, n) => done(n)))) !== 0) await t.turn();
    server.close((error) => t.trace('close callback', error));
    server.close((error) => t.trace('second close', error));
  });

  for (const host of ['::1', '::', '0.0.0.0', 'localhost', '']) {
    const name = host === '' ? 'no host' : host;
    twin(`${name}: which families reach it`, { given: host }, async (t, given: string) => {
      const server = t.net.createServer((socket) => {
        t.lane('server')(socket.remoteAddress, socket.remoteFamily, socket.localAddress);
        socket.resume();
        socket.on('end', () => t.lane('server')('end'));
      });
      const options = given === '' ? { port: 0 } : { port: 0, host: given };
      const port = await t.listen(server, options);
      t.trace(server.address());
      for (const to of ['127.0.0.1', '::1']) {
        const client = t.net.connect({ port, host: to });
        client.on('error', (error) => t.trace('error', error));
        client.on('connect', () => {
          t.trace('connected', client.remoteAddress, client.remoteFamily);
          client.end();
        });
        client.resume();
        await t.closed(client);
      }
      server.close();
    });
  }

  twin('ipv6Only refuses IPv4', async (t) => {
    const server = t.net.createServer((socket) => socket.end());
    const port = await t.listen(server, { port: 0, host: '::', ipv6Only: true });
    for (const host of ['::1', '127.0.0.1']) {
      const client = t.net.connect({ port, host });
      client.on('connect', () => t.trace('connect', host)).on('error', (e) => t.trace('error', e));
      client.resume();
      await t.closed(client);
    }
    server.close();
  });

  twin('a port in use: the error, its order, and listening again afterwards', async (t) => {
    const first = t.net.createServer();
    const port = await t.listen(first);
    const second = t.net.createServer((socket) => socket.end());
    second.on('error', (error) => t.trace('error', error, second.listening));
    second.on('close', () => t.trace('close'));
    second.on('listening', () => t.trace('listening', second.listening));
    second.listen(port, '127.0.0.1');
    t.trace('returned', second.listening);
    process.nextTick(() => t.trace('tick'));
    await t.once(second, 'error');
    const third = await t.listen(second);
    t.trace('again', third);
    const client = t.net.connect(third, '127.0.0.1').resume();
    await t.closed(client);
    first.close();
    second.close();
  });

  twin('addresses that cannot be bound', { traffic: false }, async (t) => {
    const cases: object[] = [
      { port: 0, host: '192.0.2.1' },
      { port: 0, host: '2001:db8::1' },
      { port: 0, host: '127.0.0.1', backlog: 1 },
      { fd: 9999 },
      { fd: 0 },
      { path: '' },
      { port: 0, host: '::ffff:127.0.0.1' },
    ];
    for (const options of cases) {
      const server = t.net.createServer();
      try {
        server.on('error', (error) => t.trace('event', options, error));
        server.on('listening', () => t.trace('listening', options));
        server.listen(options);
        await Promise.race([t.once(server, 'listening'), t.once(server, 'error').catch(() => {})]).catch(() => {});
      } catch (error) {
        t.trace('thrown', options, error);
      }
      if (server.listening) server.close();
    }
  });

  twin('arguments that throw', { traffic: false }, async (t) => {
    const server = t.net.createServer();
    const cases: unknown[] = [-1, 65536, 'x', {}, { port: -1 }, { port: 1.5 }, { port: null }, true, Number.NaN];
    for (const value of cases) {
      try {
        server.listen(value as number);
        t.trace('accepted', String(value));
        server.close();
        await t.closed(server);
      } catch (error) {
        t.trace('thrown', error);
      }
    }
    const open = await t.listen(server);
    try {
      server.listen(open);
    } catch (error) {
      t.trace('twice', error);
    }
    server.close();
  });

  twin('exclusive and reusePort', async (t) => {
    const shared = { port: 0, host: '127.0.0.1', reusePort: true, exclusive: true };
    const one = t.net.createServer((socket) => socket.end('one'));
    one.on('error', (error) => t.trace('one', error));
    one.listen(shared);
    await Promise.race([t.once(one, 'listening'), t.once(one, 'error').catch(() => {})]).catch(() => {});
    if (!one.listening) return;
    const port = (one.address() as { port: number }).port;
    t.port(port);
    const two = t.net.createServer((socket) => socket.end('two'));
    two.on('error', (error) => t.trace('two', error));
    two.listen({ ...shared, port });
    await Promise.race([t.once(two, 'listening'), t.once(two, 'error').catch(() => {})]).catch(() => {});
    t.trace('two listening', two.listening);
    for (let index = 0; index < 8; index++) {
      const client = t.net.connect(port, '127.0.0.1').resume();
      await t.closed(client);
    }
    one.close();
    if (two.listening) two.close();
  });

  twin('listen on a descriptor and on a handle', async (t) => {
    const first = t.net.createServer();
    const port = await t.listen(first);
    const handle = (first as unknown as { _handle: { fd: number } })._handle;
    t.trace('fd is a number', handle.fd > 2);
    const second = t.net.createServer((socket) => socket.end('by handle'));
    second.listen(handle as object, () => t.trace('second', second.address()));
    await t.once(second, 'listening');
    const client = t.net.connect(port, '127.0.0.1');
    client.on('data', (data) => t.trace('data', String(data)));
    await t.closed(client);
    second.close(() => t.trace('second closed'));
    await t.closed(second);
    first.close((error) => t.trace('first close', error));
  });

  twin('listen({fd}) of a descriptor inherited from a parent', async (t) => {
    // Bound and not listening: two listeners on one descriptor would race for the connection.
    const { TCP, constants } = t.binding('tcp_wrap');
    const bound = new TCP(constants.SERVER);
    bound.bind('127.0.0.1', 0, 0);
    const own: Record<string, number> = {};
    bound.getsockname(own);
    const port = own['port'] as number;
    t.port(port);
    const child = t.cp.spawn(
      process.execPath,
      [
        ...process.execArgv,
        '-e',
        `const s = require('net').createServer((c) => { c.end('from ' + s.address().family); s.close(); });
         s.listen({ fd: 3 }, () => console.log('up'));`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit', bound.fd] },
    );
    // Asked for before the connection: the child may be gone before its last byte has been dealt with here.
    const exited = t.once(child, 'exit');
    await t.once(child.stdout, 'data');
    const client = t.net.connect(port, '127.0.0.1');
    client.on('data', (data) => t.trace('data', String(data)));
    await t.closed(client);
    const [code] = await exited;
    t.trace('child', code);
    bound.close();
  });

  twin('backlog, maxConnections, getConnections and drop', async (t) => {
    const server = t.net.createServer((socket) => socket.resume());
    server.maxConnections = 2;
    let drops = 0;
    server.on('drop', (data) => {
      drops++;
      t.trace('drop', data?.localFamily, data?.remoteFamily, data?.localPort);
    });
    const port = await t.listen(server, { port: 0, host: '127.0.0.1', backlog: 4 });
    const clients = [];
    for (let index = 0; index < 4; index++) {
      const client = t.net.connect(port, '127.0.0.1');
      client.on('error', () => {});
      clients.push(client);
      await t.once(client, 'connect');
      if (index > 1) await t.closed(client.resume());
    }
    const count = await new Promise((done) => server.getConnections((_, n) => done(n)));
    t.trace('connections', count, 'drops', drops);
    for (const client of clients) client.end();
    server.close(() => t.trace('closed'));
  });

  twin('an abort signal closes the server', { traffic: false }, async (t) => {
    const abort = new AbortController();
    const server = t.net.createServer();
    server.on('close', () => t.trace('close'));
    server.listen({ port: 0, host: '127.0.0.1', signal: abort.signal });
    await t.once(server, 'listening');
    abort.abort();
    t.trace('listening after abort', server.listening);
    await t.closed(server);
    const never = t.net.createServer();
    never.on('listening', () => t.trace('never'));
    never.on('close', () => t.trace('closed before listening'));
    never.listen({ port: 0, host: '127.0.0.1', signal: AbortSignal.abort() });
  });

  twin('blockList refuses a peer', { since: 22 }, async (t) => {
    const blockList = new t.net.BlockList();
    blockList.addAddress('127.0.0.1');
    const server = t.net.createServer({ blockList } as object, () => t.trace('connection'));
    server.on('drop', (data) => t.trace('drop', data?.remoteFamily, data?.remoteAddress));
    const port = await t.listen(server, { port: 0, host: '127.0.0.1' });
    const client = t.net.connect(port, '127.0.0.1').resume();
    client.on('error', () => {});
    await t.closed(client);
    server.close();
  });

  twin('asyncDispose closes; listening twice in a row; close before listening', { traffic: false }, async (t) => {
    const server = t.net.createServer();
    server.close((error) => t.trace('close of a closed one', error));
    await t.turn();
    server.listen(0, '127.0.0.1');
    server.close(() => t.trace('close at once'));
    server.on('listening', () => t.trace('listening'));
    await t.closed(server);
    await t.listen(server);
    await (server as unknown as { [Symbol.asyncDispose](): Promise<void> })[Symbol.asyncDispose]();
    t.trace('disposed', server.listening);
  });
});
