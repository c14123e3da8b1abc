/** Datagram sockets in processes that load `dgram` before the preload, and sockets that cross from one to another. */
import { expect } from 'chai';
import { drivers, type NodeLine, nodes } from '../support/nodes.mjs';
import { programFile, registerCjs, start } from '../support/programs.mjs';

/** An echo of both families in a forked child, with what its listeners see around them. */
const FORK = `
const { fork } = require('node:child_process');
if (process.argv[2] === 'child') {
  const dgram = require('node:dgram');
  const { AsyncLocalStorage } = require('node:async_hooks');
  const store = new AsyncLocalStorage();
  class Server extends dgram.Socket { constructor(type) { super(type); this.on('message', (text, peer) => this.send(text, peer.port, peer.address)); } }
  function Old(type) { dgram.Socket.call(this, type); }
  Object.setPrototypeOf(Old.prototype, dgram.Socket.prototype);
  const told = [];
  const ways = [
    ['udp4', '127.0.0.1', (type) => new Server(type)],
    ['udp6', '::1', (type) => new Server(type)],
    ['udp4', '127.0.0.1', (type) => new Old(type).on('message', function (text, peer) { this.send(text, peer.port, peer.address); })],
  ];
  const go = () => {
    const way = ways.shift();
    if (way === undefined) { process.send(told, () => process.disconnect()); return; }
    const [type, host, make] = way;
    const server = make(type);
    server.bind({ port: 0, address: host, exclusive: true }, () => {
      const client = store.run('made', () => dgram.createSocket(type));
      client.on('message', (text, from) => {
        told.push(type, String(text), from.family, store.getStore() ?? null, client.address().family, client.hasRef?.() ?? null);
        client.close(); server.close(); go();
      });
      client.on('error', (error) => { told.push(error.code); });
      told.push(server.getRecvBufferSize() > 0, server.setTTL(9), server.setMulticastTTL(3));
      client.unref().ref();
      store.run('sent', () => client.connect(server.address().port, host, () => {
        told.push(client.remoteAddress().address);
        client.send('over ' + type, (error, bytes) => told.push(error, bytes));
      }));
    });
  };
  const group = dgram.createSocket({ type: 'udp4', reuseAddr: true });
  try { group.addMembership('224.0.0.114', '127.0.0.1'); told.push('joined'); } catch (error) { told.push(error.code); }
  group.close();
  const never = dgram.createSocket('udp6');
  never.close(go);
  try { never.bind(0); } catch (error) { told.push(error.code); }
} else {
  const child = fork(__filename, ['child']);
  child.on('message', (message) => console.log(JSON.stringify(message)));
  child.on('exit', (code) => console.log('exit', code));
}
`;

/** A socket given to a child, with messages that nobody has read yet, and one that comes back. */
const SEND = `
const dgram = require('node:dgram');
const { fork } = require('node:child_process');
if (process.argv[2] === 'child') {
  process.on('message', (kind, socket) => {
    if (kind === 'stop') { process.disconnect(); return; }
    socket.on('message', (text, peer) => {
      const told = () => { if (String(text) === 'last') socket.close(); };
      socket.send('child got ' + text, peer.port, peer.address, told);
    });
    process.send('ready');
    const back = dgram.createSocket(socket.type);
    back.bind({ port: 0, address: socket.type === 'udp6' ? '::1' : '127.0.0.1', exclusive: true }, () => {
      process.send('back', back, () => back.close());
    });
  });
} else {
  const [type, host] = process.argv[3] === 'six' ? ['udp6', '::1'] : ['udp4', '127.0.0.1'];
  const child = fork(__filename, ['child'], { execArgv: process.argv[2] === 'mixed' ? [] : process.execArgv });
  // Which of the two conversations ends first is chance.
  const told = [];
  process.on('exit', () => console.log(told.sort().join('\\n')));
  const socket = dgram.createSocket(type);
  socket.bind(0, host, () => {
    const { port } = socket.address();
    child.send('take', socket, () => socket.close());
    const client = dgram.createSocket(type);
    const got = [];
    client.on('message', (text) => {
      got.push(String(text));
      if (got.length === 20) client.send('last', port, host);
      if (String(text).endsWith('last')) { told.push(got.join()); client.close(); }
    });
    child.on('message', (kind, back) => {
      if (kind === 'ready') for (let index = 0; index < 20; index++) client.send('m' + index, port, host);
      if (kind === 'back') {
        back.on('message', (text) => { told.push('home again ' + text); back.close(); child.send('stop'); });
        back.send('hello', back.address().port, host);
      }
    });
  });
  child.on('exit', (code) => told.push('exit ' + code));
}
`;

