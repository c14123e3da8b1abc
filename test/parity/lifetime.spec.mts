/** What keeps a process alive, what does not, and what a process that leaves still delivers. */
import { twin } from '../support/twin.mjs';

describe('parity: lifetime', () => {
  const states = [
    'a listening server that is unref-ed',
    'a client that is unref-ed and reads',
    'reading stopped on both sides',
    'reading stopped, then a write that completes',
    'paused, with a write that waits for the peer',
    'after the end of the stream',
    'ref and unref again and again',
    'a server closed with a live connection that is unref-ed',
    'a timer ends what a reading socket holds',
    'setTimeout on an unref-ed socket',
    'pending shutdown only',
  ];
  for (const state of states) {
    const options = { ledger: false, timeout: 20_000, given: state } as const;
    twin(state, options, async (t, given: string) => {
      const peers: import('node:net').Socket[] = [];
      const server = t.net.createServer((socket) => {
        peers.push(socket);
        socket.on('error', () => {});
      });
      const port = await t.listen(server);
      const client = t.net.connect(port, '127.0.0.1');
      client.on('error', () => {});
      await t.once(client, 'connect');
      while (peers.length === 0) await t.turn();
      const peer = peers[0] as import('node:net').Socket;
      process.on('exit', () => t.trace('exit', client.destroyed, peer.destroyed, server.listening));
      if (given !== 'a server closed with a live connection that is unref-ed') server.unref();
      // pause() alone leaves the handle reading until something arrives.
      const stop = (socket: unknown): void => {
        const handle = (socket as { _handle: { reading: boolean; readStop(): number } })._handle;
        handle.reading = false;
        handle.readStop();
      };
      const actions: Record<string, () => void> = {
        'a listening server that is unref-ed': () => {
          client.destroy();
          peer.destroy();
        },
        'a client that is unref-ed and reads': () => {
          client.resume();
          client.unref();
          peer.unref();
        },
        'reading stopped on both sides': () => {
          stop(client);
          stop(peer);
        },
        'reading stopped, then a write that completes': () => {
          stop(client);
          stop(peer);
          client.write('x', () => t.trace('written'));
        },
        'paused, with a write that waits for the peer': () => {
          client.pause().unref();
          peer.pause().unref();
          client.write(Buffer.alloc(16 << 20), (error) => t.trace('written', error));
          setTimeout(() => client.destroy(), 60).unref();
        },
        'after the end of the stream': () => {
          client.resume();
          client.on('end', () => t.trace('end'));
          peer.pause();
          peer.end();
        },
        'ref and unref again and again': () => {
          for (let round = 0; round < 5; round++) client.ref().unref();
          client.resume();
          peer.unref();
          setTimeout(() => {
            client.ref().unref();
            t.trace('timer');
          }, 20);
        },
        'a server closed with a live connection that is unref-ed': () => {
          client.unref().resume();
          peer.unref().resume();
          server.close();
        },
        'a timer ends what a reading socket holds': () => {
          client.resume();
          peer.resume();
          setTimeout(() => {
            t.trace('timer');
            client.destroy();
          }, 30);
        },
        'setTimeout on an unref-ed socket': () => {
          client.unref().resume();
          peer.unref().resume();
          client.setTimeout(5000, () => t.trace('never'));
        },
        'pending shutdown only': () => {
          client.pause();
          peer.pause();
          client.end(() => t.trace('finish'));
        },
      };
      actions[given]?.();
    });
  }

  twin('a pending connect holds the process even when unref-ed', { traffic: false, ledger: false }, async (t) => {
    const server = t.net.createServer((socket) => socket.end());
    const port = await t.listen(server);
    server.unref();
    const client = t.net.connect(port, '127.0.0.1');
    client.unref();
    client.on('connect', () => {
      t.trace('connect');
      client.destroy();
    });
    process.on('exit', () => t.trace('exit', client.connecting));
  });

  twin('open but idle handles do not hold', { traffic: false, ledger: false }, (t) => {
    const { TCP, constants } = t.binding('tcp_wrap');
    const { Pipe } = t.binding('pipe_wrap');
    const kept = [new TCP(constants.SOCKET), new Pipe(0), new TCP(constants.SERVER)];
    t.trace(kept[2].bind('127.0.0.1', 0, 0));
    const socket = new t.net.Socket();
    process.on('exit', () => t.trace('exit', kept.length, socket.destroyed));
  });

  twin('between close and its callback the process stays', { traffic: false }, (t) => {
    const { TCP, constants } = t.binding('tcp_wrap');
    const handle = new TCP(constants.SOCKET);
    handle.unref();
    handle.close(() => t.trace('closed'));
    process.on('exit', () => t.trace('exit'));
  });

  twin('beforeExit may start again', async (t) => {
    let rounds = 0;
    process.on('beforeExit', () => {
      t.trace('beforeExit', rounds);
      if (rounds++ === 2) return;
      const server = t.net.createServer((socket) => {
        socket.end('x');
        server.close();
      });
      server.listen(0, '127.0.0.1', () => {
        const { port } = server.address() as { port: number };
        t.net
          .connect(port, '127.0.0.1')
          .resume()
          .on('close', () => t.trace('close'));
      });
    });
  });

  twin('active handles and resources by name', async (t) => {
    type Listing = { _getActiveHandles(): object[]; getActiveResourcesInfo(): string[] };
    const listing = process as unknown as Listing;
    const show = (when: string): void => {
      t.trace(
        when,
        listing
          ._getActiveHandles()
          .map((handle) => handle.constructor.name)
          .sort(),
        listing
          .getActiveResourcesInfo()
          .filter((name) => !/^(Timeout|Immediate|FSReq|TickObject|ConnectWrap)/.test(name))
          .sort(),
      );
    };
    show('start');
    let peer: import('node:net').Socket | undefined;
    const server = t.net.createServer((socket) => {
      peer = socket;
    });
    const port = await t.listen(server);
    show('listening');
    const client = t.net.connect(port, '127.0.0.1');
    show('connecting');
    await t.once(client, 'connect');
    while (peer === undefined) await t.turn();
    show('connected');
    t.trace(listing._getActiveHandles().includes(server), listing._getActiveHandles().includes(client));
    client.unref();
    show('unref');
    client.ref();
    const local = t.net.createServer();
    await t.listen(local, { path: t.path('sock') });
    show('pipe');
    local.close();
    client.destroy();
    peer.destroy();
    server.close();
    await t.closed(server);
    await t.turn();
    show('end');
  });
});
