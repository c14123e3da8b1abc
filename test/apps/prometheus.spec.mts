/** Debian's Prometheus scrapes a program on tsloop: by `TSLOOP_METRICS`, and from the program's own server. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { nodes, plainEnvironment, root } from '../support/nodes.mjs';
import { programFile, registerCjs } from '../support/programs.mjs';
import { freePort, onPath, prometheus, type Service } from '../support/service.mjs';

/** An http server whose `/own` is the text of `tsloop/metrics`; says where it is and answers until its input ends. */
const SERVER = `
  const http = require('node:http');
  const { prometheus, contentType } = require(${JSON.stringify(`${root}/dist/metrics/index.js`)});
  const server = http.createServer((request, response) => {
    if (request.url !== '/metrics') return response.end('hello');
    response.setHeader('Content-Type', contentType);
    response.end(prometheus());
  }).listen(0, '127.0.0.1', () => console.log(server.address().port));
  process.stdin.resume().on('end', () => process.exit(0));`;

interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

async function query(service: Service, text: string): Promise<Sample[]> {
  const answer = await fetch(`http://127.0.0.1:${service.port}/api/v1/query?query=${encodeURIComponent(text)}`);
  // It listens before it has read what it has stored.
  if (answer.status === 503) return [];
  const body = (await answer.json()) as { status: string; error?: string; data: { result: Sample[] } };
  expect(body.status, body.error).to.equal('success');
  return body.data.result;
}

/** Asks until there is as much as is waited for: a scrape comes once a second. */
async function until(service: Service, text: string, enough: number): Promise<Sample[]> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const found = await query(service, text);
    if (found.length >= enough || Date.now() > deadline) return found;
    await new Promise((done) => setTimeout(done, 100));
  }
}

describe('apps: Prometheus', () => {
  for (const line of nodes) {
    it(`scrapes a program, and is told what stats() tells [Node ${line.version}]`, async function () {
      const port = await freePort();
      const env = { ...plainEnvironment(), TSLOOP_METRICS: `127.0.0.1:${port}` };
      const child = spawn(line.binary, ['-r', registerCjs, programFile(SERVER)], {
        env,
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      try {
        const own = String(await new Promise((done) => child.stdout.once('data', done))).trim();
        const service = await prometheus({ served: `127.0.0.1:${port}`, own: `127.0.0.1:${own}` });
        if (service === null) {
          console.log('Prometheus is not installed: not tried.');
          this.skip();
          return;
        }
        try {
          const info = await until(service, 'tsloop_info', 2);
          expect(
            info.map(({ metric }) => [metric['job'], metric['active'], metric['reason'], metric['version']]),
          ).to.have.deep.members([
            ['served', '1', undefined, '0.1.0'],
            ['own', '1', undefined, '0.1.0'],
          ]);
          for (let count = 0; count < 5; count += 1) await (await fetch(`http://127.0.0.1:${own}/`)).text();
          const accepted = await until(service, 'tsloop_connections_accepted_total > 2', 2);
          expect(accepted.map(({ metric }) => metric['thread'])).to.deep.equal(['0', '0']);
          expect(await until(service, 'up == 1', 2)).to.have.lengthOf(2);
          expect(await query(service, 'rate(tsloop_driver_cpu_seconds_total[1m])')).to.not.be.empty;
        } finally {
          await service.stop();
        }
      } finally {
        child.stdin.end();
        await new Promise((done) => child.once('exit', done));
      }
    });
  }

  it('has nothing to say against the text, nor against the queries of docs/rollout.md', function () {
    const promtool = onPath('promtool');
    if (promtool === null) {
      console.log('promtool is not installed: not tried.');
      this.skip();
      return;
    }
    const ask = `console.log(require(${JSON.stringify(`${root}/dist/metrics/index.js`)}).prometheus())`;
    const program = `require('node:net').createServer().listen(0, function () { this.close(); ${ask} })`;
    const { stdout } = spawnSync(process.execPath, ['-r', registerCjs, '-e', program], {
      env: plainEnvironment(),
      encoding: 'utf8',
    });
    expect(stdout).to.match(/^tsloop_connections_accepted_total/m);
    const text = spawnSync(promtool, ['check', 'metrics'], { input: stdout, encoding: 'utf8' });
    expect([text.status, text.stdout, text.stderr]).to.deep.equal([0, '', '']);
    const page = readFileSync(join(root, 'docs/rollout.md'), 'utf8');
    const queries = Array.from(page.matchAll(/```promql\n([\s\S]*?)```/g), ([, found]) => found as string);
    expect(queries.length).to.be.above(3);
    const dir = mkdtempSync(join(tmpdir(), 'tsloop-rules-'));
    try {
      const rules = queries.map((expr, index) => ({ record: `rollout:query${index}`, expr }));
      writeFileSync(join(dir, 'rules.yml'), JSON.stringify({ groups: [{ name: 'rollout', rules }] }));
      const checked = spawnSync(promtool, ['check', 'rules', join(dir, 'rules.yml')], { encoding: 'utf8' });
      expect(checked.status, checked.stderr).to.equal(0);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
