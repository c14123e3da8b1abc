/**
 * What instruments programs by hooks on `require` and `import` sees the same beneath tsloop as on plain Node: the modules it is
 * told of, and the calls that go through what it has put in their place, whoever is preloaded first.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { launch } from '../support/launch.mjs';
import { type NodeLine, nodes, plainEnvironment } from '../support/nodes.mjs';
import { programFile, registerCjs, registerMjs } from '../support/programs.mjs';

const require = createRequire(import.meta.url);

/** Modules that such tools hook, and the functions of them that the program calls. */
const wrapped: Record<string, readonly string[]> = {
  net: ['connect', 'createServer', 'createConnection'],
  http: ['request', 'get', 'createServer'],
  https: ['request', 'get'],
  tls: ['connect', 'createServer'],
  dgram: ['createSocket'],
  child_process: ['spawn', 'execFile', 'exec'],
  timers: ['setTimeout'],
};

/** Notes each module it is told of, and each call through its wrappers; says both when the process ends. */
const NOTES = `
  const wrapped = ${JSON.stringify(wrapped)};
  const seen = (globalThis.__seen ??= { modules: [], calls: {} });
  const instrument = (exports, name) => {
    const short = name.replace(/^node:/, '');
    if (wrapped[short] === undefined) return exports;
    seen.modules.push(short);
    for (const method of wrapped[short]) {
      const original = exports[method];
      exports[method] = function (...args) {
        const key = short + '.' + method;
        seen.calls[key] = (seen.calls[key] ?? 0) + 1;
        return Reflect.apply(original, this, args);
      };
    }
    return exports;
  };
  process.on('exit', () => require('node:fs').writeSync(1, JSON.stringify({ ...seen, active: globalThis.__active?.() }) + '\\n'));`;

/** Uses each of them; \`load\` is how the language gets a module. */
const USE = `
  const round = (server, call) => new Promise((done) => server.listen(0, '127.0.0.1', () => call(server.address().port, () => server.close(done))));
  const drain = (stream, then) => { stream.resume(); stream.on('close', then); };
  await round(net.createServer((socket) => socket.end('x')), (port, then) => drain(net.connect(port, '127.0.0.1'), then));
  await round(http.createServer((request, response) => response.end('x')), (port, then) =>
    http.get({ port, host: '127.0.0.1', agent: false }, (response) => drain(response, then)));
  const psk = Buffer.alloc(32, 'x');
  const secret = { ciphers: 'PSK', maxVersion: 'TLSv1.2' };
  await round(tls.createServer({ ...secret, pskCallback: () => psk }, (socket) => socket.end('x')), (port, then) =>
    drain(tls.connect({ ...secret, port, host: '127.0.0.1', pskCallback: () => ({ psk, identity: 'x' }), checkServerIdentity() {} }), then));
  await new Promise((done) => https.get({ port: 1, host: '127.0.0.1' }).on('error', done));
  await new Promise((done) => {
    const socket = dgram.createSocket('udp4', () => socket.close(done)).bind(0, '127.0.0.1', () => socket.send('x', socket.address().port, '127.0.0.1'));
  });
  await new Promise((done) => child_process.execFile(process.execPath, ['--version'], { env: {} }, done));
  await new Promise((done) => timers.setTimeout(done, 1));`;

const names = Object.keys(wrapped);
const ACTIVE = `globalThis.__active = () => (process[Symbol.for('tsloop')] === undefined ? null : process[Symbol.for('tsloop')].api().scrape().threads[0].counts.accepted);`;

const COMMONJS = `${ACTIVE} const { ${names.join(', ')} } = { ${names.map((name) => `${name}: require('node:${name}')`).join(', ')} };
  (async () => {${USE}})();`;
