/** The command line: `tsloop doctor` says what is so, whatever the shell and the container are like. */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import type { Findings } from '../../dist/cli/examine.js';
import { adviceFor, describeMachine, quotaIn, RECEIVE_BUFFER } from '../../dist/cli/machine.js';
import type { Watched } from '../../dist/cli/watch.js';
import { type Ending, launch } from '../support/launch.mjs';
import { type NodeLine, nodes, plainEnvironment, product, root } from '../support/nodes.mjs';
import { EXCHANGE, programFile, registerCjs, registerMjs } from '../support/programs.mjs';

const command = join(product, 'dist/cli/main.js');

describe('what the machine offers', () => {
  it('reads the quota of a control group', () => {
    expect(quotaIn('max 100000\n')).to.equal(null);
    expect(quotaIn('150000 100000\n')).to.equal(1.5);
    expect(quotaIn('')).to.equal(null);
  });

  it('gives advice where there is some to give', () => {
    const good = {
      ...describeMachine(),
      processors: 4,
      quota: null,
      openFiles: 65_536,
      receiveBufferMax: RECEIVE_BUFFER,
    };
    expect(adviceFor(good)).to.deep.equal([]);
    expect(adviceFor({ ...good, processors: 1 })).to.match(/one processor/);
    expect(adviceFor({ ...good, quota: 0.5 })).to.match(/a quota of 0.5 processors/);
    expect(adviceFor({ ...good, openFiles: 1024 })).to.match(/1024 descriptors/);
    expect(adviceFor({ ...good, receiveBufferMax: 212_992 })).to.match(/rmem_max is 212992.*sysctl/);
  });

  it('asks for the buffer that sockets ask for', () => {
    const limits = readFileSync(join(root, 'native/core/src/limits.rs'), 'utf8');
    const factors = /KERNEL_BUFFER_BYTES: i32 = ([\d *]+);/.exec(limits)?.[1]?.split('*').map(Number) ?? [];
    expect(factors.reduce((product, factor) => product * factor, 1)).to.equal(RECEIVE_BUFFER);
  });
});

for (const line of nodes) declare(line);

