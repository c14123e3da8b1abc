/** Unmodified web frameworks and clients: express, fastify, undici and ws, as plain programs. */
import { twin } from '../support/twin.mjs';

describe('apps: web', () => {
  const options = { timeout: 30_000 } as const;

  twin('express: routes, JSON bodies, static files, streams, errors', options, async (t) => {
    const express = t.require('express');
    t.fs.writeFileSync(t.path('page.txt'), 'static '.repeat(5000));
    const app = express();
    app.disable('x-powered-by');
    app.use(express.json());
    app.use(express.static(t.dir, { lastModified: false, etag: false }));
    app.get('/hello/:name', (request: { params: { name: string } }, response: { send(text: string): void }) =>
      response.send(`hello ${request.params.name}`),
    );
    app.post('/sum', (request: { body: number[] }, response: { json(value: unknown): void }) =>
      response.json({ sum: request.body.reduce((a, b) => a + b, 0) }),
    );
    app.get('/stream', (_request: unknown, response: NodeJS.WritableStream) => {
      t.stream.Readable.from(Array.from({ length: 50 }, (_, index) => `${index},`)).pipe(response);
    });
    app.get('/fail', () => {
      throw new Error('in a route');
    });
    app.use(
      (
        error: Error,
        _request: unknown,
        response: { status(code: number): { send(text: string): void } },
        next: () => void,
      ) => {
        if (error === undefined) next();
        response.status(500).send(error.message);
      },
    );
    const server = t.http.createServer(app);
    const port = await t.listen(server);
    const base = `http://127.0.0.1:${port}`;
    const show = async (path: string, init?: RequestInit): Promise<void> => {
      const response = await fetch(base + path, init);
      t.trace(path, response.status, response.headers.get('content-type'), await response.text());
    };
    for (let round = 0; round < 3; round++) {
      await show('/hello/world');
      await show('/sum', {
        method: 'POST',
        body: JSON.stringify([1, 2, 3]),
        headers: { 'content-type': 'application/json' },
      });
      await show('/sum', { method: 'POST', body: 'not json', headers: { 'content-type': 'application/json' } });
      await show('/page.txt');
      await show('/stream');
      await show('/fail');
      await show('/nowhere');
    }
    await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        fetch(`${base}/hello/${index}`)
          .then((r) => r.text())
          .then((text) => t.lane(`p${index}`)(text)),
      ),
    );
    server.close();
    server.closeAllConnections();
    // Idle sockets of fetch hold nothing open: they shall see the end before the process leaves.
    await t.until(() => t.sockets() === 0);
  });

  twin('fastify: schemas, hooks, inject and real requests, graceful close', options, async (t) => {
    const app = t.require('fastify')({ logger: false });
    app.addHook('onRequest', async (request: { url: string }) => {
      if (request.url === '/denied') throw Object.assign(new Error('denied'), { statusCode: 403 });
    });
    app.post(
      '/echo',
      { schema: { body: { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } } } },
      async (request: { body: unknown }) => request.body,
    );
    app.get('/big', async () => 'b'.repeat(300_000));
    app.get('/denied', async () => 'never');
    await app.listen({ port: 0, host: '127.0.0.1' });
    const { port } = app.server.address();
    t.port(port);
    const base = `http://127.0.0.1:${port}`;
    const json = { 'content-type': 'application/json' };
    for (const [path, init] of [
      ['/echo', { method: 'POST', body: '{"n":5}', headers: json }],
      ['/echo', { method: 'POST', body: '{"n":"x"}', headers: json }],
      ['/big', {}],
      ['/denied', {}],
    ] as [string, RequestInit][]) {
      const response = await fetch(base + path, init);
      t.trace(path, response.status, await response.text());
    }
    t.trace((await app.inject({ method: 'GET', url: '/big' })).statusCode);
    await app.close();
    // The idle connections of fetch must have seen the end, or the next request is tried on one of them.
    await t.until(() => t.sockets() === 0);
    await fetch(`${base}/big`).catch((error) => t.trace('closed', error.cause?.code));
  });

  twin('undici: pool, pipelining, stream, retry after a cut, upgrade', options, async (t) => {
    const { Pool, Client, request, stream } = t.require('undici');
    let cut = true;
    const server = t.http.createServer((incoming, response) => {
      response.setHeader('date', 'fixed');
      if (incoming.url === '/cut' && cut) {
        cut = false;
        incoming.socket.destroy();
        return;
      }
      let size = 0;
      incoming.on('data', (data) => {
        size += data.length;
      });
      incoming.on('end', () => response.end(`${incoming.method} ${incoming.url} ${size}`));
    });
    const port = await t.listen(server);
    const origin = `http://127.0.0.1:${port}`;
    const pool = new Pool(origin, { connections: 4, pipelining: 3 });
    const answers = await Promise.all(
      Array.from({ length: 60 }, async (_, index) => {
        const { statusCode, body } = await pool.request({
          path: `/${index}`,
          method: index % 2 === 0 ? 'GET' : 'POST',
          body: index % 2 === 0 ? null : 'z'.repeat(index * 100),
        });
        return `${statusCode} ${await body.text()}`;
      }),
    );
    t.trace(answers);
    await pool.close();
    const client = new Client(origin);
    await client.request({ path: '/cut', method: 'GET' }).then(
      () => t.trace('not cut'),
      (error: NodeJS.ErrnoException) => t.trace('cut', error.code),
    );
    const again = await client.request({ path: '/again', method: 'GET' });
    t.trace(await again.body.text());
    await client.destroy();
    let streamed = '';
    await stream(
      `${origin}/stream`,
      { method: 'GET' },
      () =>
        new t.stream.Writable({
          write(chunk, _encoding, done) {
            streamed += chunk;
            done();
          },
        }),
    );
    const one = await request(`${origin}/one`);
    t.trace(streamed, await one.body.text());
    const { getGlobalDispatcher } = t.require('undici');
    await getGlobalDispatcher().close();
    server.close();
    server.closeAllConnections();
  });

  twin('ws: echo, fragments, binary, ping, many clients, closing codes, a terminated peer', options, async (t) => {
    const { WebSocket, WebSocketServer } = t.require('ws');
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await t.once(server, 'listening');
    const { port } = server.address();
    t.port(port);
    const closes: number[] = [];
    server.on('connection', (socket: InstanceType<typeof WebSocket>) => {
      socket.on('message', (data: Buffer, binary: boolean) => socket.send(data, { binary }));
      socket.on('close', (code: number) => closes.push(code));
      socket.on('error', () => {});
    });
    const url = `ws://127.0.0.1:${port}`;
    const client = new WebSocket(url);
    await t.once(client, 'open');
    for (const message of ['text', 'é€𝄞', Buffer.alloc(200_000, 7), '']) {
      client.send(message);
      const [data, binary] = await t.once(client, 'message');
      t.trace(data.length, binary);
    }
    client.send('frag', { fin: false });
    client.send('ment', { fin: true });
    t.trace(String((await t.once(client, 'message'))[0]));
    client.ping('are you there');
    t.trace(String((await t.once(client, 'pong'))[0]));
    client.close(4001, 'done');
    const [code, reason] = await t.once(client, 'close');
    t.trace(code, String(reason));
    const many = await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        const one = new WebSocket(url);
        await t.once(one, 'open');
        const texts: string[] = [];
        for (let round = 0; round < 10; round++) {
          one.send(`${index}:${round}`);
          texts.push(String((await t.once(one, 'message'))[0]));
        }
        if (index % 2 === 0) one.terminate();
        else one.close(1000);
        await t.once(one, 'close');
        return texts.every((text, round) => text === `${index}:${round}`);
      }),
    );
    t.trace(many.every(Boolean), many.length);
    while (server.clients.size > 0) await t.turn();
    server.close();
    await t.once(server, 'close').catch(() => {});
    t.trace(
      'closing codes',
      closes.sort((a, b) => a - b),
    );
  });
});
