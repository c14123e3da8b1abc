import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

const moduleOf = (name: string): string =>
  JSON.stringify(fileURLToPath(new URL(`../../dist/${name}.js`, import.meta.url)));

/** What stands before a snippet: `debug`, and `on` to ask for it. */
const scope = `const { debug } = require(${moduleOf('debug')});
  const on = () => require(${moduleOf('standing')}).begin({ debug: true });`;

/** Runs a snippet in that scope; both streams of the child are pipes. */
function said(snippet: string) {
  return spawnSync(process.execPath, ['-e', `${scope} ${snippet}`], { encoding: 'utf8' }).stderr;
}

describe('debug', () => {
  it('is silent until switched on', () => {
    expect(said("debug('nothing')")).to.equal('');
  });

  it("writes lines in the form of Node's own, percent signs as they are", () => {
    expect(said("on(); debug('100 %d')")).to.match(/^TSLOOP \d+: 100 %d\n$/);
  });

  it('loads no stream for it, as those would load net too early', () => {
    const source = `${scope} on(); debug('x');
      process.exitCode = process.moduleLoadList.includes('NativeModule net') ? 1 : 0;`;
    expect(() =>
      execFileSync(process.execPath, ['-e', source], { stdio: ['ignore', 'ignore', 'pipe'] }),
    ).to.not.throw();
  });
});
