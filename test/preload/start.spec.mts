/** Every way a process starts: tsloop must be beneath it, and nothing but that may differ. */
import { expect } from 'chai';
import { type NodeLine, nodes } from '../support/nodes.mjs';
import { EXCHANGE, type Outcome, programFile, registerCjs, registerMjs, start } from '../support/programs.mjs';

/** Same output and exit code as on plain Node, every thread active, and traffic through tsloop. */
/** Node's warnings begin with the number of the process. */
function withoutPid(text: string): string {
  return text.replaceAll(/\(node:\d+\)/g, '(node)');
}

function expectBeneath(outcome: Outcome, plain: Outcome, threads = 1): void {
  expect(outcome.timedOut, 'timed out').to.equal(false);
  expect(outcome.stdout).to.equal(plain.stdout);
  expect(withoutPid(outcome.stderr)).to.equal(withoutPid(plain.stderr));
  expect(outcome.code).to.equal(plain.code);
  expect(outcome.evidence.filter((one) => one.active).length, JSON.stringify(outcome.evidence)).to.be.at.least(threads);
  expect(
    outcome.evidence.filter((one) => !one.active),
    'inactive',
  ).to.deep.equal([]);
  expect(
    outcome.evidence.some((one) => one.connections > 0),
    'traffic',
  ).to.equal(true);
}

const FORK = `
const { fork } = require('node:child_process');
if (process.argv[2] === 'child') {
  const net = require('node:net');
  const server = net.createServer((socket) => socket.end('from the child'));
  server.listen(0, '127.0.0.1', () => {
    net.connect(server.address().port, '127.0.0.1').on('data', (data) => {
      process.send({ text: String(data), big: new Map([[1, 2]]).size });
    }).on('close', () => { server.close(); process.disconnect(); });
  });
} else {
  const child = fork(__filename, ['child'], { serialization: process.argv[3] || 'json' });
  child.on('message', (message) => console.log('message', message));
  // Messages are told before the end of their channel, and the exit of the child races both.
  let left = 2;
  const ended = () => { if (--left === 0) console.log('exit', child.exitCode); };
  child.on('exit', ended).on('disconnect', ended);
}
`;

const SEND = `
const { fork } = require('node:child_process');
const net = require('node:net');
if (process.argv[2] === 'child') {
  process.on('message', (message, handle) => {
    if (message === 'server') {
      handle.on('connection', (socket) => socket.end('served by the child'));
      process.send('ready');
    } else if (message === 'socket') {
      handle.once('data', (data) => handle.end('child got ' + data));
      handle.on('close', () => process.send('socket done'));
    } else if (message === 'stop') { process.removeAllListeners('message'); process.disconnect(); process.exit(0); }
  });
} else {
  const child = fork(__filename, ['child']);
  const shared = net.createServer(() => console.log('the wrong process'));
  shared.listen(0, '127.0.0.1', () => child.send('server', shared));
  child.on('message', (message) => {
    if (message === 'ready') {
      const port = shared.address().port;
      shared.close();
      net.connect(port, '127.0.0.1').on('data', (data) => console.log(String(data))).on('close', () => {
        const passing = net.createServer({ pauseOnConnect: true }, (socket) => { child.send('socket', socket); passing.close(); });
        passing.listen(0, '127.0.0.1', () => {
          const client = net.connect(passing.address().port, '127.0.0.1');
          client.write('unread bytes');
          client.on('data', (data) => console.log(String(data)));
        });
      });
    } else { console.log(message); child.send('stop'); }
  });
  child.on('exit', (code) => console.log('exit', code));
}
`;

