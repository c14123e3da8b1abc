/** After `uninstall()`: what is made is Node's, and what was open meets it as it would meet its own. */
import { resolve } from 'node:path';
import { expect } from 'chai';
import { type NodeLine, nodes, root } from '../support/nodes.mjs';
import { programFile, registerCjs, start } from '../support/programs.mjs';

const tools = JSON.stringify(resolve(root, 'build', 'support', 'fleet.cjs'));

/** A pair of sockets of before; `uninstall()` once both are there. */
const CONNECTED = (then: string): string => `
const net = require('node:net');
const childProcess = require('node:child_process');
const { install, uninstall } = require(process.env.PROBE_ENTRY);
const sockets = [];
const server = net.createServer({ pauseOnConnect: true }, (socket) => add(socket)).listen(0, '127.0.0.1', () => {
  const client = net.connect(server.address().port, '127.0.0.1', () => add(client));
});
const add = (socket) => {
  sockets.push(socket);
  if (sockets.length < 2) return;
  const client = sockets.find((one) => one.server !== server);
  const accepted = sockets.find((one) => one !== client);
  uninstall();
  (${then})(client, accepted);
};
const end = () => {
  server.close();
  if (process.connected) process.disconnect();
};`;

const PROGRAMS: Record<string, string> = {
  'a socket is the output of a child': CONNECTED(`(client, accepted) => {
    const child = childProcess.spawn('echo', ['through'], { stdio: ['ignore', accepted, 'ignore'] });
    let code;
    child.on('close', (status) => { code = status; accepted.destroy(); });
    client.on('data', (data) => console.log(String(data))).on('close', () => { console.log('code', code); end(); });
  }`),
  'a socket is under TLS': CONNECTED(`(client, accepted) => {
    const tls = require('node:tls');
    const { key, cert } = require(${tools}).certificate();
    const server = new tls.TLSSocket(accepted, { isServer: true, key, cert });
    server.on('data', (data) => server.write(data)).on('end', () => server.end());
    const secure = tls.connect({ socket: client, rejectUnauthorized: false }, () => {
      secure.write(Buffer.alloc(300000, 'x'));
      secure.write('end');
    });
    let bytes = 0;
    secure.on('data', (data) => {
      bytes += data.length;
      if (bytes === 300003) { console.log(String(data).slice(-3)); secure.end(); }
    });
    secure.on('close', (failed) => { console.log('closed', failed); end(); });
  }`),
  'a socket is sent to a child': CONNECTED(`(client, accepted) => {
    const child = childProcess.fork(process.env.CHILD);
    child.send('take this', accepted);
    client.on('data', (data) => console.log(String(data))).on('close', () => console.log('closed'));
    child.on('exit', (code) => { console.log('code', code); end(); });
  }`),
  'it goes on': CONNECTED(`(client, accepted) => {
    client.write(Buffer.alloc(300000, 'x'));
    client.end('end');
    let bytes = 0;
    accepted.on('data', (data) => { bytes += data.length; }).on('end', () => accepted.end(String(bytes)));
    client.on('data', (data) => console.log(String(data))).on('close', end);
    accepted.resume();
  }`),
  'children have pipes, answers and errors': CONNECTED(`(client, accepted) => {
    accepted.destroy();
    client.destroy();
    const native = ({ constructor }) => /native code/.test(Function.prototype.toString.call(constructor));
    const child = childProcess.spawn('sh', ['-c', 'cat; exit 3']);
    console.log('native', native(child._handle), native(child.stdout._handle));
    child.stdout.on('data', (data) => console.log(String(data)));
    child.stdin.end('through');
    child.on('close', (code) => {
      console.log('code', code);
      childProcess.spawn('no-such-program-of-tsloop').on('error', (error) => { console.log(error.code); end(); });
    });
  }`),
  'and again, after install()': CONNECTED(`(client, accepted) => {
    client.destroy();
    for (let times = 0; times < 3; times++) { install(); uninstall(); }
    install();
    const child = childProcess.spawn('sh', ['-c', 'cat; echo more'], { stdio: ['pipe', accepted, 'inherit'] });
    child.stdin.end('through');
    child.on('exit', (code) => {
      console.log('code', code);
      accepted.destroy();
      const other = childProcess.fork(process.env.CHILD);
      other.send('nothing');
      other.on('exit', (code) => { console.log('code', code); end(); });
    });
  }`),
};

const CHILD = `process.on('message', (message, socket) => {
  if (socket) socket.end('from the child');
  process.disconnect();
});`;

/** Each kind of process, by how the program gets there. */
const PROCESSES: [string, (file: string) => string, Record<string, string>][] = [
  ['in an ordinary process', (file) => file, {}],
  [
    'in a process with a channel to its parent',
    (file) => programFile(`require('node:child_process').fork(${JSON.stringify(file)});`),
    {},
  ],
  ["where child_process is Node's anyway", (file) => file, { TSLOOP_DISABLE: 'child_process' }],
];

for (const line of nodes) declare(line);

function declare(line: NodeLine): void {
  for (const [where, reach, more] of PROCESSES) {
    describe(`preload: uninstall() ${where} on Node ${line.version}`, () => {
      for (const [title, program] of Object.entries(PROGRAMS)) {
        it(title, async () => {
          const file = programFile(program);
          const env = { CHILD: programFile(CHILD), FLEET_DIR: resolve(file, '..'), ...more };
          const plain = await start(line, [reach(file)], { env });
          expect([plain.code, plain.stdout === ''], plain.stderr).to.deep.equal([0, false]);
          for (const driver of ['inline', 'offload']) {
            const hooked = await start(line, ['-r', registerCjs, reach(file)], {
              env: { ...env, TSLOOP_DRIVER: driver },
            });
            const shown = [hooked.stdout, hooked.code, hooked.signal];
            expect(shown, `${driver}\n${hooked.stderr}`).to.deep.equal([plain.stdout, 0, null]);
          }
        });
      }
    });
  }
}
