/** Sockets and servers that go to another thread: what each line of Node allows, and how it says no. */
import type { Loose } from '../support/body.cjs';
import { type Bench, twin } from '../support/twin.mjs';

/** What the other thread runs: it serves the sockets and servers that it is sent, and says what it saw. */
const PEER = `
  const { parentPort } = require('node:worker_threads');
  const say = (...words) => parentPort.postMessage(words);
  // Ours under tsloop and only there: a native class is printed as native code.
  const rightful = (one) => !one._handle ? 'none' :
    /\\[native code\\]/.test(Function.prototype.toString.call(one._handle.constructor)) === (process.execArgv.length === 0);
  const serve = (socket) => {
    let text = '';
    socket.on('data', (data) => { text += data; });
    socket.on('error', (error) => say('error', error.code));
    socket.on('end', () => { say('read', text); socket.end('answer to ' + text); });
    socket.on('close', (had) => say('closed', had));
  };
  parentPort.on('message', (message) => {
    const { socket, server, stop } = message;
    if (socket) {
      say('socket', socket.constructor.name, rightful(socket), socket.readyState, socket.remoteAddress, socket.allowHalfOpen);
      serve(socket);
    }
    if (server) {
      say('server', server.constructor.name, server.listening, rightful(server), server.pauseOnConnect, server.allowHalfOpen);
      server.on('connection', (one) => { say('connection', rightful(one), one.isPaused()); serve(one); one.resume(); });
      server.on('close', () => say('server closed'));
    }
    if (stop) { server?.close(); parentPort.close(); }
    if (message.closing) say('closing');
  });
  say('up');
`;

/** Tools that every body here starts with, as source text: bodies run in a process of their own. */
const given = { peer: PEER };
type Given = typeof given;

