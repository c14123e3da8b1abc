/** A native consumer lets go of a socket, or never comes: what arrives after that is lib/'s, in the socket's own context. */
import { twin } from '../support/twin.mjs';

describe('reports: a consumer that has let go', () => {
  for (const kind of ['upgrade', 'connect', 'upgrade over a path', 'upgrade on the client'] as const) {
    twin(`${kind}: the bytes after it run in the socket’s own async context`, { given: { kind } }, async (t, given) => {
      const types = new Map<number, string>();
      const before: string[] = [];
      let on = false;
      t.hooks
        .createHook({
          init: (id, type) => void types.set(id, type),
          before(id) {
            const type = types.get(id) ?? 'unknown';
            if (on && /TCP|PIPE|JS|unknown/.test(type)) before.push(type);
          },
        })
        .enable();
      const serve = (name: string, socket: import('node:net').Socket): void => {
        const handle = (socket as unknown as { _handle: { getAsyncId(): number } })._handle;
        socket.on('data', (data) => {
          const id = t.hooks.executionAsyncId();
          t.lane(name)(String(data), types.get(id) ?? 'unknown', id === handle.getAsyncId());
          if (String(data) === 'bye') socket.end();
          else if (name === 'server') socket.write(`re:${data}`);
        });
      };
      const server = t.http.createServer();
      const method = given.kind === 'connect' ? 'CONNECT' : 'GET';
      const path = given.kind === 'connect' ? 'x:1' : '/';
      server.on(given.kind === 'connect' ? 'connect' : 'upgrade', (_request, socket, head) => {
        t.trace('head', String(head));
        socket.write('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: y\r\n\r\n');
        serve('server', socket as import('node:net').Socket);
      });
      const overPath = given.kind.endsWith('path');
      const where = overPath ? { path: t.path('socket') } : { port: 0, host: '127.0.0.1' };
      const port = await t.listen(server, where);
      const to = overPath ? { path: t.path('socket') } : { port, host: '127.0.0.1' };
      if (given.kind.endsWith('client')) {
        const request = t.http.get({ port, host: '127.0.0.1', headers: { connection: 'Upgrade', upgrade: 'y' } });
        const [, socket] = await t.once(request, 'upgrade');
        serve('client', socket);
        on = true;
        socket.write('hello');
        await t.sleep(50);
        socket.write('again');
        await t.sleep(50);
        on = false;
        socket.write('bye');
        await t.closed(socket);
      } else {
        const client = t.net.connect(to as import('node:net').NetConnectOpts);
        client.write(`${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: y\r\n\r\nHEAD`);
        let heard = '';
        client.on('data', (data) => {
          heard += data;
        });
        await t.until(() => heard.includes('\r\n\r\n'));
        for (const word of ['hello', 'again']) {
          on = true;
          client.write(word);
          await t.until(() => heard.includes(`re:${word}`));
          on = false;
        }
        client.end('bye');
        await t.closed(client);
      }
      server.close();
      t.trace(
        'before',
        before.filter((type, index) => type !== before[index - 1]),
      );
    });
  }

  twin(
    'a socket handed to an http server, taken away from it by a listener for its data, and handed over again',
    async (t) => {
      const web = t.http.createServer((_request, response) => response.end('answer'));
      const server = t.net.createServer((socket) => {
        web.emit('connection', socket);
        socket.on('data', (data) => t.lane('raw')(String(data).length > 0));
      });
      const port = await t.listen(server);
      for (let count = 0; count < 2; count += 1) {
        const response = await new Promise<import('node:http').IncomingMessage>((fulfil) => {
          t.http.get({ port, host: '127.0.0.1', agent: false }, fulfil);
        });
        let body = '';
        for await (const chunk of response) body += chunk;
        t.trace(response.statusCode, body);
      }
      server.close();
    },
  );

  twin('somebody looks at `isStreamBase` and nobody consumes', async (t) => {
    const server = t.net.createServer((socket) => {
      t.trace((socket as unknown as { _handle: { isStreamBase: boolean } })._handle.isStreamBase);
      socket.on('data', (data) => {
        t.trace(String(data), socket.bytesRead);
        socket.write(data);
      });
      socket.on('end', () => socket.end());
    });
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    const memory = Buffer.alloc(4);
    const reader = t.net.connect({
      port,
      host: '127.0.0.1',
      onread: {
        buffer: memory,
        callback: (count, data) => {
          t.lane('reader')(count, String(data.subarray(0, count)));
          return true;
        },
      },
    });
    t.trace((reader as unknown as { _handle: { isStreamBase: boolean } })._handle.isStreamBase);
    for (const word of ['one', 'two', 'three']) {
      const back = t.once(client, 'data');
      client.write(word);
      t.trace(String((await back)[0]));
    }
    reader.write('ten bytes!');
    await t.until(() => reader.bytesRead === 10);
    reader.end();
    client.end();
    await Promise.all([t.closed(client), t.closed(reader)]);
    server.close();
  });
});
