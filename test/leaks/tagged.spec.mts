/**
 * Tagged traffic: every request carries a number nobody else has, every answer must carry it back on
 * the same connection, while descriptors are reused, connections aborted, reset and half-closed, and
 * the seat passes at random. None answered wrongly, none lost, nothing left open.
 *
 * TSLOOP_TAGGED sets how many requests; the full run is 10,000,000.
 */
import { twin } from '../support/twin.mjs';

const total = Number(process.env['TSLOOP_TAGGED'] ?? 20_000);
// A slow machine does some two thousand a second, churn included.
const timeout = 60_000 + total / 2;

describe(`leaks: ${total} tagged requests`, function () {
  this.timeout(timeout * 4 + 60_000);

  for (const kind of ['tcp', 'path'] as const) {
    twin(
      `raw over ${kind}: abort, reset, half-close, reuse`,
      { timeout, given: { total, kind } },
      async (t, given: { total: number; kind: string }) => {
        const server = t.net.createServer({ allowHalfOpen: true }, (socket) => {
          let text = '';
          socket.setEncoding('latin1');
          socket.on('error', () => {});
          socket.on('data', (data) => {
            text += data;
            for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n')) {
              const line = text.slice(0, at);
              text = text.slice(at + 1);
              const [tag, what] = line.split(' ');
              if (what === 'reset') socket.resetAndDestroy();
              else if (what === 'drop') socket.destroy();
              else if (!socket.destroyed) socket.write(`${tag} ${'p'.repeat(Number(tag) % 700)}\n`);
            }
          });
          socket.on('end', () => socket.end());
        });
        const path = t.path('s');
        const port = await t.listen(server, given.kind === 'path' ? { path } : { port: 0, host: '127.0.0.1' });
        let tag = 0;
        const count = { asked: 0, answered: 0, wrong: 0, lost: 0, dropped: 0, reused: 0 };

        /** One connection: asks up to `burst` questions at once, several times, then ends in one of four ways. */
        const live = (): Promise<void> =>
          new Promise((done) => {
            const client = given.kind === 'path' ? t.net.connect(path) : t.net.connect(port, '127.0.0.1');
            client.setEncoding('latin1');
            const waiting: string[] = [];
            let text = '';
            let rounds = 1 + (tag % 7);
            const ending = tag % 5;
            let excused = false;
            const ask = (): void => {
              const burst = 1 + (tag % 9);
              for (let index = 0; index < burst && tag < given.total; index++) {
                waiting.push(String(tag));
                count.asked++;
                client.write(`${tag++} ask\n`);
              }
              if (waiting.length === 0) client.end();
            };
            client.on('connect', ask);
            client.on('error', () => {});
            client.on('data', (data) => {
              text += data;
              for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n')) {
                const line = text.slice(0, at);
                text = text.slice(at + 1);
                const wanted = waiting.shift();
                const expected = `${wanted} ${'p'.repeat(Number(wanted) % 700)}`;
                if (line === expected) count.answered++;
                else count.wrong++;
              }
              if (waiting.length > 0) return;
              rounds--;
              if (rounds > 0 && tag < given.total) return ask();
              excused = true;
              if (ending === 0) client.end();
              else if (ending === 1) client.destroy();
              else if (ending === 2) client.write(`${tag} drop\n`);
              else if (ending === 3 && given.kind === 'tcp') client.write(`${tag} reset\n`);
              else client.end(`${tag} drop\n`);
            });
            client.on('close', () => {
              if (!excused) count.lost += waiting.length;
              else count.dropped++;
              done();
            });
          });
        const lane = async (): Promise<void> => {
          while (tag < given.total) await live();
        };
        await Promise.all(Array.from({ length: 40 }, lane));
        t.trace('asked', count.asked, 'answered', count.answered, 'wrong', count.wrong, 'lost', count.lost);
        server.close();
      },
    );
  }

  twin('http keep-alive with aborts in between', { timeout, given: Math.ceil(total / 4) }, async (t, given: number) => {
    const server = t.http.createServer((request, response) => {
      let body = '';
      request.on('data', (data) => {
        body += data;
      });
      request.on('end', () => {
        const answer = (): unknown => response.end(`${request.url}:${body}`);
        if (body.length % 3 === 0) setImmediate(answer);
        else answer();
      });
      request.on('error', () => {});
    });
    const port = await t.listen(server);
    const agent = new t.http.Agent({ keepAlive: true, maxSockets: 24 });
    let tag = 0;
    const count = { answered: 0, wrong: 0, aborted: 0, failed: 0 };
    const ask = (): Promise<void> =>
      new Promise((done) => {
        const own = tag++;
        const body = `${own}`.repeat(own % 40);
        const request = t.http.request({ port, host: '127.0.0.1', path: `/${own}`, method: 'POST', agent });
        request.on('response', (response) => {
          let text = '';
          response.on('data', (data) => {
            text += data;
          });
          response.on('end', () => {
            if (text === `/${own}:${body}`) count.answered++;
            else count.wrong++;
          });
          response.on('error', () => {});
        });
        request.on('error', () => {
          if (own % 11 === 0) count.aborted++;
          else count.failed++;
        });
        request.on('close', () => done());
        request.end(body);
        if (own % 11 === 0) request.on('socket', () => setImmediate(() => request.destroy(new Error('enough'))));
      });
    const lane = async (): Promise<void> => {
      while (tag < given) await ask();
    };
    await Promise.all(Array.from({ length: 30 }, lane));
    // How many of those to be aborted were quicker than the abort is chance.
    t.trace('wrong', count.wrong, 'failed', count.failed, 'sum', count.answered + count.aborted === given);
    agent.destroy();
    server.close();
  });
});
