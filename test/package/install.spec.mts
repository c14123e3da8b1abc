/**
 * What a user gets from the packages: an installed copy that runs without Rust, and, where something of it is missing or
 * wrong, one warning with the remedy. `npm run package` packs, installs and runs these.
 */
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { type Ending, launch } from '../support/launch.mjs';
import { type NodeLine, nodes, plainEnvironment, product, root } from '../support/nodes.mjs';
import { EXCHANGE } from '../support/programs.mjs';
import { serveRegistry } from '../support/registry.mjs';

const exec = promisify(execFile);

const tarballs = process.env['TSLOOP_TEST_PACKAGES'];
if (tarballs === undefined) throw new Error('these are run by `npm test -- package` or `npm run package`');

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
const own = `@tsloop/linux-${process.arch}-gnu`;
const remedy = `npm install --save-optional ${own}@${version}`;

/** The folder that the tarballs were installed into. */
const installed = join(product, '..', '..');

const scratch = mkdtempSync(join(tmpdir(), 'tsloop-installed-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** A folder of commands that has this Node and nothing that builds. */
function commands(line: NodeLine): string {
  const folder = mkdtempSync(join(scratch, 'bin-'));
  symlinkSync(line.binary, join(folder, 'node'));
  symlinkSync('/bin/sh', join(folder, 'sh'));
  return folder;
}

function environment(line: NodeLine): Record<string, string> {
  return { ...plainEnvironment(), PATH: commands(line) };
}

/** A copy of what was installed, to be spoilt. */
function copy(): string {
  const folder = mkdtempSync(join(scratch, 'copy-'));
  cpSync(join(installed, 'node_modules'), join(folder, 'node_modules'), { recursive: true });
  return folder;
}

const addonIn = (folder: string): string => join(folder, 'node_modules', own, 'tsloop.node');

/** The file with some bytes replaced by as many others, everywhere; they must be there. */
function replaced(file: string, from: string, to: string): void {
  const text = readFileSync(file, 'latin1');
  expect(text.includes(from), `${from} in ${file}`).to.equal(true);
  expect(to).to.have.length(from.length);
  writeFileSync(file, text.replaceAll(from, to), 'latin1');
}

function run(line: NodeLine, folder: string, source: string, args: readonly string[] = []): Promise<Ending> {
  writeFileSync(join(folder, 'program.cjs'), source);
  const hook = ['-r', 'tsloop/register', ...args, 'program.cjs'];
  return launch(line.binary, hook, { cwd: folder, env: environment(line) });
}

const ASK = `const tsloop = require('tsloop');
if (process.env.MOCKED) {
  const fs = require('node:fs');
  for (const name of Object.keys(fs)) if (/Sync$/.test(name)) fs[name] = () => { throw new Error('mocked: ' + name); };
}
require('node:net').createServer().listen(0, function () {
  this.close();
  const { active, reason } = tsloop.status();
  console.log(JSON.stringify({ active, reason }));
});`;

for (const line of nodes) {
  describe(`installed from its packages, on Node ${line.version}`, () => {
    it('is active without Rust: `npx tsloop doctor` says so', async () => {
      const env = environment(line);
      const found = await exec('sh', ['-c', 'command -v cargo || command -v rustc || echo none'], { env });
      expect(found.stdout).to.equal('none\n');
      const { code, stdout, stderr } = await launch(join(installed, 'node_modules/.bin/tsloop'), ['doctor', '--json'], {
        cwd: installed,
        env,
      });
      const { active, versions, warnings } = JSON.parse(stdout) as Record<string, unknown>;
      expect([code, active, stderr, warnings]).to.deep.equal([0, true, '', []]);
      expect(versions).to.have.nested.property('native.version', version);
      expect(versions).to.have.property('node', line.version);
    });

    for (const driver of ['inline', 'offload'])
      it(`http, fetch, datagrams and a child, ${driver}`, async () => {
        const folder = copy();
        cpSync(join(root, 'build/package/smoke.cjs'), join(folder, 'smoke.cjs'));
        const env = { ...environment(line), TSLOOP_STRICT: '1', TSLOOP_DRIVER: driver };
        const ended = await launch(line.binary, ['-r', 'tsloop/register', 'smoke.cjs'], { cwd: folder, env });
        expect([ended.code, ended.stderr]).to.deep.equal([0, '']);
        expect(JSON.parse(ended.stdout)).to.include({ driver, node: `v${line.version}` });
      });

    it('is found by --import as well, past hooks of `require`, with a mocked fs', async () => {
      const folder = copy();
      writeFileSync(
        join(folder, 'hook.cjs'),
        `const Module = require('node:module');
        const refuse = (name) => { if (/@tsloop|\\.node$/.test(name)) throw new Error('refused: ' + name); };
        for (const method of ['_load', '_resolveFilename', '_findPath']) {
          const own = Module[method];
          Module[method] = function (name, ...rest) { refuse(String(name)); return own.call(this, name, ...rest); };
        }
        Module._extensions['.node'] = () => refuse('.node');`,
      );
      writeFileSync(join(folder, 'program.cjs'), ASK);
      const env = { ...environment(line), MOCKED: '1' };
      for (const hook of [
        ['-r', './hook.cjs', '-r', 'tsloop/register'],
        ['--import', 'tsloop/register'],
      ]) {
        const ended = await launch(line.binary, [...hook, 'program.cjs'], { cwd: folder, env });
        expect([ended.stderr, ended.stdout]).to.deep.equal(['', '{"active":true,"reason":null}\n']);
      }
    });

    const missing = 'ERR_TSLOOP_ADDON_MISSING';
    const unloadable = 'ERR_TSLOOP_ADDON_UNLOADABLE';
    const faults: Record<string, { spoil(folder: string): void; code: string; says: string }> = {
      'no package at all': {
        spoil: (folder) => rmSync(join(folder, 'node_modules/@tsloop'), { recursive: true }),
        code: missing,
        says: 'lockfile',
      },
      'the package of another platform only': {
        spoil: (folder) => {
          const other = join(folder, 'node_modules/@tsloop/linux-riscv64-gnu');
          cpSync(dirname(addonIn(folder)), other, { recursive: true });
          rmSync(dirname(addonIn(folder)), { recursive: true });
        },
        code: missing,
        says: 'is not installed',
      },
      'the package of the other C library only': {
        spoil: (folder) => {
          cpSync(dirname(addonIn(folder)), dirname(addonIn(folder)).replace(/gnu$/, 'musl'), { recursive: true });
          rmSync(dirname(addonIn(folder)), { recursive: true });
        },
        code: missing,
        says: 'is not installed',
      },
      'a package without its file': {
        spoil: (folder) => rmSync(addonIn(folder)),
        code: missing,
        says: 'is not installed',
      },
      'a file for another processor': {
        spoil(folder) {
          const bytes = readFileSync(addonIn(folder));
          bytes.writeUInt16LE(process.arch === 'x64' ? 183 : 62, 18);
          writeFileSync(addonIn(folder), bytes);
        },
        code: unloadable,
        says: `the file is not for ${process.arch}`,
      },
      'a file that musl was linked with': {
        spoil: (folder) => replaced(addonIn(folder), '\0libc.so.6\0', '\0libc.so\0\0\0'),
        code: unloadable,
        says: 'libc.so',
      },
      'a file of another version': {
        spoil: (folder) => replaced(addonIn(folder), `"version":"${version}"`, '"version":"9.9.9"'),
        code: unloadable,
        says: `the file is of version 9.9.9, this is tsloop ${version}`,
      },
      ...Object.fromEntries(
        [0, 1, 0.5, 0.999_999].map((part) => [
          `a file cut off at ${part === 1 ? 'its last byte' : part}`,
          {
            spoil(folder: string) {
              const bytes = readFileSync(addonIn(folder));
              writeFileSync(addonIn(folder), bytes.subarray(0, part === 1 ? -1 : Math.floor(bytes.length * part)));
            },
            code: unloadable,
            says: 'the file ends early',
          },
        ]),
      ),
    };
    for (const [name, { spoil, code, says }] of Object.entries(faults))
      it(`${name}: the program runs, with one warning and the remedy`, async () => {
        const folder = copy();
        spoil(folder);
        const whole = await run(line, installed, EXCHANGE);
        expect([whole.code, whole.stdout, whole.stderr]).to.deep.equal([5, 'pong\n', '']);
        const ended = await run(line, folder, EXCHANGE);
        expect([ended.code, ended.stdout]).to.deep.equal([5, 'pong\n']);
        expect(ended.stderr.split('TsloopWarning'), ended.stderr).to.have.length(2);
        for (const words of [code, says, remedy]) expect(ended.stderr).to.contain(words);
        const answer = await run(line, folder, ASK, ['--no-warnings']);
        expect(JSON.parse(answer.stdout)).to.deep.equal({ active: false, reason: code });
      });
  });
}

describe('installed from a registry', () => {
  const npm = (folder: string, registry: string, args: readonly string[]) =>
    exec('npm', [...args, `--registry=${registry}`, `--cache=${join(folder, '.npm')}`, '--no-audit', '--no-fund'], {
      cwd: folder,
      env: { ...plainEnvironment(), npm_config_update_notifier: 'false' },
    });
  const [line] = nodes as readonly [NodeLine];
  const present = (folder: string) => readdirSync(join(folder, 'node_modules/@tsloop'));
  const answer = async (folder: string) => JSON.parse((await run(line, folder, ASK)).stdout) as { active: boolean };

  let registry: Awaited<ReturnType<typeof serveRegistry>>;
  before(async () => {
    registry = await serveRegistry(tarballs);
  });
  after(() => registry.close());

  function empty(): string {
    const folder = mkdtempSync(join(scratch, 'project-'));
    writeFileSync(join(folder, 'package.json'), '{"name":"app","version":"1.0.0"}');
    return folder;
  }

  it('`npm install tsloop` brings the package of this platform and no other', async () => {
    const folder = empty();
    await npm(folder, registry.address, ['install', 'tsloop']);
    expect(present(folder)).to.deep.equal([own.replace('@tsloop/', '')]);
    expect(await answer(folder)).to.have.property('active', true);
    const { packages } = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, unknown>;
    };
    const locked = Object.keys(packages).filter((name) => name.startsWith('node_modules/@tsloop/'));
    expect(locked, 'the lockfile serves every platform').to.have.length(4);
  });

  it('who left the package out is told the command that brings it for good', async () => {
    const folder = empty();
    await npm(folder, registry.address, ['install', 'tsloop', '--omit=optional']);
    const told = await run(line, folder, EXCHANGE);
    expect(told.stdout).to.equal('pong\n');
    const [command] = /npm install --save-optional \S+/.exec(told.stderr) ?? [];
    expect(command, told.stderr).to.equal(remedy);
    await npm(folder, registry.address, (command as string).split(' ').slice(1));
    expect(await answer(folder)).to.have.property('active', true);
    await npm(folder, registry.address, ['ci']);
    expect(await answer(folder)).to.have.property('active', true);
  });

  it('is found where another version of the program’s own is hoisted, and in a store of links', async () => {
    const folder = empty();
    const from = join(installed, 'node_modules');
    const nested = join(folder, 'node_modules/tsloop/node_modules');
    cpSync(join(from, 'tsloop'), join(folder, 'node_modules/tsloop'), { recursive: true });
    cpSync(join(from, '@tsloop'), join(nested, '@tsloop'), { recursive: true });
    mkdirSync(join(folder, 'node_modules', own), { recursive: true });
    writeFileSync(join(folder, 'node_modules', own, 'tsloop.node'), 'of another version');
    expect(await answer(folder)).to.have.property('active', true);

    const linked = empty();
    const store = join(linked, 'node_modules/.pnpm');
    cpSync(join(from, 'tsloop'), join(store, 'tsloop/node_modules/tsloop'), { recursive: true });
    cpSync(join(from, '@tsloop'), join(store, 'native/node_modules/@tsloop'), { recursive: true });
    symlinkSync(join(store, 'native/node_modules/@tsloop'), join(store, 'tsloop/node_modules/@tsloop'));
    symlinkSync(join(store, 'tsloop/node_modules/tsloop'), join(linked, 'node_modules/tsloop'));
    expect(await answer(linked)).to.have.property('active', true);
  });
});
