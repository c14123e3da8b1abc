/** Workers that go away in the middle: descriptors closed, the peer told, the process none the worse. */
import { twin } from '../support/twin.mjs';

describe('leaks: environments that end early', () => {
  const options = { timeout: 30_000 } as const;

  twin('terminated while writing, reading, connecting and accepting', options, async (t) => {
    const { Worker } = t.require('node:worker_threads') as typeof import('node:worker_threads');
    let open = 0;
    const server = t.net.createServer((socket) => {
      open++;
      socket.on('error', () => {});
      socket.on('close', () => open--);
      socket.resume();
      socket.write(Buffer.alloc(200_000, 'd'));
    });
    const port = await t.listen(server);
    const source = `
      const net = require('node:net');
      const { parentPort, workerData } = require('node:worker_threads');
      const own = net.createServer((socket) => socket.resume()).listen(0, '127.0.0.1', () => {
        for (let index = 0; index < 10; index++) {
          const socket = net.connect(workerData, '127.0.0.1');
          socket.on('connect', () => {
            const chunk = Buffer.alloc(100000);
            const pump = () => { while (socket.write(chunk)); };
            socket.on('drain', pump);
            pump();
            if (index === 9) parentPort.postMessage('busy');
          });
          socket.resume();
          net.connect(own.address().port, '127.0.0.1');
        }
      });`;
    for (let round = 0; round < 5; round++) {
      const worker = new Worker(source, { eval: true, workerData: port });
      await t.once(worker, 'message');
      if (round % 2 === 1) await t.sleep(10);
      t.trace('exit code', await worker.terminate());
    }
    const patience = Date.now() + 15_000;
    while (open > 0 && Date.now() < patience) await t.sleep(5);
    t.trace('still open', open);
    server.close();
  });

  twin('a Worker that exits by itself with handles open, and one that throws', options, async (t) => {
    const { Worker } = t.require('node:worker_threads') as typeof import('node:worker_threads');
    const server = t.net.createServer((socket) => socket.on('error', () => {}).resume());
    const port = await t.listen(server);
    for (const end of ['process.exit(4)', 'throw new Error("worker")', 'socket.destroy()']) {
      const worker = new Worker(
        `const socket = require('node:net').connect(require('node:worker_threads').workerData, '127.0.0.1', () => { socket.write('x'); ${end}; });`,
        { eval: true, workerData: port },
      );
      worker.on('error', (error) => t.trace('error', error.message));
      t.trace(end, await new Promise((done) => worker.on('exit', done)));
    }
    let count = -1;
    const patience = Date.now() + 15_000;
    while (count !== 0 && Date.now() < patience) {
      count = await new Promise<number>((done) => server.getConnections((_, n) => done(n)));
      await t.sleep(5);
    }
    t.trace('connections', count);
    server.close();
  });

  // Several chunks come in one turn of the loop: the kernel has all of them before the first is read.
  for (const end of [
    'parentPort.postMessage("stop me"); Atomics.wait(never, 0, 0)',
    'process.exit(3)',
    'throw new Error("worker")',
  ]) {
    twin(
      `a Worker that ends between two chunks of one turn: ${end}`,
      { ...options, given: end },
      async (t, given: string) => {
        const { Worker } = t.require('node:worker_threads') as typeof import('node:worker_threads');
        const source = `
        const { parentPort, workerData } = require('node:worker_threads');
        const never = new Int32Array(new SharedArrayBuffer(4));
        let chunks = 0;
        const socket = require('node:net').connect(workerData, '127.0.0.1');
        parentPort.once('message', () => socket.on('data', (chunk) => {
          parentPort.postMessage(['chunk', ++chunks]);
          if (chunks === 2) { ${given}; }
        }));`;
        const server = t.net.createServer({ allowHalfOpen: true });
        const port = await t.listen(server);
        const run = async (): Promise<void> => {
          const worker = new Worker(source, { eval: true, workerData: port });
          worker.on('error', (error) => t.trace('error', error.message));
          const heard: unknown[] = [];
          worker.on('message', (message) => {
            heard.push(message);
            if (message === 'stop me') worker.terminate();
          });
          const exited = new Promise((done) => worker.on('exit', done));
          const [peer] = await t.once(server, 'connection');
          // It ends with bytes unread, or has read them to nobody's use: a reset, or an end.
          peer.on('error', () => {});
          const closed = t.closed(peer);
          peer.end(Buffer.alloc(640 * 1024, 'd'));
          await t.once(peer, 'finish');
          peer.on('end', () => peer.destroy());
          peer.resume();
          worker.postMessage('read');
          t.trace('exit code', await exited, heard);
          await closed;
        };
        const descriptors = (): number => t.fs.readdirSync('/proc/self/fd').length;
        // What there is once and for all is there before anything is counted.
        for (let round = 0; round < 2; round++) await run();
        const before = descriptors();
        for (let round = 0; round < 8; round++) await run();
        const patience = Date.now() + 15_000;
        while (descriptors() > before && Date.now() < patience) await t.sleep(5);
        t.trace('more descriptors', descriptors() > before);
        server.close();
      },
    );
  }

  twin('terminated in the turn in which it starts children: its ends are closed, and they end', options, async (t) => {
    const { Worker } = t.require('node:worker_threads') as typeof import('node:worker_threads');
    const source = `
      const { spawn } = require('node:child_process');
      const started = new Int32Array(require('node:worker_threads').workerData);
      for (let count = 0; count < 100; count++) {
        spawn('cat', { stdio: ['pipe', 'pipe', 'pipe', 'ipc'] });
        Atomics.add(started, 0, 1);
      }`;
    const run = async (children: number): Promise<void> => {
      const started = new Int32Array(new SharedArrayBuffer(4));
      const worker = new Worker(source, { eval: true, workerData: started.buffer });
      while (Atomics.load(started, 0) < children) await t.turn();
      await worker.terminate();
    };
    // What there is once and for all is there before anything is counted.
    const [code] = await t.once(t.cp.spawn('true'), 'close');
    t.trace('code', code);
    await run(1);
    const descriptors = (): string[] => t.fs.readdirSync('/proc/self/fd');
    const running = (): number => {
      const states = t.fs.readdirSync('/proc').map((name) => {
        try {
          return t.fs
            .readFileSync(`/proc/${name}/stat`, 'utf8')
            .replace(/^.*\) /, '')
            .split(' ', 2)
            .join();
        } catch {
          return '';
        }
      });
      return states.filter((state) => state.endsWith(`,${process.pid}`) && !state.startsWith('Z')).length;
    };
    const patience = Date.now() + 15_000;
    while (running() > 0 && Date.now() < patience) await t.sleep(5);
    const before = descriptors().length;
    for (let round = 0; round < 12; round++) await run(1 + (round % 4));
    while ((running() > 0 || descriptors().length > before) && Date.now() < patience) await t.sleep(5);
    t.trace('running', running(), 'more descriptors', descriptors().length - before);
  });

  twin('many Workers one after another leave no descriptor behind', options, async (t) => {
    const { Worker } = t.require('node:worker_threads') as typeof import('node:worker_threads');
    const source = `
      const net = require('node:net');
      const server = net.createServer((socket) => socket.end('x')).listen(0, '127.0.0.1', () => {
        net.connect(server.address().port, '127.0.0.1').resume().on('close', () => server.close());
      });`;
    const run = async (): Promise<void> => {
      await t.once(new Worker(source, { eval: true }), 'exit');
    };
    for (let index = 0; index < 3; index++) await run();
    const before = t.fs.readdirSync('/proc/self/fd').length;
    for (let index = 0; index < 12; index++) await run();
    const more = (): boolean => t.fs.readdirSync('/proc/self/fd').length > before;
    const patience = Date.now() + 10_000;
    while (more() && Date.now() < patience) await t.sleep(5);
    t.trace('more descriptors', more());
    const server = t.net.createServer((socket) => socket.end());
    const port = await t.listen(server);
    await t.closed(t.net.connect(port, '127.0.0.1').resume());
    server.close();
  });

  twin(
    'many thousand short connections: descriptors and memory stand still',
    { timeout: 90_000, flags: ['--expose-gc'] },
    async (t) => {
      const server = t.net.createServer((socket) => socket.end('x'));
      const port = await t.listen(server);
      const gc = (globalThis as unknown as { gc(): void }).gc;
      const burst = async (count: number): Promise<void> => {
        let left = count;
        await Promise.all(
          Array.from({ length: 32 }, async () => {
            while (left-- > 0) await t.closed(t.net.connect(port, '127.0.0.1').resume());
          }),
        );
        for (let round = 0; round < 4; round++) {
          gc();
          await t.sleep(10);
        }
      };
      // V8's own heap has its size after some ten thousand, on plain Node too: until then memory grows by 20 MiB.
      await burst(12_000);
      const used = (): number => t.fs.readdirSync('/proc/self/fd').length;
      const descriptors = used();
      const memory = process.memoryUsage().rss;
      await burst(5000);
      const patience = Date.now() + 10_000;
      while (used() > descriptors && Date.now() < patience) await t.sleep(5);
      t.trace('more descriptors', used() > descriptors);
      t.trace('grown by less than 8 MiB', process.memoryUsage().rss - memory < 8 * 1024 * 1024);
      server.close();
    },
  );
});
