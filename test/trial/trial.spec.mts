/**
 * Whole trials of unmodified programs. They are short, and other work may run on the machine: what is held against them is
 * what no load changes (who answered what, what a planted fault comes to), and of speed only a difference of many times.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import type { Slice } from '../../dist/cli/trial/measures.js';
import type { Incidents, Judged, Verdict } from '../../dist/cli/trial/verdict.js';
import { type Ending, launch } from '../support/launch.mjs';
import { plainEnvironment, root } from '../support/nodes.mjs';

interface Outcome extends Ending {
  readonly report: {
    readonly code: number;
    readonly message?: string;
    readonly verdict: Verdict | null;
    readonly cannotShow: readonly string[];
    readonly judged: readonly Judged[];
    readonly slices: readonly Slice[];
    readonly incidents: Incidents;
    readonly compared: { readonly exact: number; readonly shape: number; readonly status: number } | null;
    readonly target: { readonly port: number | null; readonly secure: boolean; readonly protocol: string };
  };
}

const scratch = mkdtempSync(join(tmpdir(), 'tsloop trial-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
let serial = 0;

/** As short as a slice can be in which a busy machine answers a request. */
const SHORT = ['--slice', '0.25', '--warmup', '0.1', '--generator', 'own', '--connections', '4'];

/** Tries a program out, which finds our development dependencies. */
async function trial(options: readonly string[], source: string, env: Record<string, string> = {}): Promise<Outcome> {
  serial += 1;
  // A space in its path, as many have.
  const file = join(scratch, `server ${serial}.cjs`);
  const own = `const need = require('node:module').createRequire(${JSON.stringify(join(root, 'package.json'))});`;
  writeFileSync(file, `${own}\nconst onTsloop = process.env.TSLOOP !== 'off';\n${source}`);
  const words = [
    resolve(root, 'dist/cli/main.js'),
    'trial',
    '--json',
    ...SHORT,
    ...options,
    '--',
    process.execPath,
    file,
  ];
  const ending = await launch(process.execPath, words, {
    env: { ...plainEnvironment(), ...env },
    cwd: scratch,
    timeout: 100_000,
  });
  const text = ending.stdout.trim();
  return { ...ending, report: text === '' ? ({} as never) : JSON.parse(text) };
}