const CLUSTER = `
const cluster = require('node:cluster');
const http = require('node:http');
if (process.argv[2] === 'none') cluster.schedulingPolicy = cluster.SCHED_NONE;
if (cluster.isPrimary) {
  const workers = [cluster.fork(), cluster.fork()];
  let ready = 0;
  for (const worker of workers) {
    worker.on('message', (message) => console.log('message', message));
    worker.on('listening', (address) => {
      if (++ready === 2) exchange(address.port);
    });
  }
  let left = 2;
  cluster.on('exit', (worker, code) => { if (--left === 0) console.log('workers gone', code); });
  const exchange = async (port) => {
    const answers = [];
    for (let index = 0; index < 6; index++) {
      answers.push(await new Promise((done) => http.get({ port, host: '127.0.0.1', agent: false }, (response) => {
        let text = ''; response.on('data', (data) => { text += data; }); response.on('end', () => done(text));
      })));
    }
    console.log(answers.join());
    for (const worker of workers) worker.disconnect();
  };
} else {
  process.send('up');
  const server = http.createServer((request, response) => response.end('worker'));
  server.listen(0, '127.0.0.1');
}
`;

const WORKER = `
const { Worker, isMainThread, parentPort } = require('node:worker_threads');
if (isMainThread) {
  const worker = new Worker(__filename);
  worker.on('message', (text) => console.log(text));
  worker.on('exit', (code) => console.log('worker exit', code));
} else {
  const http = require('node:http');
  const server = http.createServer((request, response) => response.end('in a worker'));
  server.listen(0, '127.0.0.1', async () => {
    const answer = await fetch('http://127.0.0.1:' + server.address().port);
    parentPort.postMessage(await answer.text());
    server.close(); server.closeAllConnections();
  });
}
`;

const EVERYTHING = `
const http = require('node:http');
const fs = require('node:fs');
process.stdin.setEncoding('utf8');
let text = '';
process.stdin.on('data', (data) => { text += data; });
process.stdin.on('end', () => {
  console.log('stdin', text.trim());
  const server = http.createServer((request, response) => response.end('ok')).listen(0, '127.0.0.1', () => {
    http.get({ port: server.address().port, host: '127.0.0.1', agent: false }, (response) => {
      response.on('data', (data) => console.log(String(data)));
      response.on('close', () => server.close());
    });
  });
});
`;

for (const line of nodes) declare(line);

