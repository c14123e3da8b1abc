/** Tools that look at a process from within, beneath tsloop and on plain Node: what they say is the same. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { type Ending, launch } from '../support/launch.mjs';
import { type NodeLine, nodes, plainEnvironment, root } from '../support/nodes.mjs';
import { programFile, registerCjs } from '../support/programs.mjs';

const require = createRequire(import.meta.url);
const resolved = (name: string): string => JSON.stringify(require.resolve(name));
const hook = ['-r', registerCjs];

for (const line of nodes) declare(line);

function declare(line: NodeLine): void {
  const run = (args: readonly string[], env: Record<string, string> = {}): Promise<Ending> =>
    launch(line.binary, args, { env: { ...plainEnvironment(), ...env } });

  /** What a program prints on plain Node, having been seen to print the same beneath tsloop. */
  async function same(args: readonly string[], env: Record<string, string> = {}): Promise<string> {
    const plain = await run(args, env);
    const beneath = await run([...hook, ...args], { ...env, TSLOOP_STRICT: '1' });
    const shown = ({ code, stdout, stderr }: Ending) => ({ code, stdout, stderr });
    expect(shown(beneath)).to.deep.equal(shown(plain));
    return plain.stdout;
  }

  describe(`tools beside it on Node ${line.version}`, () => {
    it('prom-client: the default metrics, by name, and what is open, by kind', async () => {
      const program = programFile(`
        const client = require(${resolved('prom-client')});
        client.collectDefaultMetrics();
        const net = require('node:net');
        const server = net.createServer(() => {}).listen(0, '127.0.0.1', () => {
          const socket = net.connect(server.address().port, '127.0.0.1', () => setImmediate(async () => {
            const metrics = await client.register.getMetricsAsJSON();
            const open = metrics.find(({ name }) => name === 'nodejs_active_resources').values;
            const network = open.filter(({ labels }) => /TCP|Pipe/.test(labels.type) && !/Pipe/.test(labels.type));
            console.log(JSON.stringify([metrics.map(({ name }) => name).sort(), network.map(({ labels, value }) => [labels.type, value]).sort()]));
            process.exit(0);
          }));
        });`);
      const [names, open] = JSON.parse(await same([program])) as [string[], [string, number][]];
      expect(names).to.include.members(['process_cpu_seconds_total', 'nodejs_eventloop_lag_seconds']);
      expect(open).to.deep.equal([
        ['TCPServerWrap', 1],
        ['TCPSocketWrap', 2],
      ]);
    });

    it('why-is-node-running: the same handles, by the program’s lines', async () => {
      const url = pathToFileURL(require.resolve('why-is-node-running')).href;
      const program = programFile(
        `import whyIsNodeRunning from ${JSON.stringify(url)};
         import { createServer } from 'node:net';
         import { createSocket } from 'node:dgram';
         const server = createServer(() => {}).listen(0, '127.0.0.1', () => {
           const socket = createSocket('udp4').bind(0, '127.0.0.1', () => {
             whyIsNodeRunning({ error: (...text) => console.log(...text) });
             process.exit(0);
           });
         });`,
        'why.mjs',
      );
      // It hooks as it is loaded: behind our preload, as a program's own import is.
      const [plain, beneath] = await Promise.all([run([program]), run([...hook, program])]);
      const shown = ({ code, stdout }: Ending) => ({
        code,
        lines: stdout.split('\n').filter((text) => /^# |why\.mjs/.test(text)),
      });
      expect(shown(plain).lines.filter((text) => text.includes('why.mjs')).length, plain.stdout).to.be.above(1);
      expect(shown(beneath)).to.deep.equal(shown(plain));
    });

    it('pino: a transport in a Worker writes every line before the process ends', async () => {
      const file = join(dirname(programFile('')), 'log');
      const program = programFile(`
        const pino = require(${resolved('pino')});
        const log = pino({ base: null, timestamp: false }, pino.transport({ target: 'pino/file', options: { destination: process.env.LOG } }));
        const server = require('node:net').createServer((socket) => socket.end()).listen(0, '127.0.0.1', () => {
          for (let count = 0; count < 200; count += 1) log.info({ count }, 'line');
          require('node:net').connect(server.address().port, '127.0.0.1').resume().on('close', () => server.close());
        });`);
      const seen: string[] = [];
      for (const [index, args] of [[program], [...hook, program]].entries()) {
        const ending = await run(args, { LOG: `${file}-${index}` });
        expect([ending.code, ending.stderr]).to.deep.equal([0, '']);
        seen.push(readFileSync(`${file}-${index}`, 'utf8'));
      }
      expect(seen[0]?.split('\n')).to.have.lengthOf(201);
      expect(seen[1]).to.equal(seen[0]);
    });

    it('mocha: a suite of its own, with a socket in it', async () => {
      const spec = programFile(`
        const assert = require('node:assert'); const net = require('node:net');
        describe('a suite', () => {
          it('has a socket', (done) => { const server = net.createServer((socket) => socket.end('x')).listen(0, '127.0.0.1', () =>
            net.connect(server.address().port, '127.0.0.1').on('data', (data) => assert.equal(String(data), 'x')).on('close', () => server.close(done))); });
          it('fails', () => assert.equal(1, 2));
        });`);
      const mocha = join(root, 'node_modules/mocha/bin/mocha.js');
      const shown = ({ code, stdout }: Ending) => [code, stdout.replace(/ \(\d+ms\)/g, '')];
      const [plain, beneath] = [
        await run([mocha, '--no-config', spec]),
        await run([...hook, mocha, '--no-config', spec]),
      ];
      expect(plain.stdout).to.match(/1 passing[\s\S]*1 failing/);
      expect(shown(beneath)).to.deep.equal(shown(plain));
    });

    it('Node’s own report, and its list of active resources', async () => {
      const program = programFile(`
        const server = require('node:net').createServer().listen(0, '127.0.0.1', () => {
          const { libuv, header } = process.report.getReport();
          console.log(JSON.stringify([typeof header.nodejsVersion, process.getActiveResourcesInfo().filter((name) => /TCP/.test(name))]));
          server.close();
        });`);
      expect(JSON.parse(await same([program]))).to.deep.equal(['string', ['TCPServerWrap']]);
    });
  });
}
