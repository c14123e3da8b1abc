/**
 * What the preload does to a process that starts: nothing that plain Node would not show, whatever the switches, and
 * next to no work. Each program runs on plain Node and under the preload.
 */
import { resolve } from 'node:path';
import { expect } from 'chai';
import { type Ending, launch } from '../support/launch.mjs';
import { type NodeLine, nodes, plainEnvironment, root } from '../support/nodes.mjs';

const hook = ['-r', resolve(root, 'register.js')];
const api = JSON.stringify(resolve(root, 'dist/index.js'));

/** Without the process's id, and the name of the binary in the hint that follows a warning. */
function shown({ code, signal, stdout, stderr }: Ending): unknown {
  return { code, signal, stdout, stderr: stderr.replace(/\(node:\d+\)/g, '(node)') };
}

function run(line: NodeLine, args: readonly string[], env: Record<string, string> = {}): Promise<Ending> {
  return launch(line.binary, args, { env: { ...plainEnvironment(), ...env } });
}

/** What the preload has loaded by the time the program runs, as the paths of the module cache. */
const LOADED = `Object.keys(require.cache).filter((path) => path.startsWith(${JSON.stringify(`${root}/`)}))
  .map((path) => path.slice(${root.length + 1})).sort()`;

const programs: Record<string, string> = {
  'an empty program': 'process.exitCode = 3',
  'a TCP round trip': `const net = require('net');
    const server = net.createServer((socket) => socket.end('pong')).listen(0, () =>
      net.connect(server.address().port).on('data', (data) => console.log(String(data))).on('close', () => server.close()));
    process.exitCode = 4`,
  'a program that uses process.binding itself': "console.log(typeof process.binding('tcp_wrap').TCP)",
  'a program that earns a warning of its own': "Buffer(3); setImmediate(() => console.log('on'))",
};

const switches = [
  [],
  ['--pending-deprecation'],
  ['--throw-deprecation'],
  ['--pending-deprecation', '--throw-deprecation'],
  ['--frozen-intrinsics'],
  ['--disable-proto=delete'],
  ['--disable-proto=throw'],
  ['--no-deprecation'],
];

for (const line of nodes) declare(line);

function declare(line: NodeLine): void {
  describe(`starting on Node ${line.version}`, () => {
    for (const [name, source] of Object.entries(programs)) {
      it(`${name}: same output and exit code under every switch`, async () => {
        for (const args of switches) {
          const plain = await run(line, [...args, '-e', source]);
          for (const env of [{}, { TSLOOP_STRICT: '1' }]) {
            const hooked = await run(line, [...args, ...hook, '-e', source], env);
            expect(shown(hooked), `${args.join(' ')} ${JSON.stringify(env)}`).to.deep.equal(shown(plain));
          }
        }
      });

      it(`${name}: the same with NODE_PENDING_DEPRECATION=1`, async () => {
        const env = { NODE_PENDING_DEPRECATION: '1' };
        const plain = await run(line, ['-e', source], env);
        const hooked = await run(line, [...hook, '-e', source], env);
        expect(shown(hooked)).to.deep.equal(shown(plain));
      });
    }

    it('warns of process.binding where plain Node does, as the use is the program’s', async () => {
      const { stderr } = await run(line, ['--pending-deprecation', ...hook, '-e', "process.binding('tcp_wrap')"]);
      expect(stderr).to.contain('DEP0111');
    });

    it('NODE_DEBUG=tsloop writes to standard error, and to nothing else', async () => {
      const source = programs['a TCP round trip'] as string;
      const plain = await run(line, ['-e', source]);
      const hooked = await run(line, [...hook, '-e', source], { NODE_DEBUG: 'tsloop' });
      expect([hooked.code, hooked.stdout]).to.deep.equal([plain.code, plain.stdout]);
      expect(hooked.stderr.split('\n').filter((text) => text !== '')).to.satisfy((lines: string[]) =>
        lines.every((text) => /^TSLOOP \d+: /.test(text)),
      );
      expect(hooked.stderr).to.match(/attached[\s\S]*reactor open/);
    });

    it('loads two files by require, whether or not somebody asks for a socket', async () => {
      const source = `const { writeSync } = require('fs'); const say = () => writeSync(1, ${LOADED}.join() + '\\n');
        say(); require('net'); say()`;
      const { stdout } = await run(line, [...hook, '-e', source]);
      expect(stdout).to.equal('dist/boot.js,register.js\ndist/boot.js,register.js\n');
    });

    it('loads no native part, and says so, until a handle is made', async () => {
      const source = `const maps = () => require('fs').readFileSync('/proc/self/maps', 'latin1').includes('/tsloop.');
        const net = require('net'); const before = maps(); net.createServer().listen(0, function () {
          this.close(); console.log(before, maps()); })`;
      expect((await run(line, [...hook, '-e', source])).stdout).to.equal('false true\n');
    });

    it('gives the program the instance of the preload through the public API', async () => {
      const source = `const { status, install, uninstall } = require(${api}); const net = require('net');
        const kind = (handle) => (/^class /.test(handle.constructor) ? 'ours' : 'native'); const seen = [status().active];
        const server = net.createServer((socket) => { seen.push(kind(socket._handle)); socket.end(); }).listen(0, () => {
          seen.push(kind(server._handle)); uninstall();
          const first = net.connect(server.address().port).resume(); seen.push(kind(first._handle));
          first.on('close', () => { seen.push(install());
            const second = net.connect(server.address().port).resume(); seen.push(kind(second._handle));
            second.on('close', () => { server.close(); console.log(seen.join()); }); }); });`;
      // An accepted connection is of its server's kind: the reactor has it already.
      const { stdout } = await run(line, [...hook, '-e', source]);
      expect(stdout).to.equal('true,ours,native,ours,true,ours,ours\n');
    });

    it('keeps the reason of the guard for those who ask', async () => {
      const source = `console.log(require(${api}).status().reason)`;
      const { stdout } = await run(line, ['--no-addons', ...hook, '-e', source]);
      expect(stdout).to.equal('ERR_TSLOOP_NO_ADDONS\n');
    });

    it('says what went wrong once, in words of one sentence, when the native part is missing', async () => {
      const source = `try { require(${api}).buildInfo() } catch (error) { console.log(error.code, error.message) }`;
      const { stdout } = await run(line, ['-e', source], { TSLOOP_ADDON: '/nonexistent.node' });
      expect(stdout).to.equal('ERR_TSLOOP_ADDON_MISSING tsloop: the native part is missing (/nonexistent.node)\n');
    });
  });
}
