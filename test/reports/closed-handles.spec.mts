/** What a handle answers before, while and after it is closed: wrappers and old libraries call it late. */
import { twin } from '../support/twin.mjs';

// The bodies look at Node's private handles, which have no types.
// biome-ignore lint/suspicious/noExplicitAny: see above
type Loose = any;

describe('reports: what closed handles answer', () => {
  for (const kind of ['tcp server', 'tcp client', 'pipe server', 'pipe client', 'fresh tcp', 'fresh pipe'] as const) {
    twin(
      `methods of a handle in every stage: ${kind}`,
      { given: { kind }, traffic: false, ledger: false },
      async (t, given) => {
        const { TCP, constants } = t.binding('tcp_wrap');
        const { Pipe } = t.binding('pipe_wrap');
        const { WriteWrap, ShutdownWrap } = t.binding('stream_wrap');
        const both: [string, ...unknown[]][] = [
          ['readStart'],
          ['readStop'],
          ['useUserBuffer', Buffer.alloc(8)],
          ['hasRef'],
          ['ref'],
          ['unref'],
          ['hasRef'],
          ['setBlocking', false],
          ['getProviderType'],
          ['open', 9999],
        ];
        const late: [string, ...unknown[]][] = [
          ['writeBuffer', new WriteWrap(), Buffer.from('x')],
          ['writeUtf8String', new WriteWrap(), 'x'],
          ['writev', new WriteWrap(), ['x', 'utf8'], false],
          ['shutdown', new ShutdownWrap()],
          ['listen', 1],
        ];
        const tcp: [string, ...unknown[]][] = [
          ['getsockname', {}],
          ['getpeername', {}],
          ['setNoDelay', true],
          ['setKeepAlive', true, 5],
        ];
        const isPipe = given.kind.includes('pipe');
        const ask = (handle: Loose, stage: string): void => {
          const open = stage === 'open';
          const bind: [string, ...unknown[]] = isPipe ? ['bind', t.path('nowhere/x')] : ['bind', '127.0.0.1', 0];
          const calls = [
            ...both,
            ...(isPipe ? [['fchmod', 3] as [string, number]] : tcp),
            ...(open ? [] : [...late, bind]),
          ];
          if (!open && !isPipe) calls.push(['reset']);
          for (const [name, ...args] of calls) {
            const result = handle[name](...args);
            t.trace(stage, name, typeof result === 'object' ? 'object' : result);
          }
          t.trace(stage, handle.fd >= 0 ? 'fd' : handle.fd, typeof handle.bytesRead, handle.writeQueueSize);
          t.trace(stage, Math.sign(handle.getAsyncId()));
        };
        let handle: Loose;
        let rest: Loose[] = [];
        if (given.kind === 'fresh tcp') handle = new TCP(constants.SOCKET);
        else if (given.kind === 'fresh pipe') handle = new Pipe(0);
        else {
          const server: Loose = t.net.createServer((socket) => {
            rest.push(socket);
            socket.on('error', () => {});
          });
          const where = isPipe ? { path: t.path('socket') } : { port: 0, host: '127.0.0.1' };
          const port = await t.listen(server, where);
          if (given.kind.endsWith('server')) handle = server._handle;
          else {
            const client: Loose = t.net.connect(isPipe ? { path: t.path('socket') } : { port, host: '127.0.0.1' });
            await t.once(client, 'connect');
            await t.until(() => rest.length > 0);
            handle = client._handle;
            client._handle = null;
            handle.onread = () => {};
            rest = [...rest, server];
          }
        }
        ask(handle, 'open');
        await new Promise<void>((fulfil) => {
          handle.close(() => {
            ask(handle, 'in the callback');
            setImmediate(() => {
              ask(handle, 'after it');
              fulfil();
            });
          });
          ask(handle, 'closing');
        });
        process.exit();
      },
    );
  }

  twin('methods of a datagram socket in every stage', { traffic: false, ledger: false }, async (t) => {
    const { UDP } = t.binding('udp_wrap');
    const ask = (handle: Loose, stage: string): void => {
      const calls: [string, ...unknown[]][] = [
        ['getsockname', {}],
        ['getpeername', {}],
        ['disconnect'],
        ['open', 9999],
        ['setTTL', 3],
        ['setTTL', 300],
        ['setBroadcast', 1],
        ['setMulticastTTL', 1],
        ['setMulticastLoopback', 1],
        ['getSendQueueSize'],
        ['getSendQueueCount'],
        ['hasRef'],
        ['ref'],
        ['unref'],
        ['hasRef'],
        ['getProviderType'],
      ];
      for (const [name, ...args] of calls) {
        const result = handle[name](...args);
        t.trace(stage, name, args.length, typeof result === 'object' ? 'object' : result);
      }
      t.trace(stage, handle.fd >= 0 ? 'fd' : handle.fd, Math.sign(handle.getAsyncId()));
    };
    for (const bound of [false, true]) {
      const handle = new UDP();
      if (bound) t.trace(handle.bind('127.0.0.1', 0, 0));
      ask(handle, 'open');
      await new Promise<void>((fulfil) => {
        handle.close(() => {
          ask(handle, 'in the callback');
          setImmediate(() => {
            ask(handle, 'after it');
            fulfil();
          });
        });
        ask(handle, 'closing');
      });
    }
    process.exit();
  });

  twin('methods of a child’s handle while it runs and after its end', async (t) => {
    const child: Loose = t.cp.spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' });
    const handle = child._handle;
    const ask = (stage: string): void => {
      for (const name of ['hasRef', 'unref', 'hasRef', 'ref', 'hasRef', 'getProviderType'])
        t.trace(stage, name, handle[name]());
      t.trace(stage, handle.kill(0), Math.sign(handle.getAsyncId()));
    };
    ask('running');
    await new Promise<void>((fulfil) => {
      child.on('exit', () => {
        ask('exited');
        fulfil();
      });
    });
    await t.sleep(20);
    ask('closed');
  });

  twin('a server that listens on another’s handle, which is closed first', async (t) => {
    const first = t.net.createServer();
    const port = await t.listen(first);
    const second = t.net.createServer((socket) => socket.end('x'));
    await t.listen(second, first as never);
    await t.closed(t.net.connect(port, '127.0.0.1').resume());
    await new Promise((fulfil) => second.close(fulfil));
    let answer: unknown;
    try {
      answer = first.address();
    } catch (error) {
      answer = (error as NodeJS.ErrnoException).code;
    }
    t.trace(first.listening, answer);
    first.close((error) => t.trace((error as NodeJS.ErrnoException | undefined)?.code));
  });
});
