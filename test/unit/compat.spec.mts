/** The judge of Node's suite: what it takes for the pinned copy, and what it writes of a run. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';

/** The runner is not compiled: its modules lie beside the specs' folder, in the source and in the build. */
const load = (name: string): Promise<never> =>
  import(new URL(`../../test/node-compat/${name}.mjs`, import.meta.url).href) as never;
interface Source {
  from: string;
  file: string;
  sha256: string;
}
type Outcome = { dir: string; blobs: Map<string, string> } | { missing: string };
const fetching: {
  suiteOf(
    pin: { lines: Record<string, { node: string; sources: Source[] }> },
    line: string,
    options: { named?: string; say(text: string): void },
  ): Promise<Outcome>;
  nodeOf(pin: { nodes: object }, line: string, say: (text: string) => void): Promise<{ missing?: string }>;
} = await load('fetch');
const expectations: { readExpectations(dir?: string): { exceptions: { lines: number[] }[] }[] } =
  await load('expectations');
const parity: { parityPage(report: object, all: object[]): string } = await load('parity');

describe("compat: the copy of Node's suite", () => {
  let folder: string;
  let source: Source;
  const made: string[] = [];
  const pin = () => ({ lines: { '20': { node: '20.0.0', sources: [source] } } });
  const suite = () => fetching.suiteOf(pin(), '20', { named: folder, say: () => undefined });

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tsloop-spec-'));
    const names = ['common', 'parallel', 'sequential', 'async-hooks', 'fixtures/wpt', 'fixtures/keys'];
    for (const name of names) mkdirSync(join(folder, 'node-v20.0.0/test', name), { recursive: true });
    writeFileSync(join(folder, 'node-v20.0.0/test/common/index.js'), `// ${folder}`);
    writeFileSync(join(folder, 'node-v20.0.0/test/fixtures/wpt/large.js'), '');
    const file = 'node-v20.0.0.tar.xz';
    execFileSync('tar', ['-c', '-J', '-f', join(folder, file), '-C', folder, 'node-v20.0.0']);
    const sha256 = createHash('sha256')
      .update(readFileSync(join(folder, file)))
      .digest('hex');
    source = { from: 'debian', file, sha256 };
  });
  afterEach(() => {
    for (const dir of [folder, ...made.splice(0)]) rmSync(dir, { recursive: true, force: true });
  });

  it('is unpacked once, test/ only, and refused when somebody has edited it', async () => {
    const first = await suite();
    if ('missing' in first) throw new Error(first.missing);
    made.push(first.dir);
    expect([...first.blobs.keys()]).to.deep.equal(['test/common/index.js']);
    expect(await suite()).to.have.property('dir', first.dir);
    appendFileSync(join(first.dir, 'test/common/index.js'), 'x');
    const edited = await suite().catch((error: Error) => error.message);
    expect(edited).to.include('was changed');
  });

  it('is refused when its tarball is another', async () => {
    appendFileSync(join(folder, source.file), 'x');
    const other = await suite().catch((error: Error) => error.message);
    expect(other).to.include('is not the pinned');
  });

  it('is a sentence where it cannot be had, as is a Node', async () => {
    const none = await fetching.suiteOf({ lines: { '20': { node: '20.0.0', sources: [] } } }, '20', {
      say: () => undefined,
    });
    expect(none).to.have.property('missing').that.includes('Node 20.0.0 cannot be had here');
    const node = await fetching.nodeOf({ nodes: {} }, '24', () => undefined);
    expect(node.missing).to.include('no Node 24 is pinned');
  });
});

describe('compat: expectations and the parity page', () => {
  it('asks every exception for its lines', () => {
    for (const { exceptions } of expectations.readExpectations())
      for (const exception of exceptions) expect(exception.lines).to.be.an('array').that.is.not.empty;
    const folder = mkdtempSync(join(tmpdir(), 'tsloop-spec-'));
    const exception = { test: 'parallel/test-x.js', kind: 'defect', reason: 'a sentence that is long enough' };
    const file = { subsystem: 'x', about: 'x', tests: ['parallel/test-x*'], exceptions: [exception] };
    writeFileSync(join(folder, 'x.jsonc'), JSON.stringify(file));
    expect(() => expectations.readExpectations(folder)).to.throw('"lines"');
    rmSync(folder, { recursive: true });
  });

  it('counts what passed of what plain Node passes, and names what did not', () => {
    const unit = { line: '20', driver: 'random', via: 'env', subsystem: 'net', why: 'fails every time' };
    const classes = ['passed', 'flaky', 'regression', 'skipped', 'excepted'];
    const units = classes.map((one) => ({ ...unit, class: one, test: `parallel/test-${one}.js` }));
    const report = {
      lines: [{ line: '20', node: '20.20.2', suite: '20.19.2', from: 'debian' }],
      units,
      seconds: 1,
      seed: 1,
    };
    const exceptions = [
      { test: 'parallel/test-excepted.js', kind: 'cannot-match', reason: 'it is out of reach', lines: [20] },
      { test: 'parallel/test-elsewhere.js', kind: 'cannot-match', reason: 'it is out of reach', lines: [26] },
    ];
    const page = parity.parityPage(report, [{ subsystem: 'net', about: 'sockets', exceptions }]);
    expect(page).to.include('| net | 2 of 4 | sockets |');
    expect(page).to.include('Node 20.20.2, random, by `NODE_OPTIONS`');
    expect(page).to.include('`parallel/test-excepted.js` (Node 20): it is out of reach');
    expect(page).to.not.include('test-elsewhere');
    expect(page).to.include('`parallel/test-regression.js` (Node 20, random): fails every time');
    expect(
      parity.parityPage({ ...report, seconds: 2, seed: 2 }, [{ subsystem: 'net', about: 'sockets', exceptions }]),
    ).to.equal(page);
  });
});
