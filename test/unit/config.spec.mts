import { expect } from 'chai';
import { knobs, readConfig, runs } from '../../dist/boot/config.js';

describe('boot/config', () => {
  it('is on, automatic and quiet in an empty environment', () => {
    expect(readConfig({})).to.deep.equal({
      enabled: true,
      disabled: [],
      added: [],
      strict: false,
      driver: 'auto',
      seed: null,
      threads: 1,
      addon: null,
      debug: false,
      nodeOptions: '',
      problems: [],
    });
  });

  it('reads every setting', () => {
    const config = readConfig({
      TSLOOP: 'off',
      TSLOOP_DISABLE: 'dgram, net',
      TSLOOP_ENABLE: 'timers',
      TSLOOP_STRICT: '1',
      TSLOOP_DRIVER: 'random',
      TSLOOP_SEED: '4294967295',
      TSLOOP_THREADS: '16',
      TSLOOP_ADDON: '/elsewhere/tsloop.node',
      NODE_OPTIONS: '--no-addons',
    });
    expect(config).to.deep.include({
      enabled: false,
      disabled: ['net', 'dgram'],
      added: ['timers'],
      strict: true,
      driver: 'random',
      seed: 0xffff_ffff,
      threads: 16,
      addon: '/elsewhere/tsloop.node',
      nodeOptions: '--no-addons',
      problems: [],
    });
  });

  it('takes an empty value as absent', () => {
    for (const { key, name } of knobs) {
      const config = readConfig({ [name]: ' ' });
      expect(config[key], name).to.deep.equal(readConfig({})[key]);
      expect(config.problems, name).to.deep.equal([]);
    }
  });

  it('uses the default and names the problem when a value does not parse', () => {
    const wrong: Record<string, string> = {
      TSLOOP: 'maybe',
      TSLOOP_DISABLE: 'net,nothing',
      TSLOOP_ENABLE: 'everything',
      TSLOOP_STRICT: '2',
      TSLOOP_DRIVER: 'fast',
      TSLOOP_SEED: '-1',
      TSLOOP_THREADS: '17',
    };
    for (const [name, value] of Object.entries(wrong)) {
      const { problems, ...rest } = readConfig({ [name]: value });
      const { problems: none, ...defaults } = readConfig({});
      expect(none).to.deep.equal([]);
      expect(rest, name).to.deep.equal(defaults);
      expect(problems.map(({ code }) => code)).to.deep.equal(['ERR_TSLOOP_SETTING']);
      expect(problems[0]?.message).to.contain(name).and.contain(value);
    }
  });

  it('bounds whole numbers and refuses anything else', () => {
    for (const text of ['0', '17', '1.5', '1e1', '0x1', 'one', '1 2']) {
      const config = readConfig({ TSLOOP_THREADS: text });
      expect(config.threads, text).to.equal(1);
      expect(config.problems, text).to.have.lengthOf(1);
    }
    expect(readConfig({ TSLOOP_THREADS: ' 8 ' }).threads).to.equal(8);
  });

  it('finds itself in NODE_DEBUG as Node finds its own sections', () => {
    for (const sections of ['tsloop', 'net,tsloop', 'TSLOOP', 'ts*', '*', ' tsloop ']) {
      expect(readConfig({ NODE_DEBUG: sections }).debug, sections).to.equal(true);
    }
    for (const sections of ['', 'net', 'tsloops', 'xtsloop', 't.loop', '(']) {
      expect(readConfig({ NODE_DEBUG: sections }).debug, sections).to.equal(false);
    }
  });

  it('runs timers only where they are asked for, and not where they are switched off', () => {
    expect(runs(readConfig({}), 'net')).to.equal(true);
    expect(runs(readConfig({}), 'timers')).to.equal(false);
    expect(runs(readConfig({ TSLOOP_ENABLE: 'timers' }), 'timers')).to.equal(true);
    expect(runs(readConfig({ TSLOOP_ENABLE: 'timers', TSLOOP_DISABLE: 'timers' }), 'timers')).to.equal(false);
    expect(runs(readConfig({ TSLOOP_DISABLE: 'net' }), 'net')).to.equal(false);
  });
});
