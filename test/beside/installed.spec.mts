/**
 * Tools that are too heavy to be anybody's development dependency: installed into a folder of their own for this suite, in
 * these versions, and left out with a sentence where that cannot be done.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { type Ending, launch } from '../support/launch.mjs';
import { type NodeLine, nodes, plainEnvironment } from '../support/nodes.mjs';
import { registerCjs } from '../support/programs.mjs';
import { INSTALL_MS, install } from './folder.mjs';
import { installed, shown, table } from './versions.mjs';

/** Programs start slowly beneath these tools. */
const timeout = 90_000;

/** A test of either runner, which have the same words: what the module registry sees, and a socket. */
const SPEC = (load: string): string => `
  ${load}
  test('is told how things stand', () => {
    expect(tsloop.status().active).toBe(process.env.EXPECT_ACTIVE === '1');
    expect(tsloop.status().reason).toBe(process.env.EXPECT_ACTIVE === '1' ? null : 'ERR_TSLOOP_NOT_PRELOADED');
  });
  test('has sockets, which are counted', async () => {
    const before = tsloop.stats().connections.accepted;
    await new Promise((done) => {
      const server = net.createServer((socket) => socket.end('x')).listen(0, '127.0.0.1', () =>
        net.connect(server.address().port, '127.0.0.1').resume().on('close', () => server.close(done)));
    });
    expect(tsloop.stats().connections.accepted - before).toBe(process.env.EXPECT_ACTIVE === '1' ? 1 : 0);
  });`;

let scratch: string | null = null;

describe('docs/beside.md', () => {
  it('shows what is tested', () => {
    expect(shown(), 'node build/beside/versions.mjs --write').to.equal(table());
  });
});

describe('beside: tools that are installed for it', () => {
  before(function () {
    this.timeout(INSTALL_MS + 10_000);
    scratch = install(installed);
    if (scratch === null) this.skip();
  });

  /** A file of a project beside the installed tools. */
  function file(name: string, source: string): string {
    const path = join(scratch as string, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, source);
    return path;
  }

  for (const line of nodes) declare(line, file);
});

