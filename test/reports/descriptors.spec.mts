/** A program names a descriptor by its number: one owner, in order, and nothing taken that is somebody else's to serve. */
import { twin } from '../support/twin.mjs';

describe('reports: descriptors by number', () => {
  for (const kind of ['tcp', 'unix'] as const) {
    twin(`a number that a handle works on is refused, and both go on: ${kind}`, { given: kind }, async (t, kind) => {
      const where = kind === 'tcp' ? { port: 0, host: '127.0.0.1' } : { path: `${process.cwd()}/socket` };
      const server = t.net.createServer();
      await new Promise<void>((done) => server.listen(where, done));
      const handle = (owner: object): { fd: number } => (owner as { _handle: { fd: number } })._handle;
      const listen = async (fd: number): Promise<void> => {
        const two = t.net.createServer();
        two.listen({ fd });
        await new Promise<void>((done) => {
          two.on('error', (error) => {
            t.trace('listen', error);
            done();
          });
          two.on('listening', () => {
            t.trace('listening');
            two.close(() => done());
          });
        });
      };
      await listen(handle(server).fd);
      const open = (what: string, fd: number): void => {
        try {
          new t.net.Socket({ fd }).destroy();
          t.trace(what, 'opened');
        } catch (error) {
          t.trace(what, error);
        }
      };
      open('listener', handle(server).fd);
      const address = server.address();
      const client = t.net.connect(
        typeof address === 'string'
          ? { path: address }
          : { port: (address as never as { port: number }).port, host: '127.0.0.1' },
      );
      const socket = (await t.once(server, 'connection'))[0] as import('node:net').Socket;
      open('accepted', handle(socket).fd);
      open('client', handle(client).fd);
      await listen(handle(socket).fd);
      client.on('data', (data) => t.trace('client', data));
      socket.end('bye');
      await Promise.all([t.closed(client), t.closed(socket.resume())]);
      server.close();
    });
  }

  twin('datagram sockets as well', async (t) => {
    const one = t.dgram.createSocket('udp4');
    await new Promise<void>((bound) => one.bind(0, '127.0.0.1', bound));
    const state = Object.getOwnPropertySymbols(one).find((symbol) => symbol.description === 'state symbol') as symbol;
    const { fd } = (one as never as Record<symbol, { handle: { fd: number } }>)[state]?.handle ?? { fd: -1 };
    const two = t.dgram.createSocket('udp4');
    two.on('error', (error) => t.trace('bind', error));
    try {
      two.bind({ fd });
    } catch (error) {
      t.trace('bind throws', error);
    }
    one.send('x', one.address().port, '127.0.0.1');
    t.trace('received', (await t.once(one, 'message'))[0]);
    two.close();
    one.close();
  });

  twin('what is written to the number comes behind what was written before', async (t) => {
    const server = t.net.createServer((socket) => {
      let round = 0;
      const go = (): void => {
        if (round++ === 60) {
          socket.end();
          return;
        }
        socket.write('a');
        t.fs.writeSync((socket as never as { _handle: { fd: number } })._handle.fd, 'b');
        setImmediate(go);
      };
      go();
      socket.resume();
    });
    const client = t.net.connect(await t.listen(server), '127.0.0.1');
    let all = '';
    client.setEncoding('latin1').on('data', (data) => {
      all += data;
    });
    await t.closed(client);
    t.trace(all === 'ab'.repeat(60));
    server.close();
  });

  twin('what is written to a child that never started fails inside the call', async (t) => {
    for (const text of ['x', 'x'.repeat(100_000)]) {
      const child = t.cp.spawn('no-such-program');
      const trace = t.lane(text.length > 1 ? 'large' : 'small');
      child.on('error', (error) => trace('child', error));
      child.stdin.on('error', (error) => trace('stdin', error)).on('finish', () => trace('finish'));
      child.stdin.write(text, (error) => trace('written', error));
      child.stdin.end();
      await new Promise((done) => child.on('close', done));
      trace('closed', child.stdin.errored);
    }
    t.trace(t.cp.spawnSync('true').status, (await t.once(t.cp.spawn('true'), 'exit'))[0]);
  });

  for (const how of ['spawn', 'spawnSync'] as const) {
    twin(
      `a listener whose number a child has leaves who waits to it: ${how}`,
      { given: how, ledger: false, timeout: 60_000 },
      async (t, how) => {
        const server = t.net.createServer((socket) => socket.end('parent'));
        const port = await t.listen(server);
        const warm = t.net.connect(port, '127.0.0.1').resume();
        await t.closed(warm);
        const fd = (server as never as { _handle: { fd: number } })._handle.fd;
        const hold = 'setTimeout(() => {}, 1500)';
        const serve = `require('net').createServer((socket) => socket.end('child', () => process.exit())).listen({ fd: 3 })`;
        const plain = { ...process.env, TSLOOP: 'off', NODE_OPTIONS: '' };
        if (how === 'spawnSync')
          t.cp.spawnSync(process.execPath, ['-e', ''], { stdio: ['ignore', 'ignore', 'ignore', fd] });
        const child = t.cp.spawn(process.execPath, ['-e', how === 'spawn' ? serve : hold], {
          stdio: ['ignore', 'ignore', 'inherit', how === 'spawn' ? fd : 'ignore'],
          env: plain,
        });
        const client = t.net.connect(port, '127.0.0.1');
        client.on('data', (data) => t.trace('served by', data)).on('error', (error) => t.trace(error));
        // Busy while the connection waits: it is nobody's yet.
        t.cp.spawnSync('sleep', ['0.3']);
        server.close();
        if (how === 'spawn') await t.closed(client);
        else client.destroy();
        child.kill();
        await t.once(child, 'exit');
      },
    );
  }
});
