// @ts-check
// Whether tsloop runs at all, asked before the first test: with each Node, driver and way of loading.

import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { UsageError } from './options.mjs';
import { switchesOf } from './process.mjs';

/**
 * A run in which tsloop stepped aside would be all green and prove nothing.
 * @param {string} node @param {import('./options.mjs').Options} options @param {string} driver @param {import('./options.mjs').Via} via
 */
export function proveActive(node, options, driver, via) {
  const under = { hook: options.hook, driver, seed: 1, via, enable: options.enable };
  const script = `const net = require('net');
    const { status, stats } = require(${JSON.stringify(path.dirname(options.hook))});
    const server = net.createServer((socket) => socket.end('x')).listen(0, '127.0.0.1', () => {
      net.connect(server.address().port, '127.0.0.1').resume().on('close', () => {
        server.close();
        const { connections, timers } = stats();
        const seen = connections.accepted + connections.connected;
        setTimeout(() => console.log(JSON.stringify({ ...status(), seen, reached: stats().timers.reached - timers.reached })), 1);
      });
    });`;
  const hook = via === 'argv' ? ['--require', options.hook] : [];
  /** @type {{ active: boolean, reason: string | null, seen: number, reached: number }} */
  let status;
  try {
    const env = { PATH: process.env['PATH'] ?? '', TSLOOP_STRICT: '1', ...switchesOf(under) };
    status = JSON.parse(
      execFileSync(node, [...hook, '-e', script], {
        encoding: 'utf8',
        env,
        timeout: 30_000,
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );
  } catch (error) {
    const failure = /** @type {Error & { stderr?: string }} */ (error);
    throw new UsageError(
      `tsloop does not start on ${node} (${driver}); build it first (npm run build).\n${(failure.stderr || failure.message).trim()}`,
    );
  }
  if (!status.active || status.seen !== 2)
    throw new UsageError(
      `tsloop is not active on ${node} (${driver}): ${status.reason ?? 'it saw none of the two ends of a connection'}`,
    );
  if (options.enable?.split(',').includes('timers') && status.reached === 0)
    throw new UsageError(`the wheel runs no timers on ${node} (${driver})`);
}