function declare(line: NodeLine): void {
  describe(`preload on Node ${line.version}`, () => {
    const ways: Record<string, { args: string[]; env?: Record<string, string> }> = {
      '--require': { args: ['-r', registerCjs] },
      '--import': { args: ['--import', registerMjs] },
      'NODE_OPTIONS --require': { args: [], env: { NODE_OPTIONS: `--require ${registerCjs}` } },
      'NODE_OPTIONS --import': { args: [], env: { NODE_OPTIONS: `--import ${registerMjs}` } },
      'required twice': { args: ['-r', registerCjs, '-r', registerCjs] },
      'required and imported': { args: ['-r', registerCjs, '--import', registerMjs] },
      'twice through NODE_OPTIONS as well': { args: ['-r', registerCjs], env: { NODE_OPTIONS: `-r ${registerCjs}` } },
    };
    for (const [name, way] of Object.entries(ways)) {
      it(name, async () => {
        const file = programFile(EXCHANGE);
        const env = { TSLOOP_STRICT: '1', ...way.env };
        const [plain, hooked] = await Promise.all([start(line, [file]), start(line, [...way.args, file], { env })]);
        expect(plain.stdout).to.equal('pong\n');
        expectBeneath(hooked, plain);
      });
    }

    const programs: Record<
      string,
      { source: string; args?: string[]; threads: number; stdin?: string; inputs?: string }
    > = {
      'child_process.fork, json': { source: FORK, threads: 1 },
      'child_process.fork, advanced': { source: FORK, args: ['parent', 'advanced'], threads: 1 },
      'servers and sockets sent to a child': { source: SEND, threads: 1 },
      'cluster, round robin': { source: CLUSTER, args: ['rr'], threads: 3 },
      'cluster, shared handles': { source: CLUSTER, args: ['none'], threads: 3 },
      'a Worker': { source: WORKER, threads: 1 },
      'standard input on a pipe': { source: EVERYTHING, threads: 1, stdin: 'typed text\n' },
    };
    for (const [name, program] of Object.entries(programs)) {
      for (const hook of [
        ['-r', registerCjs],
        ['--import', registerMjs],
      ]) {
        it(`${name} (${hook[0]})`, async () => {
          const file = programFile(program.source);
          const more = program.stdin === undefined ? {} : { stdin: program.stdin };
          const args = [file, ...(program.args ?? [])];
          // Any --import changes what a cluster worker sees on Node 20: plain Node gets an empty one.
          const fair = hook[0] === '--import' ? ['--import', 'data:text/javascript,'] : [];
          const plain = await start(line, [...fair, ...args], more);
          const hooked = await start(line, [...hook, ...args], { ...more, env: { TSLOOP_STRICT: '1' } });
          expect(plain.stdout).not.to.equal('');
          expectBeneath(hooked, plain, program.threads);
        });
      }
    }

    it('a script on standard input', async () => {
      const script = EXCHANGE;
      const plain = await start(line, ['-'], { stdin: script });
      const hooked = await start(line, ['-r', registerCjs, '-'], {
        stdin: script + testimony(),
        env: { TSLOOP_STRICT: '1' },
      });
      expectBeneath(hooked, plain);
    });

    it('--eval and --print', async () => {
      const hooked = await start(line, ['-r', registerCjs, '-p', '6 * 7'], { env: { TSLOOP_STRICT: '1' } });
      expect(hooked.stdout).to.equal('42\n');
      expect(hooked.stderr).to.equal('');
    });

    it('an ES module as the entry, with named imports of net', async () => {
      const source = `import { createServer, connect } from 'node:net';
        import { createRequire } from 'node:module';
        const require = createRequire(import.meta.url);
        const server = createServer((socket) => socket.end('esm')).listen(0, '127.0.0.1', () => {
          connect(server.address().port, '127.0.0.1').on('data', (d) => console.log(String(d))).on('close', () => server.close());
        });`;
      for (const hook of [
        ['-r', registerCjs],
        ['--import', registerMjs],
      ]) {
        const file = programFile(source, 'program.mjs');
        const plain = await start(line, [file]);
        const hooked = await start(line, [...hook, file], { env: { TSLOOP_STRICT: '1' } });
        expectBeneath(hooked, plain);
      }
    });

    it('--watch runs the program beneath tsloop', async () => {
      // The watcher goes once the program has done its work: it would wait for a change of the file otherwise.
      const file = programFile(`${EXCHANGE}
        server.on('close', () => process.kill(process.ppid, 'SIGTERM'));`);
      const hooked = await start(line, ['-r', registerCjs, '--watch', file], {
        env: { TSLOOP_STRICT: '1' },
      });
      expect(hooked.stdout).to.contain('pong');
      expect(hooked.warnings).to.equal(0);
    });

    if (line.major >= 22) {
      it('proxy variables, which make Node load net before any preload', async () => {
        const file = programFile(EXCHANGE);
        const env = { NODE_USE_ENV_PROXY: '1', HTTP_PROXY: 'http://127.0.0.1:9' };
        const plain = await start(line, [file], { env });
        const hooked = await start(line, ['-r', registerCjs, file], { env: { ...env, TSLOOP_STRICT: '1' } });
        expectBeneath(hooked, plain);
      });
    }

    it('costs no warning and no handle in an empty program', async () => {
      const file = programFile('');
      const hooked = await start(line, ['-r', registerCjs, file], { env: { TSLOOP_STRICT: '1' } });
      expect([hooked.code, hooked.stdout, hooked.stderr]).to.deep.equal([0, '', '']);
    });
  });
}

/** The evidence lines of {@link programFile}, for a script that is not a file. */
function testimony(): string {
  return `\n;process.on('exit', () => {
    const tsloop = require(process.env.PROBE_ENTRY);
    const { accepted, connected } = tsloop.stats().connections;
    require('node:fs').appendFileSync(process.env.PROBE_EVIDENCE, JSON.stringify({ pid: process.pid, thread: 0,
      active: tsloop.status().active, reason: null, connections: accepted + connected }) + '\\n');
  });`;
}
