/** `tsloop/metrics` and `TSLOOP_METRICS`: the counters as others collect them, of all threads, disturbing nothing. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect } from 'chai';
import { launch } from '../support/launch.mjs';
import { type NodeLine, nodes, plainEnvironment, product } from '../support/nodes.mjs';
import { programFile, registerCjs, registerMjs } from '../support/programs.mjs';

const require = createRequire(import.meta.url);
const metrics = JSON.stringify(`${product}/dist/metrics/index.js`);
const entry = JSON.stringify(`${product}/dist/index.js`);
const boot = JSON.stringify(`${product}/dist/boot.js`);

/** `name{labels} value`, by name and labels. */
function samples(text: string): Record<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]),
  );
}

/** Some connections here and some in a Worker, which then is busy for ever; then the program's own part. */
const TRAFFIC = (then: string): string => `
  const net = require('node:net');
  const { Worker } = require('node:worker_threads');
  const round = (net) => new Promise((done) => {
    const server = net.createServer((socket) => socket.end('pong')).listen(0, '127.0.0.1', () =>
      net.connect(server.address().port, '127.0.0.1').resume().on('close', () => server.close(done)));
  });
  (async () => {
    for (let count = 0; count < 3; count += 1) await round(net);
    const busy = 'const round = ' + round + '; const { parentPort } = require("node:worker_threads");' +
      'round(require("node:net")).then(() => { parentPort.postMessage(0); setImmediate(() => { for (;;); }); })';
    const worker = new Worker(busy, { eval: true });
    await new Promise((done) => worker.once('message', done));
    ${then}
    await worker.terminate();
  })();`;

for (const line of nodes) declare(line);

