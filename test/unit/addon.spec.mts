import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { detectLibc, type Loader, loadAddon, whyMissing } from '../../dist/boot/addon.js';
import { readConfig } from '../../dist/boot/config.js';
import { addonPath, findAddon } from '../../dist/boot/found.js';

const fake = (over: Partial<Loader> = {}): Loader & { readonly opened: string[] } => {
  const opened: string[] = [];
  return {
    opened,
    exists: () => true,
    dlopen(target, path) {
      opened.push(path);
      target.exports = { loaded: path };
    },
    libc: () => 'glibc',
    ...over,
  };
};

/** An ELF64 header whose only program header names the given interpreter. */
function elf(interpreter: string): Buffer {
  const image = Buffer.alloc(64 + 56 + interpreter.length);
  image.write('\x7fELF', 'latin1');
  image.writeBigUInt64LE(64n, 32);
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
    const loaded = loadAddon(findAddon(config, loader.exists), loader);
    expect(loader.opened).to.deep.equal([addonPath('glibc')]);
    expect(loaded).to.deep.equal({ addon: { loaded: loader.opened[0] }, path: loader.opened[0], reason: null });
  });

  it('looks once: what is there later, or no longer, is nothing to it', () => {
    const found = findAddon(config, fake().exists);
    expect(loadAddon(found, fake({ exists: () => false }))).to.have.property('reason', null);
  });

  it('takes what is there where the C library cannot be told any more', () => {
    const musl = fake({ exists: (path) => path.endsWith('-musl.node'), libc: () => null });
    expect(loadAddon(findAddon(config, musl.exists), musl)).to.have.property('path', addonPath('musl'));
  });

  it('takes none of another C library', () => {
    const other = fake({ exists: (path) => path.endsWith('-musl.node') });
    expect(findAddon(config, other.exists)).to.deep.equal({ named: null, libc: 'musl' });
    expect(loadAddon(findAddon(config, other.exists), other)).to.have.nested.property(
      'reason.code',
      'ERR_TSLOOP_ADDON_MISSING',
    );
    expect(other.opened).to.deep.equal([]);
  });

  it('takes the path of TSLOOP_ADDON without asking for the C library', () => {
    const loader = fake({
      libc() {
        throw new Error('nobody asked');
      },
    });
    loadAddon(findAddon(readConfig({ TSLOOP_ADDON: '/elsewhere/x.node' }), loader.exists), loader);
    expect(loader.opened).to.deep.equal(['/elsewhere/x.node']);
  });

  it('answers a missing file with a reason and loads nothing', () => {
    const loader = fake({ exists: () => false });
    const found = findAddon(config, loader.exists);
    const loaded = loadAddon(found, loader);
    expect(loaded).to.have.nested.property('reason.code', 'ERR_TSLOOP_ADDON_MISSING');
    expect(loaded).to.have.nested.property('reason.message').that.contains(addonPath('glibc'));
    expect(loader.opened).to.deep.equal([]);
    expect(whyMissing(found, loader)?.code).to.equal('ERR_TSLOOP_ADDON_MISSING');
    expect(whyMissing(findAddon(config, fake().exists))).to.equal(null);
  });

  const refused = (thrown: unknown) => {
    const loader = fake({
      dlopen() {
        throw thrown;
      },
    });
    return loadAddon(findAddon(config, loader.exists), loader);
  };

  it('answers a loader that throws, anything, with the first line as reason', () => {
    for (const thrown of [new Error('no such symbol\n    at dlopen'), 'no such symbol']) {
      const loaded = refused(thrown);
      expect(loaded).to.have.nested.property('reason.code', 'ERR_TSLOOP_ADDON_UNLOADABLE');
      expect(loaded).to.have.nested.property('reason.message', 'the native part cannot be loaded (no such symbol)');
      expect(loaded).to.have.nested.property('reason.quiet', false);
    }
  });

  it('is quiet about a file that the system does not open any more', () => {
    const words = 'x.node: cannot open shared object file: Too many open files';
    expect(refused(new Error(words))).to.have.nested.property('reason.quiet', true);
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

    it('falls back to the memory map for what is no ELF file', () => {
      expect(detect('#!/bin/sh\n')).to.equal(detectLibc());
      expect(detect(elf('/lib/ld-musl-x86_64.so.1\0').subarray(0, 70))).to.equal(detectLibc());
      expect(detectLibc(join(scratch, 'missing'))).to.equal(detectLibc());
    });
  });
});
