import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { detectLibc, type Loader, loadAddon, whyMissing } from '../../dist/boot/addon.js';
import { readConfig } from '../../dist/boot/config.js';
import { faultOf } from '../../dist/boot/elf.js';
import { addonPath, findAddon, packageName } from '../../dist/boot/found.js';
import { root } from '../support/nodes.mjs';

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

const informed = (of: string) => ({ buildInfo: () => JSON.stringify({ version: of }) });

const fake = (over: Partial<Loader> = {}): Loader & { readonly opened: string[] } => {
  const opened: string[] = [];
  return {
    opened,
    dlopen(target, path) {
      opened.push(path);
      target.exports = informed(version);
    },
    fault: () => null,
    libc: () => 'glibc',
    installed: false,
    ...over,
  };
};

const all = () => true;
const none = () => false;
const musl = (path: string) => path.endsWith('-musl.node');

/** An ELF64 header whose only program header names the given interpreter. */
function elf(interpreter: string): Buffer {
  const image = Buffer.alloc(64 + 56 + interpreter.length);
  image.write('\x7fELF', 'latin1');
  image.writeUInt16LE({ x64: 62, arm64: 183 }[process.arch as 'x64'], 18);
  image.writeBigUInt64LE(64n, 32);
  // Its table of sections, of as many bytes as there are, ends the file.
  image.writeBigUInt64LE(120n, 40);
  image.writeUInt16LE(interpreter.length, 58);
  image.writeUInt16LE(1, 60);
  image.writeUInt16LE(56, 54);
  image.writeUInt16LE(1, 56);
  image.writeUInt32LE(3, 64);
  image.writeBigUInt64LE(120n, 64 + 8);
  image.writeBigUInt64LE(BigInt(interpreter.length), 64 + 32);
  image.write(interpreter, 120, 'latin1');
  return image;
}

