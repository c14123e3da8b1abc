/** Standard input and output keep Node's handles, whatever they are connected to. */
import { twin } from '../support/twin.mjs';

describe('preload: standard streams', () => {
  const quiet = { traffic: false } as const;

  twin(
    'input on a pipe, read to the end, and output on a pipe',
    { ...quiet, stdin: 'one\ntwo\n'.repeat(5000) },
    async (t) => {
      let size = 0;
      for await (const chunk of process.stdin) size += chunk.length;
      t.trace(size, process.stdin.constructor.name, process.stdout.constructor.name);
      process.stdout.write('out\n');
      process.stderr.write('err\n');
    },
  );

  twin('input that is never read does not hold the process', { ...quiet, stdin: 'ignored' }, (t) => {
    t.trace(process.stdin.readable, typeof process.stdin.fd);
    process.stdin.pause();
  });

  twin("the handles of the standard streams are Node's own", { ...quiet, stdin: 'x', ledger: false }, (t) => {
    for (const stream of [process.stdin, process.stdout, process.stderr]) {
      const handle = (stream as unknown as { _handle?: { constructor: object } })._handle;
      // A native class is printed as native code; ours are written in JavaScript.
      t.trace(
        handle === undefined ? 'none' : /\[native code\]/.test(Function.prototype.toString.call(handle.constructor)),
      );
    }
    process.stdin.destroy();
  });

  // What a pipe holds: how much of more arrives depends on how fast the reader is.
  for (const size of [1000, 60_000]) {
    twin(`process.exit right after ${size} bytes of output`, { ...quiet, given: size }, (_t, given: number) => {
      process.stdout.write('o'.repeat(given));
      process.exit(0);
    });
  }

  twin('a child whose three streams are pipes of ours', quiet, async (t) => {
    const child = t.cp.spawn(process.execPath, [
      ...process.execArgv,
      '-e',
      `process.stdin.pipe(process.stdout); process.stderr.write('side')`,
    ]);
    let size = 0;
    child.stdout.on('data', (data) => {
      size += data.length;
    });
    child.stderr.on('data', (data) => t.lane('stderr')(String(data)));
    child.stdin.write(Buffer.alloc(500_000, 'i'));
    child.stdin.end();
    const [code] = await t.once(child, 'close');
    t.trace(size, code);
  });

  twin('exec, execFile, spawnSync and a shell pipeline', quiet, async (t) => {
    const { promisify } = t.require('node:util');
    const run = promisify(t.cp.exec);
    t.trace((await run('echo hello | tr a-z A-Z')).stdout, t.cp.spawnSync('cat', { input: 'sync' }).stdout.toString());
    await run('exit 3').catch((error: NodeJS.ErrnoException) => t.trace(error.code));
    const missing = t.cp.spawn('/no/such/program');
    missing.on('error', (error) => t.trace(error));
    await t.once(missing, 'close').catch(() => {});
  });

  twin('stdio that inherits and wraps a socket', async (t) => {
    const server = t.net.createServer((socket) => {
      const child = t.cp.spawn(
        process.execPath,
        ['-e', `process.stdin.on('data', (d) => { process.stdout.write('child says ' + d); process.exit(); })`],
        {
          stdio: [socket, socket, 'inherit'],
        },
      );
      child.on('exit', (code) => {
        t.lane('child')(code);
        socket.destroy();
      });
    });
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    client.write('hello');
    client.on('data', (data) => t.trace(String(data)));
    await t.closed(client);
    server.close();
  });
});
