/** Bytes and a reset that are both there when the loop looks: what is told of the reset is the line's own affair. */
import { twin } from '../support/twin.mjs';

describe('reports: a reset right behind the last bytes', () => {
  twin('a connection', async (t) => {
    for (let round = 0; round < 5; round++) {
      const server = t.net.createServer((socket) => {
        socket.on('error', () => {});
        socket.on('data', () => {
          socket.write('PART');
          setImmediate(() => socket.resetAndDestroy());
        });
      });
      const port = await t.listen(server);
      const client = t.net.connect(port, '127.0.0.1', () => setTimeout(() => client.write('q'), 10));
      client.on('data', (data) => t.trace('data', String(data)));
      client.on('end', () => t.trace('end'));
      client.on('error', (error) => t.trace('error', error));
      client.on('close', (failed) => t.trace('close', failed));
      await t.closed(client);
      server.close();
    }
  });

  twin('a connection whose other end is in another process', async (t) => {
    const program = `const socket = require('net').connect(+process.argv[1], '127.0.0.1', () => socket.write('PART', () => {
      socket.resetAndDestroy();
      process.exit();
    }))`;
    const server = t.net.createServer({ pauseOnConnect: true });
    const port = await t.listen(server);
    for (let round = 0; round < 3; round++) {
      const child = t.cp.spawn(process.execPath, ['-e', program, String(port)], { stdio: 'inherit' });
      const connected = t.once(server, 'connection');
      // Now both lie in the kernel.
      await t.once(child, 'exit');
      const [socket] = (await connected) as [import('node:net').Socket];
      socket.on('data', (data) => t.trace('data', String(data)));
      socket.on('end', () => t.trace('end'));
      socket.on('error', (error) => t.trace('error', error));
      socket.resume();
      await t.closed(socket);
    }
    server.close();
  });

  twin('an http answer without a length that is cut', async (t) => {
    const server = t.net.createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf of it');
        setImmediate(() => socket.resetAndDestroy());
      });
    });
    const port = await t.listen(server);
    const request = t.http.get({ port, host: '127.0.0.1', agent: false }, (response) => {
      response.on('data', (data) => t.trace('data', String(data)));
      response.on('end', () => t.trace('end', response.complete));
      response.on('error', (error) => t.trace('response', error));
    });
    request.on('error', (error) => t.trace('request', error));
    await t.closed(request);
    server.close();
  });

  twin('what the last bytes put off to the check phase', async (t) => {
    const server = t.net.createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', () => {
        socket.write('answer');
        setImmediate(() => socket.resetAndDestroy());
      });
    });
    const port = await t.listen(server);
    for (let round = 0; round < 5; round++) {
      const client = t.net.connect(port, '127.0.0.1', () => setTimeout(() => client.write('q'), 10));
      client.on('error', (error) => t.trace(error));
      client.on('data', () => setImmediate(() => t.trace('immediate', client.destroyed, client.writable)));
      await t.closed(client);
    }
    server.close();
  });
});
