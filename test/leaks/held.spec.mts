/** Descriptors of handles that do nothing yet: who closes them, and when. */
import { twin } from '../support/twin.mjs';

/** Handles with a descriptor that no loop has seen, by what lib/ or a program asks of them; source, as Workers run it too. */
const WAYS = `({
  'a TCP handle that is bound': () => {
    const { TCP, constants } = process.binding('tcp_wrap');
    const handle = new TCP(constants.SOCKET);
    handle.bind('127.0.0.1', 0);
    return handle;
  },
  'a pipe that is bound': () => {
    const { Pipe, constants } = process.binding('pipe_wrap');
    const handle = new Pipe(constants.SOCKET);
    handle.bind('\\0tsloop' + process.pid + Math.random());
    return handle;
  },
  'a datagram handle that is bound': () => {
    const { UDP } = process.binding('udp_wrap');
    const handle = new UDP();
    handle.bind('127.0.0.1', 0, 0);
    return handle;
  },
  'a pipe opened on a descriptor': () => {
    const { Pipe, constants } = process.binding('pipe_wrap');
    const handle = new Pipe(constants.SOCKET);
    handle.open(fs.openSync(fifo, fs.constants.O_RDWR | fs.constants.O_NONBLOCK));
    return handle;
  },
  'new net.Socket({ fd }) that is paused': () => {
    const fd = fs.openSync(fifo, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
    return new net.Socket({ fd, readable: false });
  },
  'new net.Socket({ fd }) that reads': () => {
    const fd = fs.openSync(fifo, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
    return new net.Socket({ fd, readable: true }).resume();
  },
  'a server listening on a descriptor': () => {
    const { TCP, constants } = process.binding('tcp_wrap');
    const handle = new TCP(constants.SERVER);
    handle.bind('127.0.0.1', 0);
    const server = net.createServer().listen(handle);
    return server;
  },
  'a socket that connects': () => net.connect(port, '127.0.0.1').on('error', () => {}),
})`;

const NAMES = [...WAYS.matchAll(/^ {2}'([^']*)':/gm)].map(([, name]) => name as string);

describe('leaks: descriptors of handles that do nothing yet', () => {
  // Such a handle is a root of its thread, on plain Node too: nobody collects it, nothing closes it but close() or the end.
  twin(
    'kept though nobody knows the handle any more, and closed by close()',
    { ledger: false, traffic: false, flags: ['--expose-gc'], given: { WAYS, NAMES } },
    async (t, given: { WAYS: string; NAMES: string[] }) => {
      const { gc } = globalThis as unknown as { gc(): void };
      const peers = new Set<import('node:net').Socket>();
      const server = t.net.createServer((socket) => peers.add(socket));
      const port = await t.listen(server);
      const fifo = t.path('fifo');
      t.cp.execFileSync('mkfifo', [fifo]);
      const ways = new Function('net', 'fs', 'fifo', 'port', `return ${given.WAYS}`)(t.net, t.fs, fifo, port);
      const count = (): number => t.descriptors();
      let before = count();
      for (const name of given.NAMES.slice(0, -1)) {
        const close = async (handle: { destroy?(): void; close(done: () => void): void }): Promise<void> => {
          if (handle.destroy !== undefined) handle.destroy();
          else await new Promise<void>((done) => handle.close(done));
          await t.turn();
        };
        for (let round = 0; round < 5; round++) await close(ways[name]());
        await t.until(() => count() <= before);
        t.trace(name, 'closed', count() - before);
        const registry = { collected: 0 };
        const finalization = new FinalizationRegistry(() => registry.collected++);
        for (let round = 0; round < 5; round++) finalization.register(ways[name](), round);
        for (let round = 0; round < 5; round++) {
          gc();
          await t.turn();
        }
        t.trace(name, 'forgotten', count() - before, registry.collected);
        before = count();
      }
      process.exit(0);
    },
  );

  for (const name of NAMES) {
    twin(
      `closed with the Worker that has it: ${name}`,
      { timeout: 30_000, traffic: false, given: { WAYS, name } },
      async (t, given: { WAYS: string; name: string }) => {
        const { Worker } = t.require('node:worker_threads') as typeof import('node:worker_threads');
        const server = t.net.createServer((socket) => socket.on('error', () => {}).resume());
        const port = await t.listen(server);
        const fifo = t.path('fifo');
        t.cp.execFileSync('mkfifo', [fifo]);
        const program = `
        const net = require('node:net');
        const fs = require('node:fs');
        const { parentPort, workerData } = require('node:worker_threads');
        const { port, fifo, way, busy } = workerData;
        const made = new Int32Array(workerData.made);
        const make = () => {
          const handles = Array.from({ length: 5 }, () => ${given.WAYS}[way]());
          Atomics.store(made, 0, handles.length);
          // Never lets go of the thread, so that nothing asked for at the end of a callback is asked for.
          if (busy) for (;;) Atomics.load(made, 0);
          setInterval(() => handles, 1000);
        };
        if (!busy) make();
        else net.connect(port, '127.0.0.1', make).on('error', () => {});`;
        const run = async (busy: boolean): Promise<void> => {
          const made = new Int32Array(new SharedArrayBuffer(4));
          const workerData = { port, fifo, way: given.name, busy, made: made.buffer };
          const worker = new Worker(program, { eval: true, workerData, trackUnmanagedFds: false });
          worker.on('error', (error) => t.trace('error', error));
          await t.until(() => Atomics.load(made, 0) === 5);
          await worker.terminate();
        };
        const connections = (): Promise<number> => new Promise((done) => server.getConnections((_, n) => done(n)));
        const before = t.descriptors();
        for (const busy of [false, true]) {
          for (let round = 0; round < 4; round++) await run(busy);
          const patience = Date.now() + 10_000;
          const isLate = async (): Promise<boolean> => (await connections()) > 0 || t.descriptors() > before;
          while ((await isLate()) && Date.now() < patience) await t.sleep(5);
          t.trace(busy, 'more descriptors', t.descriptors() - before);
        }
        server.close();
      },
    );
  }
});
