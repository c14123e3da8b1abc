/** Connecting: success, every way to fail, races between addresses, and giving up. */
import { twin } from '../support/twin.mjs';

describe('parity: net clients', () => {
  twin('order of events on a plain connection', async (t) => {
    const server = t.net.createServer((socket) => socket.pipe(socket));
    const port = await t.listen(server);
    const client = t.net.connect({ port, host: '127.0.0.1' }, () => t.trace('callback'));
    t.trace('state', client.connecting, client.pending, client.readyState, client.bytesRead);
    for (const name of ['lookup', 'ready', 'connect', 'connectionAttempt', 'end', 'close', 'finish']) {
      client.on(name, (...args: unknown[]) => t.trace(name, name === 'close' ? args : args.length));
    }
    await t.once(client, 'ready');
    t.port(client.localPort);
    t.trace('state', client.connecting, client.pending, client.readyState, client.address());
    client.end('hello');
    client.on('data', (data) => t.trace('data', String(data), client.readyState));
    await t.closed(client);
    t.trace('state', client.readyState, client.destroyed, client.bytesRead, client.bytesWritten);
    server.close();
  });

  twin('nobody listens: the error and the close', { traffic: false }, async (t) => {
    const server = t.net.createServer();
    const port = await t.listen(server);
    server.close();
    await t.closed(server);
    // A name with two addresses: an attempt given up for its slowness would be another error.
    const patient = { autoSelectFamilyAttemptTimeout: 10_000 };
    for (const host of ['127.0.0.1', '::1', 'localhost']) {
      const client = t.net.connect({ port, host, ...patient });
      client.on('error', (error) => t.trace('error', error, client.destroyed));
      client.on('close', (had) => t.trace('close', had));
      await t.closed(client);
    }
  });

  twin('happy eyeballs: the first address refuses, the second answers', async (t) => {
    const server = t.net.createServer((socket) => socket.end('hi'));
    const port = await t.listen(server);
    const client = t.net.connect({
      port,
      host: 'two.example',
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: 10_000,
      lookup: ((_host: string, _options: object, done: (e: null, a: object[]) => void) =>
        done(null, [
          { address: '::1', family: 6 },
          { address: '127.0.0.1', family: 4 },
        ])) as never,
    });
    for (const name of ['connectionAttempt', 'connectionAttemptFailed', 'connectionAttemptTimeout']) {
      client.on(name, (...args: unknown[]) => t.trace(name, ...args));
    }
    client.on('connect', () =>
      t.trace(
        'connect',
        client.remoteAddress,
        (client as unknown as Record<string, unknown>)['autoSelectFamilyAttemptedAddresses'],
      ),
    );
    client.resume();
    await t.closed(client);
    server.close();
  });

  twin('happy eyeballs: every address refuses', { traffic: false }, async (t) => {
    const server = t.net.createServer();
    const port = await t.listen(server);
    server.close();
    await t.closed(server);
    const client = t.net.connect({
      port,
      host: 'two.example',
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: 10_000,
      lookup: ((_host: string, _options: object, done: (e: null, a: object[]) => void) =>
        done(null, [
          { address: '127.0.0.1', family: 4 },
          { address: '::1', family: 6 },
          { address: '127.0.0.2', family: 4 },
        ])) as never,
    });
    client.on('error', (error) => t.trace('error', error));
    await t.closed(client);
  });

  twin('localAddress and localPort, free and taken and foreign', async (t) => {
    const server = t.net.createServer((socket) => socket.end());
    const port = await t.listen(server);
    for (const options of [
      { localAddress: '127.0.0.2' },
      { localAddress: '192.0.2.7' },
      { localPort: port, localAddress: '127.0.0.1' },
      { localAddress: 'not an address' },
    ]) {
      try {
        const client = t.net.connect({ port, host: '127.0.0.1', ...options });
        client.on('connect', () => t.trace('connect', client.localAddress));
        client.on('error', (error: Error) => t.trace('error', error));
        await t.closed(client.resume());
      } catch (error) {
        t.trace('thrown', error);
      }
    }
    server.close();
  });

  twin('arguments that throw', { traffic: false }, (t) => {
    const cases: unknown[] = [
      { port: -1 },
      { port: 70000 },
      { port: 'x' },
      { port: 1.2 },
      {},
      { port: 1, lookup: 1 },
      { port: 1, family: 9, host: '127.0.0.1' },
      { port: 1, localAddress: 'zz' },
      { path: 1 },
      { port: 1, noDelay: 1, timeout: 'x' },
    ];
    for (const options of cases) {
      try {
        const client = t.net.connect(options as { port: number });
        client.on('error', (error) => t.trace('event', JSON.stringify(options), error));
      } catch (error) {
        t.trace('thrown', JSON.stringify(options), error);
      }
    }
  });

  twin('destroy while connecting, with and without an error', { traffic: false }, async (t) => {
    const server = t.net.createServer((socket) => {
      socket.on('error', () => {});
      socket.resume();
    });
    const port = await t.listen(server);
    for (const error of [undefined, new Error('given up')]) {
      const client = t.net.connect(port, '127.0.0.1');
      client.on('connect', () => t.trace('connect'));
      client.on('error', (e) => t.trace('error', e));
      client.on('close', (had) => t.trace('close', had));
      client.write('early', (e) => t.trace('write callback', e));
      client.destroy(error);
      await t.closed(client);
    }
    server.close();
  });

  twin('an abort signal ends a connection, before and after', async (t) => {
    const server = t.net.createServer((socket) => {
      socket.on('error', () => {});
      socket.resume();
    });
    const port = await t.listen(server);
    const early = t.net.connect({ port, host: '127.0.0.1', signal: AbortSignal.abort() } as never);
    early.on('error', (e: Error) => t.trace('early', e));
    early.on('connect', () => t.trace('early connect'));
    await Promise.race([t.closed(early), t.sleep(50)]);
    t.trace('early', early.destroyed);
    early.destroy();
    (early as unknown as { _handle: { close(): void } | null })._handle?.close();
    const abort = new AbortController();
    const late = t.net.connect({ port, host: '127.0.0.1', signal: abort.signal } as never);
    late.on('error', (e: Error) => t.trace('late', e));
    await t.once(late, 'connect');
    abort.abort();
    await t.closed(late);
    server.close();
  });

  twin('blockList on the client', { since: 22, traffic: false }, async (t) => {
    const blockList = new t.net.BlockList();
    blockList.addAddress('127.0.0.1');
    const client = t.net.connect({ port: 9, host: '127.0.0.1', blockList } as never);
    client.on('error', (error: Error) => t.trace('error', error));
    await t.closed(client);
  });

  twin('writes before the connection is up keep their order', async (t) => {
    const server = t.net.createServer((socket) => {
      let text = '';
      socket.on('data', (data) => {
        text += data;
      });
      socket.on('end', () => {
        t.lane('server')(text);
        socket.end('ok');
      });
    });
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    t.trace(client.write('a', () => t.trace('a written')));
    t.trace(client.write(Buffer.from('b'), () => t.trace('b written')));
    t.trace(client.write('c', 'latin1', () => t.trace('c written')));
    t.trace('bytesWritten', client.bytesWritten, client.bufferSize);
    client.on('connect', () => t.trace('connect', client.bytesWritten));
    client.end('d', () => t.trace('finish'));
    client.resume();
    await t.closed(client);
    t.trace('bytesWritten', client.bytesWritten);
    server.close();
  });

  twin('a socket connects again after it closed', async (t) => {
    const server = t.net.createServer((socket) => socket.end('x'));
    const port = await t.listen(server);
    const client = new t.net.Socket();
    for (let round = 0; round < 3; round++) {
      client.connect(port, '127.0.0.1', () => t.trace('connect', round, client.destroyed));
      client.once('data', (data) => t.trace('data', String(data), client.bytesRead));
      await t.closed(client);
    }
    server.close();
  });

  twin('connect before and after: second connect on a connected socket', async (t) => {
    const server = t.net.createServer((socket) => socket.end('x'));
    const port = await t.listen(server);
    for (let round = 0; round < 10; round++) {
      const client = t.net.connect(port, '127.0.0.1');
      // Which of the two is told first, the data or the refusal, is a race: that it closes is not.
      client.on('error', () => {});
      await t.once(client, 'connect');
      const closed = t.closed(client);
      client.connect(port, '127.0.0.1');
      client.resume();
      await closed;
      t.trace(round, client.destroyed);
    }
    server.close();
  });

  twin('a name that does not resolve', { traffic: false }, async (t) => {
    const client = t.net.connect({
      port: 1,
      host: 'nowhere.example',
      lookup: ((_h: string, _o: object, done: (e: Error) => void) =>
        done(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }))) as never,
    });
    client.on('lookup', (error) => t.trace('lookup', error));
    client.on('error', (error) => t.trace('error', error));
    await t.closed(client);
  });

  twin('many at once all finish', async (t) => {
    let accepted = 0;
    const server = t.net.createServer((socket) => {
      accepted++;
      socket.end('x');
    });
    const port = await t.listen(server);
    const all = Array.from({ length: 200 }, () => {
      const client = t.net.connect(port, '127.0.0.1');
      let bytes = 0;
      client.on('data', (data) => {
        bytes += data.length;
      });
      return new Promise((done) => client.on('close', (had) => done(`${had} ${bytes}`)));
    });
    const results = new Set(await Promise.all(all));
    t.trace([...results], accepted);
    server.close();
  });
});
