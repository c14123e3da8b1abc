/** A peer that takes bytes slowly but steadily: a time-out sees the progress and lets the transfer finish. */
import { twin } from '../support/twin.mjs';

/** Of one write: more than any kernel's buffer takes. */
const TOTAL = 24 << 20;

describe('reports: time-outs and large writes', () => {
  for (const kind of ['tcp', 'unix', 'http', 'upload'] as const) {
    twin(
      `a write of 24 MiB that makes progress is not timed out: ${kind}`,
      { given: { kind, TOTAL }, timeout: 90_000 },
      async (t, { kind, TOTAL }) => {
        const body = Buffer.alloc(TOTAL);
        /** Reads what a socket brings with pauses in between, each shorter than the time-out. */
        const slowly = (stream: import('node:stream').Readable): Promise<number> =>
          new Promise((done) => {
            let [got, burst] = [0, 0];
            stream.on('data', (data: Buffer) => {
              got += data.length;
              burst += data.length;
              if (burst < 1 << 20) return;
              burst = 0;
              stream.pause();
              setTimeout(() => stream.resume(), 40);
            });
            stream
              .on('error', () => done(got))
              .on('close', () => done(got))
              .on('end', () => done(got));
          });
        if (kind === 'http' || kind === 'upload') {
          const server = t.http.createServer((request, response) => {
            if (kind === 'http') {
              response.end(body);
              return;
            }
            void slowly(request).then((got) => response.end(String(got)));
          });
          if (kind === 'http') server.setTimeout(400, (socket) => socket.destroy());
          const port = await t.listen(server);
          const request = t.http.request({
            port,
            host: '127.0.0.1',
            method: kind === 'http' ? 'GET' : 'POST',
            agent: false,
          });
          if (kind === 'upload') request.setTimeout(400, () => request.destroy(new Error('timed out')));
          request.on('error', (error) => t.trace('request', error));
          request.end(kind === 'http' ? undefined : body);
          const [response] = (await t.once(request, 'response')) as [import('node:http').IncomingMessage];
          if (kind === 'http') t.trace('complete', (await slowly(response)) === TOTAL, response.complete);
          else t.trace('complete', (await response.toArray()).join('') === String(TOTAL));
          server.close();
          return;
        }
        const server = t.net.createServer((socket) => {
          socket.setTimeout(400, () => {
            t.trace('timed out');
            socket.destroy();
          });
          socket.end(body, () => t.trace('written'));
          const { _handle: handle } = socket as never as { _handle: { writeQueueSize: number } };
          const before = handle.writeQueueSize;
          setTimeout(() => t.trace('it shrinks', handle.writeQueueSize < before && before <= TOTAL), 300);
        });
        const path = `${process.cwd()}/socket`;
        await new Promise<void>((done) =>
          server.listen(kind === 'unix' ? { path } : { port: 0, host: '127.0.0.1' }, done),
        );
        const client =
          kind === 'unix'
            ? t.net.connect(path)
            : t.net.connect((server.address() as never as { port: number }).port, '127.0.0.1');
        t.trace('complete', (await slowly(client)) === TOTAL);
        server.close();
      },
    );
  }

  twin('a peer that takes nothing is timed out', async (t) => {
    const server = t.net.createServer((socket) => {
      socket.setTimeout(300, () => {
        t.trace('timed out');
        socket.destroy();
      });
      socket.write(Buffer.alloc(16 << 20));
    });
    const client = t.net.connect(await t.listen(server), '127.0.0.1').pause();
    client.on('error', (error) => t.trace(error));
    setTimeout(() => client.resume(), 1200);
    await t.closed(client);
    server.close();
  });
});
