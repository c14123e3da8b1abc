import { expect } from 'chai';
import { knobs, readConfig, runs } from '../../dist/boot/config.js';

describe('boot/config', () => {
  it('is on, automatic and quiet in an empty environment', () => {
    expect(readConfig({})).to.deep.equal({
      enabled: true,
      disabled: [],
      added: [],
      strict: false,
      share: 1,
      metrics: null,
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
      TSLOOP_SHARE: '.25',
      TSLOOP_METRICS: '127.0.0.1:9464',
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
      share: 0.25,
      metrics: '127.0.0.1:9464',
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
      TSLOOP_SHARE: '25%',
      TSLOOP_METRICS: 'on',
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

  it('takes a share from 0 to 1', () => {
    for (const [text, share] of [
      ['0', 0],
      ['1', 1],
      ['.5', 0.5],
      ['0.05', 0.05],
    ] as const)
      expect(readConfig({ TSLOOP_SHARE: text }).share, text).to.equal(share);
    for (const text of ['1.1', '-0', '1e-1', 'half', '.', 'NaN'])
      expect(readConfig({ TSLOOP_SHARE: text }), text)
        .to.include({ share: 1 })
        .and.property('problems')
        .lengthOf(1);
  });

  it('takes a port or a path for the metrics', () => {
    for (const text of ['127.0.0.1:9464', 'localhost:0', ':9464', '[::1]:9464', 'unix:/run/x-%p.sock'])
      expect(readConfig({ TSLOOP_METRICS: text }), text).to.deep.include({ metrics: text, problems: [] });
    for (const text of ['9464', '127.0.0.1', '127.0.0.1:65536', '::1:9464', 'unix:', 'http://127.0.0.1:9464', 'a:b'])
      expect(readConfig({ TSLOOP_METRICS: text }), text)
        .to.include({ metrics: null })
        .and.property('problems')
        .lengthOf(1);
  });

  it('names what is no setting, with the one that was meant', () => {
    const said = (name: string) => readConfig({ [name]: '1' }).problems.map(({ message }) => message);
    expect(said('TSLOOP_DRIVR')).to.deep.equal([
      'TSLOOP_DRIVR is ignored: there is no such setting; is TSLOOP_DRIVER meant?',
    ]);
    expect(said('TSLOOP_STRCIT')[0]).to.contain('TSLOOP_STRICT');
    expect(said('TSLOOP_DISABLED')[0]).to.contain('TSLOOP_DISABLE meant');
    expect(said('TSLOOP_COLOUR_OF_THE_LOGO')).to.deep.equal([
      'TSLOOP_COLOUR_OF_THE_LOGO is ignored: there is no such setting',
    ]);
  });

  it('leaves alone what Kubernetes sets for a service of that name', () => {
    const names = ['SERVICE_HOST', 'SERVICE_PORT', 'SERVICE_PORT_HTTP', 'PORT', 'PORT_80_TCP', 'PORT_80_TCP_ADDR'];
    for (const service of ['TSLOOP', 'TSLOOP_API', 'TSLOOP_API_V2'])
      for (const name of names)
        expect(readConfig({ [`${service}_${name}`]: 'x' }).problems, `${service}_${name}`).to.deep.equal([]);
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
