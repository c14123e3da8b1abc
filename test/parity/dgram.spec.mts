/** Datagrams: what `dgram` shows of messages, errors, callbacks, options and the end of a socket. */
import { twin } from '../support/twin.mjs';

describe('parity: dgram', () => {
  twin('messages of every size, with their peer, over IPv4', async (t) => {
    const server = t.dgram.createSocket('udp4');
    server.bind(0, '127.0.0.1');
    await t.once(server, 'listening');
    const client = t.dgram.createSocket('udp4');
    client.bind(0, '127.0.0.1');
    await t.once(client, 'listening');
    t.port(server.address().port);
    t.port(client.address().port);
    for (const size of [0, 1, 63, 64, 65, 1472, 1473, 9000, 65_507]) {
      const sent = new Promise((done) =>
        client.send(Buffer.alloc(size, 'm'), server.address().port, '127.0.0.1', (...all) => done(all)),
      );
      const [message, peer] = await t.once(server, 'message');
      t.trace(
        size,
        message.length,
        message.every((byte: number) => byte === 109),
        peer,
        await sent,
      );
      t.trace('memory of its own', Buffer.isBuffer(message), message.buffer.byteLength === size, message.byteOffset);
    }
    server.close();
    client.close();
  });

  twin('the same over IPv6, and an IPv4 peer on a socket for both', async (t) => {
    const server = t.dgram.createSocket('udp6');
    server.bind(0);
    await t.once(server, 'listening');
    t.port(server.address().port);
    t.trace(server.address());
    for (const [type, host] of [
      ['udp6', '::1'],
      ['udp4', '127.0.0.1'],
    ] as const) {
      const client = t.dgram.createSocket(type);
      client.send('hello', server.address().port, host);
      const [message, peer] = await t.once(server, 'message');
      t.port(peer.port);
      t.trace(String(message), peer);
      client.close();
    }
    server.close();
  });

  twin('an echo of many peers, every message once', async (t) => {
    const server = t.dgram.createSocket('udp4');
    server.on('message', (message, peer) => server.send(message, peer.port, peer.address));
    server.bind(0, '127.0.0.1');
    await t.once(server, 'listening');
    const seen: number[] = [];
    const clients = await Promise.all(
      Array.from({ length: 8 }, async (_, index) => {
        const client = t.dgram.createSocket('udp4');
        client.connect(server.address().port, '127.0.0.1');
        await t.once(client, 'connect');
        let count = 0;
        client.on('message', (message) => {
          if (String(message) === `${index}:${count}`) seen[index] = ++count;
          if (count < 200) client.send(`${index}:${count}`);
        });
        client.send(`${index}:0`);
        return client;
      }),
    );
    await t.until(() => seen.length === 8 && seen.every((count) => count === 200));
    t.trace(seen);
    for (const client of clients) client.close();
    server.close();
  });

  twin('bursts arrive whole and in order', async (t) => {
    const server = t.dgram.createSocket('udp4');
    server.bind(0, '127.0.0.1');
    await t.once(server, 'listening');
    const got: string[] = [];
    server.on('message', (message) => got.push(String(message)));
    const client = t.dgram.createSocket('udp4');
    client.connect(server.address().port, '127.0.0.1');
    await t.once(client, 'connect');
    let told = 0;
    for (let burst = 0; burst < 10; burst++) {
      const from = got.length;
      // Runs of one length and others between them: what may leave as a group, and what may not.
      for (let index = 0; index < 100; index++) {
        client.send(`${burst}.${index}`.padEnd(index % 7 === 0 ? 40 : 16), () => {
          told++;
        });
      }
      await t.until(() => got.length === from + 100 && told === got.length);
    }
    t.trace(got.map((text) => text.trim()).join(' '), got.map((text) => text.length).join(' '));
    client.close();
    server.close();
  });

  twin('lists of buffers, strings and views', async (t) => {
    const server = t.dgram.createSocket('udp4');
    server.bind(0, '127.0.0.1');
    await t.once(server, 'listening');
    const client = t.dgram.createSocket('udp4');
    const { port } = server.address();
    const messages: unknown[] = [
      ['a', Buffer.from('b'), new Uint8Array([99])],
      [],
      new Float64Array([1.5]),
      new DataView(new ArrayBuffer(3)),
      ['', ''],
    ];
    for (const message of messages) {
      for (let again = 0; again < 4; again++) {
        client.send(message as never, port, '127.0.0.1', (...all) => t.lane('told')(...all));
        const [got] = await t.once(server, 'message');
        t.trace(got.toString('hex'));
      }
    }
    client.send(Buffer.from('0123456789'), 2, 5, port, '127.0.0.1', (...all) => t.lane('told')(...all));
    t.trace(String((await t.once(server, 'message'))[0]));
    const changing = Buffer.from('before');
    client.send(changing, port, '127.0.0.1');
    t.trace(String((await t.once(server, 'message'))[0]));
    client.close();
    server.close();
  });

  twin('what the bare handle answers', { traffic: false }, async (t) => {
    const { UDP, SendWrap } = t.binding('udp_wrap');
    const list = [Buffer.from('x')];
    const fresh = new UDP();
    const name = (handle: typeof fresh) => {
      const out: { port?: number } = {};
      return [handle.getsockname(out), { ...out, port: (out.port ?? 0) > 0 }];
    };
    const context = {};
    t.trace(fresh.fd, fresh.hasRef(), fresh.getsockname({}), fresh.getpeername({}), fresh.setTTL(5), fresh.setTTL(0));
    t.trace(fresh.setTTL(256), fresh.setBroadcast(1), fresh.disconnect(), fresh.setMulticastTTL(300));
    t.trace(fresh.setMulticastInterface('x'), fresh.setMulticastInterface('127.0.0.1'), fresh.recvStop());
    t.trace(fresh.bufferSize(0, true, context), context, fresh.getSendQueueSize(), fresh.getSendQueueCount());
    t.trace(fresh.bind('no', 0, 0), fresh.bind('127.0.0.1', 0, 2), fresh.bind('127.0.0.1', 0, 1), fresh.fd);
    t.trace(fresh.bind('127.0.0.1', 0, 0), fresh.bind('127.0.0.1', 0, 0), fresh.open(0), fresh.fd > 2, name(fresh));
    t.trace(fresh.recvStart(), fresh.recvStart(), fresh.dropMembership('224.0.0.114', undefined));
    t.trace(fresh.addMembership('1.2.3.4', undefined), fresh.addMembership('abc', undefined));
    t.trace(fresh.addSourceSpecificMembership('x', '232.1.1.1', undefined));
    t.trace(fresh.addSourceSpecificMembership('1.2.3.4', 'q', undefined));
    t.trace(
      fresh.send(new SendWrap(), list, 1, 9, 'abc', false),
      fresh.send(new SendWrap(), list, 1, 0, '127.0.0.1', false),
    );
    t.trace(
      fresh.send(new SendWrap(), list, 1, false),
      fresh.send(new SendWrap(), [Buffer.alloc(70_000)], 1, 9, '127.0.0.1', true),
    );
    t.trace(
      fresh.send(new SendWrap(), list, 1, 9, '255.255.255.255', true),
      fresh.send6(new SendWrap(), list, 1, 9, '::1', true),
    );
    t.trace(fresh.connect6('::1', 9), fresh.connect('127.0.0.1', 9), fresh.connect('127.0.0.1', 9));
    t.trace(fresh.send(new SendWrap(), list, 1, 9, '127.0.0.1', true), fresh.send(new SendWrap(), list, 1, true));
    t.trace(fresh.disconnect(), fresh.disconnect(), fresh.getpeername({}), typeof fresh.getAsyncId());
    const other = new UDP();
    t.trace(other.connect('127.0.0.1', 9), name(other));
    const v6 = new UDP();
    t.trace(v6.bind6('::1', 0, 1), v6.setTTL(7), v6.setMulticastTTL(3), v6.setMulticastLoopback(0), name(v6));
    t.trace(v6.bufferSize(5000, false, {}), v6.bufferSize(0, false, {}), v6.setMulticastInterface('::1'));
    for (const handle of [fresh, other, v6]) handle.close();
    t.trace(fresh.fd, fresh.getsockname({}), fresh.recvStart(), fresh.hasRef());
    await new Promise((done) => {
      const last = new UDP();
      last.close(function (this: unknown) {
        t.trace(this === last, last.fd, last.hasRef(), last.getsockname({}), last.recvStart());
        done(null);
      });
      last.close(() => t.trace('never'));
    });
  });

  twin('errors of binding, sending and connecting, with and without a callback', { traffic: false }, async (t) => {
    const server = t.dgram.createSocket('udp4');
    server.bind(0, '127.0.0.1');
    await t.once(server, 'listening');
    const { port } = server.address();
    t.port(port);
    const taken = t.dgram.createSocket('udp4');
    taken.bind(port, '127.0.0.1');
    t.trace((await t.once(taken, 'error'))[0]);
    const shared = t.dgram.createSocket({ type: 'udp4', reuseAddr: true });
    shared.on('error', (error) => t.trace('shared', error));
    shared.bind(port, '127.0.0.1');
    await t.sleep(20);
    const client = t.dgram.createSocket('udp4');
    client.bind(0, '127.0.0.1');
    await t.once(client, 'listening');
    const told = (message: string | Buffer, to: number, host: string) =>
      new Promise((done) => client.send(message, to, host, (...all) => done(all)));
    t.trace('large', await told(Buffer.alloc(70_000), port, '127.0.0.1'));
    t.trace('broadcast', await told('x', port, '255.255.255.255'));
    t.trace('elsewhere', await told('x', port, '192.0.2.1'));
    client.send(Buffer.alloc(70_000), port, '127.0.0.1');
    t.trace('other family', await told('x', port, '::1').catch((error) => error));
    await t.sleep(20);
    for (const socket of [server, taken, shared, client]) {
      try {
        socket.close();
      } catch (error) {
        t.trace(error);
      }
    }
  });

  twin('a connected peer that is not there', async (t) => {
    const gone = t.dgram.createSocket('udp4');
    gone.bind(0, '127.0.0.1');
    await t.once(gone, 'listening');
    const { port } = gone.address();
    t.port(port);
    await new Promise((done) => gone.close(() => done(null)));
    const client = t.dgram.createSocket('udp4');
    client.connect(port, '127.0.0.1');
    await t.once(client, 'connect');
    t.trace(client.remoteAddress());
    client.send('anyone?');
    t.trace((await t.once(client, 'error'))[0]);
    client.disconnect();
    t.trace('again', await new Promise((done) => client.send('x', port, '127.0.0.1', (...all) => done(all))));
    await t.sleep(20);
    client.close();
    // Something has to pass, lest nothing was ours.
    const echo = t.dgram.createSocket('udp4');
    echo.bind(0, '127.0.0.1', () => echo.send('x', echo.address().port, '127.0.0.1'));
    await t.once(echo, 'message');
    echo.close();
  });

  twin('every callback of a connected socket hears what the kernel says', async (t) => {
    const client = t.dgram.createSocket('udp4');
    let heard = 0;
    client.on('error', () => heard++);
    const gone = t.dgram.createSocket('udp4');
    gone.bind(0, '127.0.0.1');
    await t.once(gone, 'listening');
    const { port } = gone.address();
    await new Promise((done) => gone.close(() => done(null)));
    client.connect(port, '127.0.0.1');
    await t.once(client, 'connect');
    // A message that leaves is refused, which the next one is told, or the socket: as who asks first, this thread or the other.
    const outcomes: (string | number)[] = [];
    await new Promise((done) => {
      for (let index = 0; index < 40; index++) {
        client.send('x', (error, bytes) => {
          outcomes.push((error as NodeJS.ErrnoException | null)?.code ?? bytes);
          if (outcomes.length === 40) done(null);
        });
      }
    });
    const left = outcomes.filter((outcome) => outcome === 1).length;
    const refused = outcomes.filter((outcome) => outcome === 'ECONNREFUSED').length;
    t.trace(outcomes[0], left + refused, left >= 20);
    await t.until(() => refused + heard === left);
    client.close();
    const echo = t.dgram.createSocket('udp4');
    echo.bind(0, '127.0.0.1', () => echo.send('x', echo.address().port, '127.0.0.1'));
    await t.once(echo, 'message');
    echo.close();
  });

  twin('a socket closed inside its own message, with more behind it', async (t) => {
    const server = t.dgram.createSocket('udp4');
    let count = 0;
    server.on('message', () => {
      count++;
      server.close(() => t.trace('closed'));
    });
    server.bind(0, '127.0.0.1');
    await t.once(server, 'listening');
    const client = t.dgram.createSocket('udp4');
    for (let index = 0; index < 20; index++) client.send('x', server.address().port, '127.0.0.1');
    await t.once(server, 'close');
    await t.sleep(20);
    t.trace(count);
    client.close();
  });

  twin('the port is free when close returns', async (t) => {
    const first = t.dgram.createSocket('udp4');
    first.bind(0, '127.0.0.1');
    await t.once(first, 'listening');
    const { port } = first.address();
    first.close();
    const second = t.dgram.createSocket('udp4');
    second.bind(port, '127.0.0.1');
    await t.once(second, 'listening');
    second.send('x', port, '127.0.0.1');
    t.trace(String((await t.once(second, 'message'))[0]));
    second.close();
  });

  twin('sends that wait are counted, and cancelled by close', { flags: ['--test-udp-no-try-send'] }, async (t) => {
    const server = t.dgram.createSocket('udp4');
    server.bind(0, '127.0.0.1');
    await t.once(server, 'listening');
    const client = t.dgram.createSocket('udp4');
    client.connect(server.address().port, '127.0.0.1');
    await t.once(client, 'connect');
    client.send('hello', (...all) => t.lane('told')('first', ...all));
    t.trace(client.getSendQueueSize(), client.getSendQueueCount());
    t.trace(String((await t.once(server, 'message'))[0]));
    await t.until(() => client.getSendQueueCount() === 0);
    client.send('never', (...all) => t.lane('told')('second', ...all));
    client.send('ever');
    t.trace(client.getSendQueueSize(), client.getSendQueueCount());
    client.close(() => t.trace('closed'));
    await t.sleep(20);
    server.close();
  });

  twin('an exception in a listener, and the messages behind it', async (t) => {
    process.on('uncaughtException', (error) => t.trace('uncaught', error.message));
    const server = t.dgram.createSocket('udp4');
    let count = 0;
    server.on('message', (message) => {
      count++;
      process.nextTick(() => t.lane('ticks')(String(message)));
      t.trace(String(message));
      if (count % 2 === 1) throw new Error(`at ${message}`);
    });
    server.bind(0, '127.0.0.1');
    await t.once(server, 'listening');
    const client = t.dgram.createSocket('udp4');
    for (let index = 0; index < 5; index++) client.send(String(index), server.address().port, '127.0.0.1');
    await t.until(() => count === 5);
    server.close();
    client.close();
  });

  twin('stores, ids and resource types', async (t) => {
    const types: string[] = [];
    const hook = t.hooks.createHook({
      init(_id, type) {
        if (type.startsWith('UDP')) types.push(type);
      },
    });
    hook.enable();
    const store = new t.hooks.AsyncLocalStorage<string>();
    const server = t.dgram.createSocket('udp4');
    const listed = (socket: typeof server) =>
      (process as unknown as { _getActiveHandles(): unknown[] })._getActiveHandles().includes(socket);
    await new Promise((done) => {
      store.run('bound', () => {
        server.bind(0, '127.0.0.1', () => done(null));
        server.on('message', (message) => t.trace(String(message), store.getStore() ?? null));
      });
    });
    t.trace(
      listed(server),
      process.getActiveResourcesInfo().filter((type) => type.startsWith('UDP')),
    );
    server.unref();
    t.trace(
      listed(server),
      process.getActiveResourcesInfo().filter((type) => type.startsWith('UDP')),
    );
    server.ref();
    const client = t.dgram.createSocket('udp4');
    await new Promise((done) =>
      store.run('sent', () =>
        client.send('x', server.address().port, '127.0.0.1', () => {
          t.lane('told')(store.getStore());
          done(null);
        }),
      ),
    );
    await t.sleep(20);
    hook.disable();
    t.trace(types);
    client.close();
    server.close();
  });

  twin('options that are read back, groups, and a signal that closes', async (t) => {
    const socket = t.dgram.createSocket({
      type: 'udp4',
      recvBufferSize: 10_000,
      sendBufferSize: 20_000,
      reuseAddr: true,
    });
    socket.bind(0);
    await t.once(socket, 'listening');
    t.trace(socket.getRecvBufferSize(), socket.getSendBufferSize());
    socket.setRecvBufferSize(8192);
    t.trace(socket.getRecvBufferSize(), socket.setTTL(9), socket.setMulticastTTL(2));
    for (const act of [
      () => socket.setTTL(0),
      () => socket.setMulticastTTL(256),
      () => socket.addMembership('256.0.0.1'),
      () => socket.dropMembership('224.0.0.200'),
      () => socket.setMulticastInterface('nothing'),
      () => socket.setBroadcast(true),
      () => socket.setMulticastLoopback(true),
      () => socket.addMembership('224.0.0.114', '127.0.0.1'),
      () => socket.addMembership('224.0.0.114', '127.0.0.1'),
      () => socket.addSourceSpecificMembership('127.0.0.1', '232.1.1.1', '127.0.0.1'),
      () => socket.dropSourceSpecificMembership('127.0.0.1', '232.1.1.1', '127.0.0.1'),
    ]) {
      try {
        t.trace(act());
      } catch (error) {
        t.trace(error);
      }
    }
    socket.setMulticastInterface('127.0.0.1');
    socket.send('group', socket.address().port, '224.0.0.114');
    t.trace(String((await t.once(socket, 'message'))[0]));
    const controller = new AbortController();
    const aborted = t.dgram.createSocket({ type: 'udp4', signal: controller.signal });
    aborted.on('close', () => t.trace('aborted'));
    controller.abort();
    await t.sleep(10);
    socket.close();
  });

  twin('lists of addresses that are not received from or sent to', { since: 22 }, async (t) => {
    const blocked = new t.net.BlockList();
    blocked.addAddress('127.0.0.2');
    blocked.addSubnet('::ffff:127.0.0.3', 128, 'ipv6');
    const type = 'udp4';
    const server = t.dgram.createSocket({ type, receiveBlockList: blocked });
    const got: string[] = [];
    server.on('message', (message, peer) => got.push(`${message} ${peer.address}`));
    server.bind(0);
    await t.once(server, 'listening');
    const { port } = server.address();
    t.port(port);
    for (const host of ['127.0.0.2', '127.0.0.3', '127.0.0.4']) {
      const client = t.dgram.createSocket({ type, sendBlockList: blocked });
      client.bind(0, host);
      await t.once(client, 'listening');
      const told = t.lane(`told ${host}`);
      for (let index = 0; index < 40; index++) client.send(`m${index}`, port, '127.0.0.1');
      await new Promise((done) => client.send('last', port, '127.0.0.1', (...all) => done(told(...all))));
      await new Promise((done) => client.send('out', port, '127.0.0.2', (...all) => done(told(...all))));
      client.on('error', (error) => told('error', error));
      client.connect(port, '127.0.0.2', (...all: unknown[]) => told('connected', ...all));
      await t.sleep(20);
      client.close();
    }
    await t.until(() => got.at(-1) === 'last 127.0.0.4');
    t.trace(got);
    for (const option of ['receiveBlockList', 'sendBlockList']) {
      try {
        t.dgram.createSocket({ type, [option]: [] });
      } catch (error) {
        t.trace(error);
      }
    }
    server.close();
  });

  twin('no descriptor left: to bind, to send, to connect, to join, to receive', async (t) => {
    const script = t.path('script.cjs');
    t.fs.writeFileSync(
      script,
      `const dgram = require('node:dgram'); const fs = require('node:fs');
       const outcome = (act) => new Promise((done) => {
         const socket = dgram.createSocket('udp4');
         const end = (...all) => { done(all.map((one) => one?.message ?? one)); try { socket.close(); } catch {} };
         socket.on('error', (error) => end('error', error));
         try { act(socket, end); } catch (error) { end('thrown', error); }
       });
       const all = async (port) => {
         const acts = [
           (socket, end) => socket.bind(0, '127.0.0.1', () => end('bound')),
           (socket, end) => socket.send('x', port, '127.0.0.1', (error, bytes) => end('sent', error, bytes)),
           (socket, end) => { socket.send('x', port, '127.0.0.1'); setTimeout(end, 50, 'no word'); },
           (socket, end) => socket.connect(port, '127.0.0.1', (error) => end('connected', error)),
           (socket, end) => end('joined', socket.addMembership('224.0.0.114', '127.0.0.1')),
           (socket, end) => end('size', socket.getSendBufferSize()),
         ];
         for (const act of acts) console.log(...await outcome(act));
       };
       const server = dgram.createSocket('udp4');
       let waits = () => {}; let got = 0;
       server.on('message', (message) => { if (String(message) === 'it') got += 1; waits(); });
       server.bind(0, '127.0.0.1', async () => {
         const { port } = server.address();
         const round = () => new Promise((done) => {
           const before = got;
           waits = () => { if (got === before + 40) done(); };
           for (let index = 0; index < 40; index++) server.send('it', port, '127.0.0.1');
         });
         await round();
         const held = [];
         try { for (;;) held.push(fs.openSync('/dev/null')); } catch (error) { console.log(error.code); }
         await all(port);
         // Sockets that are there go on.
         await round(); console.log('received', got);
         for (const fd of held) fs.closeSync(fd);
         await all(port);
         await round(); console.log('received', got);
         server.close();
       });`,
    );
    // The shell lowers the limit for the child alone.
    const child = t.cp.spawn(
      '/bin/sh',
      ['-c', 'ulimit -n 64; exec "$0" "$@"', process.execPath, ...process.execArgv, script],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let printed = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data) => {
        printed += data;
      });
    }
    const [code, signal] = await t.once(child, 'close');
    t.trace(code, signal, printed.replaceAll(/127\.0\.0\.1:\d+/g, 'HOST').split('\n'));
    const echo = t.dgram.createSocket('udp4');
    echo.bind(0, '127.0.0.1', () => echo.send('x', echo.address().port, '127.0.0.1'));
    await t.once(echo, 'message');
    echo.close();
  });

  twin('a socket that is only unreferenced lets the process go', { ledger: false }, async (t) => {
    const server = t.dgram.createSocket('udp4');
    server.bind(0, '127.0.0.1');
    await t.once(server, 'listening');
    server.send('x', server.address().port, '127.0.0.1');
    t.trace(String((await t.once(server, 'message'))[0]));
    server.unref();
  });

  twin('what is sent before process.exit leaves', { ledger: false }, async (t) => {
    const server = t.dgram.createSocket('udp4');
    server.bind(0, '127.0.0.1');
    await t.once(server, 'listening');
    const program = `const s = require('node:dgram').createSocket('udp4'); s.connect(${server.address().port}, '127.0.0.1', () => {
      for (let index = 0; index < 40; index++) s.send('m' + index); process.exit(3); });`;
    const got: string[] = [];
    server.on('message', (message) => got.push(String(message)));
    const child = t.cp.spawn(process.execPath, [...process.execArgv, '-e', program], { stdio: 'inherit' });
    t.trace((await t.once(child, 'exit'))[0]);
    await t.until(() => got.length === 40);
    t.trace(got);
    server.close();
  });
});