function declare(line: NodeLine): void {
  async function run(source: string, env: Record<string, string> = {}, hook = ['-r', registerCjs]): Promise<string> {
    const file = programFile(source);
    const ending = await launch(line.binary, [...hook, file], { env: { ...plainEnvironment(), ...env } });
    expect([ending.code, ending.stderr]).to.deep.equal([0, '']);
    return ending.stdout;
  }

  describe(`metrics on Node ${line.version}`, () => {
    it('as text: of every thread, also of one that is busy', async () => {
      const text = await run(TRAFFIC(`console.log(require(${metrics}).prometheus())`));
      const seen = samples(text);
      expect(seen).to.include({
        'tsloop_info{active="1",reason="",version="0.1.0",driver="inline"}': 1,
        'tsloop_connections_accepted_total{thread="0"}': 3,
        'tsloop_connections_connected_total{thread="0"}': 3,
        'tsloop_connections_accepted_total{thread="1"}': 1,
        'tsloop_received_bytes_total{thread="0"}': 12,
        'tsloop_sent_bytes_total{thread="1"}': 4,
        'tsloop_panics_total{thread="1"}': 0,
      });
      for (const [, name, type] of text.matchAll(/^# TYPE (\w+) (\w+)$/gm))
        expect([name, (name as string).endsWith('_total')]).to.deep.equal([name, type === 'counter']);
    });

    it('the names of a Worker end with it, and the next has another', async () => {
      const source = `
        const { Worker } = require('node:worker_threads');
        const { prometheus } = require(${metrics});
        const threads = () => [...prometheus().matchAll(/^tsloop_panics_total.thread="(\\d+)"/gm)].map(([, thread]) => thread);
        const work = () => new Promise((done) => {
          const worker = new Worker('const server = require("node:net").createServer().listen(0, () => ' +
            'require("node:worker_threads").parentPort.postMessage(0))', { eval: true });
          worker.once('message', () => { const seen = threads(); worker.terminate().then(() => done(seen)); });
        });
        (async () => {
          const seen = [threads(), await work(), threads(), await work()];
          console.log(JSON.stringify(seen));
        })();`;
      expect(JSON.parse(await run(source))).to.deep.equal([[], ['1'], [], ['2']]);
    });

    it("the driver's thread is told of in seconds of processor time", async () => {
      const source = `
        const net = require('node:net');
        const { prometheus } = require(${metrics});
        const cpu = () => Number(/^tsloop_driver_cpu_seconds_total.* (.*)$/m.exec(prometheus())[1]);
        const server = net.createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1', () => {
          const client = net.connect(server.address().port, '127.0.0.1', () => client.write('x'.repeat(4096)));
          const before = cpu();
          const until = Date.now() + 400;
          client.on('data', (data) => {
            if (Date.now() < until) return client.write(data);
            client.destroy(); server.close();
            const all = process.cpuUsage();
            console.log(JSON.stringify({ before, after: cpu(), all: (all.user + all.system) / 1e6 }));
          });
        });`;
      const { before, after, all } = JSON.parse(await run(source, { TSLOOP_DRIVER: 'offload' }));
      expect(after).to.be.above(before).and.below(all);
      expect(after, 'a busy thread for four tenths of a second').to.be.above(0.01);
      const inline = JSON.parse(await run(source, { TSLOOP_DRIVER: 'inline' }));
      expect([inline.before, inline.after]).to.deep.equal([0, 0]);
    });

    it('a scrape asks the environment for nothing, where stats() hands everything over first', async () => {
      const source = TRAFFIC(`
        const { native } = require(${boot})('context/environment.js').findEnvironment();
        const called = [];
        for (const name of Object.keys(native)) {
          const original = native[name];
          native[name] = (...args) => { called.push(name); return original(...args); };
        }
        require(${metrics}).prometheus();
        const scraped = called.splice(0);
        require(${entry}).stats();
        const asked = called.splice(0);
        console.log(JSON.stringify([scraped, asked]));`);
      expect(JSON.parse(await run(source))).to.deep.equal([[], ['settle', 'stats']]);
    });

    it('where tsloop is not in force: that, and nothing else', async () => {
      const source = `console.log(require(${metrics}).prometheus())`;
      const info = (reason: string) => ({
        [`tsloop_info{active="0",reason="${reason}",version="0.1.0",driver=""}`]: 1,
      });
      expect(samples(await run(source, { TSLOOP: 'off' }))).to.deep.equal(info('ERR_TSLOOP_OFF'));
      expect(samples(await run(source, { TSLOOP_SHARE: '0' }))).to.deep.equal(info('ERR_TSLOOP_SHARE'));
      expect(samples(await run(source, {}, []))).to.deep.equal(info('ERR_TSLOOP_NOT_PRELOADED'));
    });

    it('in a registry of prom-client’s, once however often', async () => {
      const client = JSON.stringify(require.resolve('prom-client'));
      const source = TRAFFIC(`
        const client = require(${client});
        const { prometheus, register } = require(${metrics});
        register(client); register(client);
        const own = new client.Registry(); register(client, own);
        const sorted = (text) => text.split('\\n').filter((line) => line !== '').sort();
        const ours = sorted(prometheus());
        console.log(JSON.stringify([ours, sorted(await client.register.metrics()), sorted(await own.metrics())]));`);
      const [ours, shared, own] = JSON.parse(await run(source)) as [string[], string[], string[]];
      // prom-client heads metrics without a value as well.
      const heads = (lines: string[]) => lines.filter((text) => !/^# .* tsloop_fallbacks_total/.test(text));
      expect(ours.length).to.be.above(50);
      expect(heads(shared)).to.deep.equal(heads(ours));
      expect(heads(own)).to.deep.equal(heads(ours));
    });

    it('as instruments of an OpenTelemetry SDK', async () => {
      const sdk = JSON.stringify(require.resolve('@opentelemetry/sdk-metrics'));
      const source = TRAFFIC(`
        const { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } = require(${sdk});
        const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
        const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3600_000 });
        const provider = new MeterProvider({ readers: [reader] });
        const take = require(${metrics}).opentelemetry(provider.getMeter('tsloop'));
        await reader.forceFlush();
        const flat = () => exporter.getMetrics().flatMap((one) => one.scopeMetrics).flatMap((one) => one.metrics)
          .flatMap(({ descriptor: { name, unit, type }, dataPoints }) =>
            dataPoints.map(({ attributes, value }) => ({ name, unit, type, attributes, value })));
        const seen = flat();
        take(); exporter.reset();
        await round(net);
        await reader.forceFlush();
        console.log(JSON.stringify([seen, flat().filter((one) => one.name === 'tsloop.connections.accepted')]));
        await provider.shutdown();`);
      const [seen, after] = JSON.parse(await run(source)) as Record<string, unknown>[][];
      const found = (name: string, thread: string, among = seen) =>
        among?.find((one) => one['name'] === name && (one['attributes'] as { thread?: string }).thread === thread);
      expect(found('tsloop.connections.accepted', '0')).to.include({ value: 3, type: 'OBSERVABLE_COUNTER' });
      expect(found('tsloop.received', '0')).to.include({ value: 12, unit: 'By' });
      expect(found('tsloop.connections.open', '1')).to.include({ type: 'OBSERVABLE_UP_DOWN_COUNTER' });
      expect(found('tsloop.driver.cpu', '0')).to.include({ unit: 's' });
      expect(found('tsloop.connections.accepted', '0', after), 'taken back').to.include({ value: 3 });
    });

    for (const hook of [
      ['-r', registerCjs],
      ['--import', registerMjs],
    ]) {
      it(`TSLOOP_METRICS serves a program that knows nothing of it (${hook[0]})`, async () => {
        // The program's own server tells where it is; the other's path is known.
        const file = programFile(`
          const http = require('node:http');
          const server = http.createServer((request, response) => response.end('mine')).listen(0, '127.0.0.1', async () => {
            const mine = await (await fetch('http://127.0.0.1:' + server.address().port)).text();
            const ask = (path) => new Promise((done) => {
              const options = { socketPath: __dirname + '/metrics-' + process.pid + '.sock', path, agent: false };
              const again = () => setTimeout(() => done(ask(path)), 20);
              http.get(options, (response) => {
                let text = '';
                response.setEncoding('utf8').on('data', (data) => { text += data; })
                  .on('end', () => done([response.statusCode, response.headers['content-type'], text]));
              }).on('error', again);
            });
            console.log(JSON.stringify([mine, await ask('/metrics'), (await ask('/else'))[0]]));
            server.close(); server.closeAllConnections();
          });`);
        const env = {
          ...plainEnvironment(),
          TSLOOP_METRICS: `unix:${file.slice(0, file.lastIndexOf('/'))}/metrics-%p.sock`,
        };
        const ending = await launch(line.binary, [...hook, file], { env });
        expect([ending.code, ending.stderr], 'it ends when it has done its work').to.deep.equal([0, '']);
        const [mine, [status, type, text], other] = JSON.parse(ending.stdout);
        expect([mine, status, type, other]).to.deep.equal([
          'mine',
          200,
          'text/plain; version=0.0.4; charset=utf-8',
          404,
        ]);
        expect(samples(text)['tsloop_connections_accepted_total{thread="0"}']).to.be.above(0);
      });
    }

    it('TSLOOP_METRICS on an address that is taken: one warning, and the program runs', async () => {
      const file = programFile(`
        const server = require('node:net').createServer().listen(0, '127.0.0.1', () => {
          const { spawnSync } = require('node:child_process');
          const env = { ...process.env, TSLOOP_METRICS: '127.0.0.1:' + server.address().port };
          const { status, stdout, stderr } = spawnSync(process.execPath, ['-r', ${JSON.stringify(registerCjs)}, '-e',
            'setTimeout(() => console.log("ran"), 300)'], { env, encoding: 'utf8' });
          console.log(JSON.stringify([status, stdout, stderr])); server.close();
        });`);
      const { stdout } = await launch(line.binary, [file], { env: plainEnvironment() });
      const [status, said, warned] = JSON.parse(stdout);
      expect([status, said]).to.deep.equal([0, 'ran\n']);
      expect(warned).to.match(/ERR_TSLOOP_METRICS.*cannot be served at 127\.0\.0\.1:\d+: EADDRINUSE/);
      expect(warned.match(/TsloopWarning/g)).to.have.lengthOf(1);
    });

    it('an npm that starts a program leaves the address to that, and so does a Worker', async () => {
      const file = programFile('setTimeout(() => {}, 300)', 'npm-cli.js');
      const socket = `${file}.sock`;
      const env = { ...plainEnvironment(), TSLOOP_METRICS: `unix:${socket}` };
      await launch(line.binary, ['-r', registerCjs, file], { env });
      expect(existsSync(socket)).to.equal(false);
      const worker = programFile(`
        const { existsSync } = require('node:fs');
        const { Worker } = require('node:worker_threads');
        new Worker('setTimeout(() => {}, 200)', { eval: true, env: { ...process.env, TSLOOP_METRICS: 'unix:' + __filename + '.sock' } })
          .on('exit', () => console.log(existsSync(__filename + '.sock')));`);
      expect((await launch(line.binary, ['-r', registerCjs, worker], { env: plainEnvironment() })).stdout).to.equal(
        'false\n',
      );
    });

    it('diagnostics_channel tells of the seat, of fallbacks and of warnings, to who listens in time', async () => {
      const source = `
        const { subscribe } = require('node:diagnostics_channel');
        const seen = { seat: [], fallback: [], warning: [] };
        for (const topic of Object.keys(seen)) subscribe('tsloop:' + topic, (message) => {
          // Whatever a subscriber does in there: print, use a socket.
          process.stderr.write('');
          seen[topic].push(message);
        });
        const net = require('node:net');
        const server = net.createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1', () => {
          let left = 200;
          const client = net.connect(server.address().port, '127.0.0.1', () => client.write('x'));
          client.on('data', () => {
            if (left-- > 0) return client.write('x');
            client.destroy(); server.close();
            setImmediate(() => console.log(JSON.stringify(seen)));
          });
        });`;
      const seen = JSON.parse(await run(source, { TSLOOP_DRIVER: 'random', TSLOOP_SEED: '1' }));
      expect(seen.fallback).to.deep.include({ reason: 'stdio' });
      expect(seen.seat.length).to.be.above(5);
      for (const [index, { driver }] of seen.seat.entries())
        expect(driver).to.equal(index % 2 === (seen.seat[0].driver === 'inline' ? 0 : 1) ? 'inline' : 'offload');
      const missing = `${source} require(${entry});`;
      const file = programFile(missing);
      const env = { ...plainEnvironment(), TSLOOP_ADDON: `${product}/package.json` };
      const { stdout } = await launch(line.binary, ['-r', registerCjs, file], { env });
      expect(JSON.parse(stdout).warning.map(({ code }: { code: string }) => code)).to.deep.equal([
        'ERR_TSLOOP_ADDON_UNLOADABLE',
      ]);
    });

    it('a program that does not ask loads none of it', async () => {
      const source = `require('node:net'); console.log(JSON.stringify([
        Object.keys(require.cache).filter((path) => path.includes('metrics')),
        process.moduleLoadList.filter((name) => / (http|_http_server|worker_threads)$/.test(name))]))`;
      expect(JSON.parse(await run(source))).to.deep.equal([[], []]);
    });
  });
}