describe('parity: sockets and servers sent to a thread', () => {
  twin('a paused connection, with bytes that nobody has read', { given }, async (t: Bench, { peer }: Given) => {
    const { worker, said } = await t.thread(peer);
    const server = t.net.createServer({ pauseOnConnect: true, allowHalfOpen: true });
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    client.on('data', (data) => t.lane('client')(String(data)));
    // Where it cannot go it is destroyed, with bytes unread: a reset.
    client.on('error', (error) => t.lane('client')((error as NodeJS.ErrnoException).code));
    // Either side may hear of it first, and what is written before 'connect' leaves after it.
    const [[socket]] = await Promise.all([t.once(server, 'connection'), t.once(client, 'connect')]);
    // What the kernel holds for us when the socket goes.
    client.end('unread bytes');
    await t.sleep(20);
    // Destroyed among timers, a poll before its callback: what the peer hears of it may come first or second.
    socket.on('close', (had: boolean) => t.lane('socket')('closed here', had));
    let sent = false;
    try {
      worker.postMessage({ socket }, [socket]);
      sent = true;
      t.trace('sent', socket.destroyed, socket._handle === null, socket.readyState);
    } catch (error) {
      t.trace('refused', error);
    }
    try {
      worker.postMessage({ socket }, [socket]);
    } catch (error) {
      t.trace('refused again', error);
    }
    if (!sent) socket.destroy();
    await t.closed(client);
    await t.until(() => !sent || said('closed') === 1);
    server.close(() => t.trace('server closed'));
    worker.postMessage({ stop: true });
    const [code] = await t.once(worker, 'exit');
    t.trace('worker exit', code);
  });

  twin(
    'out of the connection handler, reading already, the client first or last to speak',
    { given },
    async (t: Bench, { peer }: Given) => {
      const { worker, said } = await t.thread(peer);
      let sent = 0;
      const server = t.net.createServer((socket) => {
        try {
          worker.postMessage({ socket }, [socket as never]);
          t.lane('server')('sent', ++sent);
        } catch (error) {
          t.lane('server')('refused', error);
          socket.destroy();
        }
      });
      const port = await t.listen(server);
      for (const early of [true, false]) {
        const client = t.net.connect(port, '127.0.0.1');
        client.on('data', (data) => t.lane('client')(String(data)));
        client.on('error', (error) => t.lane('client')((error as NodeJS.ErrnoException).code));
        const closed = t.closed(client);
        if (early) client.end('early');
        // Once the other end is on its way; one that was refused has nobody to speak to.
        else await t.until(() => sent === 2 || client.destroyed);
        if (!early && !client.destroyed) client.end('late');
        await closed;
        await t.until(() => said('closed') === sent);
      }
      server.close();
      worker.postMessage({ stop: true });
      await t.once(worker, 'exit');
    },
  );

  twin('what cannot go, and how it is said', { given }, async (t: Bench, { peer }: Given) => {
    const { worker } = await t.thread(peer);
    const attempt = (what: string, message: unknown, list: unknown[]) => {
      try {
        worker.postMessage(message, list as never);
        t.trace(what, 'sent');
      } catch (error) {
        // The text shows the source of a function that cannot be cloned: whoever changed it is seen there.
        const { name, code } = error as NodeJS.ErrnoException;
        t.trace(what, name, code);
      }
    };
    const accepted = async (
      address: number | string,
    ): Promise<[import('node:net').Socket, import('node:net').Socket]> => {
      const client = t.net.connect(address as never);
      const [socket] = await t.once(typeof address === 'string' ? unix : server, 'connection');
      return [client, socket];
    };
    const server = t.net.createServer();
    const port = await t.listen(server);
    const unix = t.net.createServer();
    await t.listen(unix, { path: t.path('s') });
    const ends: import('node:net').Socket[] = [];

    const fresh = new t.net.Socket();
    attempt('a socket without a connection', { socket: fresh }, [fresh]);
    const idle = t.net.createServer();
    attempt('a server that does not listen', { server: idle }, [idle]);
    attempt('a server on a path', { server: unix }, [unix]);

    const [hasRead, readHere] = await accepted(port);
    hasRead.write('read');
    await t.once(readHere, 'data');
    attempt('a socket that has read', { socket: readHere }, [readHere]);

    const [hasWritten, writtenHere] = await accepted(port);
    writtenHere.write('written');
    attempt('a socket that has written', { socket: writtenHere }, [writtenHere]);

    const [onPath, onPathHere] = await accepted(t.path('s'));
    attempt('a socket on a path', { socket: onPathHere }, [onPathHere]);

    const [gone, goneHere] = await accepted(port);
    goneHere.destroy();
    attempt('a destroyed socket', { socket: goneHere }, [goneHere]);

    const [other, here] = await accepted(port);
    attempt('not in the list', { closing: here }, []);
    attempt('twice in the list', { socket: here }, [here, here]);
    attempt('its handle', { closing: (here as never as { _handle: object })._handle }, []);
    // What was refused stays here and works.
    t.trace('still here', here.destroyed, here.readyState);
    here.end('from here');
    other.on('data', (data) => t.trace('got', String(data)));
    await t.closed(other);

    // Whether such a socket can still be used differs between the lines, and does not matter here.
    const [across, wrongly] = await accepted(port);
    attempt('beside a function', { socket: wrongly, wrong: () => {} }, [wrongly]);
    ends.push(across, wrongly);

    ends.push(hasRead, readHere, hasWritten, writtenHere, onPath, onPathHere, gone, goneHere, other, here, fresh);
    for (const end of ends) end.destroy();
    for (const listener of [server, unix]) {
      listener.close(() => t.lane('closing')('server closed'));
      await t.closed(listener);
    }
    worker.postMessage({ stop: true });
    await t.once(worker, 'exit');
  });

  twin(
    'a listening server, with a connection that nobody has accepted',
    { given },
    async (t: Bench, { peer }: Given) => {
      const { worker, said } = await t.thread(peer);
      const server = t.net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
      server.on('connection', (socket) => {
        t.trace('accepted here');
        socket.destroy();
      });
      server.on('close', () => t.trace('closed here'));
      const port = await t.listen(server);
      // In one turn: the connection is under way in the kernel when the server goes.
      const client = t.net.connect(port, '127.0.0.1');
      client.on('data', (data) => t.lane('client')(String(data)));
      client.on('error', (error) => t.lane('client')((error as NodeJS.ErrnoException).code));
      client.end('who accepts?');
      let sent = false;
      try {
        worker.postMessage({ server }, [server as never]);
        sent = true;
      } catch (error) {
        const { name, code } = error as NodeJS.ErrnoException;
        t.trace('refused', name, code);
      }
      t.trace(server.listening, server.address() === null);
      await t.closed(client);
      await t.until(() => !sent || said('closed') === 1);
      if (sent) {
        const second = t.net.connect(port, '127.0.0.1');
        second.on('data', (data) => t.lane('second')(String(data)));
        second.end('second');
        await t.closed(second);
        await t.until(() => said('closed') === 2);
      }
      server.close((error) => t.trace('close', (error as NodeJS.ErrnoException | undefined)?.code));
      await worker.terminate();
      // Its thread is gone, and the server with it.
      const refused = t.net.connect(port, '127.0.0.1');
      refused.on('error', (error) => t.trace((error as NodeJS.ErrnoException).code));
      await t.closed(refused);
    },
  );

  twin('sockets that wait in a port when their thread ends', { given }, async (t: Bench) => {
    const { MessageChannel } = t.require('node:worker_threads');
    const { port1, port2 } = new MessageChannel();
    const server = t.net.createServer({ pauseOnConnect: true });
    const port = await t.listen(server);
    for (let count = 0; count < 5; count++) {
      const client = t.net.connect(port, '127.0.0.1');
      client.on('error', () => {});
      client.on('close', () => t.lane('client')('closed'));
      client.resume();
      const [socket] = await t.once(server, 'connection');
      try {
        port1.postMessage({ socket }, [socket]);
      } catch {
        socket.destroy();
      }
    }
    port2.close();
    port1.close();
    await t.until(() => t.sockets() <= 1);
    server.close();
  });

  twin('from a thread to the main one, which has no socket yet', { since: 24 }, async (t: Bench) => {
    const { Worker } = t.require('node:worker_threads');
    const source = `
      const { parentPort } = require('node:worker_threads');
      const net = require('node:net');
      const server = net.createServer({ pauseOnConnect: true }, (socket) => {
        parentPort.postMessage({ socket }, [socket]);
        parentPort.postMessage({ server }, [server]);
      });
      server.listen(0, '127.0.0.1', () => {
        net.connect(server.address().port, '127.0.0.1').end('from the thread')
          .on('data', (data) => parentPort.postMessage({ text: String(data) }));
      });
    `;
    const worker = new Worker(source, { eval: true });
    const port = await new Promise<number>((done) => {
      worker.on('message', (message: Record<'socket' | 'server' | 'text', Loose>) => {
        const { socket, server, text } = message;
        if (text !== undefined) t.trace('thread', text);
        if (socket !== undefined) {
          const native = /\[native code\]/.test(Function.prototype.toString.call(socket._handle.constructor));
          t.trace('socket', native === (process.execArgv.length === 0));
          socket.on('data', (data: Buffer) => t.trace('read', String(data)));
          socket.on('end', () => socket.end('from main'));
        }
        if (server !== undefined) {
          server.on('connection', (one: import('node:net').Socket) => {
            one.resume();
            one.end('served by main');
            server.close();
          });
          t.port(server.address().port);
          done(server.address().port);
        }
      });
    });
    await t.once(worker, 'exit');
    const client = t.net.connect(port, '127.0.0.1');
    client.on('data', (data) => t.trace('client', String(data)));
    await t.closed(client);
  });

  twin('a bound socket that nobody has adopted', { since: 24, given }, async (t: Bench, { peer }: Given) => {
    const { Worker } = t.require('node:worker_threads');
    const { BoundSocket } = t.net as never as { BoundSocket?: new (options: object) => never };
    if (BoundSocket === undefined) return t.trace('not on this line');
    const bound = new BoundSocket({ host: '127.0.0.1' }) as never as {
      address(): { port: number };
      close(): void;
      fd(): number;
    };
    const { port } = bound.address();
    t.port(port);
    const worker = new Worker(
      `const { parentPort } = require('node:worker_threads');
       const net = require('node:net');
       parentPort.on('message', ({ bound }) => {
         const server = net.createServer((socket) => { socket.end('bound there'); server.close(); parentPort.close(); });
         server.listen(bound, () => parentPort.postMessage(server.address().port));
       });`,
      { eval: true },
    );
    let sent = false;
    try {
      worker.postMessage({ bound }, [bound as never]);
      sent = true;
    } catch (error) {
      t.trace(error);
    }
    try {
      bound.fd();
      t.trace('still here');
      bound.close();
    } catch (error) {
      t.trace(error);
    }
    if (sent) {
      t.trace((await t.once(worker, 'message'))[0]);
      const client = t.net.connect(port, '127.0.0.1');
      client.on('data', (data) => t.trace(String(data)));
      await t.closed(client);
    } else {
      const server = t.net.createServer();
      await t.listen(server);
      t.net.connect((server.address() as import('node:net').AddressInfo).port, '127.0.0.1').end();
      await t.once(server, 'connection').then(([socket]) => socket.destroy());
      server.close();
      await worker.terminate();
    }
    t.trace(peer.length > 0);
  });
});
