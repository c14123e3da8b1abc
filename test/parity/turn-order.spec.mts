/** Which comes first: events of one turn, ticks, microtasks, immediates, timers. */
import { twin } from '../support/twin.mjs';

describe('parity: order within a turn', () => {
  twin('data on several sockets: ticks and microtasks drain between two events', async (t) => {
    const { clients, peers, end } = await t.connections(3);
    let seen = 0;
    const order: string[] = [];
    const done = new Promise<void>((fulfil) => {
      for (const client of clients) {
        client.on('data', () => {
          const number = ++seen;
          order.push(`d${number}`);
          process.nextTick(() => order.push(`t${number}`));
          Promise.resolve().then(() => order.push(`m${number}`));
          setImmediate(() => {
            order.push(`i${number}`);
            if (number === 3) fulfil();
          });
        });
      }
    });
    for (const peer of peers) peer.write('x');
    // The bytes of all three must lie in the kernel before the loop looks: block this thread.
    const until = Date.now() + 30;
    while (Date.now() < until);
    await done;
    const events = order.filter((name) => !name.startsWith('i'));
    t.trace(events);
    end();
  });

  twin('an end that came with the last bytes: what these put off runs first', async (t) => {
    const program = `require('net').connect(+process.argv[1], '127.0.0.1').end('last', () => process.exit())`;
    const server = t.net.createServer({ pauseOnConnect: true, allowHalfOpen: true });
    const port = await t.listen(server);
    for (let round = 0; round < 5; round++) {
      const child = t.cp.spawn(process.execPath, ['-e', program, String(port)], { stdio: 'inherit' });
      const connected = t.once(server, 'connection');
      // Now both lie in the kernel.
      await t.once(child, 'exit');
      const [socket] = (await connected) as [import('node:net').Socket];
      socket.on('data', (data) => {
        t.trace(String(data));
        process.nextTick(() => t.trace('tick'));
        setImmediate(() => t.trace('immediate'));
      });
      socket.on('end', () => t.trace('end'));
      socket.resume();
      await t.once(socket, 'end');
      socket.end();
      await t.closed(socket);
    }
    server.close();
  });

  twin('connections accepted in one turn', async (t) => {
    const order: string[] = [];
    let number = 0;
    const server = t.net.createServer((socket) => {
      const own = ++number;
      order.push(`c${own}`);
      process.nextTick(() => order.push(`t${own}`));
      Promise.resolve().then(() => order.push(`m${own}`));
      socket.end();
    });
    const port = await t.listen(server);
    const clients = Array.from({ length: 4 }, () => t.net.connect(port, '127.0.0.1').resume());
    await Promise.all(clients.map((client) => t.closed(client)));
    t.trace(order);
    server.close();
  });

  twin('an immediate set in a data event runs before a timer set there', async (t) => {
    const server = t.net.createServer((socket) => socket.end('x'));
    const port = await t.listen(server);
    for (let round = 0; round < 10; round++) {
      const client = t.net.connect(port, '127.0.0.1');
      const order: string[] = [];
      await t.once(client, 'data');
      client.destroy();
      const second = t.net.connect(port, '127.0.0.1');
      await new Promise<void>((done) => {
        second.once('data', () => {
          setTimeout(() => {
            order.push('timer');
            done();
          }, 0);
          setImmediate(() => order.push('immediate'));
          process.nextTick(() => order.push('tick'));
          queueMicrotask(() => order.push('microtask'));
        });
      });
      t.trace(order);
      second.destroy();
    }
    server.close();
  });

  twin('write callbacks: never inside the call, in order, before the next turn', async (t) => {
    const server = t.net.createServer((socket) => socket.resume());
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    await t.once(client, 'connect');
    client.write('a', () => t.trace('a'));
    t.trace('called');
    process.nextTick(() => t.trace('tick'));
    setImmediate(() => t.trace('immediate'));
    client.write('b', () => t.trace('b'));
    await t.turn();
    await t.turn();
    client.end(() => t.trace('finish'));
    await t.closed(client.resume());
    server.close();
  });

  twin('connect event against ticks and immediates', async (t) => {
    const server = t.net.createServer((socket) => socket.end());
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    client.on('connect', () => {
      t.trace('connect');
      process.nextTick(() => t.trace('tick in connect'));
      setImmediate(() => t.trace('immediate in connect'));
    });
    client.on('ready', () => t.trace('ready'));
    process.nextTick(() => t.trace('tick'));
    await t.closed(client.resume());
    server.close();
  });

  twin('data and end of one turn: ticks between them', async (t) => {
    const server = t.net.createServer((socket) => socket.end('x'));
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    await t.once(client, 'connect');
    client.pause();
    // A paused socket still reads until something comes: both the data and the end, before anything is told of them.
    await t.until(() => (client as unknown as { _readableState: { ended: boolean } })._readableState.ended);
    for (const name of ['data', 'end', 'close']) {
      client.on(name, () => {
        t.trace(name);
        process.nextTick(() => t.trace(name, 'tick'));
        queueMicrotask(() => t.trace(name, 'microtask'));
      });
    }
    client.resume();
    await t.closed(client);
    await t.turn();
    server.close();
  });

  twin('a busy socket does not starve timers or other sockets', async (t) => {
    const server = t.net.createServer((socket) => {
      socket.on('error', () => {});
      const chunk = Buffer.alloc(65536);
      const pump = (): void => {
        while (!socket.destroyed && socket.write(chunk));
        if (!socket.destroyed) socket.once('drain', pump);
      };
      pump();
    });
    const quiet = t.net.createServer((socket) => socket.pipe(socket));
    const port = await t.listen(server);
    const other = await t.listen(quiet);
    const flood = t.net.connect(port, '127.0.0.1').resume();
    let fired = 0;
    const timer = setInterval(() => fired++, 5);
    const client = t.net.connect(other, '127.0.0.1');
    let answers = 0;
    await new Promise<void>((done) => {
      client.on('data', () => {
        if (++answers === 20) done();
        else client.write('x');
      });
      client.write('x');
    });
    while (fired < 5) await t.sleep(5);
    clearInterval(timer);
    t.trace(answers, flood.bytesRead > 0);
    for (const socket of [flood, client]) socket.destroy();
    server.close();
    quiet.close();
  });
});
