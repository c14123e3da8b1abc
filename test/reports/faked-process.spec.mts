/** Tests fake what `process` says: tsloop goes by what it said when it was loaded. */
import { twin } from '../support/twin.mjs';

const fakes = [
  `Object.defineProperty(process, 'platform', { value: 'win32' })`,
  `Object.defineProperty(process, 'arch', { value: 'mips' })`,
  'process.memoryUsage = () => ({ rss: 1, heapUsed: 1 })',
  'delete process.memoryUsage',
  `Object.defineProperty(process, 'execPath', { value: '/nonexistent' })`,
  `Object.defineProperty(process, 'pid', { value: 1 })`,
  'process.execArgv = undefined',
  'process.dlopen = () => { throw new Error() }',
  'process.binding = () => { throw new Error() }',
  'process._tickCallback = undefined',
  'process.moduleLoadList = undefined',
  'process._rawDebug = undefined',
  'process.hrtime = undefined',
  'process.listenerCount = undefined',
  'process.nextTick = () => {}',
];

describe('reports: a process that is not what it was', () => {
  for (const fake of fakes) {
    twin(fake, { env: { TSLOOP_STRICT: '0' }, given: fake, stderr: false }, async (t, given: string) => {
      const { nextTick } = process;
      new Function(given)();
      t.net;
      t.dgram;
      t.cp;
      process.nextTick = nextTick;
      const server = t.net.createServer((socket) => socket.end('pong'));
      const client = t.net.connect(await t.listen(server), '127.0.0.1');
      client.on('data', (data) => t.trace('data', data));
      await t.closed(client);
      server.close();
      t.trace(String(t.cp.execFileSync('echo', ['said'])));
      t.trace('child', ...(await t.once(t.cp.spawn('true', { stdio: 'ignore' }), 'exit')));
    });
  }
});
