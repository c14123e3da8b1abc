/** An allocation that fails while a batch is delivered costs one event, and nobody else's. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { launch } from '../support/launch.mjs';
import { nodes, plainEnvironment, root } from '../support/nodes.mjs';

/** Comes before tsloop, which keeps what it finds: these fail as often as `failing` says. */
const PLANT = `
globalThis.failing = 0;
const plant = (holder, name) => {
  const original = holder[name];
  holder[name] = function (...given) {
    if (globalThis.failing === 0) return original.apply(this, given);
    globalThis.failing -= 1;
    throw new RangeError('Array buffer allocation failed');
  };
};
plant(Buffer, 'allocUnsafeSlow');
plant(Object.getPrototypeOf(Uint8Array.prototype), 'slice');
`;

/** What the programs have in common: what is seen is printed at the end, which is to come. */
const HEAD = `
const net = require('net');
const seen = [];
process.on('uncaughtException', (error) => seen.push(error.name));
const end = () => { console.log(JSON.stringify(seen)); process.exit(); };
`;

const programs: Record<string, { source: string; seen: unknown[] }> = {
  'a datagram that has no memory is lost, the others of its batch are not': {
    source: `${HEAD}
      const socket = require('dgram').createSocket('udp4');
      let count = 0;
      socket.on('message', (message) => {
        count += 1;
        if (String(message) !== 'last') return;
        seen.push(count);
        end();
      });
      socket.bind(0, '127.0.0.1', () => {
        const { port } = socket.address();
        globalThis.failing = 1;
        for (let index = 0; index < 10; index += 1) socket.send('message ' + index, port, '127.0.0.1');
        setTimeout(() => socket.send('last', port, '127.0.0.1'), 200);
      });`,
    seen: ['RangeError', 10],
  },
  'memory for the next reads may be missing: these go on, and it is asked for again': {
    source: `${HEAD}
      const size = 16 << 20;
      let got = 0;
      let failed = 0;
      const server = net.createServer((socket) => socket.end(Buffer.alloc(size, 'x'))).listen(0, '127.0.0.1', () => {
        net.connect(server.address().port, '127.0.0.1').on('data', (data) => {
          got += data.length;
          if (got > 4 << 20 && failed < 20) {
            failed += 1;
            globalThis.failing = 1;
          }
        }).on('close', () => {
          seen.push(got === size, failed);
          end();
        });
      });`,
    seen: [true, 20],
  },
  'a stream does not go on behind a hole: it ends with ENOBUFS, its neighbour does not': {
    source: `${HEAD}
      let sockets = 0;
      const server = net.createServer((socket) => socket.on('error', () => {}).end('abcdefgh')).listen(0, '127.0.0.1', () => {
        const read = (fails) => {
          const socket = net.connect({ port: server.address().port, host: '127.0.0.1', onread: {
            buffer: Buffer.alloc(4),
            callback: (count, buffer) => {
              seen.push(buffer.latin1Slice(0, count));
              if (seen.length > 1) return true;
              globalThis.failing = 1;
              setTimeout(() => socket.resume(), 50);
              return false;
            },
          } });
          socket.on('error', (error) => seen.push(error.code)).on('close', fails ? () => read(false) : end);
        };
        read(true);
      });`,
    seen: ['abcd', 'ENOBUFS', 'abcd', 'efgh'],
  },
};

describe('limits: no memory for what an event brought', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tsloop-memory-'));
  const plant = join(folder, 'plant.cjs');
  before(() => writeFileSync(plant, PLANT));
  after(() => rmSync(folder, { recursive: true }));

  for (const { binary, version } of nodes)
    for (const driver of ['inline', 'offload'])
      for (const [name, { source, seen }] of Object.entries(programs))
        it(`${name} [${version}, ${driver}]`, async () => {
          const args = ['-r', plant, '-r', resolve(root, 'register.js'), '-e', source];
          const env = { ...plainEnvironment(), TSLOOP_DRIVER: driver };
          const { stdout, stderr } = await launch(binary, args, { env, timeout: 10_000 });
          expect(stdout, stderr).to.equal(`${JSON.stringify(seen)}\n`);
        });
});
