import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

const debugModule = fileURLToPath(new URL('../../dist/debug.js', import.meta.url));

/** Runs a snippet with `debug` and `setDebug` in scope; both streams of the child are pipes. */
function said(snippet: string) {
  const source = `const { debug, setDebug } = require(${JSON.stringify(debugModule)}); ${snippet}`;
  return spawnSync(process.execPath, ['-e', source], { encoding: 'utf8' }).stderr;
}

describe('debug', () => {
  it('is silent until switched on', () => {
    expect(said("debug('nothing')")).to.equal('');
  });

  it("writes lines in the form of Node's own, percent signs as they are", () => {
    expect(said("setDebug(true); debug('100 %d')")).to.match(/^TSLOOP \d+: 100 %d\n$/);
  });

  it('loads no stream for it, as those would load net too early', () => {
    const source = `const { debug, setDebug } = require(${JSON.stringify(debugModule)}); setDebug(true); debug('x');
      process.exitCode = process.moduleLoadList.includes('NativeModule net') ? 1 : 0;`;
    expect(() =>
      execFileSync(process.execPath, ['-e', source], { stdio: ['ignore', 'ignore', 'pipe'] }),
    ).to.not.throw();
  });
});
