/** Who inherits the hook and who does not: children of every kind, and the parents that restart them. */
import { expect } from 'chai';
import { type NodeLine, nodes } from '../support/nodes.mjs';
import { EXCHANGE, type Outcome, programFile, registerCjs, start } from '../support/programs.mjs';

/** Starts `CHILD` in the way of its argument, and ends when it has ended. */
const parent = (ways: string): string => `
const { fork, spawn } = require('node:child_process');
const child = process.env.CHILD;
const { TSLOOP, NODE_OPTIONS, ...bare } = process.env;
const ways = { ${ways} };
const started = ways[process.argv[2]]();
started.on('exit', (code) => console.log('child left with', code));
`;

const WAYS = parent(`
  fork: () => fork(child),
  'fork, execArgv given': () => fork(child, [], { execArgv: process.execArgv }),
  'fork, no execArgv': () => fork(child, [], { execArgv: [], env: bare }),
  'spawn, environment as it is': () => spawn(process.execPath, [child], { stdio: 'inherit' }),
  'spawn, environment without NODE_OPTIONS': () => spawn(process.execPath, [child], { stdio: 'inherit', env: bare }),
  'fork, TSLOOP=off': () => fork(child, [], { env: { ...process.env, TSLOOP: 'off' } }),
  'a shell in between': () => spawn('/bin/sh', ['-c', '"$0" "$1"', process.execPath, child], { stdio: 'inherit' }),
  'a shell in between that clears the environment': () =>
    spawn('/bin/sh', ['-c', 'unset NODE_OPTIONS; "$0" "$1"', process.execPath, child], { stdio: 'inherit' }),
`);

for (const line of nodes) declare(line);

function declare(line: NodeLine): void {
  describe(`inheritance on Node ${line.version}`, () => {
    /** How the parent gets the hook, how it starts its child, and whether the child is to run on tsloop. */
    const cases: [how: 'argument' | 'NODE_OPTIONS' | 'both', way: string, inherits: boolean][] = [
      ['argument', 'fork', true],
      ['NODE_OPTIONS', 'fork', true],
      ['both', 'fork', true],
      ['argument', 'fork, execArgv given', true],
      ['argument', 'fork, no execArgv', false],
      ['both', 'fork, no execArgv', false],
      ['argument', 'spawn, environment as it is', false],
      ['NODE_OPTIONS', 'spawn, environment as it is', true],
      ['NODE_OPTIONS', 'spawn, environment without NODE_OPTIONS', false],
      ['both', 'fork, TSLOOP=off', false],
      ['NODE_OPTIONS', 'a shell in between', true],
      ['NODE_OPTIONS', 'a shell in between that clears the environment', false],
    ];
    for (const [how, way, inherits] of cases) {
      it(`${way}, the hook by ${how}: ${inherits ? 'beneath the child' : 'not'}`, async () => {
        const [file, child] = [programFile(WAYS), programFile(EXCHANGE)];
        const args = how === 'NODE_OPTIONS' ? [] : ['-r', registerCjs];
        const env: Record<string, string> = { CHILD: child };
        if (how !== 'argument') env['NODE_OPTIONS'] = `-r ${registerCjs}`;
        const [plain, hooked] = await Promise.all([
          start(line, [file, way], { env: { CHILD: child } }),
          start(line, [...args, file, way], { env }),
        ]);
        expect(hooked.stdout).to.equal(plain.stdout);
        expect(hooked.stdout).to.contain('pong\n');
        expect(hooked.stderr).to.equal(plain.stderr);
        expectOnce(hooked, inherits);
      });
    }

    it('a manager that restarts its child on SIGUSR2, the channel unused', async () => {
      const child = programFile(`${EXCHANGE}
        server.on('close', () => {
          // As such a manager has it: the child is asked to go, and goes by the same signal.
          const alive = setInterval(() => {}, 1000);
          process.once('SIGUSR2', () => { clearInterval(alive); process.exit(0); });
          process.send('ready');
        });`);
      const manager = programFile(`
        const { spawn } = require('node:child_process');
        let runs = 0;
        const run = () => {
          const child = spawn(process.execPath, [...process.execArgv, process.env.CHILD],
            { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
          child.on('message', (message) => { console.log(message); child.kill('SIGUSR2'); });
          child.on('exit', (code, signal) => { console.log('left', code, signal); if (++runs < 3) run(); });
        };
        run();`);
      const env = { CHILD: child };
      const plain = await start(line, [manager], { env });
      const hooked = await start(line, ['-r', registerCjs, manager], { env: { ...env, TSLOOP_STRICT: '1' } });
      expect(hooked.stdout).to.equal(plain.stdout);
      expect(hooked.stderr).to.equal(plain.stderr);
      expect(hooked.evidence.filter(({ active, connections }) => active && connections > 0).length).to.equal(3);
      expect(hooked.evidence.filter(({ active }) => !active)).to.deep.equal([]);
    });

    it('a manager that runs a program in a cluster, by a wrapper that loads it', async () => {
      const app = programFile(`
        const http = require('node:http');
        http.createServer((request, response) => response.end('from the app')).listen(0, '127.0.0.1', () => process.send('ready'));
        process.on('message', (message) => { if (message === 'shutdown') process.exit(0); });`);
      const wrapper = programFile(`require(process.env.APP);`, 'wrapper.cjs');
      const manager = programFile(`
        const cluster = require('node:cluster');
        const http = require('node:http');
        cluster.setupPrimary({ exec: process.env.WRAPPER, windowsHide: true });
        let left = 2;
        const ports = [];
        for (let count = 0; count < 2; count++) {
          const worker = cluster.fork({ INSTANCE: String(count) });
          worker.on('listening', ({ port }) => { ports.push(port); if (ports.length === 2) ask(4); });
          worker.on('exit', (code) => { if (--left === 0) console.log('all left', code); });
        }
        const ask = (times) => {
          if (times === 0) {
            for (const worker of Object.values(cluster.workers)) worker.send('shutdown');
            return;
          }
          http.get({ port: ports[0], host: '127.0.0.1', agent: false }, (response) => {
            response.on('data', (data) => console.log(String(data))).on('end', () => ask(times - 1));
          });
        };`);
      const env = { APP: app, WRAPPER: wrapper };
      const plain = await start(line, [manager], { env });
      const hooked = await start(line, ['-r', registerCjs, manager], { env: { ...env, TSLOOP_STRICT: '1' } });
      expect(hooked.stdout).to.equal(plain.stdout);
      expect(hooked.stdout).to.contain('all left 0');
      expect(hooked.stderr).to.equal(plain.stderr);
      expect(new Set(hooked.evidence.filter(({ active }) => active).map(({ pid }) => pid)).size).to.equal(3);
    });
  });
}

/** The child says of itself, once, what it ran on; it was the one with connections. */
function expectOnce(outcome: Outcome, inherits: boolean): void {
  const text = JSON.stringify(outcome.evidence);
  // The parent opened nothing; both left one line, unless a hook ran twice in one process.
  expect(outcome.evidence.length, text).to.equal(2);
  expect(outcome.evidence.filter(({ connections }) => connections > 0).length, text).to.equal(inherits ? 1 : 0);
  expect(outcome.evidence.filter(({ active }) => active).length, text).to.equal(inherits ? 2 : 1);
}
