/** The end of a connection: destroy, reset, cancelled work, shutdown, and in what order it is told. */
import { resolve } from 'node:path';
import { root } from '../support/nodes.mjs';
import { twin } from '../support/twin.mjs';

describe('parity: closing', () => {
  twin('close callback against nextTick, immediates and timers', async (t) => {
    const server = t.net.createServer((socket) => socket.resume());
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    await t.once(client, 'connect');
    client.on('close', () => t.trace('close'));
    client.destroy();
    t.trace('destroyed', client.destroyed);
    process.nextTick(() => t.trace('tick'));
    Promise.resolve().then(() => t.trace('microtask'));
    setImmediate(() => t.trace('immediate'));
    await t.closed(client);
    setImmediate(() => t.trace('after'));
    server.close(() => t.lane('server')('closed'));
  });

  twin('several sockets destroyed in one tick: the order of their close events', async (t) => {
    const server = t.net.createServer((socket) => socket.on('error', () => {}).resume());
    const port = await t.listen(server);
    const clients: import('node:net').Socket[] = [];
    for (let index = 0; index < 4; index++) {
      const client = t.net.connect(port, '127.0.0.1');
      client.on('close', () => t.trace('close', index));
      await t.once(client, 'connect');
      clients.push(client);
    }
    for (const client of clients) client.destroy();
    await Promise.all(clients.map((client) => t.closed(client)));
    server.close();
  });

  twin('who ends second closes first, with both ends in one process', async (t) => {
    for (let round = 0; round < 20; round++) {
      const server = t.net.createServer((socket) => {
        socket.on('close', () => t.trace('the end that ended first has closed'));
        socket.resume();
        socket.end();
      });
      const port = await t.listen(server);
      const client = t.net.connect(port, '127.0.0.1');
      client.on('close', () => t.trace('the end that answered has closed'));
      client.resume();
      await t.closed(client);
      await new Promise<void>((done) => server.close(() => done()));
    }
  });

  twin('close from inside a data event, from an immediate and from a timer', async (t) => {
    const server = t.net.createServer((socket) => {
      socket.write('x');
      socket.on('error', () => {});
      socket.resume();
    });
    const port = await t.listen(server);
    for (const from of ['data', 'immediate', 'timer']) {
      const client = t.net.connect(port, '127.0.0.1');
      client.on('close', () => t.trace(from, 'close'));
      await t.once(client, 'data');
      const end = (): void => {
        client.destroy();
        process.nextTick(() => t.trace(from, 'tick'));
        setImmediate(() => t.trace(from, 'immediate'));
      };
      if (from === 'data') client.once('data', end);
      else if (from === 'immediate') setImmediate(end);
      else setTimeout(end, 1);
      if (from === 'data') end();
      await t.closed(client);
      await t.turn();
    }
    server.close();
  });

  twin('writes pending at destroy: callbacks and their errors', async (t) => {
    const server = t.net.createServer((socket) => {
      socket.pause();
      socket.on('error', () => {});
      setTimeout(() => socket.destroy(), 200);
    });
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    await t.once(client, 'connect');
    const chunk = Buffer.alloc(16 * 1024 * 1024);
    for (let index = 0; index < 3; index++) {
      client.write(chunk, (error) => t.trace('write', index, error));
    }
    client.end(() => t.trace('end callback'));
    client.on('error', (error) => t.trace('error', error));
    client.on('close', (had) => t.trace('close', had));
    client.destroy();
    await t.closed(client);
    client.write('after', (error) => t.trace('after close', error));
    await t.turn();
    server.close();
  });

  twin('destroy(error) carries the error to pending writes', async (t) => {
    const server = t.net.createServer((socket) => {
      socket.pause();
      socket.on('error', () => {});
      setTimeout(() => socket.destroy(), 200);
    });
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    await t.once(client, 'connect');
    client.write(Buffer.alloc(16 * 1024 * 1024), (error) => t.trace('write', error));
    client.on('error', (error) => t.trace('error', error));
    client.destroy(new Error('mine'));
    client.destroy(new Error('second'));
    await t.closed(client);
    server.close();
  });

  twin('resetAndDestroy: the peer sees a reset', async (t) => {
    const server = t.net.createServer((socket) => {
      const seen = t.lane('server');
      socket.on('error', (error) => seen('error', error));
      socket.on('end', () => seen('end'));
      socket.on('close', (had) => seen('close', had));
      socket.resume();
      socket.write('go');
    });
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    client.on('error', (error) => t.trace('error', error));
    client.on('close', (had) => t.trace('close', had));
    await t.once(client, 'data');
    t.trace(client.resetAndDestroy() === client, client.destroyed);
    await t.closed(client);
    client.resetAndDestroy();
    server.close();
  });

  twin('resetAndDestroy while connecting and on an unconnected socket', async (t) => {
    const server = t.net.createServer((socket) => {
      socket.on('error', (error) => t.lane('server')(error));
      socket.resume();
    });
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    client.on('error', (error) => t.trace('error', error));
    client.on('connect', () => t.trace('connect'));
    client.resetAndDestroy();
    await t.closed(client);
    const none = new t.net.Socket();
    none.on('error', (error) => t.trace('none', error));
    none.resetAndDestroy();
    await t.closed(none);
    await t.sleep(30);
    server.close();
  });

  twin('the peer resets while we read, while we write, while we wait', async (t) => {
    const server = t.net.createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.resetAndDestroy());
    });
    const port = await t.listen(server);
    for (const what of ['read', 'wait', 'paused']) {
      const client = t.net.connect(port, '127.0.0.1');
      client.on('error', (error) => t.trace(what, 'error', error));
      client.on('end', () => t.trace(what, 'end'));
      client.on('close', (had) => t.trace(what, 'close', had));
      client.write('x');
      if (what === 'read') client.resume();
      if (what === 'paused') {
        client.pause();
        setTimeout(() => client.resume(), 30);
      }
      if (what === 'wait') setTimeout(() => client.resume(), 30);
      await t.closed(client);
    }
    server.close();
  });

  twin('a shutdown and a reset that are told of together: their order, and whose error it is', async (t) => {
    type Socket = import('node:net').Socket;
    const ways: Record<string, (ours: Socket, peer: Socket, ended: (error?: Error | null) => void) => void> = {
      'end, then the reset'(ours, peer, ended) {
        ours.end(ended);
        peer.resetAndDestroy();
      },
      'the reset, then end'(ours, peer, ended) {
        peer.resetAndDestroy();
        ours.end(ended);
      },
      'bytes and the end, then the reset'(ours, peer, ended) {
        ours.write('bytes');
        ours.end('more', ended);
        peer.resetAndDestroy();
      },
      'the reset once it has ended'(ours, peer, ended) {
        ours.end((error?: Error | null) => {
          ended(error);
          peer.resetAndDestroy();
        });
      },
    };
    const asleep = new Int32Array(new SharedArrayBuffer(4));
    for (const [name, way] of Object.entries(ways)) {
      // Seen one after the other, and both at once by a loop that was busy.
      for (const busy of [0, 30]) {
        const trace = t.lane(`${name}, ${busy}`);
        const server = t.net.createServer();
        const port = await t.listen(server);
        const peer = t.net.connect(port, '127.0.0.1');
        peer.on('error', () => {});
        const [[ours]] = await Promise.all([t.once(server, 'connection'), t.once(peer, 'connect')]);
        for (const event of ['finish', 'end']) ours.on(event, () => trace(event));
        ours.on('error', ({ code, syscall }: NodeJS.ErrnoException) => trace('error', code, syscall));
        ours.on('close', (failed: boolean) => trace('close', failed));
        ours.resume();
        await t.turn();
        way(ours, peer, (error) => trace('ended', (error as NodeJS.ErrnoException | null)?.code));
        if (busy > 0) Atomics.wait(asleep, 0, 0, busy);
        await t.closed(ours);
        server.close();
      }
    }
  });

  const entry = resolve(root, 'dist', 'index.js');
  twin('a reset overtakes a write that may have counted as written', { given: entry }, async (t, entry: string) => {
    const tsloop = t.require(entry);
    // Under the offload driver a write ends inside its call, and what the kernel has no room for waits as a copy.
    const waits = (): boolean => tsloop.isActive() && tsloop.stats().queues.writeBytes > 0;
    for (const pauseOnConnect of [true, false]) {
      for (const size of [5_000, 30_000, 60_000]) {
        const trace = t.lane(`${pauseOnConnect ? 'not reading' : 'reading'}, ${size}`);
        const server = t.net.createServer({ pauseOnConnect });
        const port = await t.listen(server);
        const peer = t.net.connect(port, '127.0.0.1').pause();
        peer.on('error', () => {});
        const [[ours]] = await Promise.all([t.once(server, 'connection'), t.once(peer, 'connect')]);
        ours.on('error', ({ code }: NodeJS.ErrnoException) => trace('error', code));
        ours.on('close', (failed: boolean) => trace('close', failed));
        if (!pauseOnConnect) ours.resume();
        for (let written = true; written && !waits(); ) {
          written = false;
          ours.write(Buffer.alloc(size), () => {
            written = true;
          });
          await t.turn();
          await t.turn();
        }
        peer.resetAndDestroy();
        await t.closed(ours);
        trace('waits', waits());
        server.close();
      }
    }
  });

  twin('writing to a peer that has gone: EPIPE or ECONNRESET', async (t) => {
    const server = t.net.createServer((socket) => {
      socket.on('error', () => {});
      socket.destroy();
    });
    const port = await t.listen(server);
    const client = t.net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    client.resume();
    client.on('error', (error) =>
      t.trace(
        'error',
        (error as NodeJS.ErrnoException).syscall,
        error.message.includes('EPIPE') || error.message.includes('ECONNRESET'),
      ),
    );
    client.on('close', (had) => t.trace('close', had));
    await t.once(client, 'end');
    client.write('first', (error) => t.trace('first', error === undefined || error === null));
    await t.sleep(30);
    client.write('second', (error) => t.trace('second', error === undefined || error === null));
    await t.closed(client);
    server.close();
  });

  twin('end, then the finish, the end and the close, on both sides', async (t) => {
    const names = ['prefinish', 'finish', 'end', 'close'];
    const server = t.net.createServer((socket) => {
      const seen = t.lane('server');
      for (const name of names) socket.on(name, () => seen(name));
      socket.on('data', (data) => seen('data', String(data)));
    });
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    for (const name of names) client.on(name, () => t.trace(name));
    client.resume();
    client.end('x', () => t.trace('callback'));
    client.end(() => t.trace('second end'));
    await t.closed(client);
    server.close();
  });

  twin('destroySoon flushes what was written', async (t) => {
    const server = t.net.createServer((socket) => {
      socket.write(Buffer.alloc(300_000, 'q'));
      socket.destroySoon();
      socket.on('close', (had) => t.lane('server')('close', had));
    });
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    let bytes = 0;
    client.on('data', (data) => {
      bytes += data.length;
    });
    client.on('error', (error) => t.trace('error', error));
    await t.closed(client);
    t.trace(bytes);
    server.close();
  });

  twin('destroy right after a small write: it still arrives', async (t) => {
    const server = t.net.createServer((socket) => {
      socket.write('last words');
      socket.destroy();
    });
    const port = await t.listen(server);
    for (let round = 0; round < 20; round++) {
      const client = t.net.connect(port, '127.0.0.1');
      client.on('data', (data) => t.trace('data', String(data)));
      client.on('error', (error) => t.trace('error', error));
      await t.closed(client);
    }
    server.close();
  });

  twin('server.close waits for its connections', async (t) => {
    const server = t.net.createServer((socket) => {
      socket.resume();
      socket.on('close', () => t.trace('connection gone'));
    });
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    await t.once(client, 'connect');
    while ((await new Promise((done) => server.getConnections((_, n) => done(n)))) !== 1) await t.turn();
    server.close(() => t.trace('server closed'));
    const refused = t.net.connect(port, '127.0.0.1');
    refused.on('error', (error) => t.trace('error', error));
    await t.closed(refused);
    client.end();
  });

  twin('idle timeouts: event, no event after activity, cleared', async (t) => {
    const server = t.net.createServer((socket) => {
      socket.on('error', () => {});
      socket.resume();
    });
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    await t.once(client, 'connect');
    client.setTimeout(60, () => t.trace('callback', client.timeout));
    await t.once(client, 'timeout');
    client.removeAllListeners('timeout');
    let active = 0;
    client.on('timeout', () => {
      // A machine that stalls is idle for long enough: only what comes before that is wrong. Timers count whole milliseconds.
      if (performance.now() - active < 58) t.trace('too early');
    });
    const keep = setInterval(() => {
      active = performance.now();
      client.write('x');
    }, 10);
    await t.sleep(150);
    clearInterval(keep);
    client.setTimeout(0);
    await t.sleep(100);
    t.trace('quiet', client.timeout);
    client.destroy();
    server.close();
  });

  twin('a timeout while a large write makes no progress', async (t) => {
    let peer: import('node:net').Socket | undefined;
    const server = t.net.createServer((socket) => {
      socket.pause();
      socket.on('error', () => {});
      peer = socket;
    });
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    await t.once(client, 'connect');
    client.on('error', () => {});
    client.write(Buffer.alloc(24 * 1024 * 1024));
    client.setTimeout(50);
    await t.once(client, 'timeout');
    t.trace('timeout', client.bufferSize > 0);
    client.destroy();
    peer?.destroy();
    server.close();
  });
});
