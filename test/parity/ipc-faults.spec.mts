/** Handles between processes when something is missing: the receiver, its descriptors, the sender's; and what leaks. */
import { fleet } from '../support/fleet.mjs';

describe('parity: handles between processes, faults', () => {
  fleet('a receiver that is gone, and one that goes with the handle on its way', {
    async parent(f) {
      const server = require('node:net').createServer({ pauseOnConnect: true });
      const where = await f.listen(server);
      const gone = await f.receiver();
      const first = f.connect('first', where);
      const [socket] = await f.once(server, 'connection');
      gone.kill('SIGKILL');
      await f.once(gone, 'exit');
      gone.on('error', (error) => f.say('parent', 'error', (error as NodeJS.ErrnoException).code));
      await f.until(() => !gone.connected);
      f.say(
        'parent',
        await new Promise((done) => gone.send('late', socket, (error) => done((error as NodeJS.ErrnoException).code))),
      );
      f.say('parent', 'still here', socket.destroyed);
      socket.end('kept here');
      socket.resume();
      await first.over;

      const going = await f.receiver();
      // Stopped, so that what is sent stays on its way.
      going.kill('SIGSTOP');
      const second = f.connect('second', where);
      const [sent] = await f.once(server, 'connection');
      await new Promise((done) => going.send('never read', sent, done));
      going.kill('SIGKILL');
      await f.once(going, 'close');
      second.destroy();
      await second.over;
      server.close();
    },
    child(f) {
      process.on('message', () => f.say('child', 'nobody sends this far'));
      process.send?.('up');
    },
  });

  // Node's warning begins with the number of the process.
  fleet(
    'a receiver without descriptors: told again, given up with a warning, and all is well after',
    {
      async parent(f) {
        const { spawn } = require('node:child_process') as typeof import('node:child_process');
        process.on('warning', ({ name }) => f.say('parent', name));
        const env = f.environment((process.env['FLEET_CHILDREN'] ?? '') === '+');
        const command = [process.execPath, ...process.execArgv, process.argv[1] as string, 'child'];
        const child = spawn('/bin/sh', ['-c', 'ulimit -n 64; exec "$@"', 'sh', ...command], {
          stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
          env,
        });
        await f.once(child, 'message');
        const server = require('node:net').createServer({ pauseOnConnect: true });
        const where = await f.listen(server);
        // Without any descriptor, with a single one, and with enough of them.
        for (const spare of [0, 1, 10]) {
          child.send({ spare });
          await f.once(child, 'message');
          const client = f.connect(`client ${spare}`, where);
          // Either side may hear of it first, and what is written before 'connect' leaves after it.
          const [[socket]] = await Promise.all([f.once(server, 'connection'), f.once(client, 'connect')]);
          client.end('hello');
          // Unread when the socket is given up: a reset.
          child.send({ spare }, socket);
          await client.over;
        }
        server.close();
        child.disconnect();
        f.say('parent', await f.once(child, 'exit'));
      },
      async child(f) {
        const fs = require('node:fs') as typeof import('node:fs');
        // Sockets have been made here before: whatever that takes is there.
        const server = require('node:net').createServer();
        await f.listen(server);
        server.close();
        const held: number[] = [];
        process.on('message', ({ spare }, socket: import('node:net').Socket) => {
          if (socket !== undefined) {
            f.say('child', 'got it', spare);
            f.serve('child', socket);
            return;
          }
          try {
            for (;;) held.push(fs.openSync('/dev/null', 'r'));
          } catch {
            for (let count = 0; count < spare; count++) fs.closeSync(held.pop() as number);
          }
          process.send?.('full');
        });
        process.send?.('up');
      },
    },
    { stderr: false },
  );

  fleet('each callback is called once: of messages with handles, those that wait behind them, and those never read', {
    async parent(f) {
      const server = require('node:net').createServer({ pauseOnConnect: true });
      const where = await f.listen(server);
      const clients: { over: Promise<unknown> }[] = [];
      const socket = async (): Promise<import('node:net').Socket> => {
        clients.push(f.connect(`client ${clients.length}`, where));
        const [accepted] = await f.once(server, 'connection');
        return accepted;
      };
      const counts = new Map<string, number>();
      const answers: Promise<void>[] = [];
      const send = (to: import('node:child_process').ChildProcess, name: string, ...handle: never[]): void => {
        counts.set(name, 0);
        answers.push(
          new Promise((done) => {
            to.send({ name }, ...(handle as [never]), (error: NodeJS.ErrnoException | null) => {
              counts.set(name, (counts.get(name) ?? 0) + 1);
              f.say('answers', name, error?.code ?? null);
              done();
            });
          }),
        );
      };
      const child = await f.receiver();
      for (const [name, options] of [
        ['socket', {}],
        ['kept socket', { keepOpen: true }],
      ] as const) {
        send(child, name, (await socket()) as never, options as never);
      }
      send(child, 'server', server as never);
      send(child, 'text');
      await Promise.all(answers);
      child.disconnect();
      await f.once(child, 'exit');

      const going = await f.receiver();
      going.kill('SIGSTOP');
      answers.length = 0;
      const [first, second] = [await socket(), await socket()];
      send(going, 'never read', first as never);
      await Promise.all(answers);
      send(going, 'behind it', second as never);
      send(going, 'text behind it');
      going.kill('SIGKILL');
      await f.once(going, 'close');
      second.destroy();
      first.destroy();
      await new Promise((done) => setImmediate(done));
      server.close();
      f.say('counts', [...counts]);
      process.exit(0);
    },
    child(f) {
      process.on('message', (_message, handle: { close?(): void; destroy?(): void }) => {
        handle?.destroy?.();
        handle?.close?.();
      });
      f.say('child', 'up');
      process.send?.('up');
    },
  });

  fleet('no descriptor of ours reaches a child, and none stays with the parent', {
    async parent(f) {
      const net = require('node:net') as typeof import('node:net');
      const server = net.createServer((socket) => socket.resume());
      const where = await f.listen(server);
      const open = f.connect('open', where);
      await f.once(open, 'connect');
      const before = f.sockets();
      const child = f.role('child');
      const [numbers] = await f.once(child, 'message');
      // Beside standard streams and the channel a child has what it opens itself: the same wherever it runs.
      f.say('parent', 'sockets of the child', numbers.sockets);
      child.disconnect();
      await f.once(child, 'exit');
      await f.until(() => f.sockets() === before);
      open.destroy();
      await open.over;
      server.close();
    },
    child(f) {
      // Its channel is one; its output a pipe of the spec's.
      process.send?.({ sockets: f.sockets() });
    },
  });
});
