/**
 * Tagged traffic: every request carries the number of its connection and one that nobody else has,
 * every answer must bring both back on the same connection, while descriptors are reused, connections
 * aborted, reset and half-closed with answers under way, and the seat passes at random. None answered
 * wrongly, none lost, nothing left open.
 *
 * TSLOOP_TAGGED sets how many are to be answered, of each kind; `npm run tagged` asks for ten million, the
 * seat passing at random.
 */
import { twin } from '../support/twin.mjs';

const total = Number(process.env['TSLOOP_TAGGED'] ?? 60_000);
// A slow machine does some three thousand of the one and a hundred of the other in a second.
const timeout = 60_000 + total / 3;
/** A request over http costs as much as ten over a bare socket. */
const overHttp = Math.ceil(total / 10);

describe(`leaks: ${total} tagged requests`, function () {
  this.timeout(timeout * 4 + 60_000);

  for (const kind of ['tcp', 'path'] as const) {
    twin(
      `raw over ${kind}: abort, reset, half-close, reuse`,
      { timeout, given: { total, kind } },
      async (t, given: { total: number; kind: string }) => {
        const overTcp = given.kind === 'tcp';
        const count = { asked: 0, answered: 0, wrong: 0, lost: 0, abandoned: 0, astray: 0 };
        // What stands behind a tag is a piece of this, so that bytes of another answer never pass for it.
        let pattern = '';
        for (let seed = 1; pattern.length < 4800; seed = (seed * 48_271) % 2_147_483_647) {
          pattern += String.fromCharCode(33 + (seed % 90));
        }
        const answerTo = (own: number, tag: number): string => {
          const from = (tag * 31) % 4001;
          return `${own} ${tag} ${pattern.slice(from, from + (tag % 700))}`;
        };

        const server = t.net.createServer({ allowHalfOpen: true }, (socket) => {
          let text = '';
          let own = -1;
          let last = -1;
          socket.setEncoding('latin1');
          socket.on('error', () => {});
          socket.on('data', (data) => {
            const lines = (text + data).split('\n');
            text = lines.pop() ?? '';
            let answers = '';
            for (const line of lines) {
              const [whose, which, what] = line.split(' ');
              const tag = Number(which);
              if (own === -1) own = Number(whose);
              if (Number(whose) !== own || tag <= last) count.astray++;
              last = tag;
              if (what === 'reset') return void socket.resetAndDestroy();
              if (what === 'drop') return void socket.destroy();
              answers += `${answerTo(own, tag)}\n`;
              // One write for all there is to answer, or one for each answer.
              if (own % 4 > 0) continue;
              socket.write(answers);
              answers = '';
            }
            if (answers !== '') socket.write(answers);
          });
          socket.on('end', () => socket.end());
        });
        const path = t.path('s');
        const port = await t.listen(server, overTcp ? { port: 0, host: '127.0.0.1' } : { path });
        let connections = 0;
        let tags = 0;

        /** One connection: bursts of questions, each answered before the next, then one of eight ends. */
        const live = (): Promise<void> =>
          new Promise((done) => {
            const own = connections++;
            const client = overTcp ? t.net.connect(port, '127.0.0.1') : t.net.connect(path);
            client.setEncoding('latin1');
            let text = '';
            let rounds = 1 + (own % 6);
            // The questions of a burst have numbers in a row: from the first unanswered to the end of it.
            let next = 0;
            let end = 0;
            let excused = false;
            const ask = (what = ''): void => {
              const burst = 1 + ((own * 7 + rounds * 11) % 32);
              next = tags;
              tags += burst;
              end = tags;
              count.asked += burst;
              let questions = '';
              for (let tag = next; tag < end; tag++) {
                questions += `${own} ${tag}\n`;
                if (own % 3 > 0) continue;
                client.write(questions);
                questions = '';
              }
              if (what !== '') questions += `${own} ${tags++} ${what}\n`;
              if (questions !== '') client.write(questions);
            };
            const leave = (): void => {
              const way = (own >>> 1) % 8;
              excused = way !== 7;
              if (way === 0) client.end();
              else if (way === 1) client.destroy();
              else if (way === 2) client.end(`${own} ${tags++} drop\n`);
              else if (way === 3) client.write(`${own} ${tags++} ${overTcp ? 'reset' : 'drop'}\n`);
              // With answers under way, which nobody will get.
              else if (way === 4) ask('drop');
              else ask();
              if (way === 5) client.destroy();
              if (way === 6) setImmediate(() => (overTcp ? client.resetAndDestroy() : client.destroy()));
              // With answers under way, all of which must come.
              if (way === 7) client.end();
            };
            client.on('connect', () => ask());
            client.on('error', () => {});
            client.on('data', (data) => {
              const lines = (text + data).split('\n');
              text = lines.pop() ?? '';
              for (const line of lines) {
                if (next < end && line === answerTo(own, next++)) count.answered++;
                else count.wrong++;
              }
              if (next < end || rounds <= 0) return;
              rounds--;
              if (rounds > 0) ask();
              else leave();
            });
            client.on('close', () => {
              if (excused) count.abandoned += end - next;
              else count.lost += end - next;
              done();
            });
          });
        const lane = async (): Promise<void> => {
          while (count.answered < given.total) await live();
        };
        await Promise.all(Array.from({ length: 64 }, lane));
        t.trace('wrong', count.wrong, 'astray', count.astray, 'lost', count.lost);
        t.trace(count.answered >= given.total, count.answered + count.abandoned === count.asked);
        server.close();
      },
    );
  }

  twin('http keep-alive with aborts in between', { timeout, given: overHttp }, async (t, given: number) => {
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
    // None may be closed for idleness under a request that has just been sent.
    server.keepAliveTimeout = 120_000;
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
