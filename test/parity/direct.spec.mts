/** Connections that have talked for so long that libuv watches them itself (inline driver), and what happens to them then. */
import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { expect } from 'chai';
import { nodes, root } from '../support/nodes.mjs';
import { twin } from '../support/twin.mjs';

describe('parity: connections that talk all the time', () => {
  for (const line of nodes) {
    it(`are watched by libuv itself (Node ${line.version})`, () => {
      const source = `
        const net = require('node:net');
        const server = net.createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1', () => {
          let left = 500;
          const client = net.connect(server.address().port, '127.0.0.1');
          client.on('data', () => {
            if (--left > 0) return client.write('x');
            console.log(JSON.stringify(require(${JSON.stringify(resolve(root, 'dist', 'index.js'))}).stats().turns));
            client.end();
            server.close();
          });
          client.write('x');
        });`;
      const flags = ['-r', resolve(root, 'register.js'), '-e', source];
      const told = execFileSync(line.binary, flags, {
        env: { ...process.env, TSLOOP_DRIVER: 'inline' },
        encoding: 'utf8',
      });
      const { inline, direct } = JSON.parse(told) as { inline: number; direct: number };
      // All but those before: two streams take at least so many turns each until they are.
      expect(direct).to.be.within(700, 1000);
      expect(inline).to.be.within(direct, 1100);
    });
  }

  twin('ticks, microtasks, immediates and timers around their data', async (t) => {
    const { here, there } = await t.talked();
    let left = 5;
    const done = new Promise<void>((fulfil) => {
      there.on('data', (data) => {
        t.trace('there', String(data));
        process.nextTick(() => t.trace('there: tick'));
        Promise.resolve().then(() => t.trace('there: microtask'));
        setImmediate(() => {
          t.trace('there: immediate');
          there.write('answer');
        });
      });
      here.on('data', (data) => {
        t.trace('here', String(data));
        left--;
        if (left > 0) here.write(`question ${left}`);
        else fulfil();
      });
    });
    here.write('question 5');
    await done;
    here.destroy();
    there.destroy();
  });

  twin('the end with the last bytes, and an answer after it', async (t) => {
    const { here, there } = await t.talked();
    there.allowHalfOpen = true;
    there.on('data', (data) => t.trace('there', String(data)));
    there.on('end', () => {
      t.trace('there: end');
      there.end('after the end');
    });
    here.on('data', (data) => t.trace('here', String(data)));
    here.on('end', () => t.trace('here: end'));
    const closed = [t.closed(here), t.closed(there)];
    here.end('last');
    await Promise.all(closed);
    t.trace(here.bytesRead, here.bytesWritten, there.bytesRead, there.bytesWritten);
  });

  twin('a reset', async (t) => {
    const { here, there } = await t.talked();
    there.on('data', () => {});
    there.on('error', (error: NodeJS.ErrnoException) => t.trace(error.code, error.errno, error.syscall, error.message));
    there.on('close', (hadError) => t.trace('there: close', hadError));
    const closed = t.closed(there);
    here.resetAndDestroy();
    await closed;
    there.write('x', (error) => t.trace('written', (error as NodeJS.ErrnoException | null)?.code));
    await t.turn();
  });

  twin('a pause, bytes in it, and more of them', async (t) => {
    const { here, there } = await t.talked();
    there.pause();
    here.write('while it pauses', () => t.trace('written'));
    for (let turn = 0; turn < 5; turn++) await t.turn();
    const came = t.once(there, 'data');
    t.trace('resumes');
    there.resume();
    t.trace(String((await came)[0]));
    there.pause();
    here.end('the last');
    await t.until(() => here.writableFinished);
    const rest: string[] = [];
    there.on('data', (data) => rest.push(String(data)));
    const closed = t.closed(there);
    there.resume();
    here.resume();
    await closed;
    t.trace(rest.join(''));
  });

  twin('a full buffer in between', async (t) => {
    const { here, there } = await t.talked();
    const large = Buffer.alloc(8 * 1024 * 1024, 7);
    here.on('drain', () => t.trace('drain'));
    t.trace(here.write(large), here.writableLength > 0);
    let bytes = 0;
    there.on('data', (data) => {
      bytes += data.length;
      if (bytes === large.length) there.write('all of it');
    });
    t.trace(String((await t.once(here, 'data'))[0]), bytes, here.writableLength);
    here.end();
    there.end();
    await Promise.all([t.closed(here), t.closed(there)]);
  });

  twin('a listener that throws', async (t) => {
    const { here, there } = await t.talked();
    let left = 3;
    const done = new Promise<void>((fulfil) => {
      process.on('uncaughtException', (error) => {
        t.trace('uncaught', error.message);
        left--;
        if (left === 0) fulfil();
        else here.write(`message ${left}`);
      });
    });
    there.on('data', (data) => {
      throw new Error(String(data));
    });
    here.write('message 3');
    await done;
    here.destroy();
    there.destroy();
  });

  twin('closed by its own listener, with the next on its descriptor', async (t) => {
    for (let round = 0; round < 5; round++) {
      const { here, there } = await t.talked(100);
      const closed = [t.closed(here), t.closed(there)];
      there.on('data', (data) => {
        t.trace(round, String(data));
        there.destroy();
      });
      here.write(`of round ${round}`);
      here.write('and more');
      here.on('error', () => {});
      here.resume();
      await Promise.all(closed);
    }
  });

  twin('ten others all at once, and alone again', async (t) => {
    const first = await t.talked();
    const others = await Promise.all(Array.from({ length: 10 }, () => t.talked(20)));
    for (const { here, there } of [first, ...others]) {
      there.on('data', (data) => there.write(data));
      here.write('x');
    }
    await Promise.all([first, ...others].map(({ here }) => t.once(here, 'data')));
    for (let left = 100; left > 0; left--) {
      first.here.write('y');
      await t.once(first.here, 'data');
    }
    t.trace(
      first.here.bytesRead,
      others.map(({ here }) => here.bytesRead),
    );
    for (const { here, there } of [first, ...others]) {
      here.destroy();
      there.destroy();
    }
  });

  twin('unreferenced, they hold nothing', { ledger: false }, async (t) => {
    const { here, there } = await t.talked();
    there.on('data', () => t.trace('never'));
    here.unref();
    there.unref();
    process.on('exit', () => t.trace('exit', here.destroyed, there.destroyed));
  });
});
