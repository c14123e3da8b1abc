/** Workers that are the only ones to load the native part, and end: their threads' code must stay where it is. */
import { expect } from 'chai';
import { drivers, nodes } from '../support/nodes.mjs';
import { programFile, registerCjs, start } from '../support/programs.mjs';

const PROGRAM = `
const { Worker, isMainThread } = require('node:worker_threads');
const fs = require('node:fs');
if (isMainThread) {
  (async () => {
    for (let round = 0; round < 8; round++) {
      const codes = await Promise.all([0, 1].map((ends) => new Promise((done) => {
        const worker = new Worker(__filename, { argv: [String(ends)] }).on('exit', done);
        worker.on('error', (error) => console.log(error));
      })));
      if (round === 0 || codes.join() !== '0,6') console.log(codes.join());
    }
    if (process.env.TSLOOP_DRIVER) console.log('mapped', fs.readFileSync('/proc/self/maps', 'latin1').includes('/tsloop.'));
    for (let patience = 0; patience < 500; patience++) {
      const names = fs.readdirSync('/proc/self/task').map((task) => fs.readFileSync('/proc/self/task/' + task + '/comm', 'latin1'));
      if (!names.includes('tsloop-driver\\n')) return console.log('no thread is left');
      await new Promise((later) => setTimeout(later, 10));
    }
  })();
} else {
  const net = require('node:net');
  const server = net.createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1', () => {
    const client = net.connect(server.address().port, '127.0.0.1', () => client.write('x'));
    client.on('data', () => {
      if (process.argv[2] === '1') process.exit(6);
      client.destroy();
      server.close();
    });
  });
}`;

for (const line of nodes) {
  describe(`the native part in Workers alone on Node ${line.version}`, () => {
    for (const driver of drivers.filter((one) => one !== 'plain')) {
      it(`${driver}: mapped for good, and the threads go with their Workers`, async () => {
        const outcome = await start(line, ['-r', registerCjs, programFile(PROGRAM)], {
          env: { TSLOOP_DRIVER: driver, TSLOOP_STRICT: '1' },
        });
        expect([outcome.code, outcome.signal, outcome.stderr]).to.deep.equal([0, null, '']);
        expect(outcome.stdout).to.equal('0,6\nmapped true\nno thread is left\n');
      });
    }
  });
}
