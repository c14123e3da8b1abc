/**
 * Somebody keeps `process.reallyExit`, `process.abort` or their like when the program starts, and calls it or puts it back at
 * its end (signal-exit, and with it execa, nyc, ink): bytes that count as written reach the peer as on plain Node.
 */
import { twin } from '../support/twin.mjs';

const ways = [
  'process.exit()',
  'kept.reallyExit.call(process, 0)',
  'process.reallyExit = kept.reallyExit; process.exit()',
  'process.abort = kept.abort; process.abort()',
  'process._kill = kept._kill; process.kill(process.pid, "SIGTERM")',
  'process._fatalException = kept._fatalException; throw 1',
];

describe('reports: a kept way out', () => {
  for (const way of ways) {
    twin(way, { given: way, env: { TSLOOP_STRICT: '0' } }, async (t, given: string) => {
      const counts: number[] = [];
      const server = t.net.createServer((socket) => {
        let bytes = 0;
        socket.on('error', () => {});
        socket.on('data', (data) => {
          bytes += data.length;
        });
        socket.on('close', () => counts.push(bytes));
      });
      const port = await t.listen(server);
      for (const [at, [count, size]] of [
        [25, 16_384],
        [50, 40],
      ].entries() as IterableIterator<[number, [number, number]]>) {
        const program = `const kept = { ...process };
          const c = require('node:net').connect(${port}, '127.0.0.1', () => {
            for (let i = 0; i < ${count}; i++) c.write(Buffer.alloc(${size}));
            ${given};
          });`;
        const child = t.cp.spawn(process.execPath, [...process.execArgv, '-e', program], { stdio: 'ignore' });
        t.trace('child', ...(await t.once(child, 'close')));
        await t.until(() => counts.length > at);
        t.trace('arrived', counts[at]);
      }
      server.close();
    });
  }
});

describe('reports: the functions behind the ends of a process', () => {
  twin('look as they do on plain Node: no prototype, no parameters, not to be constructed', { traffic: false }, (t) => {
    const ends = process as unknown as Record<string, (() => void) & { prototype?: object }>;
    for (const name of ['reallyExit', '_kill', 'abort']) {
      const end = ends[name] as (() => void) & { prototype?: object };
      t.trace(name, end.name, end.length, typeof end.prototype);
    }
    const Abort = ends['abort'] as unknown as new () => object;
    try {
      new Abort();
    } catch (error) {
      t.trace((error as Error).name);
    }
  });
});
