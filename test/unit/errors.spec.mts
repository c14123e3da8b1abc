import { expect } from 'chai';
import { codes, reason, TsloopError, wasAsked } from '../../dist/errors.js';

describe('errors', () => {
  it('has a sentence without holes for every code', () => {
    expect(codes).to.not.be.empty;
    for (const code of codes) {
      const why = reason(code, 'this detail');
      expect(why.code).to.equal(code);
      expect(why.message)
        .to.be.a('string')
        .and.not.match(/undefined|^\s*$/);
    }
  });

  it('tells what was asked for from what went wrong', () => {
    expect(codes.filter((code) => wasAsked(reason(code)))).to.deep.equal([
      'ERR_TSLOOP_OFF',
      'ERR_TSLOOP_DISABLED',
      'ERR_TSLOOP_SHARE',
    ]);
  });

  it('carries the code and the cause on what the public API throws', () => {
    const cause = new Error('below');
    const error = new TsloopError(reason('ERR_TSLOOP_SETTING', 'x takes y'), { cause });
    expect(error).to.be.instanceOf(Error);
    expect(error).to.include({ name: 'TsloopError', code: 'ERR_TSLOOP_SETTING', cause, message: 'tsloop: x takes y' });
  });
});
