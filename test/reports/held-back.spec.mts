/** Answers leave when they are given, however long JavaScript goes on; a reader that pauses holds its peer back at once. */
import { twin } from '../support/twin.mjs';

describe('reports: what is held back', () => {
  twin(
    'sixteen ask at once, a handler takes 5 ms: the first answer is there long before the last is made',
    async (t) => {
      const ends: bigint[] = [];
      const server = t.http.createServer((_, response) => {
        const until = process.hrtime.bigint() + 5_000_000n;
        while (process.hrtime.bigint() < until);
        response.end(`${ends.push(process.hrtime.bigint())}`);
      });
      const port = await t.listen(server);
      // Another process: this one is busy while the answers arrive.
      const asks = `
      const sockets = [];
      const start = () => { for (const socket of sockets) socket.write('GET / HTTP/1.1\\r\\nhost: a\\r\\n\\r\\n'); };
      let [open, got] = [0, 0];
      const times = [];
      for (let at = 0; at < 16; at++) {
        const socket = require('net').connect(${port}, '127.0.0.1', () => { if (++open === 16) setTimeout(start, 100); });
        socket.on('data', () => {
          times.push(Number(process.hrtime.bigint() / 1000n));
          if (++got % 16 !== 0) return;
          if (got < 64) { setTimeout(start, 50); return; }
          console.log(JSON.stringify(times));
          process.exit();
        });
        sockets.push(socket);
      }`;
      const child = t.cp.spawn(process.execPath, ['-e', asks], {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, TSLOOP: 'off', NODE_OPTIONS: '' },
      });
      const times = JSON.parse((await child.stdout.toArray()).join('')) as number[];
      // Of the rounds after the first: how far the first answer is ahead of the last, in handlers.
      const ahead = [1, 2, 3].map(
        (round) => ((times[round * 16 + 15] as number) - (times[round * 16] as number)) / 5000,
      );
      t.trace('ahead', Math.max(...ahead) > 10);
      server.close();
    },
  );

  for (const kind of ['tcp', 'unix'] as const) {
    twin(
      `a reader that pauses when it connects takes no more than its first chunk: ${kind}`,
      { given: kind },
      async (t, kind) => {
        const TOTAL = 16 << 20;
        const readers: import('node:net').Socket[] = [];
        const server = t.net.createServer((socket) => readers.push(socket.pause()));
        const path = `${process.cwd()}/socket`;
        await new Promise<void>((done) =>
          server.listen(kind === 'unix' ? { path } : { port: 0, host: '127.0.0.1' }, done),
        );
        for (let round = 0; round < 6; round++) {
          const client =
            kind === 'unix'
              ? t.net.connect(path)
              : t.net.connect((server.address() as never as { port: number }).port, '127.0.0.1');
          await t.once(client, 'connect');
          client.on('error', () => undefined);
          client.write(Buffer.alloc(TOTAL));
          await new Promise((done) => setTimeout(done, 200));
          const { writeQueueSize } = (client as never as { _handle: { writeQueueSize: number } })._handle;
          // What a kernel takes differs by its mood over TCP, not over a unix socket.
          t.trace(kind === 'unix' ? Math.round((TOTAL - writeQueueSize) / 65536) : TOTAL - writeQueueSize < 6 << 20);
          const [reader] = readers.splice(0);
          t.trace('in JavaScript', (reader?.readableLength ?? 0) <= 65536);
          client.destroy();
          reader?.destroy();
          await t.turn();
        }
        server.close();
      },
    );
  }

  for (const kind of ['tcp', 'unix'] as const) {
    twin(
      `a reader that pauses in the middle has one chunk beyond its mark, at most: ${kind}`,
      { given: kind },
      async (t, kind) => {
        const path = `${process.cwd()}/socket`;
        const server = t.net.createServer();
        await new Promise<void>((done) =>
          server.listen(kind === 'unix' ? { path } : { port: 0, host: '127.0.0.1' }, done),
        );
        // What tsloop has taken from the kernel, which no program sees; plain Node takes what it gives.
        const slots = process as never as Record<symbol, { api(): { stats(): { bytes: { received: number } } } }>;
        const taken = (): number | undefined => slots[Symbol.for('tsloop')]?.api().stats().bytes.received;
        for (const after of [1, 2, 5, 12]) {
          const before = taken() ?? 0;
          const client =
            kind === 'unix'
              ? t.net.connect(path)
              : t.net.connect((server.address() as never as { port: number }).port, '127.0.0.1');
          client.on('error', () => undefined);
          client.write(Buffer.alloc(16 << 20));
          const [reader] = (await t.once(server, 'connection')) as [import('node:net').Socket];
          let chunks = 0;
          let bytes = 0;
          const pauses: boolean[] = [];
          reader.on('data', (chunk) => {
            bytes += chunk.length;
            if (++chunks % after > 0) return;
            reader.pause();
            setTimeout(() => {
              // Node reads on below its mark: a short chunk there, which a busy machine brings about, and the one that crosses it.
              const beyond = reader.bytesRead - bytes < reader.readableHighWaterMark + 65536;
              // While the seat stays with the other thread it has read nothing that JavaScript has not been given.
              const ahead = (taken() ?? before + reader.bytesRead) - before - reader.bytesRead;
              pauses.push(beyond && (ahead === 0 || process.env['TSLOOP_DRIVER'] !== 'offload'));
              if (pauses.length < 4) reader.resume();
            }, 30);
          });
          while (pauses.length < 4) await t.sleep(10);
          t.trace(after, pauses);
          client.destroy();
          reader.destroy();
          await t.turn();
        }
        server.close();
      },
    );
  }

  twin('datagrams of a slow loop leave one by one', async (t) => {
    const socket = t.dgram.createSocket('udp4');
    await new Promise<void>((bound) => socket.bind(0, '127.0.0.1', bound));
    const received = t.cp.spawn(
      process.execPath,
      [
        '-e',
        `const times = []; const socket = require('dgram').createSocket('udp4');
         socket.on('message', (text) => { times.push(Date.now()); if (times.length < 20) return; console.log(JSON.stringify(times)); process.exit(); });
         socket.bind(0, '127.0.0.1', () => console.log(socket.address().port));`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, TSLOOP: 'off', NODE_OPTIONS: '' } },
    );
    const lines: string[] = [];
    received.stdout.setEncoding('utf8').on('data', (text: string) => lines.push(...text.split('\n').filter(Boolean)));
    while (lines.length === 0) await new Promise((done) => setTimeout(done, 10));
    for (let at = 0; at < 20; at++) {
      const until = Date.now() + 10;
      while (Date.now() < until);
      socket.send(String(at), Number(lines[0]), '127.0.0.1');
    }
    await t.once(received, 'exit');
    const times = JSON.parse(lines[1] as string) as number[];
    t.trace('spread', (times.at(-1) as number) - (times[0] as number) > 120);
    socket.close();
  });
});
