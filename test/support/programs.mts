/** Plain programs for the preload specs, and the evidence that tsloop was or was not beneath them. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Ending, type LaunchOptions, launch } from './launch.mjs';
import { type NodeLine, plainEnvironment, product } from './nodes.mjs';

/** What a process says of itself when it leaves: one line per thread that ran a program. */
export interface Evidence {
  readonly pid: number;
  readonly thread: number;
  readonly active: boolean;
  readonly reason: string | null;
  readonly connections: number;
  /** Datagrams received. */
  readonly datagrams: number;
}

export interface Outcome extends Ending {
  readonly evidence: readonly Evidence[];
  readonly warnings: number;
}

export const registerCjs = resolve(product, 'register.js');
export const registerMjs = resolve(product, 'register.mjs');

/** Appended to every program: synchronous, and quiet unless the spec asked for evidence. */
const TESTIFY = `
;process.on('exit', () => {
  if (!process.env.PROBE_EVIDENCE) return;
  const tsloop = require(process.env.PROBE_ENTRY);
  const { active, reason } = tsloop.status();
  const { accepted, connected } = active ? tsloop.stats().connections : { accepted: 0, connected: 0 };
  const datagrams = active ? tsloop.stats().datagrams.received : 0;
  const line = { pid: process.pid, thread: require('node:worker_threads').threadId, active, reason,
    connections: accepted + connected, datagrams };
  require('node:fs').appendFileSync(process.env.PROBE_EVIDENCE, JSON.stringify(line) + '\\n');
});
`;

const scratch = mkdtempSync(join(tmpdir(), 'tsloop-preload-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

let serial = 0;

export function programFile(source: string, name = 'program.cjs'): string {
  const file = join(mkdtempSync(join(scratch, 'p')), name);
  writeFileSync(file, source + TESTIFY);
  return file;
}

/** A server and its client in one process: prints what came back. */
export const EXCHANGE = `
const net = require('node:net');
const server = net.createServer((socket) => socket.end('pong'));
server.listen(0, '127.0.0.1', () => {
  const client = net.connect(server.address().port, '127.0.0.1');
  client.on('data', (data) => console.log(String(data)));
  client.on('close', () => server.close());
});
process.exitCode = 5;
`;

export async function start(line: NodeLine, args: readonly string[], options: LaunchOptions = {}): Promise<Outcome> {
  serial++;
  const file = join(scratch, `evidence-${serial}`);
  writeFileSync(file, '');
  const ending = await launch(line.binary, args, {
    ...options,
    env: {
      ...plainEnvironment(),
      PROBE_EVIDENCE: file,
      PROBE_ENTRY: resolve(product, 'dist', 'index.js'),
      ...options.env,
    },
  });
  const evidence = readFileSync(file, 'utf8')
    .split('\n')
    .filter((text) => text !== '')
    .map((text) => JSON.parse(text) as Evidence);
  return { ...ending, evidence, warnings: ending.stderr.split('TsloopWarning').length - 1 };
}
