/** A socket is destroyed with bytes that its program has not seen: the peer must not take what was cut off for complete. */
import { twin } from '../support/twin.mjs';

describe('reports: destroyed with unread bytes', () => {
  // The peer is a process without tsloop, which tells on its standard output how its connection ended.
  const peer = `
    const socket = require('net').connect(+process.argv[1], '127.0.0.1');
    const told = [];
    socket.write('first');
    setTimeout(() => socket.write(Buffer.alloc(1000), () => require('fs').writeFileSync('written', '')), 60);
    for (const event of ['end', 'error']) socket.on(event, (error) => told.push(error ? error.code : event));
    socket.on('data', () => {});
    socket.on('close', () => console.log(told.join(', ')));`;

  for (const how of ['at once', 'after a pause', 'after end()'] as const)
    twin(`a server's connection, ${how}`, { given: { peer, how } }, async (t, { peer, how }) => {
      const server = t.net.createServer();
      const port = await t.listen(server);
      const child = t.cp.spawn(process.execPath, ['-e', peer, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
      child.stdout.on('data', (data) => t.trace('peer', String(data)));
      const [socket] = (await t.once(server, 'connection')) as [import('node:net').Socket];
      socket.on('error', () => {});
      socket.on('data', () => {
        if (how === 'after a pause') socket.pause();
        if (how === 'after end()') socket.end('last');
        // The rest comes while this thread is busy, and is nobody's.
        const patience = Date.now() + 10_000;
        while (!t.fs.existsSync('written') && Date.now() < patience);
        const until = Date.now() + 100;
        while (Date.now() < until);
        socket.destroy();
      });
      await t.once(child, 'close');
      server.close();
    });

  twin('a connection of a thread that is terminated', { given: peer, traffic: false }, async (t, peer: string) => {
    const { Worker } = t.require('node:worker_threads') as typeof import('node:worker_threads');
    const worker = new Worker(
      `const { parentPort } = require('worker_threads');
      const server = require('net').createServer((socket) => {
        socket.on('error', () => {});
        socket.once('data', () => {
          for (;;);
        });
      });
      server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));`,
      { eval: true },
    );
    const [port] = await t.once(worker, 'message');
    const child = t.cp.spawn(process.execPath, ['-e', peer, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout.on('data', (data) => t.trace('peer', String(data)));
    const ended = t.once(child, 'close');
    await t.sleep(400);
    await worker.terminate();
    await ended;
  });

  twin('a connection on which everything was read', { given: peer }, async (t, peer: string) => {
    const server = t.net.createServer();
    const port = await t.listen(server);
    const child = t.cp.spawn(process.execPath, ['-e', peer, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout.on('data', (data) => t.trace('peer', String(data)));
    const [socket] = (await t.once(server, 'connection')) as [import('node:net').Socket];
    let bytes = 0;
    socket.on('data', (data) => {
      bytes += data.length;
      if (bytes === 1005) socket.destroy();
    });
    await t.once(child, 'close');
    server.close();
  });
});
