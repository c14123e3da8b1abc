/** A peer answers and goes while a write of ours still waits: what it said comes before what became of the write. */
import { twin } from '../support/twin.mjs';

/** What the peer does 40 ms after it was connected, with our bytes unread. */
type Parting = 'answers' | 'resets';

describe('reports: a server answers early and goes', () => {
  for (const where of ['TCP', 'a path'] as const)
    for (const parting of ['answers', 'resets'] as const)
      twin(
        `an upload over ${where} to a peer that ${parting}`,
        { given: { where, parting } },
        async (t, { where, parting }: { where: string; parting: Parting }) => {
          const server = t.net.createServer({ pauseOnConnect: true }, (socket) => {
            socket.on('error', () => {});
            setTimeout(() => {
              if (parting === 'answers') socket.write('ANSWER');
              if (parting === 'answers' || where !== 'TCP') socket.destroy();
              else socket.resetAndDestroy();
            }, 40);
          });
          const path = t.path('socket');
          const port = await t.listen(server, where === 'TCP' ? { port: 0, host: '127.0.0.1' } : { path });
          const client = where === 'TCP' ? t.net.connect(port, '127.0.0.1') : t.net.connect(path);
          client.on('data', (data) => t.trace('data', String(data)));
          client.on('end', () => t.trace('end'));
          client.on('error', (error) => t.trace('error', error));
          client.on('close', (failed) => t.trace('close', failed));
          client.write(Buffer.alloc(16e6), (error) => t.trace('written', error));
          client.write('more', (error) => t.trace('written too', error));
          await t.closed(client);
          server.close();
        },
      );

  for (const over of ['TCP', 'a path', 'TLS'] as const)
    twin(`an http upload over ${over} that is refused early`, { given: over }, async (t, over: string) => {
      const tls = over === 'TLS' ? t.certificate() : {};
      const path = t.path('socket');
      const refuse = (socket: import('node:net').Socket): void => {
        socket.on('error', () => {});
        socket.once('data', () => {
          socket.pause();
          setTimeout(() => {
            socket.write('HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 6\r\n\r\ntoobig', () => {
              socket.destroy();
            });
          }, 60);
        });
      };
      const server = over === 'TLS' ? t.tls.createServer(tls, refuse) : t.net.createServer(refuse);
      const port = await t.listen(server, over === 'a path' ? { path } : { port: 0, host: '127.0.0.1' });
      const where = over === 'a path' ? { socketPath: path } : { port, host: '127.0.0.1' };
      const options = { ...where, method: 'POST', rejectUnauthorized: false, agent: false as const };
      const request = (over === 'TLS' ? t.https : t.http).request(options, (response) => {
        t.trace('response', response.statusCode);
        response.on('data', (data) => t.trace('body', String(data)));
        response.on('end', () => t.trace('end', response.complete));
      });
      request.on('error', () => t.trace('error'));
      request.end(Buffer.alloc(16e6));
      await t.closed(request);
      server.close();
    });

  twin('fetch with a streamed body that is refused early', async (t) => {
    const server = t.net.createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => {
        socket.pause();
        setTimeout(() => {
          socket.write('HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 6\r\n\r\ntoobig');
          socket.destroy();
        }, 60);
      });
    });
    const port = await t.listen(server);
    let pulls = 0;
    const body = new ReadableStream({
      pull(controller) {
        pulls++;
        if (pulls > 200) controller.close();
        else controller.enqueue(new Uint8Array(1 << 20));
      },
    });
    const init = { method: 'POST', body, duplex: 'half' } as RequestInit;
    const response = await fetch(`http://127.0.0.1:${port}`, init);
    t.trace(response.status, await response.text());
    server.close();
  });

  twin('the last message over an upgraded connection', async (t) => {
    const server = t.http.createServer();
    server.on('upgrade', (_request, socket) => {
      socket.on('error', () => {});
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: words\r\n\r\n');
      socket.pause();
      setTimeout(() => {
        socket.write('TOO LONG');
        socket.destroy();
      }, 60);
    });
    const port = await t.listen(server);
    const request = t.http.request({ port, host: '127.0.0.1', headers: { Connection: 'Upgrade', Upgrade: 'words' } });
    request.end();
    const [, socket] = (await t.once(request, 'upgrade')) as [unknown, import('node:net').Socket];
    socket.on('data', (data) => t.trace('data', String(data)));
    socket.on('error', (error) => t.trace('error', error));
    socket.write(Buffer.alloc(16e6));
    await t.closed(socket);
    server.close();
  });

  twin('a child that answers and ends without reading its input', async (t) => {
    const program = `setTimeout(() => process.stdout.write('ANSWER', () => process.exit(3)), 50)`;
    const child = t.cp.spawn(process.execPath, ['-e', program]);
    child.stdin.on('error', (error) => t.lane('input')('error', error));
    child.stdin.write(Buffer.alloc(4e6));
    child.stdout.on('data', (data) => t.trace(String(data)));
    child.on('close', (code) => t.trace('closed', code));
    await t.closed(child);
  });
});
