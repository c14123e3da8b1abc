/** Unmodified packages that start processes: execa and tinypool. */
import { twin } from '../support/twin.mjs';

describe('apps: processes', () => {
  // Their channels and pipes; no connection is made.
  const options = { traffic: false, timeout: 60_000 } as const;

  twin(
    'execa: output, input, errors, pipes between processes, lines, messages, the end of a process',
    options,
    async (t) => {
      const { execa, execaNode } = await import(t.require.resolve('execa'));
      const node = (script: string, more: object = {}) => execa(process.execPath, ['-e', script], more);

      const told = await node('console.log("out"); console.error("err"); process.exitCode = 0', { all: true });
      t.trace(told.exitCode, told.stdout, told.stderr, told.failed);
      const fed = await node('process.stdin.pipe(process.stdout)', { input: 'x'.repeat(300_000) });
      t.trace(fed.stdout.length);

      const failed = await node('console.log("before"); process.exit(3)').catch((error: unknown) => error);
      t.trace(failed.exitCode, failed.stdout, failed.isTerminated);
      const missing = await execa('no-such-program-of-tsloop').catch((error: unknown) => error);
      t.trace(missing.code, missing.failed);
      const tooMuch = await node('process.stdout.write("y".repeat(1e6))', { maxBuffer: 1000 }).catch(
        (error: unknown) => error,
      );
      t.trace(tooMuch.isMaxBuffer, tooMuch.stdout.length);
      const late = await node('setInterval(() => {}, 1000)', { timeout: 200 }).catch((error: unknown) => error);
      t.trace(late.timedOut, late.signal);
      const controller = new AbortController();
      const canceled = node('setInterval(() => {}, 1000)', { cancelSignal: controller.signal });
      canceled.once('spawn', () => controller.abort());
      t.trace((await canceled.catch((error: unknown) => error)).isCanceled);

      const piped = await node('console.log("a b c")').pipe(process.execPath, [
        '-e',
        'process.stdin.on("data", (d) => console.log(String(d).toUpperCase().trim()))',
      ]);
      t.trace(piped.stdout);
      const lines: string[] = [];
      for await (const line of node('for (let i = 0; i < 1000; i++) console.log(i)')) lines.push(line);
      t.trace(lines.length, lines.at(-1));
      const made = await node('console.log("one\\ntwo")', {
        stdout: function* (line: string) {
          yield `[${line}]`;
        },
      });
      t.trace(made.stdout);

      t.fs.writeFileSync(
        t.path('talk.mjs'),
        `process.on('message', (message) => { process.send({ got: message }); process.disconnect(); });
       process.send('up');`,
      );
      for (const serialization of ['json', 'advanced']) {
        const talker = execaNode(t.path('talk.mjs'), { ipc: true, serialization, nodeOptions: process.execArgv });
        t.trace(await talker.getOneMessage());
        await talker.sendMessage({ hello: [1, 2, 3] });
        t.trace(await talker.getOneMessage());
        t.trace((await talker).exitCode);
      }
    },
  );

  twin('tinypool: tasks in processes and in threads, errors, recycling, and the end', options, async (t) => {
    const { default: Tinypool } = await import(t.require.resolve('tinypool'));
    const filename = t.path('task.mjs');
    t.fs.writeFileSync(
      filename,
      `export default async ({ value, fail, socket }) => {
         if (fail) throw new Error('failed ' + value);
         if (!socket) return value * 2;
         const net = await import('node:net');
         return new Promise((done) => {
           const server = net.createServer((one) => one.end('from the pool')).listen(0, '127.0.0.1', () => {
             let text = '';
             net.connect(server.address().port, '127.0.0.1').on('data', (data) => { text += data; })
               .on('close', () => server.close(() => done(text)));
           });
         });
       };`,
    );
    for (const runtime of ['child_process', 'worker_threads']) {
      const pool = new Tinypool({ filename, runtime, minThreads: 1, maxThreads: 2, isolateWorkers: false });
      const numbers = await Promise.all(Array.from({ length: 40 }, (_, value) => pool.run({ value })));
      t.trace(runtime, numbers.join());
      t.trace(runtime, await pool.run({ value: 1, socket: true }));
      const error = await pool.run({ value: 7, fail: true }).catch((reason: unknown) => reason);
      t.trace(runtime, (error as Error).message);
      await pool.recycleWorkers();
      t.trace(runtime, await pool.run({ value: 21 }));
      await pool.destroy();
    }
  });
});