/** Workers that share a port: every message is answered by one of them, also by one that was started anew. */
const CLUSTER = `
const cluster = require('node:cluster');
const dgram = require('node:dgram');
if (cluster.isPrimary) {
  const TOTAL = 300;
  const settings = process.argv[2] === 'mixed' ? [{}, { TSLOOP: 'off' }] : [{}, {}];
  const ready = (worker) => new Promise((done) => worker.once('message', done));
  const rounds = async () => {
    const workers = settings.map((env) => cluster.fork(env));
    const [{ port, own }, second] = await Promise.all(workers.map(ready));
    console.log('one port', port === second.port, 'own ports', own !== second.own);
    await answered(port);
    const ended = new Promise((done) => workers[0].once('exit', done));
    workers[0].kill('SIGKILL');
    await ended;
    await answered(port);
    const third = cluster.fork();
    console.log('again', (await ready(third)).port === port);
    await answered(port);
    for (const worker of [workers[1], third]) worker.disconnect();
  };
  const answered = (port) => new Promise((done) => {
    const client = dgram.createSocket('udp4');
    const seen = new Set();
    let next = 0;
    // A few under way: nothing is lost between processes on one machine that are awake.
    const more = () => { client.send(String(next++), port, '127.0.0.1'); };
    client.on('message', (text) => {
      seen.add(String(text));
      if (seen.size === TOTAL) { client.close(); console.log('answered', seen.size); done(); }
      else if (next < TOTAL) more();
    });
    for (let index = 0; index < 8; index++) more();
  });
  rounds();
} else {
  const shared = dgram.createSocket('udp4');
  const own = dgram.createSocket('udp4');
  shared.on('message', (text, peer) => shared.send(text, peer.port, peer.address));
  process.on('disconnect', () => own.close());
  shared.bind(0, '127.0.0.1', () => {
    own.bind({ port: 0, address: '127.0.0.1', exclusive: true }, () => {
      own.on('message', () => process.send({ port: shared.address().port, own: own.address().port }));
      own.send('to itself', own.address().port, '127.0.0.1');
    });
  });
}
`;

interface Program {
  readonly source: string;
  readonly args?: readonly string[];
  /** Processes in which datagrams have to have passed through tsloop; one that is killed cannot say so. */
  readonly beneath: number;
  readonly off?: number;
}

const programs: Record<string, Program> = {
  'an echo in a forked child': { source: FORK, beneath: 1 },
  'a socket sent to a child, and one back': { source: SEND, args: ['all'], beneath: 1 },
  'the same over IPv6': { source: SEND, args: ['all', 'six'], beneath: 1 },
  'a socket sent to a child without tsloop, and one back': { source: SEND, args: ['mixed'], beneath: 1, off: 1 },
  'workers of a cluster share a port': { source: CLUSTER, args: ['all'], beneath: 3 },
  'a cluster in which some workers run without tsloop': {
    source: CLUSTER,
    args: ['mixed'],
    beneath: 2,
    off: 1,
  },
};

async function compare(line: NodeLine, program: Program, driver: string): Promise<void> {
  const args = [programFile(program.source), ...(program.args ?? [])];
  const plain = await start(line, args);
  const hooked = await start(line, ['-r', registerCjs, ...args], {
    env: { TSLOOP_STRICT: '1', TSLOOP_DRIVER: driver },
  });
  expect(plain.stdout).to.contain('\n');
  expect(hooked.timedOut).to.equal(false);
  expect(hooked.stdout).to.equal(plain.stdout);
  expect(hooked.stderr).to.equal(plain.stderr);
  expect(hooked.code).to.equal(plain.code);
  const evidence = JSON.stringify(hooked.evidence);
  expect(hooked.evidence.filter((one) => !one.active).length, evidence).to.equal(program.off ?? 0);
  expect(hooked.evidence.filter((one) => one.datagrams > 0).length, evidence).to.be.at.least(program.beneath);
}

describe('preload: datagrams', () => {
  for (const line of nodes) {
    for (const [name, program] of Object.entries(programs)) {
      for (const driver of drivers) {
        it(`${name}, ${driver} [${line.version}]`, () => compare(line, program, driver));
      }
    }

    it(`a program that loads dgram before the hook [${line.version}]`, async () => {
      const early = programFile("require('node:dgram');", 'early.cjs');
      const source = `const socket = require('node:dgram').createSocket('udp4');
        socket.on('message', (text) => { console.log(String(text)); socket.close(); });
        socket.bind(0, '127.0.0.1', () => socket.send('to itself', socket.address().port, '127.0.0.1'));`;
      const outcome = await start(line, ['-r', early, '-r', registerCjs, programFile(source)], {
        env: { TSLOOP_STRICT: '1' },
      });
      expect(outcome.stdout).to.equal('to itself\n');
      expect(outcome.stderr).to.equal('');
      expect(outcome.evidence.at(-1)?.datagrams).to.equal(1);
    });
  }
});
