import { expect } from 'chai';
import { readConfig } from '../../dist/boot/config.js';
import { type Host, mayRun } from '../../dist/boot/guard.js';
import type { Code } from '../../dist/errors.js';

const good: Host = {
  versions: { node: '20.20.2' },
  platform: 'linux',
  arch: 'x64',
  execArgv: [],
  binding: () => ({}),
};

const code = (host: Partial<Host>, env: NodeJS.ProcessEnv = {}): Code | undefined =>
  mayRun(readConfig(env), { ...good, ...host })?.code;

describe('boot/guard', () => {
  it('says yes on each supported line and platform', () => {
    for (const node of ['20.0.0', '22.23.3', '24.21.0', '26.10.0', '31.0.0-nightly']) {
      expect(code({ versions: { node } }), node).to.equal(undefined);
    }
    expect(code({ arch: 'arm64' })).to.equal(undefined);
  });

  it('says yes to the Node that runs this test', () => {
    expect(mayRun(readConfig({}))).to.equal(null);
  });

  it('steps aside when asked to', () => {
    expect(code({}, { TSLOOP: 'off' })).to.equal('ERR_TSLOOP_OFF');
    expect(code({}, { TSLOOP: '0' })).to.equal('ERR_TSLOOP_OFF');
    expect(code({}, { TSLOOP_DISABLE: 'net,dgram,child_process' })).to.equal('ERR_TSLOOP_DISABLED');
    for (const part of ['net', 'dgram']) expect(code({}, { TSLOOP_DISABLE: part }), part).to.equal(undefined);
  });

  it('needs Node 20 and its bindings', () => {
    for (const node of ['18.20.8', '19.9.0', '8.0.0', 'unheard of']) {
      expect(code({ versions: { node } }), node).to.equal('ERR_TSLOOP_UNSUPPORTED_NODE');
    }
    expect(code({ versions: {} })).to.equal('ERR_TSLOOP_UNSUPPORTED_NODE');
    expect(code({ binding: undefined })).to.equal('ERR_TSLOOP_UNSUPPORTED_NODE');
  });

  it('knows the runtimes that only look like Node', () => {
    for (const name of ['bun', 'deno', 'electron']) {
      const why = mayRun(readConfig({}), { ...good, versions: { node: '22.0.0', [name]: '1.0.0' } });
      expect(why?.code).to.equal('ERR_TSLOOP_UNSUPPORTED_RUNTIME');
      expect(why?.message).to.contain(name);
    }
  });

  it('names a platform it has no native part for', () => {
    for (const [platform, arch] of [
      ['darwin', 'arm64'],
      ['win32', 'x64'],
      ['linux', 'riscv64'],
    ] as const) {
      const why = mayRun(readConfig({}), { ...good, platform, arch });
      expect(why?.code).to.equal('ERR_TSLOOP_UNSUPPORTED_PLATFORM');
      expect(why?.message).to.contain(`${platform}-${arch}`);
    }
  });

  it('steps aside for modes that keep bindings or addons away', () => {
    expect(code({ permission: { has: () => true } })).to.equal('ERR_TSLOOP_PERMISSION');
    expect(code({ execArgv: ['--no-addons'] })).to.equal('ERR_TSLOOP_NO_ADDONS');
    expect(code({}, { NODE_OPTIONS: '--enable-source-maps  --no-addons' })).to.equal('ERR_TSLOOP_NO_ADDONS');
    expect(code({}, { NODE_OPTIONS: '--title=x--no-addons' })).to.equal(undefined);
    expect(code({ execArgv: ['--build-snapshot'] })).to.equal('ERR_TSLOOP_SNAPSHOT');
    expect(code({ execArgv: ['--build-snapshot-config=x'] })).to.equal('ERR_TSLOOP_SNAPSHOT');
  });

  it('never throws, whatever the host does', () => {
    const hostile = new Proxy(good, {
      get() {
        throw new Error('not today');
      },
    });
    const why = mayRun(readConfig({}), hostile);
    expect(why?.code).to.equal('ERR_TSLOOP_INTERNAL');
    expect(why?.message).to.contain('not today');
  });
});
