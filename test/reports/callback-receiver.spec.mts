/** Domains, and what a program or the REPL calls `domain`: whose they are is the handle's to say, not the global object's. */
import { twin } from '../support/twin.mjs';

describe('reports: the receiver of callbacks is nobody’s', () => {
  twin(
    'a global called domain, with the domain module loaded, ends no program that has sockets, datagrams and children',
    async (t) => {
      t.require('node:domain');
      Object.assign(globalThis, { domain: 'example.com' });
      t.hooks.createHook({ before() {} }).enable();
      const server = t.net.createServer((socket) => socket.end('tcp'));
      const port = await t.listen(server);
      await t.closed(t.net.connect(port, '127.0.0.1').on('data', (data) => t.trace(String(data))));
      server.close();
      const local = t.net.createServer((socket) => socket.end('pipe'));
      await t.listen(local, { path: t.path('socket') });
      await t.closed(t.net.connect(t.path('socket')).on('data', (data) => t.trace(String(data))));
      local.close();
      const socket = t.dgram.createSocket('udp4');
      const heard = t.once(socket, 'message');
      socket.bind(0, '127.0.0.1', () => socket.send('udp', socket.address().port, '127.0.0.1'));
      t.trace(String((await heard)[0]));
      socket.close();
      const child = t.cp.spawn(process.execPath, ['-e', 'console.log("child")']);
      child.stdout.on('data', (data) => t.trace(String(data)));
      t.trace(await t.once(child, 'close'));
    },
  );

  twin('a domain that is a global of the program does not get errors that are not its own', async (t) => {
    const domains: typeof import('node:domain') = t.require('node:domain');
    const global = domains.create().on('error', (error) => t.trace('domain', error.message));
    Object.assign(globalThis, { domain: global });
    t.hooks.createHook({ before() {} }).enable();
    process.on('uncaughtException', (error) => t.trace('uncaught', error.message));
    const server = t.net.createServer((socket) => {
      socket.end('x');
      throw new Error('in a connection');
    });
    const port = await t.listen(server);
    await t.closed(t.net.connect(port, '127.0.0.1').resume());
    server.close();
    t.cp.execFile(process.execPath, ['-e', '0'], () => {
      throw new Error('at the end of a child');
    });
    const socket = t.dgram.createSocket('udp4', () => {
      socket.close();
      throw new Error('at a message');
    });
    socket.bind(0, '127.0.0.1', () => socket.send('x', socket.address().port, '127.0.0.1'));
    await t.once(socket, 'close');
  });

  for (const kind of ['tcp', 'pipe', 'udp', 'child', 'http'] as const) {
    twin(
      `what throws in a callback of ${kind} goes to the domain that made it`,
      { given: { kind } },
      async (t, given) => {
        const domains: typeof import('node:domain') = t.require('node:domain');
        const inside = domains.create();
        const { promise, resolve } = (() => {
          let resolve: () => void = () => {};
          return {
            promise: new Promise<void>((fulfil) => {
              resolve = fulfil;
            }),
            resolve: () => resolve(),
          };
        })();
        inside.on('error', (error) => {
          t.trace(
            'domain',
            error.message,
            (process as { domain?: unknown }).domain === inside,
            (error as { domainThrown?: boolean }).domainThrown,
          );
          resolve();
        });
        process.on('uncaughtException', (error) => t.trace('uncaught', error.message));
        const fail = (): void => {
          t.trace('in', (process as { domain?: unknown }).domain === inside);
          throw new Error(`of ${given.kind}`);
        };
        const server =
          given.kind === 'http'
            ? t.http.createServer((_, response) => response.end('x'))
            : t.net.createServer((socket) => socket.end('x'));
        const where = given.kind === 'pipe' ? { path: t.path('socket') } : { port: 0, host: '127.0.0.1' };
        const port = await t.listen(server, where);
        inside.run(() => {
          if (given.kind === 'tcp') t.net.connect(port, '127.0.0.1').on('data', fail);
          else if (given.kind === 'pipe') t.net.connect(t.path('socket')).on('data', fail);
          else if (given.kind === 'http')
            t.http.get({ port, host: '127.0.0.1', agent: false }, (response) => response.resume().on('end', fail));
          else if (given.kind === 'child') t.cp.spawn(process.execPath, ['-e', '0']).on('exit', fail);
          else {
            const socket = t.dgram.createSocket('udp4', () => {
              socket.close();
              fail();
            });
            socket.bind(0, '127.0.0.1', () => socket.send('x', socket.address().port, '127.0.0.1'));
          }
        });
        await promise;
        server.close();
      },
    );
  }

  for (const [title, flags, input] of [
    ['the REPL', ['-i'], (run: string) => `${run}\n`],
    ['a program given by -e', ['-e'], null],
  ] as const) {
    twin(
      `${title} lives on when a socket has something to say`,
      { given: { flags, repl: input !== null } },
      async (t, given) => {
        const text =
          "require('domain'); new (require('async_hooks').AsyncLocalStorage)().run(1, () => { const s = require('net').createServer((c) => c.end('x')).listen(0, '127.0.0.1', () => require('net').connect(s.address().port, '127.0.0.1').on('data', (d) => console.log('ok', String(d))).on('close', () => { s.close(); console.log('closed'); process.exit(3); })); }); 0";
        const rest = given.repl ? [] : [text];
        const child = t.cp.spawn(process.execPath, [...process.execArgv, ...given.flags, ...rest]);
        let out = '';
        child.stdout.on('data', (data) => {
          out += data;
        });
        child.stderr.on('data', (data) => {
          out += data;
        });
        if (given.repl) child.stdin.write(`${text}\n`);
        const [code] = await t.once(child, 'close');
        t.trace(code, out.includes('ok x'), out.includes('closed'), out.includes('TypeError'));
      },
    );
  }
});