function declare(line: NodeLine, file: (name: string, source: string) => string): void {
  const where = (): string => scratch as string;

  function run(args: readonly string[], env: Record<string, string> = {}, cwd = where()): Promise<Ending> {
    return launch(line.binary, args, { env: { ...plainEnvironment(), CI: '1', ...env }, cwd, timeout });
  }

  it(`jest, in its process and in workers [Node ${line.version}]`, async () => {
    const load = "const tsloop = require('tsloop'); const net = require('node:net');";
    for (const name of ['a', 'b']) file(`jest/${name}.test.js`, SPEC(load));
    file('jest/package.json', '{}');
    const jest = join(where(), 'node_modules/jest/bin/jest.js');
    for (const how of [['--runInBand'], ['--maxWorkers=2'], ['--maxWorkers=2', '--workerThreads']]) {
      for (const active of ['0', '1']) {
        const options = active === '1' ? { NODE_OPTIONS: `-r ${registerCjs}`, TSLOOP_STRICT: '1' } : {};
        const { code, stderr } = await run(
          [jest, ...how],
          { ...options, EXPECT_ACTIVE: active },
          join(where(), 'jest'),
        );
        expect(stderr, how.join(' ')).to.match(/Tests: +4 passed, 4 total/);
        expect(code, how.join(' ')).to.equal(0);
      }
    }
  }).timeout(6 * timeout);

  it(`vitest, in each of its pools [Node ${line.version}]`, async () => {
    const load = "import { expect, test } from 'vitest'; import * as tsloop from 'tsloop'; import net from 'node:net';";
    file('vitest/one.test.mjs', SPEC(load));
    file('vitest/package.json', '{}');
    file('vitest/vitest.config.mjs', 'export default { test: { watch: false } };');
    const vitest = join(where(), 'node_modules/vitest/vitest.mjs');
    for (const pool of ['forks', 'threads', 'vmForks', 'vmThreads']) {
      for (const active of ['0', '1']) {
        const options = active === '1' ? { NODE_OPTIONS: `-r ${registerCjs}`, TSLOOP_STRICT: '1' } : {};
        const env = { ...options, EXPECT_ACTIVE: active };
        const { code, stdout, stderr } = await run([vitest, 'run', `--pool=${pool}`], env, join(where(), 'vitest'));
        expect(stdout, `${pool} ${active} ${stderr}`).to.match(/Tests.*2 passed/);
        expect(code, pool).to.equal(0);
      }
    }
  }).timeout(8 * timeout);

  for (const [name, ...words] of [
    ['tsx', 'dist/cli.mjs'],
    ['ts-node', 'dist/bin.js', '-T', '-O', '{"module":"NodeNext","moduleResolution":"NodeNext"}'],
  ] as const) {
    it(`${name}: TypeScript by its loader [Node ${line.version}]`, async () => {
      const program = file(
        `${name}/server.ts`,
        `import { createServer, connect, type AddressInfo } from 'node:net';
         import { isActive } from 'tsloop';
         const server = createServer((socket) => socket.end('x')).listen(0, '127.0.0.1', () =>
           connect((server.address() as AddressInfo).port, '127.0.0.1').on('data', (data: Buffer) =>
             console.log(String(data), isActive())).on('close', () => server.close()));`,
      );
      const [main, ...options] = words;
      const loader = [join(where(), 'node_modules', name, main), ...options];
      const plain = await run([...loader, program]);
      const beneath = await run([...loader, program], { NODE_OPTIONS: `-r ${registerCjs}` });
      expect([plain.code, plain.stdout]).to.deep.equal([0, 'x false\n']);
      expect([beneath.code, beneath.stdout, beneath.stderr]).to.deep.equal([0, 'x true\n', plain.stderr]);
    }).timeout(2 * timeout);
  }

  it(`OpenTelemetry: as many spans as on plain Node, in either order of preloads [Node ${line.version}]`, async () => {
    const tool = file(
      'otel/tool.cjs',
      `const { registerInstrumentations } = require('@opentelemetry/instrumentation');
       const { HttpInstrumentation } = require('@opentelemetry/instrumentation-http');
       const { NetInstrumentation } = require('@opentelemetry/instrumentation-net');
       const { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base');
       const exporter = new InMemorySpanExporter();
       const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
       registerInstrumentations({ tracerProvider, instrumentations: [new HttpInstrumentation(), new NetInstrumentation()] });
       process.on('exit', () => {
         const counts = {};
         for (const { name, kind, status } of exporter.getFinishedSpans()) {
           const key = [name, kind, status.code].join();
           counts[key] = (counts[key] ?? 0) + 1;
         }
         const { isActive } = require('tsloop');
         require('node:fs').writeSync(1, JSON.stringify({ counts, active: isActive() }) + '\\n');
       });`,
    );
    const program = file(
      'otel/program.cjs',
      `const http = require('node:http'); const net = require('node:net');
       const server = http.createServer((request, response) => { request.resume(); response.end('hello'); }).listen(0, '127.0.0.1', async () => {
         const { port } = server.address();
         const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
         await Promise.all(Array.from({ length: 20 }, (_, index) => new Promise((done) =>
           http.get({ port, host: '127.0.0.1', path: '/' + index, agent }, (response) => response.resume().on('end', done)))));
         await new Promise((done) => http.get({ port: 1, host: '127.0.0.1' }).on('error', done));
         await new Promise((done) => net.connect(port, '127.0.0.1', function () { this.destroy(); }).on('close', done));
         agent.destroy(); server.close();
       });`,
    );
    const spans = async (args: readonly string[]): Promise<{ counts: Record<string, number>; active: boolean }> => {
      const ending = await run([...args, program]);
      expect([ending.code, ending.stderr]).to.deep.equal([0, '']);
      return JSON.parse(ending.stdout) as never;
    };
    const plain = await spans(['-r', tool]);
    expect(plain.active).to.equal(false);
    expect(plain.counts, 'a span for each side of each request').to.include({ 'GET,1,0': 20, 'GET,2,0': 20 });
    for (const order of [
      ['-r', registerCjs, '-r', tool],
      ['-r', tool, '-r', registerCjs],
    ])
      expect(await spans(order), order.join(' ')).to.deep.equal({ counts: plain.counts, active: true });
  }).timeout(4 * timeout);
}
