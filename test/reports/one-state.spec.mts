/**
 * `require('tsloop')` from a bundle, a second copy of the package, another module registry or after the require cache was
 * cleared: one state in a thread, which all of them see and change.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { launch } from '../support/launch.mjs';
import { nodes, plainEnvironment, root } from '../support/nodes.mjs';

const entry = join(root, 'dist/index.js');
const hook = ['-r', join(root, 'register.js')];

/** Traffic, then how things stand as the asked copy sees them, then no more traffic of ours. */
const PROGRAM = (ask: string): string => `
  const net = require('node:net');
  const round = () => new Promise((done) => {
    const server = net.createServer((socket) => socket.end('x')).listen(0, '127.0.0.1', () =>
      net.connect(server.address().port, '127.0.0.1').resume().on('close', () => server.close(done)));
  });
  (async () => {
    await round();
    const asked = await (async () => { ${ask} })();
    const seen = [asked.status(), asked.stats().connections.accepted];
    asked.uninstall();
    await round();
    const after = [asked.isActive(), asked.stats().connections.accepted, require(${JSON.stringify(entry)}).isActive()];
    asked.install();
    await round();
    console.log(JSON.stringify([...seen, ...after, asked.isActive(), asked.stats().connections.accepted]));
  })();`;

describe('reports: one state in a thread', () => {
  let scratch: string;
  let second: string;
  let newer: string;

  before(() => {
    scratch = mkdtempSync(join(tmpdir(), 'tsloop-copies-'));
    second = join(scratch, 'second');
    newer = join(scratch, 'newer');
    for (const copy of [second, newer])
      for (const name of ['dist', 'register.js', 'register.mjs', 'package.json'])
        cpSync(join(root, name), join(copy, name), { recursive: true });
    for (const name of ['dist/boot.js', 'dist/api.js']) {
      const file = join(newer, name);
      writeFileSync(file, readFileSync(file, 'utf8').replaceAll('0.1.0', '9.9.9'));
    }
  });
  after(() => rmSync(scratch, { recursive: true, force: true }));

  const ways = (): Record<string, string> => ({
    'its own copy': `return require(${JSON.stringify(entry)})`,
    'a second copy': `return require(${JSON.stringify(join(second, 'dist/index.js'))})`,
    'another version': `return require(${JSON.stringify(join(newer, 'dist/index.js'))})`,
    'a second copy whose preload ran as well': `require(${JSON.stringify(join(second, 'register.js'))});
      return require(${JSON.stringify(join(second, 'dist/index.js'))})`,
    'after the require cache was cleared': `for (const key of Object.keys(require.cache)) delete require.cache[key];
      return require(${JSON.stringify(entry)})`,
    'after the preload ran again': `for (const key of Object.keys(require.cache)) delete require.cache[key];
      require(${JSON.stringify(join(root, 'register.js'))}); return require(${JSON.stringify(entry)})`,
    'an ES module': `return import(${JSON.stringify(entry)})`,
    'a copy joined with the program': `const { readFileSync } = require('node:fs');
      const modules = {};
      const dist = ${JSON.stringify(join(root, 'dist'))};
      const load = (file) => {
        if (!file.startsWith('./')) return require(file);
        if (modules[file]) return modules[file].exports;
        const module = modules[file] = { exports: {} };
        new Function('require', 'module', 'exports', '__dirname', readFileSync(dist + file.slice(1), 'utf8'))(
          load, module, module.exports, '/bundled');
        return module.exports;
      };
      return load('./index.js')`,
    'a registry that shows its modules a copy of process': `const { readFileSync } = require('node:fs');
      const copy = Object.create(Object.getPrototypeOf(process), Object.getOwnPropertyDescriptors(process));
      const modules = {};
      const load = (file) => {
        if (!file.startsWith('.')) return require(file);
        const path = ${JSON.stringify(join(root, 'dist'))} + file.slice(1);
        if (modules[path]) return modules[path].exports;
        const module = modules[path] = { exports: {} };
        require('node:vm').compileFunction(readFileSync(path, 'utf8'), ['require', 'module', 'exports', '__dirname', 'process'])(
          load, module, module.exports, ${JSON.stringify(join(root, 'dist'))}, copy);
        return module.exports;
      };
      return load('./index.js')`,
  });

  for (const line of nodes) {
    it(`whoever asks [${line.version}]`, async () => {
      for (const [who, ask] of Object.entries(ways())) {
        const args = [...hook, '-e', PROGRAM(ask)];
        const { stdout, stderr } = await launch(line.binary, args, { env: plainEnvironment() });
        expect(stderr, who).to.equal('');
        const [status, ...rest] = JSON.parse(stdout) as [{ active: boolean; reason: unknown; version: string }];
        expect([who, status.active, status.reason, status.version]).to.deep.equal([who, true, null, '0.1.0']);
        expect([who, ...rest], who).to.deep.equal([who, 1, false, 1, false, true, 2]);
      }
    });

    it(`two preloads of different copies are one [${line.version}]`, async () => {
      const args = [
        ...hook,
        '-r',
        join(newer, 'register.js'),
        '-e',
        PROGRAM(`return require(${JSON.stringify(join(newer, 'dist/index.js'))})`),
      ];
      const { stdout, stderr } = await launch(line.binary, args, { env: plainEnvironment() });
      expect(stderr).to.equal('');
      expect(JSON.parse(stdout)[0]).to.include({ active: true, version: '0.1.0' });
    });

    it(`late install and uninstall are seen by the names that ES modules import [${line.version}]`, async () => {
      const source = `
        import timers, { setTimeout as named } from 'node:timers';
        import hooks, { createHook } from 'node:async_hooks';
        import { install, uninstall } from ${JSON.stringify(entry)};
        const current = () => [named === timers.setTimeout, createHook === hooks.createHook];
        console.log(JSON.stringify([install(), ...current(), uninstall() === undefined, ...current()]));`;
      const args = ['--input-type=module', '-e', source];
      const { stdout } = await launch(line.binary, args, { env: { ...plainEnvironment(), TSLOOP_ENABLE: 'timers' } });
      expect(JSON.parse(stdout)).to.deep.equal([true, true, true, true, true, true]);
    });
  }
});
