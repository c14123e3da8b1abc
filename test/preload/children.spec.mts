/** Who starts children: tsloop, also in a process whose parent has a channel to it; Node where it was asked to. */
import { expect } from 'chai';
import { type NodeLine, nodes } from '../support/nodes.mjs';
import { programFile, registerCjs, registerMjs, start } from '../support/programs.mjs';

/** Starts children of both kinds and says what came of them, and who started them. */
const CHILDREN = `
const { spawn, exec } = require('node:child_process');
const tsloop = require(process.env.PROBE_ENTRY);
const seen = { out: '', err: '' };
const child = spawn('sh', ['-c', 'cat; echo to stderr >&2; exit 3']);
child.stdout.on('data', (data) => { seen.out += data; });
child.stderr.on('data', (data) => { seen.err += data; });
child.stdin.end('through');
child.ref();
seen.running = [child.kill(0), child._handle.hasRef(), child.pid > 0, child._handle.pid === child.pid];
child.on('exit', (code, signal) => { seen.exit = [code, signal]; });
child.on('close', (code) => {
  seen.close = code;
  spawn('nonexistent-program').on('error', (error) => {
    seen.error = error.code;
    exec('kill -9 $$', (error) => {
      seen.signal = error.signal;
      const { children, fallbacks } = tsloop.isActive() ? tsloop.stats() : { children: { spawned: 0 }, fallbacks: {} };
      const { spawned } = children;
      console.log(JSON.stringify({ seen, spawned, fallbacks }));
      if (process.connected) process.disconnect();
    });
  });
});
`;

const FORKING = (file: string) => `require('node:child_process').fork(${JSON.stringify(file)});`;

const SEEN = {
  out: 'through',
  err: 'to stderr\n',
  running: [true, true, true, true],
  exit: [3, null],
  close: 3,
  error: 'ENOENT',
  signal: 'SIGKILL',
};

interface Report {
  readonly seen: unknown;
  readonly spawned: number;
  readonly fallbacks: Record<string, number>;
}

for (const line of nodes) declare(line);

function declare(line: NodeLine): void {
  const report = async (args: readonly string[], env: Record<string, string> = {}): Promise<Report> => {
    const { stdout, stderr, code } = await start(line, args, { env });
    expect(code, stderr).to.equal(0);
    return JSON.parse(stdout) as Report;
  };

  describe(`preload: children on Node ${line.version}`, () => {
    for (const hook of [
      ['-r', registerCjs],
      ['--import', registerMjs],
    ]) {
      it(`are tsloop's (${hook[0]})`, async () => {
        expect(await report([programFile(CHILDREN)])).to.deep.equal({ seen: SEEN, spawned: 0, fallbacks: {} });
        for (const driver of ['inline', 'offload']) {
          const found = await report([...hook, programFile(CHILDREN)], { TSLOOP_DRIVER: driver });
          expect(found).to.deep.include({ seen: SEEN, spawned: 2 });
          expect(found.fallbacks).not.to.have.property('child-stdio');
        }
      });

      it(`are tsloop's in a process with a channel to its parent (${hook[0]})`, async () => {
        expect(await report([programFile(FORKING(programFile(CHILDREN)))])).to.deep.include({ seen: SEEN, spawned: 0 });
        for (const driver of ['inline', 'offload']) {
          const found = await report([...hook, programFile(FORKING(programFile(CHILDREN)))], { TSLOOP_DRIVER: driver });
          expect(found).to.deep.include({ seen: SEEN, spawned: 2 });
          expect(found.fallbacks).not.to.have.property('child-stdio');
        }
      });
    }

    it("are Node's where it was asked to, with a channel and without", async () => {
      const env = { TSLOOP_DISABLE: 'child_process' };
      const alone = await report(['-r', registerCjs, programFile(CHILDREN)], env);
      expect(alone).to.deep.include({ seen: SEEN, spawned: 0 });
      expect(alone.fallbacks).to.have.property('child-stdio').above(0);
      const forked = await report(['-r', registerCjs, programFile(FORKING(programFile(CHILDREN)))], env);
      expect(forked).to.deep.include({ seen: SEEN, spawned: 0 });
    });

    it("are tsloop's where all else is Node's", async () => {
      const found = await report(['-r', registerCjs, programFile(CHILDREN)], { TSLOOP_DISABLE: 'net,dgram' });
      expect(found).to.deep.include({ seen: SEEN, spawned: 2 });
    });
  });
}
