/** A throw from every callback: what the handler sees, what goes on afterwards, how the process ends. */
import { twin } from '../support/twin.mjs';

/**
 * More than fits into any chunk or batch, and no two words alike. It is written by a program that is gone when somebody reads,
 * so that all of it is in the kernel: several chunks come in one turn of the loop.
 */
const BURST = 640 * 1024;
const WRITER = `
  const bytes = Buffer.alloc(${BURST});
  for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32BE(at, at);
  require('node:net').connect(+process.argv[1], '127.0.0.1').end(bytes, () => process.exit(0));`;

describe('parity: exceptions', () => {
  twin('handled by uncaughtException in every callback; the rest goes on', async (t) => {
    const store = new t.hooks.AsyncLocalStorage<string>();
    let expected = 0;
    process.on('uncaughtException', (error, origin) => {
      // Both sides of a connection throw: which of them is first is nobody's promise.
      t.lane(`handler ${error.message}`)(error.message, origin, store.getStore());
      expected--;
    });
    const server = t.net.createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (data) => socket.write(data));
      socket.on('end', () => socket.end());
      expected++;
      throw new Error('in connection');
    });
    const port = await t.listen(server);
    for (const where of ['connect', 'ready', 'data', 'end', 'finish', 'close', 'write', 'endCallback', 'none']) {
      await store.run(where, async () => {
        const client = t.net.connect(port, '127.0.0.1');
        let failed = false;
        const fail = (): void => {
          // Bytes come in any number of chunks: the first will do.
          if (failed) return;
          failed = true;
          expected++;
          throw new Error(`in ${where}`);
        };
        for (const name of ['connect', 'ready', 'data', 'end', 'finish', 'close']) {
          client.on(name, () => {
            if (name !== 'data') t.lane(`${where} ${name}`)(name);
            if (name === where) fail();
          });
        }
        client.write('x', () => {
          t.lane(`${where} write`)('written');
          if (where === 'write') fail();
        });
        setTimeout(() => {
          client.end('y', () => {
            if (where === 'endCallback') fail();
          });
        }, 20);
        // Where the throw keeps the rest from happening, there is nothing to wait for but time.
        if (where === 'connect' || where === 'end' || where === 'write')
          await Promise.race([t.closed(client), t.sleep(400)]);
        else if (where === 'close') await t.until(() => failed);
        else await t.closed(client);
        t.trace(where, 'destroyed', client.destroyed);
        if (!client.destroyed) client.destroy();
      });
    }
    await t.until(() => expected <= 0);
    t.trace('unanswered', expected);
    server.close();
  });

  for (const where of ['connection', 'connect', 'data', 'end', 'written', 'message', 'exit'])
    twin(`what a callback that throws has put off, and when it runs: ${where}`, { given: where }, async (t, where) => {
      let told = (): void => {};
      const done = new Promise<void>((fulfil) => {
        told = fulfil;
      });
      process.on('uncaughtException', (error) => t.trace('handler', error.message));
      const fail = (): void => {
        process.nextTick(() => t.trace('tick'));
        Promise.resolve().then(() => t.trace('microtask'));
        setImmediate(() => {
          t.trace('immediate');
          setImmediate(told);
        });
        throw new Error(`in ${where}`);
      };
      // Its other end is somebody else's loop: whose callbacks come in the same turn is then no accident.
      const peer = `
        const net = require('net');
        const server = net.createServer((socket) => socket.on('error', () => {}).on('data', () => socket.end('x')));
        server.listen(0, '127.0.0.1', () => process.send(server.address().port));
        process.on('message', (port) => net.connect(port, '127.0.0.1').on('error', () => {}).on('close', () => {}));
        process.on('disconnect', () => process.exit());`;
      const child = t.cp.spawn(process.execPath, ['-e', peer], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
      const [port] = (await t.once(child, 'message')) as [number];
      if (where === 'connection') {
        const server = t.net.createServer(fail);
        const own = await t.listen(server);
        server.on('connection', (socket) => socket.on('error', () => {}));
        child.send(own);
        await done;
        server.close();
      } else if (where === 'message') {
        const socket = t.dgram.createSocket('udp4');
        await new Promise<void>((bound) => socket.bind(0, '127.0.0.1', bound));
        socket.on('message', fail);
        socket.send('x', socket.address().port, '127.0.0.1');
        await done;
        socket.close();
      } else if (where === 'exit') {
        t.cp.spawn(process.execPath, ['-e', ''], { stdio: 'ignore' }).on('exit', fail);
        await done;
      } else {
        const client = t.net.connect(port, '127.0.0.1');
        if (where === 'connect') client.once('connect', fail);
        else await t.once(client, 'connect');
        if (where === 'data' || where === 'end') client.once(where, fail);
        client.resume();
        if (where !== 'connect') client.write('x', where === 'written' ? fail : undefined);
        await done;
        client.destroy();
      }
      child.disconnect();
      await t.once(child, 'exit');
    });

  twin('ticks of callbacks that throw wait for the next that does not', { drivers: ['inline'] }, async (t) => {
    const order: string[] = [];
    process.on('uncaughtException', (error) => order.push(error.message));
    const { clients, peers, end } = await t.connections(4);
    let seen = 0;
    const done = new Promise<void>((fulfil) => {
      for (const client of clients) {
        client.on('data', () => {
          const number = ++seen;
          order.push(`data ${number}`);
          process.nextTick(() => order.push(`tick ${number}`));
          if (number !== 3) throw new Error(`thrown ${number}`);
          setImmediate(fulfil);
        });
      }
    });
    for (const peer of peers) peer.write('x');
    // The bytes of all four must lie in the kernel before the loop looks: block this thread.
    const until = Date.now() + 30;
    while (Date.now() < until);
    await done;
    await t.turn();
    t.trace(order);
    end();
  });

  twin('events of the same turn survive a throw', async (t) => {
    const seen: string[] = [];
    process.on('uncaughtException', (error) => seen.push(error.message));
    const { clients, peers, end } = await t.connections(6);
    let events = 0;
    for (const client of clients) {
      client.on('data', () => {
        events++;
        process.nextTick(() => {
          throw new Error('tick');
        });
        throw new Error('data');
      });
    }
    for (const peer of peers) peer.write('x');
    const until = Date.now() + 30;
    while (Date.now() < until);
    while (events < 6) await t.sleep(5);
    await t.turn();
    t.trace(events, seen.filter((m) => m === 'data').length, seen.filter((m) => m === 'tick').length);
    end();
  });

  // What the listener of a chunk has done when it throws, while the next one of the same turn waits for it.
  for (const before of ['nothing', 'pause', 'pause and resume', 'a listener less', 'end', 'destroy']) {
    twin(
      `thrown between two chunks of one turn, after ${before}`,
      { given: { before, writer: WRITER } },
      async (t, given: { before: string; writer: string }) => {
        const server = t.net.createServer({ pauseOnConnect: true, allowHalfOpen: true });
        const port = await t.listen(server);
        const writer = t.cp.spawn(process.execPath, ['-e', given.writer, String(port)], { stdio: 'ignore' });
        const [[socket], [code]] = await Promise.all([t.once(server, 'connection'), t.once(writer, 'exit')]);
        t.trace('written', code);
        const chunks: Buffer[] = [];
        // Whatever happens after a throw is between it and the next chunk, wherever that begins.
        const steps: unknown[] = [];
        let [ticks, whilePaused] = [0, 0];
        const step = (...what: unknown[]): void => {
          if (chunks.length < 6) steps.push([chunks.length, ...what]);
        };
        process.on('uncaughtException', (error, origin) => step('handler', error.message, origin));
        const note = (): void => step('second listener');
        socket.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          const own = chunks.length;
          process.nextTick(() => {
            ticks++;
            if (own % 2 === 0) step('tick of', own);
          });
          Promise.resolve().then(() => {
            if (own % 2 === 0) step('microtask of', own);
          });
          if (own % 2 === 0) return;
          if (given.before.startsWith('pause') && !socket.isPaused()) socket.pause();
          if (given.before === 'pause and resume') socket.resume();
          if (given.before === 'a listener less') socket.off('data', note);
          if (given.before === 'end') socket.end();
          if (given.before === 'destroy' && chunks.length === 3) socket.destroy();
          throw new Error(`in chunk ${chunks.length}`);
        });
        socket.on('data', note);
        for (const name of ['end', 'close', 'error'])
          socket.on(name, (first: unknown) => t.lane('socket')(name, first));
        const closed = t.closed(socket);
        socket.on('end', () => socket.end());
        socket.resume();
        while (!socket.readableEnded && !socket.destroyed) {
          await t.turn();
          if (given.before !== 'pause' || !socket.isPaused()) continue;
          const held = chunks.length;
          for (let turns = 0; turns < 3; turns++) await t.turn();
          whilePaused += chunks.length - held;
          socket.resume();
        }
        await closed;
        t.trace(steps, 'each tick has run', ticks === chunks.length, 'while paused', whilePaused);
        // One that is destroyed has read three chunks, of whatever size.
        t.trace(given.before === 'destroy' ? chunks.length : Buffer.concat(chunks));
        server.close();
      },
    );
  }

  // The offload driver has a chunk read while JavaScript has the one before, and hands over one in a turn.
  twin(
    'thrown in every chunk: the turn goes on with the next',
    { given: { writer: WRITER }, drivers: ['inline'] },
    async (t, given: { writer: string }) => {
      const server = t.net.createServer({ pauseOnConnect: true });
      const port = await t.listen(server);
      const writer = t.cp.spawn(process.execPath, ['-e', given.writer, String(port)], { stdio: 'ignore' });
      const [[socket]] = await Promise.all([t.once(server, 'connection'), t.once(writer, 'exit')]);
      let [chunks, ofFirstTurn, handled] = [0, 0, 0];
      process.on('uncaughtException', () => handled++);
      socket.on('data', () => {
        if (++chunks === 1) {
          setImmediate(() => {
            ofFirstTurn = chunks;
          });
        }
        throw new Error(`in chunk ${chunks}`);
      });
      socket.resume();
      await t.closed(socket);
      t.trace('several in one turn', ofFirstTurn > 1, 'each handled', handled === chunks);
      server.close();
    },
  );

  for (const where of [
    'connection',
    'connect',
    'data',
    'end',
    'close',
    'write',
    'drain',
    'onread',
    'error',
    'timeout',
    'lookup',
  ]) {
    const options = { code: 1, ledger: false, traffic: false, given: where } as const;
    twin(`not handled, in ${where}: exit code and message`, options, async (t, given: string) => {
      const fail = (): never => {
        throw new Error(`unhandled in ${given}`);
      };
      const server = t.net.createServer((socket) => {
        socket.on('error', () => {});
        if (given === 'connection') fail();
        socket.on('data', () => {
          if (given === 'end' || given === 'close') socket.end('pong');
          else if (given !== 'timeout') socket.write('pong');
        });
      });
      const port = await t.listen(server);
      if (given === 'error') {
        server.close();
        await t.closed(server);
      }
      const client = t.net.connect({
        port,
        host: 'x',
        lookup: (_host, wanted, done) =>
          setImmediate(() =>
            wanted.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4),
          ),
        ...(given === 'onread' ? { onread: { buffer: Buffer.alloc(100), callback: fail } } : {}),
      });
      if (given !== 'onread' && given !== 'connection') {
        client.on(given, () => {
          t.trace(given);
          fail();
        });
      }
      client.on('connect', () => {
        client.write('ping', given === 'write' ? fail : undefined);
        if (given === 'end' || given === 'close') client.end();
        if (given === 'drain') client.write(Buffer.alloc(24 << 20));
        if (given === 'timeout') client.setTimeout(20);
      });
      client.resume();
    });
  }

  // The source line that Node prints above the error is not compared: for an error that Node's lib/ makes without a
  // stack it names the line of ours that reported it (docs/differences.md). Exit code and order are.
  twin('an error event nobody listens to', { code: 1, ledger: false, traffic: false, stderr: false }, async (t) => {
    const server = t.net.createServer();
    const port = await t.listen(server);
    server.close();
    await t.closed(server);
    t.net.connect(port, '127.0.0.1');
  });

  twin('a domain catches what its sockets throw', async (t) => {
    const domain = t.require('node:domain').create();
    domain.on('error', (error: Error) => t.trace('domain', error.message));
    const server = t.net.createServer((socket) => {
      socket.on('error', () => {});
      socket.end('x');
    });
    const port = await t.listen(server);
    for (const where of ['connect', 'data', 'end', 'close']) {
      await new Promise<void>((done) => {
        domain.run(() => {
          const client = t.net.connect(port, '127.0.0.1');
          client.on(where, () => {
            setTimeout(() => {
              client.destroy();
              done();
            }, 20);
            throw new Error(where);
          });
          client.resume();
        });
      });
    }
    await t.sleep(20);
    server.close();
  });

  twin('a throw inside an http request handler and a fetch of it', async (t) => {
    process.on('uncaughtException', (error) => t.trace('handler', error.message));
    const server = t.http.createServer((request, response) => {
      if (request.url === '/ok') return void response.end('fine');
      setTimeout(() => response.destroy(), 10);
      throw new Error(`in ${request.url}`);
    });
    const port = await t.listen(server);
    for (const path of ['/a', '/ok', '/b', '/ok']) {
      await new Promise<void>((done) => {
        const request = t.http.get({ port, host: '127.0.0.1', path, agent: false }, (response) => {
          response.on('data', (data) => t.trace(path, String(data)));
          response.on('close', () => done());
        });
        request.on('error', (error) => {
          t.trace(path, error);
          done();
        });
      });
    }
    server.close();
  });

  twin('uncaughtExceptionMonitor and a rejected promise in a data event', { code: 1, ledger: false }, async (t) => {
    process.on('uncaughtExceptionMonitor', (error, origin) => t.trace('monitor', error.message, origin));
    const server = t.net.createServer((socket) => socket.write('x'));
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    client.on('data', () => Promise.reject(new Error('rejected')));
  });
});
