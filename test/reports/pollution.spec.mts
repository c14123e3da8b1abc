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

/** Replaced one at a time, before the first handle; plain Node's lib/ has kept its own of all of them. */
const replaced: readonly [string, readonly string[]][] = [
  ['Array.prototype', ['includes', 'map', 'filter', 'find', 'some', 'every', 'slice', 'splice', 'concat', 'forEach']],
  [
    'Array.prototype',
    ['indexOf', 'push', 'pop', 'shift', 'unshift', 'fill', 'join', 'flatMap', 'reverse', 'sort', 'at'],
  ],
  ['String.prototype', ['startsWith', 'split', 'includes', 'trim', 'replaceAll', 'slice', 'indexOf', 'charCodeAt']],
  ['Map.prototype', ['get', 'set', 'has', 'delete', 'clear', 'forEach']],
  ['Set.prototype', ['add', 'has', 'delete', 'clear', 'forEach']],
  ['WeakMap.prototype', ['get', 'set', 'has']],
  ['Object', ['keys', 'entries', 'defineProperty', 'getOwnPropertyDescriptor', 'getPrototypeOf', 'assign', 'create']],
  ['Object', ['getOwnPropertySymbols', 'hasOwn']],
  ['Reflect', ['apply', 'set', 'ownKeys']],
  ['Array', ['from', 'isArray', 'of']],
  ['Buffer', ['from', 'allocUnsafe', 'allocUnsafeSlow', 'concat', 'byteLength']],
  ['Function.prototype', ['toString']],
  ['Object.getPrototypeOf(Uint8Array.prototype)', ['set', 'subarray', 'slice', 'fill']],
  ['Math', ['max', 'min', 'floor', 'trunc', 'random']],
];

describe('reports: a replaced built-in', () => {
  for (const [owner, names] of replaced) {
    const given = { owner, names };
    twin(`${owner}: ${names.join(', ')}`, { given, traffic: false, ledger: false }, async (t, { owner, names }) => {
      // Each in a process of its own: what is late is loaded behind the replacement.
      for (const name of names) {
        const body = `
          const { ${name}: kept } = ${owner};
          const replace = () => { ${owner}.${name} = () => { throw new Error('${name}'); }; };
          const restore = () => { ${owner}.${name} = kept; };
          const net = require('node:net'), cp = require('node:child_process'), dgram = require('node:dgram');
          replace();
          const server = net.createServer((socket) => socket.end('pong')).listen(0, '127.0.0.1', () => {
            const client = net.connect(server.address().port, '127.0.0.1');
            client.on('data', (data) => { restore(); console.log('${name}', String(data)); replace(); });
            client.on('close', () => {
              server.close();
              const status = cp.spawnSync('true', { stdio: 'ignore' }).status;
              const socket = dgram.createSocket('udp4');
              socket.bind(0, '127.0.0.1', () => socket.close());
              cp.spawn('true', { stdio: 'ignore' }).on('exit', (code) => { restore(); console.log(status, code); });
            });
          });`;
        const { NODE_OPTIONS: _, ...env } = process.env;
        const child = t.cp.spawn(process.execPath, [...process.execArgv, '-e', body], {
          env,
          stdio: ['ignore', 'pipe', 'pipe'],
        });
        const [out, problems] = await Promise.all([child.stdout.toArray(), child.stderr.toArray()]);
        t.trace(
          name,
          out.join(''),
          problems
            .join('')
            .split('\n')
            .filter((line) => line.includes('Error')),
        );
      }
    });
  }
});