function declare(line: NodeLine): void {
  function tsloop(args: readonly string[], env: Record<string, string> = {}): Promise<Ending> {
    return launch(line.binary, [command, ...args], { env: { ...plainEnvironment(), ...env }, timeout: 60_000 });
  }

  async function doctor(env: Record<string, string> = {}): Promise<Findings & { code: number | null }> {
    const { stdout, code } = await tsloop(['doctor', '--json'], env);
    return { ...(JSON.parse(stdout) as Findings), code };
  }

  const on = ({ parts }: Findings): string[] => parts.filter((part) => part.on).map(({ name }) => name);

  async function watch(
    args: readonly string[],
    env: Record<string, string> = {},
    seconds = '2',
  ): Promise<Watched & Ending> {
    const ending = await tsloop(['doctor', '--json', '--seconds', seconds, '--', ...args], env);
    return { ...ending, ...(JSON.parse(ending.stdout) as Watched) };
  }

  describe(`tsloop doctor on Node ${line.version}`, () => {
    it('finds every part on, and what is optional off by design', async () => {
      const found = await doctor();
      expect([found.code, found.active, found.reason, found.remedy]).to.deep.equal([0, true, null, null]);
      expect(on(found)).to.deep.equal(['net', 'tls', 'dgram', 'child_process']);
      expect(Object.values(found.trips)).to.deep.equal(Array.from({ length: 6 }, () => 'whole'));
      expect(found.fallbacks, 'what is by design is no fault').to.deep.equal({});
      expect(found.nodeOptions).to.equal(`-r ${registerCjs}`);
      expect(found.warnings).to.deep.equal([]);
    });

    it('needs no folder to write in', async () => {
      const found = await doctor({
        TMPDIR: '/nonexistent',
        TMP: '/nonexistent',
        TEMP: '/nonexistent',
        HOME: '/nonexistent',
      });
      expect([found.code, found.active, found.trips['unix']]).to.deep.equal([0, true, 'whole']);
    });

    it('shows what was switched off as that, and what was switched on', async () => {
      const found = await doctor({ TSLOOP_DISABLE: 'dgram', TSLOOP_ENABLE: 'timers' });
      expect([found.code, found.active]).to.deep.equal([0, true]);
      expect(on(found)).to.deep.equal(['net', 'tls', 'child_process', 'timers']);
      expect(found.parts.find(({ name }) => name === 'dgram')?.why).to.equal('TSLOOP_DISABLE');
    });

    it('looks through strictness, a share and an address that is the program’s', async () => {
      const found = await doctor({ TSLOOP_STRICT: '1', TSLOOP_SHARE: '0', TSLOOP_METRICS: '127.0.0.1:1' });
      expect([found.code, found.active, found.warnings]).to.deep.equal([0, true, []]);
      expect(found.settings).to.deep.include({ TSLOOP_SHARE: 0, TSLOOP_METRICS: '127.0.0.1:1' });
    });

    it('says why not, in a sentence, and what to do', async () => {
      const off = await doctor({ TSLOOP: 'off' });
      expect([off.code, off.active, off.reason?.code]).to.deep.equal([1, false, 'ERR_TSLOOP_OFF']);
      expect(off.remedy).to.match(/take TSLOOP=off out/);
      expect(on(off)).to.deep.equal([]);
      const missing = await doctor({ TSLOOP_ADDON: '/nonexistent.node', TSLOOP_STRICT: '1' });
      expect([missing.code, missing.reason]).to.deep.equal([
        1,
        { code: 'ERR_TSLOOP_ADDON_MISSING', message: 'the native part is missing (/nonexistent.node)' },
      ]);
      expect(missing.parts.find(({ name }) => name === 'net')?.why).to.equal('ERR_TSLOOP_ADDON_MISSING');
    });

    it('does not take for tsloop’s fault what plain Node cannot do either', async () => {
      const broken = programFile(`require('node:dgram').createSocket = () => {
        const socket = new (require('node:events'))();
        for (const name of ['bind', 'send', 'close']) socket[name] = () => {};
        process.nextTick(() => socket.emit('error', new Error('no UDP here')));
        return socket;
      }`);
      const found = await doctor({ NODE_OPTIONS: `-r ${broken}` });
      expect(found.trips).to.include({ udp: 'fails on plain Node too', tcp: 'whole' });
      expect([found.code, found.active]).to.deep.equal([0, true]);
      expect(on(found)).to.not.include('dgram');
    });

    it('names a misspelt setting, and shows a page for people', async () => {
      const { stdout, code } = await tsloop(['doctor'], { TSLOOP_DRIVR: 'inline' });
      expect(code).to.equal(0);
      expect(stdout).to.match(/^active: programs run on tsloop here\nTSLOOP_DRIVR is ignored.*TSLOOP_DRIVER meant/);
      expect(stdout).to.contain(`NODE_OPTIONS='-r ${registerCjs}'`);
    });
  });

  describe(`tsloop doctor -- program, on Node ${line.version}`, () => {
    const server = `require('node:net').createServer(() => {}).listen(0, '127.0.0.1', () => console.log('up'))`;

    it('says what was preloaded, in which order, and who loaded net first', async () => {
      const early = programFile(`require('node:net')`, 'early.cjs');
      const late = programFile('', 'late.cjs');
      const file = programFile(server);
      const seen = await watch([line.binary, '-r', early, '-r', registerCjs, '-r', late, file]);
      expect([seen.code, seen.status?.active, seen.added, seen.ended]).to.deep.equal([0, true, false, null]);
      const preloads = seen.told.flatMap((one) => (one.kind === 'preload' ? [one.request] : []));
      expect(preloads).to.deep.equal([early, registerCjs, late]);
      const first = seen.told.find((one) => one.kind === 'first' && one.module === 'net');
      expect(first).to.include({ by: `${early}: require('node:net')`, preload: early });
      expect(seen.stderr, 'its output').to.contain('up');
      const page = await tsloop(['doctor', '--seconds', '2', '--', line.binary, '-r', early, '-r', registerCjs, file]);
      expect(page.stdout).to.match(/early\.cjs loads net before tsloop is there/);
    });

    it('puts tsloop in front where it is not, by require or import', async () => {
      const file = programFile(server);
      const without = await watch([line.binary, file]);
      expect([without.code, without.status?.active, without.added]).to.deep.equal([0, true, true]);
      const imported = await watch([line.binary, '--import', registerMjs, file]);
      expect([imported.code, imported.status?.active, imported.added]).to.deep.equal([0, true, false]);
      const off = await watch([line.binary, file], { TSLOOP: 'off' });
      expect([off.code, off.status?.reason]).to.deep.equal([1, 'ERR_TSLOOP_OFF']);
    });

    it('leaves children and the program’s own environment as they are', async () => {
      const file = programFile(`const { spawnSync } = require('node:child_process');
        const shown = 'console.log(JSON.stringify([process.env.NODE_OPTIONS, Object.keys(process.env).filter((name) => /DOCTOR/.test(name))]))';
        eval(shown);
        console.log(spawnSync(process.execPath, ['-e', shown], { encoding: 'utf8' }).stdout.trim());
        process.exitCode = 7;`);
      const options = `-r ${registerCjs} --no-deprecation`;
      const seen = await watch([line.binary, file], { NODE_OPTIONS: options }, '20');
      expect(seen.stderr.trim().split('\n')).to.deep.equal(
        Array.from({ length: 2 }, () => JSON.stringify([options, []])),
      );
      expect([seen.added, seen.ended]).to.deep.equal([false, 'with exit code 7']);
    });

    it('says so where it sees nothing', async () => {
      const page = await tsloop(['doctor', '--', 'true']);
      expect([page.code, page.stdout]).to.satisfy(
        ([code, text]: [number, string]) => code === 1 && /nothing was heard/.test(text),
      );
      const none = await tsloop(['doctor', '--', '/nonexistent']);
      expect([none.code, none.stderr]).to.satisfy(
        ([code, text]: [number, string]) => code === 2 && /cannot be started/.test(text),
      );
    });

    it('is a program like any other in between', async () => {
      const seen = await watch([line.binary, programFile(EXCHANGE)], {}, '20');
      expect([seen.ended, seen.stderr, seen.status?.active]).to.deep.equal(['with exit code 5', 'pong\n', true]);
    });
  });

  describe(`tsloop on Node ${line.version}`, () => {
    it('has help for each command, and a version', async () => {
      const version = JSON.parse(readFileSync(join(product, 'package.json'), 'utf8')).version as string;
      expect((await tsloop(['--version'])).stdout).to.equal(`${version}\n`);
      const overview = await tsloop(['help']);
      expect(overview.code).to.equal(0);
      const names = Array.from(overview.stdout.matchAll(/^ {2}(\w+) {2,}\S/gm), ([, name]) => name as string).filter(
        (name) => name !== 'tsloop',
      );
      expect(names).to.include('doctor');
      for (const name of names) {
        for (const args of [
          ['help', name],
          [name, '--help'],
          [name, '-h'],
        ]) {
          const { code, stdout } = await tsloop(args);
          expect([code, stdout.startsWith(`Usage: tsloop ${name}`)], args.join(' ')).to.deep.equal([0, true]);
        }
      }
    });

    it('names what was called wrongly', async () => {
      for (const [args, said] of [
        [['docter'], /there is no command docter; is doctor meant\?/],
        [['doctor', '--jsno'], /tsloop doctor: Unknown option '--jsno'/],
        [['doctor', 'server.js'], /server\.js is no option/],
        [['doctor', 'node', '--', 'server.js'], /node is no option/],
        [['doctor', '--'], /no command behind --/],
        [['doctor', '--seconds', 'soon', '--', 'node'], /--seconds takes a number/],
        [[], /^Usage: tsloop <command>/],
      ] as const) {
        const { code, stdout, stderr } = await tsloop(args);
        expect([code, stdout]).to.deep.equal([2, '']);
        expect(stderr).to.match(said);
      }
    });

    it('works by way of a link, as npm makes one', async () => {
      const folder = dirname(programFile(''));
      const { symlinkSync } = await import('node:fs');
      symlinkSync(command, join(folder, 'tsloop'));
      writeFileSync(join(folder, 'package.json'), '{}');
      const { stdout, code } = await launch(line.binary, [join(folder, 'tsloop'), 'doctor', '--json'], {
        env: plainEnvironment(),
        cwd: folder,
      });
      expect([code, (JSON.parse(stdout) as Findings).active]).to.deep.equal([0, true]);
    });
  });
}
