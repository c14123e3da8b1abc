/** `TSLOOP_SHARE`: a part of the processes runs on tsloop, each decided once and for its threads too, the others are plain Node. */
import { expect } from 'chai';
import { launch } from '../support/launch.mjs';
import { type NodeLine, nodes, plainEnvironment, product } from '../support/nodes.mjs';
import { EXCHANGE, programFile, registerCjs, registerMjs, start } from '../support/programs.mjs';

const entry = JSON.stringify(`${product}/dist/index.js`);

/** Eight workers, each with a thread; says which of the workers, and of the threads, are active. */
const CLUSTER = `
  const cluster = require('node:cluster');
  const { Worker } = require('node:worker_threads');
  if (cluster.isPrimary) {
    const seen = [];
    for (let id = 1; id <= 8; id += 1) cluster.fork().on('message', (said) => {
      seen.push(said);
      if (seen.length < 8) return;
      seen.sort((one, other) => one.id - other.id);
      console.log(JSON.stringify({ workers: seen.map(({ process }) => process), threads: seen.map(({ thread }) => thread) }));
      cluster.disconnect();
    });
  } else {
    const { isActive } = require(${entry});
    new Worker('require("node:worker_threads").parentPort.postMessage(require(' + JSON.stringify(${entry}) + ').isActive())',
      { eval: true }).on('message', (thread) => process.send({ id: cluster.worker.id, process: isActive(), thread }));
  }`;

for (const line of nodes) declare(line);

function declare(line: NodeLine): void {
  describe(`a share of a fleet on Node ${line.version}`, () => {
    for (const hook of [
      ['-r', registerCjs],
      ['--import', registerMjs],
    ]) {
      it(`not chosen: plain Node, silently, strict or not; chosen: tsloop (${hook[0]})`, async () => {
        for (const [share, active] of [
          ['0', false],
          ['1', true],
        ] as const) {
          const file = programFile(EXCHANGE);
          const env = { TSLOOP_SHARE: share, TSLOOP_STRICT: '1' };
          const outcome = await start(line, [...hook, file], { env });
          expect([outcome.code, outcome.stdout, outcome.stderr]).to.deep.equal([5, 'pong\n', '']);
          const reason = active ? null : 'ERR_TSLOOP_SHARE';
          expect(outcome.evidence.map((one) => [one.active, one.reason])).to.deep.equal([[active, reason]]);
        }
      });
    }

    it('two of eight workers for a quarter, their threads with them', async () => {
      const file = programFile(CLUSTER);
      const env = { ...plainEnvironment(), TSLOOP_SHARE: '0.25' };
      const { stdout, stderr } = await launch(line.binary, ['-r', registerCjs, file], { env });
      expect(stderr).to.equal('');
      const { workers, threads } = JSON.parse(stdout) as { workers: boolean[]; threads: boolean[] };
      expect(threads).to.deep.equal(workers);
      expect(workers.filter(Boolean).length).to.be.within(1, 3);
    });

    it('some of many processes, each for itself', async () => {
      const env = { ...plainEnvironment(), TSLOOP_SHARE: '0.5' };
      const source = `process.stdout.write(require(${entry}).isActive() ? '1' : '0')`;
      let seen = '';
      for (let round = 0; round < 24; round += 1)
        seen += (await launch(line.binary, ['-r', registerCjs, '-e', source], { env })).stdout;
      // Neither has a chance of one in a million if processes are chosen at all.
      expect(seen)
        .to.match(/^[01]{24}$/)
        .and.contain('0')
        .and.contain('1');
    });
  });
}
