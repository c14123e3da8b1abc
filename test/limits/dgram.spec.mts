/** Datagrams that nobody can keep up with, peers that are not there, sockets by the thousand. */
import { expect } from 'chai';
import { nodes } from '../support/nodes.mjs';
import { programFile, registerCjs, start } from '../support/programs.mjs';
import { twin } from '../support/twin.mjs';

/** Sends 100,000 small datagrams a second to a port, for so many milliseconds, and says how many. */
const SENDER = `
const [port, most] = process.argv.slice(2).map(Number);
const socket = require('node:dgram').createSocket('udp4');
const message = Buffer.alloc(64, 's');
let sent = 0;
socket.connect(port, '127.0.0.1', () => {
  const begun = performance.now();
  const pump = () => {
    const now = performance.now() - begun;
    if (now > most) { console.log(sent); socket.close(); return; }
    // A machine that stalls must not be made up for at once: that would be another rate.
    for (let burst = Math.min(200, now * 100 - sent); burst > 0; burst -= 1) { socket.send(message); sent += 1; }
    setTimeout(pump, 1);
  };
  pump();
});
`;

/** Counts what arrives, is busy for half a second in the middle, and says how many. */
const RECEIVER = `
const { spawn } = require('node:child_process');
const socket = require('node:dgram').createSocket('udp4');
let received = 0;
socket.on('message', () => { received += 1; });
socket.bind(0, '127.0.0.1', () => {
  const child = spawn(process.execPath, ['-r', process.argv[2], process.argv[3], String(socket.address().port), '1500'],
    { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, TSLOOP_DRIVER: 'inline' } });
  let told = '';
  child.stdout.on('data', (text) => { told += text; });
  setTimeout(() => { for (const end = Date.now() + 500; Date.now() < end;); }, 600);
  child.on('close', () => setTimeout(() => {
    const { datagrams } = require(process.env.PROBE_ENTRY).stats();
    console.log(JSON.stringify({ ...datagrams, sent: Number(told), received }));
    socket.close();
  }, 300));
});
`;

describe('limits: dgram', () => {
  for (const line of nodes) {
    it(`100,000 a second across half a second of busy JavaScript: none lost [${line.version}]`, async function () {
      // A machine that stalls for longer than the kernel's buffer lasts shows nothing about us.
      this.retries(3);
      const program = [programFile(RECEIVER), registerCjs, programFile(SENDER, 'sender.cjs')];
      const plain = JSON.parse((await start(line, program, { timeout: 20_000 })).stdout);
      console.log(`        (plain Node lost ${plain.sent - plain.received} of ${plain.sent})`);
      expect(plain.received, 'what plain Node cannot do').to.be.lessThan(plain.sent);
      const outcome = await start(line, ['-r', registerCjs, ...program], { timeout: 20_000 });
      const { sent, received, dropped } = JSON.parse(outcome.stdout);
      expect(sent, outcome.stdout).to.be.greaterThan(75_000);
      expect(received, outcome.stdout).to.equal(sent);
      expect(dropped).to.equal(0);
    });
  }

  const options = { timeout: 40_000 } as const;

  twin('large messages that nobody takes stay within the caps', options, async (t) => {
    const server = t.dgram.createSocket('udp4');
    let received = 0;
    server.on('message', (message) => {
      received += message.length;
    });
    server.bind(0, '127.0.0.1');
    await t.once(server, 'listening');
    const program = `const s = require('node:dgram').createSocket('udp4'); const m = Buffer.alloc(60000); let left = 3000;
      s.connect(${server.address().port}, '127.0.0.1', function pump() {
        for (let i = 0; i < 50 && left-- > 0; i++) s.send(m); left > 0 ? setImmediate(pump) : s.close(); });`;
    const child = t.cp.spawn(process.execPath, [...process.execArgv, '-e', program], { stdio: 'inherit' });
    await t.until(() => received > 0);
    const before = process.memoryUsage().rss;
    for (const end = Date.now() + 1500; Date.now() < end; );
    const grown = process.memoryUsage().rss - before;
    t.trace('grown by less than 48 MiB', grown < 48 << 20);
    if (child.exitCode === null) await t.once(child, 'exit');
    await t.sleep(100);
    server.close();
  });

  twin('refusals by the thousand', options, async (t) => {
    const gone = t.dgram.createSocket('udp4');
    gone.bind(0, '127.0.0.1');
    await t.once(gone, 'listening');
    const { port } = gone.address();
    await new Promise((done) => gone.close(() => done(null)));
    const client = t.dgram.createSocket('udp4');
    let told = 0;
    let errors = 0;
    client.on('error', (error: NodeJS.ErrnoException) => {
      errors += error.code === 'ECONNREFUSED' ? 1 : 1000;
    });
    client.connect(port, '127.0.0.1');
    await t.once(client, 'connect');
    for (let burst = 0; burst < 100; burst++) {
      for (let index = 0; index < 50; index++)
        client.send('x', () => {
          told++;
        });
      await t.turn();
    }
    await t.until(() => told === 5000);
    t.trace(told, errors <= 5000);
    client.disconnect();
    const echo = t.dgram.createSocket('udp4');
    echo.bind(0, '127.0.0.1');
    await t.once(echo, 'listening');
    client.send('still here', echo.address().port, '127.0.0.1');
    t.trace(String((await t.once(echo, 'message'))[0]));
    echo.close();
    client.close();
  });

  twin('a storm of senders that are never seen again', options, async (t) => {
    const server = t.dgram.createSocket('udp4');
    const seen = new Map<string, number>();
    server.on('message', (message, peer) => seen.set(String(message), Number(peer.address.split('.')[3])));
    server.bind(0);
    await t.once(server, 'listening');
    for (let index = 0; index < 1500; index++) {
      const client = t.dgram.createSocket('udp4');
      const host = `127.0.${index >> 8}.${index & 0xff || 1}`;
      client.bind(0, host);
      await t.once(client, 'listening');
      client.send(String(index), server.address().port, '127.0.0.1', () => client.close());
      if (index % 50 === 49) await t.until(() => seen.size === index + 1);
    }
    t.trace(
      [...seen].every(([text, last]) => last === (Number(text) & 0xff || 1)),
      seen.size,
    );
    server.close();
  });

  twin('ten thousand sockets, and a message to each', options, async (t) => {
    const sockets = await Promise.all(
      Array.from({ length: 10_000 }, async () => {
        const socket = t.dgram.createSocket('udp4');
        socket.bind(0, '127.0.0.1');
        await t.once(socket, 'listening');
        return socket;
      }),
    );
    let got = 0;
    for (const socket of sockets) socket.on('message', () => got++);
    for (const [index, socket] of sockets.entries()) {
      socket.send(String(index), (sockets[index + 1] ?? socket).address().port, '127.0.0.1');
      if (index % 100 === 99) await t.until(() => got === index + 1);
    }
    t.trace(got);
    for (const socket of sockets) socket.close();
  });
});
