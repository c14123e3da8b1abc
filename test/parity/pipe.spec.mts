/** Unix-domain sockets: paths, abstract names, permissions, errors, and the same streams as TCP. */
import { twin } from '../support/twin.mjs';

describe('parity: unix-domain sockets', () => {
  twin('echo over a path; the file comes and goes', async (t) => {
    const path = t.path('echo.sock');
    const server = t.net.createServer((socket) => {
      t.lane('server')(socket.address(), socket.remoteAddress, socket.localPort, socket.remoteFamily);
      socket.pipe(socket);
    });
    await t.listen(server, { path });
    t.trace(server.address(), t.fs.existsSync(path), (t.fs.statSync(path).mode & 0o170000).toString(8));
    const client = t.net.connect(path, () => t.trace('connect', client.remoteAddress, client.address()));
    client.end('through a path');
    client.on('data', (data) => t.trace(String(data)));
    await t.closed(client);
    server.close(() => t.trace('closed'));
    t.trace('unlinked at once', !t.fs.existsSync(path));
  });

  twin('errors: nobody there, not a socket, refused, in use, a missing directory', { traffic: false }, async (t) => {
    t.fs.writeFileSync(t.path('file'), '');
    const dead = t.net.createServer();
    await t.listen(dead, { path: t.path('dead') });
    t.fs.renameSync(t.path('dead'), t.path('moved'));
    dead.close();
    await t.closed(dead);
    for (const name of ['none', 'file', 'moved']) {
      const client = t.net.connect(t.path(name));
      client.on('error', (error) => t.trace(name, error));
      await t.closed(client);
    }
    const used = t.net.createServer();
    await t.listen(used, { path: t.path('used') });
    for (const path of [t.path('used'), t.path('no/such/dir'), t.path('file')]) {
      const server = t.net.createServer();
      server.on('error', (error) => t.trace('listen', error));
      server.listen(path);
      await t.once(server, 'error').catch(() => {});
    }
    used.close();
  });

  twin('names that are too long', { traffic: false }, async (t) => {
    // Relative names, so that their length does not depend on where the run keeps its files.
    process.chdir(t.dir);
    for (const length of [106, 107, 108, 109, 200]) {
      const path = 'n'.repeat(length);
      const server = t.net.createServer();
      server.on('error', (error) => t.trace(length, 'listen', (error as NodeJS.ErrnoException).code));
      server.on('listening', () => t.trace(length, 'listening', server.address() === path));
      try {
        server.listen(path);
        await new Promise((done) => server.once('listening', done).once('error', done));
      } catch (error) {
        t.trace(length, 'threw', (error as NodeJS.ErrnoException).code);
      }
      const client = t.net.connect(path);
      client.on('connect', () => {
        t.trace(length, 'connect');
        client.destroy();
      });
      client.on('error', (error) => t.trace(length, 'connect', (error as NodeJS.ErrnoException).code));
      await t.closed(client);
      if (server.listening) server.close();
      // Where the name is cut short, plain Node unlinks the long one and leaves a file behind.
      const left = t.fs.readdirSync('.').filter((name) => /^n{20,}$/.test(name));
      for (const name of left) t.fs.rmSync(name);
    }
  });

  twin('abstract names', async (t) => {
    const path = `\0tsloop-${process.pid}`;
    t.pid(process.pid);
    const server = t.net.createServer((socket) => socket.end('abstract'));
    await t.listen(server, { path });
    const client = t.net.connect({ path });
    client.on('data', (data) => t.trace(String(data)));
    await t.closed(client);
    const second = t.net.createServer();
    second.on('error', (error) => t.trace((error as NodeJS.ErrnoException).code));
    second.listen(path);
    await t.once(second, 'error').catch(() => {});
    server.close();
  });

  for (const name of ['\0tsloop\0inside', '\0tsloop\0', 'path\0tail']) {
    twin(
      `a name with a NUL in it: ${JSON.stringify(name)}`,
      { given: name, ledger: false, traffic: false },
      async (t, name: string) => {
        // Abstract names are the whole machine's.
        const own = name.replace('tsloop', `tsloop-${process.pid}`);
        t.pid(process.pid);
        const server = t.net.createServer((socket) => socket.end('heard'));
        server.on('error', (error: NodeJS.ErrnoException) => t.trace(error.code, error.syscall));
        server.listen({ path: own });
        await new Promise((done) => server.once('listening', done).once('error', done));
        t.trace(
          server.listening,
          t.fs.readdirSync('.').filter((file) => file.startsWith('path')),
        );
        const client = t.net.connect({ path: own });
        client.on('error', (error: NodeJS.ErrnoException) => t.trace(error.code, error.syscall));
        client.on('data', (data) => t.trace(String(data)));
        await t.closed(client);
        if (server.listening) await new Promise<void>((done) => server.close(() => done()));
        t.trace(t.fs.readdirSync('.').filter((file) => file.startsWith('path')));
      },
    );
  }

  twin('readableAll and writableAll change the mode', { traffic: false }, async (t) => {
    process.umask(0o077);
    for (const options of [
      {},
      { readableAll: true },
      { writableAll: true },
      { readableAll: true, writableAll: true },
    ]) {
      const path = t.path('mode');
      const server = t.net.createServer();
      await t.listen(server, { path, ...options });
      t.trace(options, (t.fs.statSync(path).mode & 0o777).toString(8));
      server.close();
      await t.closed(server);
    }
  });

  twin('allowHalfOpen, big data, pauses and resets that do not exist', async (t) => {
    const path = t.path('s');
    let closed = 0;
    const server = t.net.createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('close', () => closed++);
      let bytes = 0;
      socket.on('data', (data) => {
        bytes += data.length;
      });
      socket.on('end', () => {
        t.lane('server')(bytes);
        socket.end(Buffer.alloc(3_000_000, 'r'));
      });
      socket.on('error', (error) => t.lane('server')(error));
    });
    await t.listen(server, { path });
    const client = t.net.connect(path);
    let bytes = 0;
    client.on('data', (data) => {
      bytes += data.length;
      client.pause();
      setImmediate(() => client.resume());
    });
    client.end(Buffer.alloc(2_000_000, 'q'));
    await t.closed(client);
    t.trace(bytes, client.bytesWritten);
    const other = t.net.connect(path);
    await t.once(other, 'connect');
    try {
      other.resetAndDestroy();
    } catch (error) {
      t.trace('reset', error);
    }
    t.trace(other.setNoDelay() === other, other.setKeepAlive() === other);
    other.destroy();
    await t.closed(other);
    await t.until(() => closed === 2);
    server.close();
  });

  twin('writes to a closed peer: EPIPE at once', async (t) => {
    const path = t.path('s');
    const server = t.net.createServer((socket) => socket.destroy());
    await t.listen(server, { path });
    const client = t.net.connect({ path, allowHalfOpen: true });
    client.resume();
    client.on('error', (error) => t.trace('error', error));
    client.on('close', (had) => t.trace('close', had));
    await t.once(client, 'end');
    client.write('x', (error) => t.trace('write', error));
    await t.closed(client);
    server.close();
  });

  twin('a socket on a descriptor handed in by the parent', { traffic: false }, async (t) => {
    const child = t.cp.spawn(
      process.execPath,
      [
        ...process.execArgv,
        '-e',
        `const net = require('net');
         const s = new net.Socket({ fd: 3, readable: true, writable: true });
         s.on('data', (d) => s.end('got ' + d));
         s.on('close', (had) => console.log('close', had));`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit', 'pipe'] },
    );
    child.stdout?.on('data', (data) => t.lane('child')(String(data)));
    const pipe = child.stdio[3] as import('node:net').Socket;
    pipe.write('down');
    pipe.on('data', (data) => t.trace(String(data)));
    const [code] = await t.once(child, 'close');
    t.trace(code);
  });

  twin('one-directional descriptors: what is readable, what is writable', { traffic: false }, async (t) => {
    const fifo = t.path('fifo');
    t.cp.execFileSync('mkfifo', [fifo]);
    const read = t.fs.openSync(fifo, t.fs.constants.O_RDONLY | t.fs.constants.O_NONBLOCK);
    const write = t.fs.openSync(fifo, t.fs.constants.O_WRONLY);
    const reader = new t.net.Socket({ fd: read, writable: false });
    const writer = new t.net.Socket({ fd: write, readable: false });
    t.trace(reader.readable, reader.writable, writer.readable, writer.writable);
    reader.on('data', (data) => t.trace('data', String(data)));
    reader.on('end', () => t.trace('end'));
    writer.end('through a fifo');
    await t.closed(reader);
  });

  twin('accept order and many clients on one path', async (t) => {
    const path = t.path('s');
    let accepted = 0;
    const server = t.net.createServer((socket) => socket.end(String(accepted++)));
    await t.listen(server, { path, backlog: 100 } as object);
    const numbers = await Promise.all(
      Array.from(
        { length: 50 },
        () =>
          new Promise<number>((done) => {
            t.net.connect(path).on('data', (data) => done(Number(data)));
          }),
      ),
    );
    t.trace(numbers.sort((a, b) => a - b).join());
    server.close();
  });

  twin('http over a path', async (t) => {
    const socketPath = t.path('http.sock');
    const server = t.http.createServer((request, response) => response.end(`${request.method} ${request.url}`));
    await t.listen(server, { path: socketPath });
    const agent = new t.http.Agent({ keepAlive: true });
    for (const path of ['/a', '/b']) {
      await new Promise<void>((done) => {
        t.http.get({ socketPath, path, agent }, (response) => {
          response.on('data', (data) => t.trace(response.statusCode, String(data)));
          response.on('end', () => done());
        });
      });
    }
    agent.destroy();
    server.closeAllConnections();
    server.close();
  });

  twin(
    'opened on descriptors: one way where those go one way, never twice, and refused on none',
    { traffic: false },
    async (t) => {
      const { Pipe, constants } = t.binding('pipe_wrap');
      const { WriteWrap, ShutdownWrap } = t.binding('stream_wrap');
      const path = t.path('fifo');
      t.cp.execFileSync('mkfifo', [path]);
      const { O_RDONLY, O_RDWR, O_WRONLY, O_NONBLOCK } = t.fs.constants;
      for (const [name, mode] of [
        ['both', O_RDWR],
        ['reading', O_RDONLY],
        ['writing', O_WRONLY],
      ] as const) {
        const held = t.fs.openSync(path, O_RDWR | O_NONBLOCK);
        const fd = t.fs.openSync(path, mode | O_NONBLOCK);
        const pipe = new Pipe(constants.SOCKET);
        pipe.onread = () => {};
        t.trace(name, 'open', pipe.open(fd), pipe.open(fd), pipe.fd === fd);
        const other = t.fs.openSync(path, O_RDWR | O_NONBLOCK);
        t.trace('another', pipe.open(other), 'none', pipe.open(-1), pipe.open(2 ** 30), pipe.fd === fd);
        t.fs.closeSync(other);
        t.trace('readStart', pipe.readStart(), pipe.readStop());
        t.trace('write', pipe.writeUtf8String(new WriteWrap(), 'x'));
        t.trace('shutdown', pipe.shutdown(new ShutdownWrap()));
        await new Promise((done) => pipe.close(done));
        t.fs.closeSync(held);
      }
    },
  );

  twin('sockets on standard streams, which stay open', async (t) => {
    const program = `
      const fs = require('node:fs');
      const net = require('node:net');
      const show = (fd) => { try { fs.fstatSync(fd); return 'open'; } catch (error) { return error.code; } };
      net.createServer().listen(0, '127.0.0.1', function () { this.close(); });
      const input = new net.Socket({ fd: 0 });
      const lines = [input._handle.fd];
      input.on('data', (data) => lines.push(String(data)));
      input.on('close', () => {
        lines.push(show(0));
        const output = new net.Socket({ fd: 1, readable: false });
        output.write('written', () => output.destroy());
        output.on('close', () => {
          lines.push(show(1));
          const never = new net.Socket({ fd: 2, readable: false });
          never.on('close', () => fs.writeSync(2, lines.concat(show(2)).join()));
          never.destroy();
        });
      });`;
    const child = t.cp.spawn(process.execPath, [...process.execArgv, '-e', program]);
    for (const name of ['stdout', 'stderr'] as const) {
      let text = '';
      child[name].on('data', (data) => {
        text += data;
      });
      child[name].on('end', () => t.lane(name)(text));
    }
    child.stdin.end('for the child');
    t.trace(...(await t.once(child, 'close')));
  });
});
