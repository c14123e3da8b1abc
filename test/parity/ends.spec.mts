/** Ways in which a process ends right after writes: its peers get as much as from plain Node. */
import { twin } from '../support/twin.mjs';

/** A program in this one's place, which says what it was left: descriptors, by what they are. */
const SUCCESSOR = `
  const fs = require('node:fs');
  const kinds = fs.readdirSync('/proc/self/fd').map((fd) => {
    try { return fs.readlinkSync('/proc/self/fd/' + fd).replace(/\\d+/g, ''); } catch { return 'the listing'; }
  });
  console.log(kinds.filter((kind) => /socket|eventpoll|eventfd/.test(kind)).sort().join());
  process.exitCode = 7;`;

const execve = `process.execve(process.execPath, [process.execPath, '-e', ${JSON.stringify(SUCCESSOR)}], {})`;

interface Way {
  readonly end: string;
  /** The first line that has it. */
  readonly since?: number;
  /** What lib/ holds back behind a write that has not ended stays behind, as `process.execve` may return. */
  readonly heldBack?: false;
}

const ways: readonly Way[] = [
  { end: 'process.exit(0)' },
  { end: 'process.reallyExit(3)' },
  { end: 'throw 1' },
  { end: 'Promise.reject(1)' },
  { end: `process.on('uncaughtException', () => { throw 2; }); throw 1` },
  { end: `process.setUncaughtExceptionCaptureCallback(() => { throw 2; }); throw 1` },
  { end: 'process.abort()' },
  ...['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP'].map((signal) => ({ end: `process.kill(process.pid, '${signal}')` })),
  { end: `process.once('SIGTERM', () => process.kill(process.pid, 'SIGTERM')); process.kill(process.pid, 'SIGTERM')` },
  { end: execve, since: 22, heldBack: false },
];

describe('parity: ends of a process', () => {
  for (const { end, since = 0, heldBack } of ways) {
    const title = end === execve ? 'process.execve' : end;
    twin(`${title}: bytes written right before`, { since, given: { end, heldBack } }, async (t, given: Way) => {
      let closed = 0;
      let ended = 0;
      const server = t.net.createServer((socket) => {
        let bytes = 0;
        socket.on('data', (data) => {
          bytes += data.length;
        });
        socket.on('error', (error) => t.lane('server')('error', error));
        socket.on('end', () => {
          ended++;
          t.lane('server')('end', bytes);
        });
        socket.on('close', () => closed++);
      });
      const port = await t.listen(server);
      const writes = [
        [1, 5],
        [1, 100_000],
        [200, 100],
        [10, 20_000],
      ] as const;
      for (const [at, [count, size]] of writes.entries()) {
        if (given.heldBack === false && count * size > 100_000) continue;
        const program = `const c = require('net').connect(${port}, '127.0.0.1', () => {
            for (let i = 0; i < ${count}; i++) c.write(Buffer.alloc(${size}));
            ${given.end};
          });`;
        // An exception is printed with its line, and that with the port.
        const child = t.cp.spawn(process.execPath, [...process.execArgv, '-e', program], {
          stdio: ['ignore', 'pipe', 'ignore'],
        });
        child.stdout.on('data', (data) => t.lane('output')(String(data)));
        t.trace('child', count, size, ...(await t.once(child, 'close')));
        await t.until(() => closed > at);
      }
      t.trace('told of the end', ended);
      server.close();
    });

    twin(`${title}: datagrams sent right before`, { since, given: end }, async (t, given: string) => {
      const server = t.dgram.createSocket('udp4');
      server.bind(0, '127.0.0.1');
      await t.once(server, 'listening');
      const program = `const s = require('node:dgram').createSocket('udp4'); s.connect(${server.address().port}, '127.0.0.1', () => {
        for (let index = 0; index < 40; index++) s.send('m' + index); ${given}; });`;
      const got: string[] = [];
      server.on('message', (message) => got.push(String(message)));
      const child = t.cp.spawn(process.execPath, [...process.execArgv, '-e', program], { stdio: 'ignore' });
      t.trace(...(await t.once(child, 'exit')));
      await t.until(() => got.length === 40);
      t.trace(got);
      server.close();
    });
  }

  twin('a signal that does not end it, and programs that are not there: it goes on', async (t) => {
    const heard: string[] = [];
    for (const signal of ['SIGUSR2', 'SIGTERM', 'SIGINT'] as const) process.on(signal, () => heard.push(signal));
    const { client, returned, end } = await t.echo();
    let written = 0;
    for (const signal of ['SIGUSR2', 'SIGTERM', 'SIGINT', 'SIGCONT', 0] as const) {
      for (let count = 0; count < 20; count++) client.write(Buffer.alloc(20_000), () => written++);
      t.trace(signal, process.kill(process.pid, signal));
      await t.until(() => written === 20);
      written = 0;
    }
    try {
      process.kill(2 ** 31 - 1, 'SIGTERM');
    } catch (error) {
      t.trace(error);
    }
    await t.until(() => returned() === 5 * 20 * 20_000 && heard.length === 3);
    t.trace(heard.sort());
    await end();
  });

  // Older lines abort there.
  twin('a program that cannot be executed: thrown, and it goes on', { since: 26 }, async (t) => {
    const { execve } = process as unknown as { execve(file: unknown, args?: unknown): never };
    const { client, returned, end } = await t.echo();
    t.fs.writeFileSync(t.path('data'), 'neither a program nor a script');
    t.fs.chmodSync(t.path('data'), 0o755);
    for (const file of [t.path('none'), t.dir, t.path('data'), 5]) {
      for (let count = 0; count < 20; count++) client.write(Buffer.alloc(20_000));
      try {
        execve(file, []);
      } catch (error) {
        t.trace(error);
      }
    }
    try {
      execve(t.path('data'), 'no list');
    } catch (error) {
      t.trace(error);
    }
    await t.until(() => returned() === 4 * 20 * 20_000);
    await end();
  });
});
