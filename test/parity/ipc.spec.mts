/** Sockets, servers and raw handles sent between processes, each with or without tsloop: docs/architecture.md, "One handle to another process or thread". */
import { fleet } from '../support/fleet.mjs';

for (const serialization of ['json', 'advanced'] as const) {
  describe(`parity: handles between processes, ${serialization}`, () => {
    const options = { arguments: [serialization] };

    fleet(
      'a paused connection, with bytes that nobody has read, and one that the peer has half closed',
      {
        async parent(f) {
          const child = await f.receiver();
          const server = require('node:net').createServer({ pauseOnConnect: true, allowHalfOpen: true });
          const where = await f.listen(server);
          for (const half of [false, true]) {
            const client = f.connect('client', where);
            const [socket] = await f.once(server, 'connection');
            f.say('parent', f.rightful(socket._handle));
            if (half) client.end('all of it');
            else client.write('some');
            await new Promise((done) => setTimeout(done, 20));
            const sent = new Promise((done) => child.send({ half }, socket, done));
            f.say('parent', 'let go', socket._handle === null, socket.destroyed);
            f.say('parent', 'sent', await sent);
            if (!half) client.end(' and more');
            await client.over;
          }
          server.close(() => f.say('parent', 'server closed'));
          child.disconnect();
          f.say('parent', await f.once(child, 'exit'));
        },
        child(f) {
          process.on('message', (message, socket: import('node:net').Socket) => {
            f.say(
              'child',
              message,
              socket.constructor.name,
              f.rightful((socket as never as { _handle: object })._handle),
            );
            f.say('child', socket.remoteAddress, socket.readyState, socket.isPaused());
            f.serve('child', socket);
          });
          process.send?.('up');
        },
      },
      options,
    );

    fleet(
      'a listening server with a connection that waits, closed in the parent at once; one on a path',
      {
        async parent(f) {
          const child = await f.receiver();
          for (const where of [{ port: 0, host: '127.0.0.1' }, { path: f.file(`s${process.pid}`) }]) {
            const server = require('node:net').createServer(() => f.say('parent', 'the wrong process'));
            const found = await f.listen(server, where);
            // In the kernel's queue when the server goes: nobody here has come to accept it.
            const early = f.connect('early', found);
            early.end('early');
            const sent = new Promise((done) => child.send('server', server, done));
            server.close(() => f.say('parent', 'closed'));
            f.say('parent', 'sent', await sent);
            await f.once(child, 'message');
            await early.over;
            // The path went with the server that was closed here.
            if (found.path === undefined) {
              const late = f.connect('late', found);
              late.end('late');
              await late.over;
            }
            child.send('close');
            await f.once(child, 'message');
          }
          child.disconnect();
          f.say('parent', await f.once(child, 'exit'));
        },
        child(f) {
          let server: import('node:net').Server;
          process.on('message', (message, handle: import('node:net').Server) => {
            if (message === 'close') {
              server.close(() => process.send?.('closed'));
              return;
            }
            server = handle;
            f.say('child', handle.constructor.name, handle.listening, typeof handle.address());
            // A server on a path is opened by its descriptor, which leaves it Node's in a process with a channel.
            const inside = (handle as never as { _handle: object })._handle;
            f.say('child', !('getsockname' in inside) || f.rightful(inside));
            handle.on('connection', (socket) => f.serve('child', socket));
            process.send?.('serves');
          });
          process.send?.('up');
        },
      },
      options,
    );

    fleet(
      'raw handles: of servers, of a connection, of TCP and of paths',
      {
        async parent(f) {
          const net = require('node:net') as typeof import('node:net');
          const child = await f.receiver();
          for (const where of [{ port: 0, host: '127.0.0.1' }, { path: f.file(`r${process.pid}`) }]) {
            const server = net.createServer({ pauseOnConnect: true });
            const found = await f.listen(server, where);
            const client = f.connect('client', found);
            client.end('raw');
            const [socket] = await f.once(server, 'connection');
            child.send('socket', socket._handle);
            await client.over;
            f.say('parent', 'still here', socket._handle !== null);
            socket.destroy();
            const bound = (server as never as { _handle: never })._handle;
            child.send('server', bound);
            await f.once(child, 'message');
            server.close();
            if (found.path === undefined) {
              const late = f.connect('late', found);
              late.end('late');
              await late.over;
            } else child.send('close');
          }
          child.disconnect();
          f.say('parent', await f.once(child, 'exit'));
        },
        child(f) {
          const net = require('node:net') as typeof import('node:net');
          let server: import('node:net').Server;
          process.on('message', (message, handle) => {
            if (message === 'close') return server.close();
            f.say('child', message, (handle as object).constructor.name, f.rightful(handle));
            if (message === 'socket') {
              const socket = new net.Socket({ handle, readable: true, writable: true, allowHalfOpen: true } as never);
              f.serve('child', socket);
              socket.resume();
              return;
            }
            server = net.createServer((socket) => {
              f.serve('child', socket);
              server.close();
            });
            server.listen(handle, () => process.send?.('serves'));
          });
          process.send?.('up');
        },
      },
      options,
    );

    fleet(
      'keepOpen: both write, and the child reads; bytes that were read stay where they were read',
      {
        async parent(f) {
          const child = await f.receiver();
          const server = require('node:net').createServer({ pauseOnConnect: true });
          const where = await f.listen(server);
          const kept = f.connect('kept', where);
          const [socket] = await f.once(server, 'connection');
          child.send('kept', socket, { keepOpen: true });
          await f.once(child, 'message');
          await new Promise((done) => socket.write('from the parent, ', done));
          child.send('answer');
          kept.write('to the child');
          await f.once(child, 'message');
          f.say('parent', socket.destroyed, socket._handle !== null);
          socket.destroy();
          await kept.over;

          const client = f.connect('client', where);
          client.write('read here');
          const [read] = await f.once(server, 'connection');
          read.resume();
          const [data] = await f.once(read, 'data');
          read.pause();
          f.say('parent', 'has read', String(data));
          child.send('rest', read);
          await f.once(child, 'message');
          client.end('read there');
          await client.over;
          server.close();
          child.disconnect();
          f.say('parent', await f.once(child, 'exit'));
        },
        child(f) {
          let kept: import('node:net').Socket;
          process.on('message', (message, socket: import('node:net').Socket) => {
            if (message === 'answer') {
              kept.once('data', (data) => {
                f.say('child', 'got', String(data));
                kept.end('from the child', () => {
                  kept.destroy();
                  process.send?.('done');
                });
              });
              return;
            }
            if (message === 'kept') kept = socket;
            else f.serve('child', socket);
            process.send?.('has it');
          });
          process.send?.('up');
        },
      },
      options,
    );

    fleet(
      'fifty sockets and as many messages, in order, and back again',
      {
        async parent(f) {
          const net = require('node:net') as typeof import('node:net');
          const child = await f.receiver();
          const server = net.createServer({ pauseOnConnect: true });
          const where = await f.listen(server);
          const seen: unknown[] = [];
          let back = 0;
          child.on('message', (message, socket: import('node:net').Socket) => {
            seen.push(message);
            if (socket === undefined) return;
            back++;
            socket.end(`served by the parent: ${message}`);
            socket.resume();
          });
          const clients: import('node:net').Socket[] = [];
          const accepted: import('node:net').Socket[] = [];
          server.on('connection', (socket) => accepted.push(socket));
          for (let count = 0; count < 50; count++) {
            const client = net.connect(where);
            clients.push(client);
            await f.until(() => accepted.length === count + 1);
            client.end('x');
          }
          let gone = 0;
          const answers: string[] = [];
          for (const [index, client] of clients.entries()) {
            client.on('data', (data) => {
              answers[index] = String(data);
            });
            client.on('close', () => gone++);
            child.send(`socket ${index}`, accepted[index]);
            child.send(`message ${index}`);
          }
          await f.until(() => gone === 50 && seen.length === 100);
          f.say('parent', back, seen.join());
          f.say('parent', answers.join());
          server.close();
          child.disconnect();
          f.say('parent', await f.once(child, 'exit'));
          f.say('parent', 'sockets', f.sockets());
        },
        child(f) {
          process.on('message', (message, socket: import('node:net').Socket) => process.send?.(message, socket));
          process.on('disconnect', () => f.say('child', 'sockets', f.sockets()));
          process.send?.('up');
        },
      },
      options,
    );
  });
}