/** A key and a self-signed certificate, made for this run. */
function certificate(): Record<string, string> {
  const [key, cert] = [join(scratch, 'key'), join(scratch, 'cert')];
  const kind = [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=localhost',
  ];
  execFileSync('openssl', ['req', '-x509', ...kind, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { KEY: readFileSync(key, 'utf8'), CERT: readFileSync(cert, 'utf8') };
}

/** One pass over all three is what a program must do to be tried. */
const ONCE = ['--pairs', '1'];

/** Everybody had a slice, answered in it, and said the same. */
function expectWhole({ report, code, stderr }: Outcome): void {
  expect(report.message ?? stderr, stderr).to.not.include('no verdict');
  expect(code).to.be.oneOf([0, 3, 4]);
  expect(code).to.equal(report.verdict?.code);
  expect(report.slices.map(({ variant }) => variant).sort()).to.deep.equal(['null', 'plain', 'tsloop']);
  for (const slice of report.slices) {
    expect(slice.requests, slice.variant).to.be.above(0);
    expect([slice.errors, slice.mismatches], slice.variant).to.deep.equal([0, 0]);
    expect(slice.figures.cpuProcess, 'processor time').to.be.above(0);
    expect(slice.figures.memory, 'memory').to.be.above(0);
    expect(slice.tsloop !== null, 'stats()').to.equal(slice.variant === 'tsloop');
  }
  expect(report.incidents).to.deep.include({ wrong: null, crashed: null });
}

describe('trial: unmodified programs', () => {
  it('express, by path, with a body and headers', async () => {
    const outcome = await trial(
      [...ONCE, '--url', '/sum', '--body', '[1,2]', '--header', 'content-type: application/json'],
      `const express = need('express');
      const app = express().use(express.json());
      app.post('/sum', (request, response) => response.json({ sum: request.body[0] + request.body[1] }));
      app.listen(3000);`,
    );
    expectWhole(outcome);
    expect(outcome.report.slices[0]?.statuses).to.have.all.keys('200');
    expect(outcome.report.compared).to.deep.include({ exact: 1, shape: 0 });
    expect(outcome.report.target.port).to.not.equal(3000);
    // Said before anything else.
    expect(outcome.report.cannotShow).to.not.be.empty;
  });

  it('fastify, whose answers carry the time', async () => {
    const outcome = await trial(
      [...ONCE, '--html', join(scratch, 'page.html')],
      `const app = need('fastify')();
      app.get('/', async () => ({ hello: 'world', at: process.hrtime.bigint().toString() }));
      app.listen({ port: 3000 });`,
    );
    expectWhole(outcome);
    expect(outcome.report.compared).to.deep.include({ exact: 0, shape: 1 });
    const page = readFileSync(join(scratch, 'page.html'), 'utf8');
    // One file: nothing is fetched, nothing runs.
    expect(page).to.not.match(/\b(src|href)=|@import|url\(|<script/);
    // The percentiles are left out where a busy machine answered too few.
    expect(page.match(/<svg/g)?.length).to.be.oneOf([3, 4]);
    expect(page).to.include('What this trial cannot show');
    expect(page).to.not.match(/NaN|undefined|Infinity/);
  });

  it('ws', async () => {
    const outcome = await trial(
      [...ONCE, '--url', 'ws://localhost:3000/', '--body', 'ping'],
      `const { WebSocketServer } = need('ws');
      new WebSocketServer({ port: 3000 }).on('connection', (socket) =>
        socket.on('message', (message) => socket.send('re: ' + message + '.'.repeat(70_000))));`,
    );
    expectWhole(outcome);
  });

  it('a cluster with two listeners, of which one is meant', async () => {
    const outcome = await trial(
      [...ONCE, '--url', 'http://localhost:3001/'],
      `const cluster = require('node:cluster');
      const http = require('node:http');
      if (cluster.isPrimary) for (let count = 0; count < 2; count += 1) cluster.fork();
      else for (const port of [3000, 3001]) http.createServer((request, response) => response.end('at ' + port)).listen(port);`,
    );
    expectWhole(outcome);
  });

  it('https', async () => {
    const outcome = await trial(
      ONCE,
      `const options = { key: process.env.KEY, cert: process.env.CERT };
      require('node:https').createServer(options, (request, response) => response.end('secure')).listen(3443);`,
      certificate(),
    );
    expectWhole(outcome);
    expect(outcome.report.target).to.deep.include({ secure: true, protocol: 'http' });
  });

  it('http2, over a unix socket', async () => {
    const outcome = await trial(
      ONCE,
      `require('node:http2').createServer((request, response) => response.end('two')).listen(${JSON.stringify(join(scratch, 'app.sock'))});`,
    );
    expectWhole(outcome);
    expect(existsSync(join(scratch, 'app.sock'))).to.equal(false);
  });

  it('one that talks to itself by the port that it asked for', async () => {
    const outcome = await trial(
      [...ONCE, '--url', 'http://localhost:3000/'],
      `const http = require('node:http');
      http.createServer((request, response) => response.end('behind')).listen(4000, '127.0.0.1', () => {
        http.createServer((request, response) => {
          http.get('http://localhost:4000/', (answer) => answer.pipe(response));
        }).listen('3000');
      });`,
    );
    expectWhole(outcome);
  });

  it('one that cannot run twice at once, with a recording and a rate', async () => {
    const har = join(scratch, 'recorded.har');
    const request = (path: string) => ({ request: { method: 'GET', url: `http://example.org${path}`, headers: [] } });
    writeFileSync(har, JSON.stringify({ log: { entries: ['/a', '/b?c', '/missing'].map(request) } }));
    const lock = JSON.stringify(join(scratch, 'lock'));
    const source = `const fs = require('node:fs');
      fs.writeFileSync(${lock}, '', { flag: 'wx' });
      process.on('SIGTERM', () => { fs.rmSync(${lock}); process.exit(); });
      require('node:http').createServer((request, response) => {
        response.statusCode = request.url === '/missing' ? 404 : 200;
        response.end(request.url);
      }).listen(0);`;
    const beside = await trial(ONCE, source);
    expect(beside.code).to.equal(1);
    expect(beside.report.message).to.include('--restart');
    rmSync(join(scratch, 'lock'), { force: true });
    const outcome = await trial([...ONCE, '--restart', '--har', har, '--rate', '100'], source);
    expectWhole(outcome);
    expect(outcome.report.compared).to.deep.include({ exact: 3 });
    expect(outcome.report.slices[0]?.statuses).to.have.all.keys('200', '404');
  });

  it("a load of the user's own", async () => {
    const client = join(scratch, 'client.cjs');
    writeFileSync(
      client,
      `require('node:http').get(process.env.URL, (answer) => answer.resume().on('end', () => {
        if (process.env.URL.endsWith(':' + process.env.PORT)) console.log(JSON.stringify({ requests: 10, p50: 12.5 }));
      }));`,
    );
    const outcome = await trial(
      [...ONCE, '--load', `"${process.execPath}" "${client}"`],
      `require('node:http').createServer((request, response) => response.end('x')).listen(3000);`,
    );
    expectWhole(outcome);
    for (const slice of outcome.report.slices) {
      expect(slice.requests).to.equal(10);
      expect(slice.figures.p50).to.equal(12.5);
    }
  });
});

describe('trial: what is found', () => {
  const server = (handler: string): string =>
    `require('node:http').createServer((request, response) => { ${handler} }).listen(3000);`;

  it('a wrong answer, at once', async () => {
    const { code, report } = await trial([], server("response.end(onTsloop ? 'wr0ng' : 'right')"));
    expect(code).to.equal(4);
    expect(report.verdict?.text).to.equal('worse: leave it out');
    expect(report.incidents.wrong).to.deep.equal({
      request: 'GET /',
      plain: '200 right (5 bytes)',
      tsloop: '200 wr0ng (5 bytes)',
    });
    expect(report.slices).to.deep.equal([]);
  });

  it('a wrong answer that comes under load only', async () => {
    const source = `let count = 0;\n${server("count += 1; response.end(onTsloop && count > 3 && count % 20 === 0 ? 'wrong' : 'right')")}`;
    const { code, report } = await trial([], source);
    expect(code).to.equal(4);
    expect(report.incidents.wrong?.tsloop).to.include('wrong');
    // Not to the end of its time.
    expect(report.slices.length).to.be.at.most(18);
  });

  it('an end of the program on tsloop only', async () => {
    const source = `let count = 0;\n${server("count += 1; if (onTsloop && count === 10) { console.error('out of luck'); process.exit(7); } response.end('x')")}`;
    const { code, report } = await trial([], source);
    expect(code).to.equal(4);
    expect(report.incidents.crashed).to.include('code 7').and.include('out of luck');
  });

  /** Busy for longer than any machine makes of an empty answer. */
  const planted = (where: string): string =>
    server(
      `if (${where} === (process.env.PLANT === 'yes')) { const until = performance.now() + 4; while (performance.now() < until); } response.end('x')`,
    );
  const words = (judged: readonly Judged[], name: string): string | undefined =>
    judged.find((one) => one.name === name)?.found.word;
  const ENOUGH = ['--pairs', '10', '--warmup', '0.1', '--slice', '0.15'];

  it('a program that was made slower on tsloop', async () => {
    const { code, report, stderr } = await trial(ENOUGH, planted('onTsloop'), { PLANT: 'yes' });
    expect(code, stderr).to.equal(4);
    expect(words(report.judged, 'cpuMain')).to.equal('worse');
    expect(report.verdict?.because.join()).to.include('CPU per request');
  });

  it('and one that was made slower on plain Node', async () => {
    const { code, report, stderr } = await trial(ENOUGH, planted('!onTsloop'), { PLANT: 'yes' });
    expect(code, stderr).to.equal(0);
    expect(words(report.judged, 'cpuMain')).to.equal('better');
  });

  it('no verdict where the program does not run, with what it said', async () => {
    const { code, report, stderr } = await trial([], "throw new Error('no such database')");
    expect(code).to.equal(1);
    expect(report.verdict).to.equal(null);
    expect(stderr).to.include('no such database');
  });

  it('no verdict where tsloop is not active', async () => {
    const { code, stderr } = await trial([], server("response.end('x')"), {
      TSLOOP_DISABLE: 'net,dgram,child_process,timers',
    });
    expect(code).to.equal(1);
    expect(stderr).to.include('not active').and.include('ERR_TSLOOP_DISABLED');
  });

  it('a wrong call, in one sentence, and help for the asking', async () => {
    const call = (words: readonly string[]) =>
      launch(process.execPath, [resolve(root, 'dist/cli/main.js'), 'trial', ...words], { env: plainEnvironment() });
    const wrong = await call(['--pears', '3', '--', 'node', 'server.js']);
    expect(wrong.code).to.equal(2);
    expect(wrong.stderr).to.include('--pears').and.include('--help');
    const help = await call(['--help']);
    expect(help.code).to.equal(0);
    expect(help.stdout).to.include('Exit code');
  });

  it('nothing is left running', async () => {
    const file = join(scratch, 'pids');
    const source = `require('node:fs').appendFileSync(${JSON.stringify(file)}, process.pid + '\\n');
      process.on('SIGTERM', () => {});\n${server("response.end('x')")}`;
    await trial(ONCE, source);
    const pids = readFileSync(file, 'utf8').trim().split('\n').map(Number);
    expect(pids).to.have.length(3);
    for (const pid of pids) expect(() => process.kill(pid, 0)).to.throw('ESRCH');
  });
});
