/**
 * The agents of vendors, against collectors of our own: what they send of a program's requests is as much beneath tsloop as on plain
 * Node, whoever is preloaded first.
 */
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gunzipSync, inflateSync } from 'node:zlib';
import { expect } from 'chai';
import { launch } from '../support/launch.mjs';
import { nodes, plainEnvironment } from '../support/nodes.mjs';
import { registerCjs } from '../support/programs.mjs';
import { INSTALL_MS, install } from './folder.mjs';
import { agents } from './versions.mjs';

const timeout = 90_000;

/** Ten requests over two connections, then what the agent still has; says whether tsloop is beneath. */
const PROGRAM = `
  const http = require('node:http');
  const server = http.createServer((request, response) => { request.resume(); response.end('hello'); }).listen(0, '127.0.0.1', async () => {
    const { port } = server.address();
    const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
    await Promise.all(Array.from({ length: 10 }, (_, index) => new Promise((done) =>
      http.get({ port, host: '127.0.0.1', path: '/' + index, agent }, (response) => response.resume().on('end', done)))));
    agent.destroy();
    server.close();
    await globalThis.__flush();
    console.log(require('tsloop').isActive());
    process.exit(0);
  });`;

interface Agent {
  readonly start: string;
  readonly env?: Record<string, string>;
  /** What a message to the collector adds to the tally, by kind. */
  count(request: IncomingMessage, body: Buffer): Record<string, number>;
}

const lines = (body: Buffer): Record<string, unknown>[] =>
  String(body)
    .split('\n')
    .filter((text) => text !== '')
    .map((text) => JSON.parse(text) as Record<string, unknown>);

const tools: Record<keyof typeof agents, Agent> = {
  'elastic-apm-node': {
    start: `const apm = require('elastic-apm-node').start({ serviceName: 'x', serverUrl: process.env.COLLECTOR, centralConfig: false,
        cloudProvider: 'none', metricsInterval: '0s', apmServerVersion: '8.0.0', logLevel: 'off' });
      globalThis.__flush = () => new Promise((done) => apm.flush(done));`,
    count: (request, body) =>
      request.url?.startsWith('/intake') ? tallyOf(lines(body).flatMap((line) => Object.keys(line))) : {},
  },
  '@sentry/node': {
    start: `const sentry = require('@sentry/node');
      sentry.init({ dsn: process.env.COLLECTOR.replace('http://', 'http://key@') + '/1', tracesSampleRate: 1 });
      globalThis.__flush = () => sentry.flush(5000);`,
    count(_, body) {
      const spans = lines(body).flatMap(({ items }) => (Array.isArray(items) ? (items as { name: string }[]) : []));
      return tallyOf(spans.map(({ name }) => name));
    },
  },
  'dd-trace': {
    start: `require('dd-trace').init({ url: process.env.COLLECTOR, flushInterval: 100, startupLogs: false, runtimeMetrics: false,
        remoteConfig: { enabled: false } });
      globalThis.__flush = () => new Promise((done) => setTimeout(done, 2000));`,
    env: { DD_INSTRUMENTATION_TELEMETRY_ENABLED: 'false' },
    count: ({ headers }) => ({ traces: Number(headers['x-datadog-trace-count'] ?? 0) }),
  },
};

function tallyOf(names: readonly string[]): Record<string, number> {
  const tally: Record<string, number> = {};
  for (const name of names) tally[name] = (tally[name] ?? 0) + 1;
  return tally;
}

/** Listens to what an agent sends. */
async function collect(count: Agent['count']): Promise<{ url: string; tally: Record<string, number>; server: Server }> {
  const tally: Record<string, number> = {};
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const sent = Buffer.concat(chunks);
      const encoding = request.headers['content-encoding'];
      const body = encoding === 'gzip' ? gunzipSync(sent) : encoding === 'deflate' ? inflateSync(sent) : sent;
      for (const [kind, more] of Object.entries(count(request, body))) tally[kind] = (tally[kind] ?? 0) + more;
      response.setHeader('Content-Type', 'application/json');
      response.end('{}');
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, tally, server };
}

describe('beside: agents of vendors', () => {
  let folder: string | null = null;

  before(function () {
    this.timeout(INSTALL_MS + 10_000);
    folder = install(agents);
    if (folder === null) this.skip();
  });

  for (const line of nodes) {
    for (const [name, agent] of Object.entries(tools)) {
      it(`${name} [Node ${line.version}]`, async () => {
        const where = folder as string;
        const tool = join(where, `${name.replace('/', '-')}.cjs`);
        const program = join(where, 'program.cjs');
        writeFileSync(tool, agent.start);
        writeFileSync(program, PROGRAM);
        const tallies: Record<string, number>[] = [];
        for (const preloads of [
          ['-r', tool],
          ['-r', registerCjs, '-r', tool],
          ['-r', tool, '-r', registerCjs],
        ]) {
          const { url, tally, server } = await collect(agent.count);
          const env = { ...plainEnvironment(), ...agent.env, COLLECTOR: url };
          const { code, stdout } = await launch(line.binary, [...preloads, program], { env, cwd: where, timeout });
          server.close();
          server.closeAllConnections();
          expect([code, stdout.trim()], preloads.join(' ')).to.deep.equal([0, String(preloads.includes(registerCjs))]);
          tallies.push(tally);
        }
        const [plain, ...beneath] = tallies;
        expect(
          Object.values(plain ?? {}).reduce((sum, count) => sum + count, 0),
          'it saw the requests',
        ).to.be.at.least(10);
        for (const tally of beneath) expect(tally).to.deep.equal(plain);
      }).timeout(4 * timeout);
    }
  }
});
