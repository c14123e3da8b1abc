/**
 * A careless merge has put something on `Object.prototype`, or a library has replaced a built-in: what plain Node survives,
 * before the first handle and while a server runs.
 */
import { twin } from '../support/twin.mjs';

const names = ['get', 'set', 'value', 'writable', 'enumerable', 'configurable', 'code', 'reason', 'addon'];
const more = [
  'native',
  'quiet',
  'lent',
  'copied',
  'slot',
  'held',
  'name',
  'exports',
  'filename',
  'cachedData',
  'domain',
];

describe('reports: a polluted Object.prototype', () => {
  for (const when of ['before the first handle', 'while a server runs'] as const) {
    for (const what of ['1', '() => {}']) {
      const given = { early: when === 'before the first handle', what, names: [...names, ...more] };
      twin(`${when}: ${what}`, { env: { TSLOOP_STRICT: '0' }, given }, async (t, given) => {
        const round = async (): Promise<void> => {
          const server = t.net.createServer((socket) => socket.end('pong'));
          const client = t.net.connect(await t.listen(server), '127.0.0.1');
          client.on('data', (data) => t.trace('data', data));
          await t.closed(client);
          server.close();
          t.trace('child', ...(await t.once(t.cp.spawn('true', { stdio: 'ignore' }), 'exit')));
          t.trace('waited for', t.cp.spawnSync('true', { stdio: 'ignore' }).status);
          const socket = t.dgram.createSocket('udp4');
          await new Promise<void>((bound) => socket.bind(0, '127.0.0.1', bound));
          socket.close();
        };
        if (!given.early) await round();
        for (const name of given.names) {
          Object.defineProperty(Object.prototype, name, {
            value: new Function(`return ${given.what}`)(),
            configurable: true,
            enumerable: true,
            writable: true,
          });
          try {
            t.trace(name);
            await round();
          } finally {
            delete (Object.prototype as unknown as Record<string, unknown>)[name];
          }
        }
      });
    }
  }
});
