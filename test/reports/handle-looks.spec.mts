/** What a program sees that looks at handles: their own properties, the lists of what is active. */
import { twin } from '../support/twin.mjs';

// The bodies look at Node's private handles, which have no types.
// biome-ignore lint/suspicious/noExplicitAny: see above
type Loose = any;

describe('reports: handles as a program sees them', () => {
  twin('own properties and symbols of every kind of handle', async (t) => {
    const look = (name: string, handle: Loose): void => {
      t.trace(name, Object.keys(handle), Object.getOwnPropertySymbols(handle).map(String), handle._consumed);
    };
    const server: Loose = t.http.createServer((request, response) => {
      look('http', (request.socket as Loose)._handle);
      response.end('x');
    });
    const port = await t.listen(server);
    look('server', server._handle);
    await new Promise<void>((fulfil) => {
      t.http.get({ port, host: '127.0.0.1', agent: false }, (response) => {
        look('client', (response.socket as Loose)._handle);
        response.resume().on('close', fulfil);
      });
    });
    server.close();
    const local: Loose = t.net.createServer((socket: Loose) => {
      look('accepted pipe', socket._handle);
      socket.end();
    });
    await t.listen(local, { path: t.path('socket') });
    look('pipe server', local._handle);
    const client: Loose = t.net.connect(t.path('socket')).resume();
    look('pipe client', client._handle);
    await t.closed(client);
    local.close();
    const child: Loose = t.cp.spawn(process.execPath, ['-e', '0']);
    look('child', child._handle);
    for (const name of ['stdin', 'stdout', 'stderr']) look(name, child[name]._handle);
    await t.once(child, 'close');
    const udp = new (t.binding('udp_wrap').UDP)();
    look('udp', udp);
    udp.close();
  });

  twin("every method of Node's own handles", { traffic: false }, async (t) => {
    // What ours have besides, being streams of JavaScript's to native code, and what Node's have for being native.
    const apart = new Set(
      '_consumed emitEOF finishShutdown finishWrite isClosing onreadstart onreadstop onshutdown onwrite readBuffer asyncReset getAsyncContextFrameForDebuggingOnly'.split(
        ' ',
      ),
    );
    for (const [binding, name] of [
      ['tcp_wrap', 'TCP'],
      ['pipe_wrap', 'Pipe'],
      ['udp_wrap', 'UDP'],
      ['process_wrap', 'Process'],
    ] as const) {
      const names = new Set<string>();
      for (
        let at = (t.binding(binding) as Loose)[name].prototype;
        at !== Object.prototype;
        at = Object.getPrototypeOf(at)
      ) {
        for (const key of Object.getOwnPropertyNames(at)) if (!apart.has(key)) names.add(key);
      }
      t.trace(name, [...names].sort());
    }
  });

  twin(
    'active handles, requests and resources are listed in the order of their making',
    { ledger: false },
    async (t) => {
      const internals = process as Loose;
      // What the launcher gave as standard streams is listed too, and is no part of this.
      const [handlesBefore, before] = [internals._getActiveHandles().length, internals.getActiveResourcesInfo().length];
      const look = (stage: string): void => {
        t.trace(
          stage,
          internals
            ._getActiveHandles()
            .slice(handlesBefore)
            .map((one: object) => one.constructor.name),
          internals._getActiveRequests().map((one: object) => one.constructor.name),
          internals.getActiveResourcesInfo().filter((name: string) => !/^(Timeout|Immediate)$/.test(name)).length,
        );
      };
      const accepted: Loose[] = [];
      const server = t.net.createServer((socket) => {
        accepted.push(socket.pause().on('error', () => {}));
      });
      const port = await t.listen(server);
      const timer = setTimeout(() => {}, 60_000);
      const udp = t.dgram.createSocket('udp4');
      await new Promise<void>((fulfil) => {
        udp.bind(0, '127.0.0.1', fulfil);
      });
      const client = t.net.connect(port, '127.0.0.1').on('error', () => {});
      look('connecting');
      t.trace(internals.getActiveResourcesInfo().slice(before));
      await new Promise<void>((fulfil) => {
        client.on('connect', () => {
          t.trace(internals._getActiveRequests().map((one: object) => one.constructor.name));
          fulfil();
        });
      });
      await t.until(() => accepted.length === 1);
      await t.turn();
      const child = t.cp.spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60000)']);
      client.write(Buffer.alloc(30 << 20));
      client.end();
      await t.turn();
      look('writing');
      t.trace(
        internals
          .getActiveResourcesInfo()
          .filter((name: string) => name !== 'Immediate')
          .slice(0, 20),
      );
      clearTimeout(timer);
      child.kill();
      await t.once(child, 'close');
      process.exit();
    },
  );
});
