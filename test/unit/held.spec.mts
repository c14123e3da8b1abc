/** What the native part answers about descriptors that it never gave out: the built addon, without the rest of lib/. */
import { closeSync, fstatSync, openSync, readdirSync } from 'node:fs';
import { constants } from 'node:os';
import { expect } from 'chai';
import { layOut } from '../../dist/bindings/process-wrap.js';
import { loadAddon } from '../../dist/boot/addon.js';
import { readConfig } from '../../dist/boot/config.js';
import { findAddon } from '../../dist/boot/found.js';
import { createMemory, type Native, open } from '../../dist/native/index.js';
import { ChildPipe, LAYOUT_STDIO } from '../../dist/native/protocol.js';

const { EBADF } = constants.errno;

describe('native: descriptors that JavaScript holds', () => {
  let native: Native;
  let file: number;

  before(() => {
    const config = readConfig({});
    const loaded = loadAddon(findAddon(config));
    if (loaded.reason !== null) throw new Error(loaded.reason.message);
    const callbacks = { dispatch: () => 0, deferred() {}, closing() {}, receiver: {} };
    const opened = open(loaded.addon, createMemory(), callbacks, config);
    if (opened === undefined) throw new Error('no environment');
    native = opened;
  });

  beforeEach(() => {
    file = openSync('/dev/null', 'r');
  });

  afterEach(() => closeSync(file));

  const count = (): number => readdirSync('/proc/self/fd').length;

  /** A number that is no descriptor. */
  const nobody = (): number => {
    const fd = openSync('/dev/null', 'r');
    closeSync(fd);
    return fd;
  };

  it('claim of what it never gave out answers EBADF, and leaves that alone', () => {
    const before = count();
    for (const fd of [file, nobody(), 0, 2, -1, 2 ** 31 - 1, -(2 ** 31)])
      expect(native.claim(fd), `${fd}`).to.equal(-EBADF);
    for (const none of [undefined, 'x', {}, Number.NaN]) expect(native.claim(none as never)).to.equal(-EBADF);
    expect(count()).to.equal(before);
    expect(fstatSync(file).isCharacterDevice()).to.equal(true);
  });

  it('claim of an end of a pipe answers it once: whoever claims it closes it', () => {
    const before = count();
    const { strings, layout } = layOut({ file: '/bin/true', args: ['true'], envPairs: [] }, [ChildPipe.given, 0, 0]);
    const pid = native.spawn(strings, layout.buffer);
    expect(pid).to.be.above(0);
    const fd = layout[LAYOUT_STDIO] as number;
    expect(fstatSync(fd).isSocket()).to.equal(true);
    expect(native.claim(fd)).to.equal(fd);
    expect(native.claim(fd)).to.equal(-EBADF);
    expect(fstatSync(fd).isSocket()).to.equal(true);
    closeSync(fd);
    // The descriptor of the child stays the reactor's.
    expect(count()).to.equal(before + 1);
  });

  it('claim of a duplicate and of what was adopted; of neither once it is closed', () => {
    const before = count();
    const copy = native.duplicate(file);
    expect(copy).to.be.above(file);
    expect(native.claim(copy)).to.equal(copy);
    expect(native.claim(copy)).to.equal(-EBADF);
    closeSync(copy);
    const other = native.duplicate(file);
    native.closeDescriptor(other);
    expect(native.claim(other)).to.equal(-EBADF);
    expect(native.adopt(file)).to.equal(0);
    expect(native.adopt(file)).to.equal(0);
    expect(native.claim(file)).to.equal(file);
    expect(native.claim(file)).to.equal(-EBADF);
    expect(count()).to.equal(before);
  });

  it('numbers that are no descriptor, or none of a process, are refused', () => {
    const before = count();
    for (const fd of [nobody(), -1, 2 ** 31 - 1]) {
      expect(native.duplicate(fd), `duplicate ${fd}`).to.equal(-EBADF);
      expect(native.adopt(fd), `adopt ${fd}`).to.equal(-EBADF);
      expect(native.reap(fd), `reap ${fd}`).to.equal(-EBADF);
      expect(native.openUdp(fd), `openUdp ${fd}`).to.equal(-EBADF);
      expect(native.claim(fd), `claim ${fd}`).to.equal(-EBADF);
    }
    expect(native.reap(file)).to.be.below(0);
    expect(native.openUdp(file)).to.equal(-constants.errno.ENOTSOCK);
    expect(count()).to.equal(before);
  });
});
