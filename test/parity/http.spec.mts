/** http servers and clients on tsloop's sockets: framing, keep-alive, agents, aborts, time-outs. */
import { type Bench, twin } from '../support/twin.mjs';

describe('parity: http', () => {
  twin('methods, headers, bodies and chunking over one kept connection', async (t) => {
    let connections = 0;
    const server = t.http.createServer((request, response) => {
      let size = 0;
      request.on('data', (data) => {
        size += data.length;
      });
      request.on('end', () => {
        response.setHeader('x-size', size);
        response.setHeader('date', 'fixed');
        if (request.url === '/chunked') {
          response.write('one ');
          response.write('two ');
          response.end('three');
        } else response.end(`${request.method} ${request.url} ${request.headers['x-test'] ?? ''}`);
      });
    });
    server.on('connection', () => connections++);
    const port = await t.listen(server);
    const agent = new t.http.Agent({ keepAlive: true, maxSockets: 1 });
    for (const [method, path, body] of [
      ['GET', '/plain', ''],
      ['POST', '/echo', 'x'.repeat(70_000)],
      ['PUT', '/chunked', 'y'],
      ['HEAD', '/head', ''],
      ['DELETE', '/gone', ''],
      ['OPTIONS', '*', ''],
    ] as const) {
      await new Promise<void>((done) => {
        const request = t.http.request(
          { port, host: '127.0.0.1', method, path, agent, headers: { 'x-test': 'é'.normalize('NFC') } },
          (response) => {
            let text = '';
            response.setEncoding('latin1');
            response.on('data', (data) => {
              text += data;
            });
            response.on('end', () => {
              t.trace(method, response.statusCode, response.headers, text, request.reusedSocket);
              done();
            });
          },
        );
        request.end(body);
      });
    }
    t.trace('connections', connections);
    agent.destroy();
    server.close();
  });

  twin('pipelined requests are answered in order', async (t) => {
    const server = t.http.createServer((request, response) => {
      response.setHeader('date', 'fixed');
      setTimeout(() => response.end(`<${request.url}>`), request.url === '/1' ? 30 : 1);
    });
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    client.write(
      'GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    );
    let text = '';
    client.on('data', (data) => {
      text += data;
    });
    await t.closed(client);
    t.trace(text.match(/<.*?>/g), text.length);
    server.close();
  });

  twin('upgrade and CONNECT hand over the socket and the head', async (t) => {
    const server = t.http.createServer();
    for (const event of ['upgrade', 'connect']) {
      server.on(event, (request, socket, head) => {
        t.lane('server')(event, request.method, request.url, String(head));
        socket.write(
          `HTTP/1.1 ${event === 'upgrade' ? '101 Switching' : '200 OK'}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n`,
        );
        socket.on('data', (data: Buffer) => socket.write(`echo ${data}`));
        socket.on('end', () => socket.end());
      });
    }
    const port = await t.listen(server);
    for (const [event, options] of [
      ['upgrade', { headers: { Connection: 'Upgrade', Upgrade: 'echo' } }],
      ['connect', { method: 'CONNECT', path: 'there:80' }],
    ] as const) {
      await new Promise<void>((done) => {
        const request = t.http.request({ port, host: '127.0.0.1', agent: false, ...options });
        request.on(event, (response, socket, head) => {
          t.trace(event, response.statusCode, String(head));
          socket.write('hello');
          socket.once('data', (data: Buffer) => {
            t.trace(event, String(data));
            socket.end();
            socket.resume();
          });
          socket.on('close', () => done());
        });
        request.end();
      });
    }
    const raw = t.net.connect(port, '127.0.0.1');
    raw.write('GET /raw HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly bytes');
    raw.once('data', () => raw.end());
    await t.closed(raw.resume());
    server.close();
  });

  twin('expect: 100-continue, early hints, trailers', async (t) => {
    const server = t.http.createServer((request, response) => {
      request.resume();
      request.on('end', () => {
        t.lane('server')('trailers', request.trailers);
        response.writeHead(200, { Trailer: 'x-sum', Date: 'fixed' });
        response.write('body');
        response.addTrailers({ 'x-sum': '42' });
        response.end();
      });
    });
    server.on('checkContinue', (request, response) => {
      t.lane('server')('checkContinue');
      response.writeEarlyHints({ link: '</a.css>; rel=preload' });
      response.writeContinue();
      server.emit('request', request, response);
    });
    server.on('checkExpectation', (_request, response) => {
      response.writeHead(417, { Date: 'fixed' });
      response.end();
    });
    const port = await t.listen(server);
    for (const expect of ['100-continue', 'nonsense']) {
      await new Promise<void>((done) => {
        const request = t.http.request({
          port,
          host: '127.0.0.1',
          method: 'POST',
          agent: false,
          headers: { Expect: expect, 'Transfer-Encoding': 'chunked', Trailer: 'x-t' },
        });
        request.on('information', (info) => t.trace('information', info.statusCode, info.headers));
        request.on('continue', () => {
          t.trace('continue');
          request.write('late body');
          request.addTrailers({ 'x-t': 'v' });
          request.end();
        });
        request.on('response', (response) => {
          response.resume();
          response.on('end', () => t.trace(expect, response.statusCode, response.trailers));
          response.on('close', () => done());
          if (expect === 'nonsense') request.end();
        });
        request.flushHeaders();
      });
    }
    server.close();
  });

  twin('aborts: by the client, by the server, in the middle of a body', async (t) => {
    let cut = (): void => {};
    const server = t.http.createServer((request, response) => {
      const seen = t.lane(`server ${request.url}`);
      request.on('aborted', () => seen('aborted'));
      request.on('error', (error) => seen('request error', error));
      request.on('close', () => seen('request close', request.complete, request.destroyed));
      response.on('close', () => seen('response close', response.writableFinished));
      if (request.url === '/client') response.write('first');
      if (request.url === '/server') {
        response.write('first');
        cut = () => response.destroy();
      }
      if (request.url === '/silent') setTimeout(() => response.socket?.destroy(), 20);
      if (request.url === '/reset') setTimeout(() => response.socket?.resetAndDestroy(), 20);
    });
    const port = await t.listen(server);
    for (const path of ['/client', '/server', '/silent', '/reset', '/before']) {
      const seen = t.lane(`client ${path}`);
      await new Promise<void>((done) => {
        const request = t.http.get({ port, host: '127.0.0.1', path, agent: false });
        request.on('error', (error) => seen('error', error));
        request.on('close', () => {
          seen('close');
          done();
        });
        request.on('response', (response) => {
          response.on('data', (data) => {
            seen('data', String(data));
            if (path === '/client') request.destroy();
            if (path === '/server') setImmediate(cut);
          });
          response.on('aborted', () => seen('aborted'));
          response.on('error', (error) => seen('response error', error));
        });
        if (path === '/before') request.destroy(new Error('changed my mind'));
      });
    }
    server.close();
  });

  twin('an abort signal on a request and on fetch', async (t) => {
    let closed = 0;
    const server = t.http.createServer((request, response) => {
      response.on('close', () => {
        t.lane('server')(request.url, 'closed');
        closed++;
      });
    });
    const port = await t.listen(server);
    const abort = new AbortController();
    const request = t.http.get({ port, host: '127.0.0.1', path: '/get', signal: abort.signal, agent: false });
    request.on('error', (error) => t.trace('request', error));
    // Abort what has arrived, and go on when the other side knows: no time is short or long enough for either.
    await t.once(server, 'request');
    abort.abort();
    await t.closed(request);
    await t.until(() => closed === 1);
    const other = new AbortController();
    const fetched = fetch(`http://127.0.0.1:${port}/fetch`, { signal: other.signal }).catch((error) =>
      t.trace('fetch', error.name, error.message),
    );
    await t.once(server, 'request');
    other.abort();
    await fetched;
    await t.until(() => closed === 2);
    server.close();
    server.closeAllConnections();
    // What is left of fetch's connection holds nothing open: it shall be gone before the process leaves.
    await t.until(() => t.sockets() === 0);
  });

  twin('time-outs: headers, request, keep-alive, socket, client', async (t) => {
    const server = t.http.createServer({ connectionsCheckingInterval: 20 } as object, (request, response) => {
      request.resume();
      response.setHeader('date', 'fixed');
      if (request.url === '/idle') request.socket.setTimeout(40);
      if (request.url === '/') response.end('ok');
    });
    server.on('clientError', (error, socket) => {
      t.lane('server')('clientError', error);
      if (socket.writable) socket.end('HTTP/1.1 400 Bad\r\n\r\n');
      else socket.destroy();
    });
    const port = await t.listen(server);
    // Node takes the lesser of the two for the headers.
    const whole = { headersTimeout: 200, requestTimeout: 200 };
    // Each limit by itself, and set once the server has read what there is: no other may be reached before it.
    const cases: [string, string, object][] = [
      ['headers', 'GET / HTTP/1.1\r\nHost: a\r\nX-Slow', { headersTimeout: 100 }],
      ['request', 'POST /never HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc', whole],
      ['keepAlive', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', {}],
      ['bad', 'NONSENSE\r\n\r\n', {}],
    ];
    for (const [name, text, limit] of cases) {
      Object.assign(server, { headersTimeout: 60_000, requestTimeout: 300_000, keepAliveTimeout: 60 });
      const accepted = t.once(server, 'connection');
      const client = t.net.connect(port, '127.0.0.1');
      let answer = '';
      client.on('data', (data) => {
        answer += data;
      });
      client.on('error', (error) => t.trace(name, 'error', error));
      client.write(text);
      const closed = t.closed(client);
      const [socket] = await accepted;
      await t.until(() => socket.bytesRead === text.length);
      Object.assign(server, limit);
      await closed;
      t.trace(name, answer.split('\r\n')[0]);
    }
    const request = t.http.get({ port, host: '127.0.0.1', path: '/never', timeout: 50, agent: false });
    request.on('timeout', () => {
      t.trace('client timeout');
      request.destroy();
    });
    request.on('error', (error) => t.trace('client', error));
    await t.closed(request);
    server.setTimeout(60_000, (socket: import('node:net').Socket) => {
      t.lane('server')('server timeout');
      socket.destroy();
    });
    const second = t.http.get({ port, host: '127.0.0.1', path: '/idle', agent: false });
    second.on('error', (error) => t.trace('second', error));
    await t.closed(second);
    server.close();
  });

  twin('agents: limits, queue, reuse, free sockets closed by the server', async (t) => {
    let running = 0;
    let most = 0;
    let held: (() => void)[] | null = [];
    const server = t.http.createServer((request, response) => {
      response.setHeader('date', 'fixed');
      most = Math.max(most, ++running);
      const answer = (): void => {
        running--;
        if (request.url === '/close') response.setHeader('connection', 'close');
        response.end(String(request.url));
      };
      if (held === null) return void setTimeout(answer, 2);
      // The first are answered when as many as may be are there.
      held.push(answer);
      if (held.length < 3) return;
      for (const one of held) one();
      held = null;
    });
    const port = await t.listen(server);
    const agent = new t.http.Agent({ keepAlive: true, maxSockets: 3, maxFreeSockets: 2 });
    const get = (path: string): Promise<string> =>
      new Promise((done) => {
        const request = t.http.get({ port, host: '127.0.0.1', path, agent }, (response) => {
          let text = '';
          response.on('data', (data) => {
            text += data;
          });
          response.on('end', () => done(text));
        });
        request.on('error', (error) => done(String(error)));
      });
    const paths = Array.from({ length: 30 }, (_, index) => (index % 7 === 0 ? '/close' : `/${index}`));
    t.trace((await Promise.all(paths.map(get))).join());
    t.trace('most', most);
    server.closeIdleConnections();
    await t.until(() => Object.keys(agent.freeSockets).length === 0);
    t.trace(await get('/after'));
    agent.destroy();
    server.close();
  });

  twin('a server that closes while requests run', async (t) => {
    const server = t.http.createServer((_request, response) => {
      setTimeout(() => {
        response.setHeader('date', 'fixed');
        response.end('done');
      }, 40);
    });
    const port = await t.listen(server);
    const agent = new t.http.Agent({ keepAlive: true });
    const answered = new Promise<void>((done) => {
      t.http.get({ port, host: '127.0.0.1', agent }, (response) => {
        response.on('data', (data) => t.trace(String(data), response.headers.connection));
        response.on('end', () => done());
      });
    });
    await t.once(server, 'request');
    server.close(() => t.lane('server')('closed'));
    await answered;
    agent.destroy();
  });

  twin('slow readers: backpressure reaches the handler', async (t) => {
    const server = t.http.createServer((_request, response) => {
      let falses = 0;
      let left = 60;
      const more = (): void => {
        while (left > 0) {
          left--;
          if (!response.write(Buffer.alloc(200_000, 'w'))) {
            falses++;
            response.once('drain', more);
            return;
          }
        }
        response.end(() => t.lane('server')(falses > 10));
      };
      more();
    });
    const port = await t.listen(server);
    await new Promise<void>((done) => {
      t.http.get({ port, host: '127.0.0.1', agent: false }, (response) => {
        let size = 0;
        response.pause();
        setTimeout(() => response.resume(), 100);
        response.on('data', (data) => {
          size += data.length;
        });
        response.on('end', () => {
          t.trace(size);
          done();
        });
      });
    });
    server.close();
  });

  twin('keep-alive connections, many at once, every answer its own', async (t) => {
    const server = t.http.createServer((request, response) => {
      let text = '';
      request.on('data', (data) => {
        text += data;
      });
      request.on('end', () => {
        setImmediate(() => response.end(`${request.url}:${text}`));
      });
    });
    const port = await t.listen(server);
    const agent = new t.http.Agent({ keepAlive: true, maxSockets: 32 });
    let wrong = 0;
    await Promise.all(
      Array.from(
        { length: 600 },
        (_, index) =>
          new Promise<void>((done) => {
            const request = t.http.request(
              { port, host: '127.0.0.1', path: `/${index}`, method: 'POST', agent },
              (response) => {
                let text = '';
                response.on('data', (data) => {
                  text += data;
                });
                response.on('end', () => {
                  if (text !== `/${index}:${'b'.repeat(index % 100)}`) wrong++;
                  done();
                });
              },
            );
            request.end('b'.repeat(index % 100));
          }),
      ),
    );
    t.trace('wrong', wrong);
    agent.destroy();
    server.close();
  });

  twin('fetch: bodies both ways, streams, redirects, failures', async (t: Bench) => {
    let cutOff = (): void => {};
    const server = t.http.createServer((request, response) => {
      response.setHeader('date', 'fixed');
      if (request.url === '/redirect') {
        response.writeHead(302, { location: '/echo' });
        response.end();
      } else if (request.url === '/cut') {
        response.writeHead(200, { 'content-length': 100 });
        response.write('short');
        cutOff = () => response.destroy();
      } else request.pipe(response);
    });
    const port = await t.listen(server);
    const base = `http://127.0.0.1:${port}`;
    for (let round = 0; round < 3; round++) {
      const echoed = await fetch(`${base}/echo`, { method: 'POST', body: 'x'.repeat(50_000) });
      t.trace(echoed.status, (await echoed.text()).length);
    }
    const redirected = await fetch(`${base}/redirect`);
    t.trace(redirected.redirected, redirected.status, await redirected.text());
    const cut = await fetch(`${base}/cut`);
    const read = cut.text().then(
      () => t.trace('whole'),
      (error) => t.trace('cut', error.name, error.message, error.cause?.code),
    );
    cutOff();
    await read;
    server.close();
    server.closeAllConnections();
    await t.closed(server);
    // The idle connections of fetch must have seen the end, or the next request is tried on one of them.
    await t.until(() => t.sockets() === 0);
    await fetch(`${base}/gone`).catch((error) => t.trace('gone', error.message, error.cause?.code));
  });

  twin('raw sockets: half-close after the request, garbage, oversized headers', async (t) => {
    const server = t.http.createServer((request, response) => {
      response.setHeader('date', 'fixed');
      request.socket.once('end', () => setTimeout(() => response.end('late'), 20));
    });
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      t.lane('server')(error.code, (error as unknown as { bytesParsed?: number }).bytesParsed);
      if (socket.writable) socket.end('HTTP/1.1 400 Bad\r\nConnection: close\r\n\r\n');
    });
    const port = await t.listen(server);
    for (const [name, text, half] of [
      ['half', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', true],
      ['garbage', '\0\0\0\0\r\n\r\n', false],
      ['oversized', `GET / HTTP/1.1\r\nX: ${'h'.repeat(20_000)}\r\n\r\n`, false],
      ['half header', 'GET / HT', true],
    ] as const) {
      const client = t.net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      let answer = '';
      client.on('data', (data) => {
        answer += data;
      });
      client.on('error', (error) => t.trace(name, 'error', error));
      if (half) client.end(text);
      else client.write(text);
      client.on('end', () => client.end());
      await t.closed(client);
      t.trace(name, answer);
    }
    server.closeAllConnections();
    server.close();
  });
});