describe('boot/addon', () => {
  const config = readConfig({});

  it('looks beside the compiled sources for this machine and C library', () => {
    const stem = `tsloop.${process.platform}-${process.arch}`;
    expect(addonPath('glibc')).to.match(new RegExp(`/dist/${stem}-glibc\\.node$`));
    expect(addonPath('musl')).to.match(new RegExp(`/dist/${stem}-musl\\.node$`));
  });

  it('loads what it found', () => {
    const loader = fake();
    const loaded = loadAddon(findAddon(config, all), loader);
    expect(loader.opened).to.deep.equal([addonPath('glibc')]);
    expect(loaded).to.include({ path: loader.opened[0], reason: null });
  });

  it('takes what is there where the C library cannot be told any more', () => {
    expect(loadAddon(findAddon(config, musl), fake({ libc: () => null }))).to.have.property('path', addonPath('musl'));
  });

  it('takes the one of this C library where both are there, and none of another', () => {
    expect(loadAddon(findAddon(config, all), fake({ libc: () => 'musl' }))).to.have.property('path', addonPath('musl'));
    const loader = fake();
    const code = loadAddon(findAddon(config, musl), loader);
    expect(code).to.have.nested.property('reason.code', 'ERR_TSLOOP_ADDON_MISSING');
    expect(loader.opened).to.deep.equal([]);
  });

  it('takes the path of TSLOOP_ADDON without asking for the C library', () => {
    const loader = fake({
      libc() {
        throw new Error('nobody asked');
      },
    });
    loadAddon(findAddon(readConfig({ TSLOOP_ADDON: '/elsewhere/x.node' }), all), loader);
    expect(loader.opened).to.deep.equal(['/elsewhere/x.node']);
  });

  describe('the package of the platform', () => {
    const there = (...paths: string[]) => {
      const seen: string[] = [];
      const isThere = (path: string) => {
        seen.push(path);
        return paths.includes(path);
      };
      return { seen, found: findAddon(config, isThere) };
    };
    const beside = join(root, '..', 'node_modules');
    const scope = join(beside, '@tsloop');
    const file = join(beside, packageName('musl'), 'tsloop.node');

    it('is looked for behind the checkout’s own, and from the nearest folder up', () => {
      const { seen, found } = there();
      expect(found).to.deep.equal({ named: null, glibc: null, musl: null });
      expect(seen.slice(0, 4)).to.deep.equal([
        addonPath('glibc'),
        addonPath('musl'),
        join(root, 'node_modules/@tsloop'),
        scope,
      ]);
      expect(seen.at(-1)).to.equal('/node_modules/@tsloop');
    });

    it('is found by its name, for either C library', () => {
      expect(packageName('glibc')).to.equal(`@tsloop/${process.platform}-${process.arch}-gnu`);
      const other = file.replace(packageName('musl'), packageName('glibc'));
      expect(there(scope, file).found).to.deep.equal({ named: null, glibc: null, musl: file });
      expect(there(scope, file, other).found).to.deep.equal({ named: null, glibc: other, musl: file });
      expect(there(scope, file, addonPath('glibc')).found).to.deep.equal({
        named: null,
        glibc: addonPath('glibc'),
        musl: null,
      });
    });

    it('looks further where a folder of the name holds none', () => {
      const nested = join(root, 'node_modules/@tsloop');
      expect(there(nested, scope, file).found.musl).to.equal(file);
    });
  });

  it('answers a missing file with a reason and loads nothing', () => {
    const loader = fake();
    const found = findAddon(config, none);
    const loaded = loadAddon(found, loader);
    expect(loaded).to.have.nested.property('reason.code', 'ERR_TSLOOP_ADDON_MISSING');
    expect(loaded).to.have.nested.property('reason.message').that.contains(addonPath('glibc'));
    expect(loaded).to.have.nested.property('reason.message').that.contains('npm run build:native');
    expect(loader.opened).to.deep.equal([]);
    expect(whyMissing(found, loader)?.code).to.equal('ERR_TSLOOP_ADDON_MISSING');
    expect(whyMissing(findAddon(config, all))).to.equal(null);
  });

  it('names the command that brings the package of this platform, where this copy was installed', () => {
    for (const libc of ['glibc', 'musl'] as const) {
      const why = whyMissing(findAddon(config, none), fake({ installed: true, libc: () => libc }));
      expect(why?.message).to.contain(`npm install --save-optional ${packageName(libc)}@${version}`);
      expect(why?.message).to.contain('lockfile');
    }
  });

  const refused = (thrown: unknown, over: Partial<Loader> = {}) =>
    loadAddon(
      findAddon(config, all),
      fake({
        dlopen() {
          throw thrown;
        },
        ...over,
      }),
    );

  it('answers a loader that throws, anything, with the first line as reason, and the remedy', () => {
    for (const thrown of [new Error('no such symbol\n    at dlopen'), 'no such symbol']) {
      const loaded = refused(thrown);
      expect(loaded).to.have.nested.property('reason.code', 'ERR_TSLOOP_ADDON_UNLOADABLE');
      expect(loaded).to.have.nested.property(
        'reason.message',
        'the native part cannot be loaded (no such symbol; npm run build:native builds it)',
      );
      expect(loaded).to.have.nested.property('reason.quiet', false);
    }
    const message = refused('no such symbol', { installed: true });
    expect(message)
      .to.have.nested.property('reason.message')
      .that.contains(`npm install --save-optional ${packageName('glibc')}@${version}`);
  });

  it('is quiet about a file that the system does not open any more, not about a library that it does not have', () => {
    const path = addonPath('glibc');
    for (const [words, quiet] of [
      [`${path}: cannot open shared object file: Too many open files`, true],
      ['libc.musl-x86_64.so.1: cannot open shared object file: No such file or directory', false],
      [`Error loading shared library ${path}: No file descriptors available`, true],
      [`Error loading shared library libc.so.6: No such file or directory (needed by ${path})`, false],
      [`${path}: failed to map segment from shared object: Cannot allocate memory`, true],
    ] as const)
      expect(refused(new Error(words)), words).to.have.nested.property('reason.quiet', quiet);
  });

  it('takes none of another version, and nothing that is not ours', () => {
    for (const [exports, words] of [
      [informed('0.0.1'), `of version 0.0.1, this is tsloop ${version}`],
      [{}, 'no native part of tsloop'],
    ] as const) {
      const loader = fake({
        dlopen(target) {
          target.exports = exports;
        },
      });
      const loaded = loadAddon(findAddon(config, all), loader);
      expect(loaded).to.have.nested.property('reason.code', 'ERR_TSLOOP_ADDON_UNLOADABLE');
      expect(loaded).to.have.nested.property('reason.message').that.contains(words);
    }
  });

  it('loads nothing that has a fault', () => {
    const loader = fake({ fault: () => 'the file ends early' });
    const loaded = loadAddon(findAddon(config, all), loader);
    expect(loaded)
      .to.have.nested.property('reason.message')
      .that.contains(`${addonPath('glibc')}: the file ends early`);
    expect(loader.opened).to.deep.equal([]);
  });

  it('answers a file that is no addon with a reason', () => {
    const loaded = loadAddon(findAddon(readConfig({ TSLOOP_ADDON: process.execPath.replace(/[^/]*$/, '') })));
    expect(loaded).to.have.nested.property('reason.code', 'ERR_TSLOOP_ADDON_UNLOADABLE');
  });

  describe('detectLibc', () => {
    let scratch: string;
    before(() => {
      scratch = mkdtempSync(join(tmpdir(), 'tsloop-elf-'));
    });
    after(() => rmSync(scratch, { recursive: true, force: true }));

    const detect = (content: Buffer | string) => {
      const file = join(scratch, 'node');
      writeFileSync(file, content);
      return detectLibc(file);
    };

    it('reads the interpreter of the executable', () => {
      expect(detect(elf('/lib/ld-musl-x86_64.so.1\0'))).to.equal('musl');
      expect(detect(elf('/lib64/ld-linux-x86-64.so.2\0'))).to.equal('glibc');
    });

    it('agrees with the report of this very Node', () => {
      const { header } = process.report.getReport() as unknown as { header: Record<string, unknown> };
      expect(detectLibc()).to.equal(header['glibcVersionRuntime'] === undefined ? 'musl' : 'glibc');
    });

    it('finds what the loader would not tell of', () => {
      const file = join(scratch, 'library');
      const { arch } = process;
      const image = elf('/lib/ld-musl-x86_64.so.1\0');
      const fault = (change?: () => void) => {
        writeFileSync(file, image);
        change?.();
        return faultOf(file, arch);
      };
      const words = `the file is not for ${arch}`;
      expect(fault()).to.equal(null);
      for (const length of [0, 63, 64, image.length - 1])
        expect(fault(() => truncateSync(file, length))).to.equal('the file ends early');
      expect(faultOf(file, arch === 'x64' ? 'arm64' : 'x64')).to.not.equal(null);
      expect(fault(() => writeFileSync(file, '#!/bin/sh\n'.repeat(9)))).to.equal(words);
      image.writeUInt16LE(40, 18);
      expect(fault()).to.equal(words);
      expect(faultOf(join(scratch, 'missing'), arch)).to.equal(null);
    });

    it('falls back to the memory map for what is no ELF file', () => {
      expect(detect('#!/bin/sh\n')).to.equal(detectLibc());
      expect(detect(elf('/lib/ld-musl-x86_64.so.1\0').subarray(0, 70))).to.equal(detectLibc());
      expect(detectLibc(join(scratch, 'missing'))).to.equal(detectLibc());
    });
  });
});
