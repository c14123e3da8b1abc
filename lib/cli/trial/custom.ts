/** The load of a slice by a command of the user's own: `$PORT` and `$URL` are in its environment, and in its words. */

import { spawn } from 'node:child_process';
import { hostOf } from './connections';
import type { Target } from './requests';

/** What a load may say of itself in its last line, as JSON: the names are ours, or autocannon's (`autocannon -j`). */
export interface Said {
  readonly requests: number | null;
  readonly errors: number | null;
  readonly statuses: Readonly<Record<string, number>> | null;
  /** Microseconds. */
  readonly p50: number | null;
  readonly p99: number | null;
  readonly p999: number | null;
}

export interface Ended {
  readonly code: number | null;
  readonly seconds: number;
  readonly said: Said | null;
  /** The end of what it printed. */
  readonly output: string;
}

/** Nothing that a load prints is longer and of use. */
const KEPT = 65_536;

/** A load that does not end by itself is ended after this. */
const LIMIT = 120_000;

export function runCommand(command: string, target: Target): Promise<Ended> {
  const scheme = target.protocol === 'ws' ? 'ws' : target.protocol === 'tcp' ? 'tcp' : 'http';
  const env = {
    ...process.env,
    PORT: String(target.port ?? ''),
    URL: `${scheme}${target.secure ? (scheme === 'tcp' ? '' : 's') : ''}://${hostOf(target)}`,
    SOCKET: target.path ?? '',
    TSLOOP: 'off',
  };
  const began = performance.now();
  const child = spawn(command, { shell: true, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const end = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  };
  let output = '';
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString('utf8')).slice(-KEPT);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    output = (output + chunk.toString('utf8')).slice(-KEPT);
  });
  process.once('exit', end);
  return new Promise((resolve, reject) => {
    const late = setTimeout(end, LIMIT);
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(late);
      process.removeListener('exit', end);
      const seconds = (performance.now() - began) / 1000;
      resolve({ code, seconds, said: understand(said), output: (output + said).trim().slice(-1000) });
    });
  });
}

// biome-ignore lint/suspicious/noExplicitAny: whatever a command prints
type Anything = any;

const number = (value: unknown): number | null => (typeof value === 'number' && Number.isFinite(value) ? value : null);

/** The last line that is an object, in our words or in autocannon's, which counts in milliseconds. */
export function understand(text: string): Said | null {
  const line = text
    .trimEnd()
    .split('\n')
    .findLast((each) => each.trimStart().startsWith('{'));
  let found: Anything;
  try {
    found = JSON.parse(line ?? '');
  } catch {
    return null;
  }
  const cannon = typeof found.requests === 'object' && found.requests !== null;
  const { latency = {} } = found;
  const micros = (value: unknown) => {
    const known = number(value);
    // Whole milliseconds are too coarse for a ratio of two fast answers.
    return known === null || known < 20 ? null : known * 1000;
  };
  return {
    requests: number(cannon ? found.requests.total : found.requests),
    errors: number(found.errors),
    statuses: cannon ? { '2xx': found['2xx'] ?? 0, others: found.non2xx ?? 0 } : (found.statuses ?? null),
    p50: cannon ? micros(latency.p50) : number(found.p50),
    p99: cannon ? micros(latency.p99) : number(found.p99),
    p999: cannon ? micros(latency.p99_9) : number(found.p999),
  };
}
