import { expect } from 'chai';
import { readConfig } from '../../dist/boot/config.js';
import { type Outlet, report, reportProblems, STRICT_EXIT_CODE } from '../../dist/boot/report.js';
import { reason } from '../../dist/errors.js';

/** Everything that was said, in order. */
function recorder(): Outlet & { readonly said: unknown[] } {
  const said: unknown[] = [];
  let claimed = false;
  return {
    said,
    warn: (message, code) => said.push({ warn: message, code }),
    writeLine: (text) => said.push({ line: text }),
    exit: (code) => said.push({ exit: code }),
    claim() {
      if (claimed) return false;
      claimed = true;
      return true;
    },
  };
}

describe('boot/report', () => {
  const relaxed = readConfig({});
  const strict = readConfig({ TSLOOP_STRICT: '1' });
  const missing = reason('ERR_TSLOOP_ADDON_MISSING', 'x.node');

  it('warns once, with the code and the consequence', () => {
    const outlet = recorder();
    report(missing, relaxed, outlet);
    report(missing, relaxed, outlet);
    report(reason('ERR_TSLOOP_SEAM', 'TCP'), relaxed, outlet);
    expect(outlet.said).to.deep.equal([
      {
        warn: "tsloop: the native part is missing (x.node); Node's own handles are used",
        code: 'ERR_TSLOOP_ADDON_MISSING',
      },
    ]);
  });

  it('exits with the reason when strict', () => {
    const outlet = recorder();
    report(missing, strict, outlet);
    expect(outlet.said).to.deep.equal([
      { line: 'tsloop: the native part is missing (x.node) [ERR_TSLOOP_ADDON_MISSING] (TSLOOP_STRICT)' },
      { exit: STRICT_EXIT_CODE },
    ]);
  });

  it('keeps clear of the exit codes that Node gives a meaning', () => {
    expect(STRICT_EXIT_CODE).to.be.within(15, 127);
  });

  it('says nothing of what the operator asked for, strict or not', () => {
    const outlet = recorder();
    for (const config of [relaxed, strict]) {
      report(reason('ERR_TSLOOP_OFF'), config, outlet);
      report(reason('ERR_TSLOOP_DISABLED', 'net'), config, outlet);
    }
    expect(outlet.said).to.deep.equal([]);
  });

  it('puts all settings that did not parse into one sentence', () => {
    const outlet = recorder();
    reportProblems(relaxed, outlet);
    expect(outlet.said).to.deep.equal([]);
    reportProblems(readConfig({ TSLOOP_DRIVER: 'fast', TSLOOP_THREADS: '99' }), outlet);
    expect(outlet.said).to.have.lengthOf(1);
    expect(outlet.said[0]).to.have.property('code', 'ERR_TSLOOP_SETTING');
    expect(outlet.said[0])
      .to.have.property('warn')
      .that.matches(/TSLOOP_DRIVER=fast.*TSLOOP_THREADS=99/)
      .and.does.not.match(/handles are used/);
  });
});