const ESM = `${names.map((name) => `import ${name} from 'node:${name}';`).join('\n')} ${ACTIVE} ${USE}`;
/** The names that a module's importers have of it, which are a view of their own. */
const NAMED = `import { createServer, connect } from 'node:net'; import { get, createServer as serve } from 'node:http';
  import { execFile } from 'node:child_process'; import { createSocket } from 'node:dgram'; ${ACTIVE}
  await new Promise((done) => { const server = createServer((socket) => socket.end()).listen(0, '127.0.0.1', () =>
    connect(server.address().port, '127.0.0.1').resume().on('close', () => server.close(done))); });
  await new Promise((done) => { const server = serve((request, response) => response.end()).listen(0, '127.0.0.1', () =>
    get({ port: server.address().port, agent: false }, (response) => response.resume().on('close', () => server.close(done)))); });
  await new Promise((done) => execFile(process.execPath, ['--version'], { env: {} }, done));
  createSocket('udp4').close();`;

interface Seen {
  readonly modules: readonly string[];
  readonly calls: Readonly<Record<string, number>>;
  readonly active: number | null;
}

for (const line of nodes) declare(line);

function declare(line: NodeLine): void {
  async function run(args: readonly string[], file: string): Promise<Seen> {
    const ending = await launch(line.binary, [...args, file], { env: plainEnvironment() });
    // From Node 26 on it warns of what import-in-the-middle registers its hooks with.
    const stderr = ending.stderr.replace(/^\(node:\d+\) \[DEP0205\].*\n\(Use .*\n/, '');
    expect([ending.code, stderr], args.join(' ')).to.deep.equal([0, '']);
    return JSON.parse(ending.stdout.trim().split('\n').at(-1) as string) as Seen;
  }

  /** Plain Node, and tsloop before and behind the tool. */
  async function compare(tool: readonly string[], file: string, hooks: readonly (readonly string[])[]): Promise<Seen> {
    const plain = await run(tool, file);
    expect(plain.active).to.equal(null);
    for (const hook of hooks) {
      for (const args of [
        [...hook, ...tool],
        [...tool, ...hook],
      ]) {
        const { active, ...beneath } = await run(args, file);
        expect(active, `${args.join(' ')}: tsloop is beneath`).to.be.above(0);
        expect(beneath, args.join(' ')).to.deep.equal({ modules: plain.modules, calls: plain.calls });
      }
    }
    return plain;
  }

  describe(`hooks of other tools on Node ${line.version}`, () => {
    it('require-in-the-middle, CommonJS', async () => {
      const tool = programFile(
        `${NOTES} const { Hook } = require(${JSON.stringify(require.resolve('require-in-the-middle'))});
         new Hook(${JSON.stringify(names)}, instrument);`,
        'tool.cjs',
      );
      const seen = await compare(['-r', tool], programFile(COMMONJS), [['-r', registerCjs]]);
      expect([...seen.modules].sort()).to.deep.equal([...names].sort());
      expect(seen.calls).to.include({
        'net.connect': 1,
        'http.get': 1,
        'dgram.createSocket': 1,
        'child_process.execFile': 1,
        'timers.setTimeout': 1,
      });
    });

    it('import-in-the-middle, ES modules', async () => {
      const folder = dirname(require.resolve('import-in-the-middle/package.json'));
      const url = (file: string) => JSON.stringify(pathToFileURL(join(folder, file)).href);
      const tool = programFile(
        `import { createRequire, register } from 'node:module'; const require = createRequire(import.meta.url); ${NOTES}
         register(${url('hook.mjs')}); const { Hook } = await import(${url('index.js')}).then(({ default: Hook }) => ({ Hook }));
         new Hook(${JSON.stringify(names)}, (exports, name) => { instrument(exports.default, name);
           for (const method of wrapped[name.replace(/^node:/, '')] ?? []) exports[method] = exports.default[method]; });`,
        'tool.mjs',
      );
      const hooks = [
        ['-r', registerCjs],
        ['--import', registerMjs],
      ];
      const seen = await compare(['--import', pathToFileURL(tool).href], programFile(ESM, 'program.mjs'), hooks);
      expect(seen.modules).to.include.members(['net', 'http', 'dgram', 'child_process']);
      expect(seen.calls).to.include({ 'net.connect': 1, 'http.get': 1, 'child_process.execFile': 1 });
      const named = await compare(['--import', pathToFileURL(tool).href], programFile(NAMED, 'named.mjs'), hooks);
      expect(named.calls).to.include({
        'net.connect': 1,
        'http.get': 1,
        'child_process.execFile': 1,
        'dgram.createSocket': 1,
      });
    });
  });
}
