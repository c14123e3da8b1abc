/** Stepping aside: the program runs as on plain Node, with one warning at most; strict turns that into an exit. */
import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { launch } from '../support/launch.mjs';
import { type NodeLine, nodes, plainEnvironment } from '../support/nodes.mjs';
import { EXCHANGE, programFile, registerCjs, registerMjs, start } from '../support/programs.mjs';

for (const line of nodes) declare(line);

function declare(line: NodeLine): void {
  describe(`stepping aside on Node ${line.version}`, () => {
    const hooks = [
      ['-r', registerCjs],
      ['--import', registerMjs],
    ];
    const permission = line.major >= 24 ? '--permission' : '--experimental-permission';
    const cases: Record<string, { env?: Record<string, string>; flags?: string[]; warnings: number }> = {
      'TSLOOP=off': { env: { TSLOOP: 'off' }, warnings: 0 },
      'TSLOOP_DISABLE=net': { env: { TSLOOP_DISABLE: 'net' }, warnings: 0 },
      'TSLOOP_DISABLE=net,dgram': { env: { TSLOOP_DISABLE: 'net,dgram' }, warnings: 0 },
      'an addon that is not there': { env: { TSLOOP_ADDON: '/nonexistent.node' }, warnings: 1 },
      'an addon that cannot be loaded': { env: { TSLOOP_ADDON: notAnAddon() }, warnings: 1 },
      '--no-addons': { flags: ['--no-addons'], warnings: 1 },
      'the permission model without addons': {
        flags: [permission, '--allow-fs-read=*', '--allow-fs-write=*', ...netPermission(line)],
        warnings: 1,
      },
    };
    for (const [name, { env, flags, warnings }] of Object.entries(cases)) {
      for (const hook of hooks) {
        it(`${name} (${hook[0]}): plain Node, ${warnings} warnings`, async () => {
          const file = programFile(EXCHANGE);
          const plain = await start(line, [...(flags ?? []), file]);
          const aside = await start(line, [...(flags ?? []), ...hook, file], { env: env ?? {} });
          expect(plain.stdout).to.equal('pong\n');
          expect(aside.stdout).to.equal(plain.stdout);
          expect(aside.code).to.equal(plain.code);
          expect(aside.warnings, aside.stderr).to.equal(warnings);
          if (name === 'TSLOOP=off') expect(aside.stderr).to.equal(plain.stderr);
          expect(aside.evidence.map((one) => one.connections)).to.deep.equal([0]);
        });
      }
    }

    for (const name of [
      'an addon that is not there',
      'an addon that cannot be loaded',
      '--no-addons',
      'the permission model without addons',
    ]) {
      it(`${name}, strict: an exit with the reason`, async () => {
        const { env, flags } = cases[name] ?? {};
        const file = programFile(EXCHANGE);
        const outcome = await start(line, [...(flags ?? []), '-r', registerCjs, file], {
          env: { ...env, TSLOOP_STRICT: '1' },
        });
        expect(outcome.code).to.equal(78);
        expect(outcome.stdout).to.equal('');
        expect(outcome.stderr).to.match(/tsloop: .*ERR_TSLOOP_/);
      });
    }

    it('strict does not mind being switched off', async () => {
      const file = programFile(EXCHANGE);
      const outcome = await start(line, ['-r', registerCjs, file], { env: { TSLOOP: 'off', TSLOOP_STRICT: '1' } });
      expect([outcome.code, outcome.stdout, outcome.stderr]).to.deep.equal([5, 'pong\n', '']);
    });

    it('a setting that makes no sense: one warning, and tsloop runs', async () => {
      const file = programFile(EXCHANGE);
      const outcome = await start(line, ['-r', registerCjs, file], {
        env: { TSLOOP_DRIVER: 'warp', TSLOOP_THREADS: '-3' },
      });
      expect(outcome.stdout).to.equal('pong\n');
      expect(outcome.warnings, outcome.stderr).to.equal(1);
      expect(outcome.evidence.map((one) => one.active)).to.deep.equal([true]);
    });

    it('one warning for a process with Workers and children', async () => {
      const file = programFile(`
        const { Worker, isMainThread } = require('node:worker_threads');
        if (isMainThread) for (let i = 0; i < 3; i++) new Worker(__filename);
        require('node:net').createServer().listen(0, function () { this.close(); });`);
      const outcome = await start(line, ['-r', registerCjs, file], { env: { TSLOOP_ADDON: '/nonexistent.node' } });
      expect(outcome.code).to.equal(0);
      expect(outcome.warnings, outcome.stderr).to.equal(1);
    });

    it('npm itself under NODE_OPTIONS', async function () {
      const npm = await launch('npm', ['--version'], { env: plainEnvironment() }).catch(() => null);
      if (npm === null || npm.code !== 0) return void this.skip();
      const dir = programFile('', 'placeholder.cjs').replace(/placeholder\.cjs$/, '');
      writeFileSync(
        `${dir}package.json`,
        JSON.stringify({ name: 'probe', version: '1.0.0', scripts: { hello: 'node program.cjs' } }),
      );
      writeFileSync(`${dir}program.cjs`, EXCHANGE.replace('process.exitCode = 5;', ''));
      const run = (env: Record<string, string>) =>
        launch('npm', ['run', '--silent', 'hello'], {
          cwd: dir,
          env: { ...plainEnvironment(), ...env },
          timeout: 40_000,
        });
      const plain = await run({});
      const hooked = await run({ NODE_OPTIONS: `--require ${registerCjs}`, TSLOOP_STRICT: '1' });
      expect([plain.code, plain.stdout]).to.deep.equal([0, 'pong\n']);
      expect([hooked.code, hooked.stdout, hooked.stderr]).to.deep.equal([0, 'pong\n', plain.stderr]);
    });
  });
}

function notAnAddon(): string {
  return programFile('this is no shared object', 'broken.node');
}

/** Node 26 closes the network under the permission model unless it is allowed. */
function netPermission(line: NodeLine): string[] {
  return line.major >= 25 ? ['--allow-net'] : [];
}
