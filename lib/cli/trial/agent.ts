/**
 * What is loaded into the programs of a trial, by `-r` in `NODE_OPTIONS`, into all three alike: it gives listeners a port
 * of their own, so that three can run at once, says which, and answers how the process is when the trial asks. It asks
 * nothing of the program, keeps nothing alive, opens no socket, and prints nothing.
 *
 * The trial and its programs share a folder: who is here is written into it, and a line appended to `control` is a question.
 * inotify wakes us, so an idle program stays idle.
 */

import { createHash } from 'node:crypto';
import * as files from 'node:fs';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { createHistogram, monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { isMainThread, threadId } from 'node:worker_threads';
import type * as Tsloop from '../../index';
import { type Answer, COUNT, FOLDER, KEEP_PORTS, type Report, type Served } from './folder';

// As they were when the program began: what it puts in their place is for itself.
const {
  appendFileSync,
  closeSync,
  existsSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  watch,
  writeFileSync,
} = files;

// biome-ignore lint/suspicious/noExplicitAny: whatever a program hands to `listen` or `connect`
type Anything = any;

const folder = process.env[FOLDER];

/** Milliseconds between two looks at how late the loop is; a look that is on time has taken as long. */
const RESOLUTION = 10;

/** How often a program looks for questions where the kernel does not wake it, in milliseconds. */
const LOOK = 50;

function say(report: Report): void {
  try {
    // One write of less than a page to a file opened for appending: lines of several processes do not mix.
    appendFileSync(join(folder as string, 'report'), `${JSON.stringify(report)}\n`);
  } catch {
    // The trial is over, its folder gone: the program is not to notice.
  }
}

/** Ports and paths that the program asked for, and where its listeners really are. */
const moved = new Map<number | string, number | string>();

function wrapListen(): void {
  const net: typeof import('node:net') = require('node:net');
  const keep = process.env[KEEP_PORTS] === '1';
  const { listen } = net.Server.prototype as { listen: Anything };
  (net.Server.prototype as { listen: Anything }).listen = function (this: Server, ...args: Anything[]) {
    // Where lib/ calls itself again (a host that was looked up, a cluster) it does not come through here.
    const asked = askedOf(args);
    // The listener that a primary opens for its workers: they have asked, and tell.
    if (asked !== null && isOurs(asked)) return Reflect.apply(listen, this, args);
    const options = keep || asked === null ? args : [elsewhere(args, asked), ...args.filter(isCallback)];
    this.once('listening', () => tell(this, asked));
    return Reflect.apply(listen, this, options);
  };
  if (keep) return;
  const { connect } = net.Socket.prototype as { connect: Anything };
  (net.Socket.prototype as { connect: Anything }).connect = function (this: Anything, ...args: Anything[]) {
    return Reflect.apply(connect, this, follow(args));
  };
}

const isCallback = (value: unknown): boolean => typeof value === 'function';

/** The port or path that a call of `listen` names; null where it names none, or takes what is open already. */
function askedOf([first]: readonly Anything[]): number | string | null {
  const where = first !== null && typeof first === 'object' ? first : { port: first };
  if (where._handle !== undefined || where.fd !== undefined) return null;
  if (typeof where.path === 'string') return where.path;
  const { port } = where;
  if (typeof port === 'string' && Number.isNaN(Number(port))) return port;
  const number = typeof port === 'string' || typeof port === 'number' ? Number(port) : 0;
  return Number.isInteger(number) && number > 0 && number < 65_536 ? number : null;
}

/** The same call as one object of options, for a place of this program's own. */
function elsewhere(args: readonly Anything[], asked: number | string): object {
  const [first, ...rest] = args;
  const given = first !== null && typeof first === 'object' ? { ...first } : {};
  if (first === null || typeof first !== 'object') {
    const [host] = rest;
    const backlog = rest.find((value) => typeof value === 'number');
    if (typeof host === 'string' && typeof asked === 'number') given.host = host;
    if (backlog !== undefined) given.backlog = backlog;
  }
  if (typeof asked === 'string') {
    // The same for all processes of the program, and short: a socket's path has 107 bytes.
    const place = join(folder as string, `${createHash('sha1').update(asked).digest('hex').slice(0, 8)}.sock`);
    moved.set(asked, place);
    return { ...given, path: place };
  }
  return { ...given, port: moved.get(asked) ?? portFor(asked, given) };
}

/**
 * The port that stands for one that was asked for: any (0), unless several processes are to meet there. Then the first of
 * them takes one that is free and writes it down for the others.
 */
function portFor(asked: number, { reusePort }: { reusePort?: boolean }): number {
  if (reusePort !== true && !isWorker()) return 0;
  const note = join(folder as string, `port-${asked}`);
  try {
    return Number(readFileSync(note, 'utf8'));
  } catch {
    const free = freePort();
    const mine = join(folder as string, `given-${free}`);
    writeFileSync(mine, String(free));
    try {
      // Whole or not at all, and only if nobody was faster.
      linkSync(mine, note);
    } catch {
      return Number(readFileSync(note, 'utf8'));
    }
    return free;
  }
}

/** Whether a port or path is one that stands for what the program asked for. */
const isOurs = (asked: number | string): boolean =>
  typeof asked === 'string' ? asked.startsWith(folder as string) : existsSync(join(folder as string, `given-${asked}`));

/** Whether this is a worker of a cluster: those that have no channel do not load the module for the question. */
function isWorker(): boolean {
  return process.send !== undefined && (require('node:cluster') as typeof import('node:cluster').default).isWorker;
}

function freePort(): number {
  const net: typeof import('node:net') = require('node:net');
  const probe = net.createServer();
  // Exclusive: a worker's listener is its primary's otherwise, and comes later. It is closed before it could be told of.
  probe.listen({ port: 0, exclusive: true });
  const address = probe.address();
  probe.close();
  return address !== null && typeof address === 'object' ? address.port : 0;
}

const LOOPBACK = /^(localhost|127\.|::1$|0\.0\.0\.0$|::$)/;

/** A connection of the program to itself finds its way. */
function follow(args: Anything[]): Anything[] {
  // lib/ hands over what it has normalized, an array with a symbol on it.
  const [first] = args;
  const options = Array.isArray(first) ? first[0] : first;
  if (options !== null && typeof options === 'object') {
    const place = moved.get(options.path ?? Number(options.port));
    if (place === undefined || (typeof place === 'number' && !LOOPBACK.test(options.host ?? 'localhost'))) return args;
    const changed = { ...options, ...(typeof place === 'number' ? { port: place } : { path: place }) };
    if (!Array.isArray(first)) return [changed, ...args.slice(1)];
    const copy = Object.assign([...first], { 0: changed });
    for (const symbol of Object.getOwnPropertySymbols(first))
      Object.assign(copy, { [symbol]: (first as Anything)[symbol] });
    return [copy, ...args.slice(1)];
  }
  const port = typeof first === 'string' && Number.isNaN(Number(first)) ? first : Number(first);
  const place = moved.get(port);
  if (place === undefined || (typeof args[1] === 'string' && !LOOPBACK.test(args[1]))) return args;
  return [place, ...args.slice(1)];
}

function tell(server: Server & Anything, asked: number | string | null): void {
  const address = server.address();
  const tcp = address !== null && typeof address === 'object';
  if (tcp && typeof asked === 'number') moved.set(asked, address.port);
  say({
    what: 'listening',
    pid: process.pid,
    protocol:
      typeof server.updateSettings === 'function'
        ? 'http2'
        : typeof server.closeIdleConnections === 'function'
          ? 'http'
          : 'tcp',
    secure: typeof server.setSecureContext === 'function',
    asked,
    port: tcp ? address.port : null,
    path: typeof address === 'string' ? address : null,
    host: tcp ? address.address : null,
  });
}

/** Requests as the program sees them, for loads whose numbers are not ours. */
function countRequests(): () => Served {
  const channel: typeof import('node:diagnostics_channel') = require('node:diagnostics_channel');
  const began = Symbol('began');
  const statuses: Record<string, number> = {};
  let requests = 0;
  let latency = createHistogram({ figures: 3 });
  channel.subscribe('http.server.request.start', (message: Anything) => {
    message.response[began] = performance.now();
  });
  channel.subscribe('http.server.response.finish', ({ response }: Anything) => {
    requests += 1;
    statuses[response.statusCode] = (statuses[response.statusCode] ?? 0) + 1;
    const micros = Math.round((performance.now() - response[began]) * 1000);
    if (micros > 0) latency.record(micros);
  });
  return () => {
    const part = (percent: number) => (latency.count > 0 ? latency.percentile(percent) : null);
    const served = { requests, statuses: { ...statuses }, p50: part(50), p99: part(99), p999: part(99.9) };
    // Of each slice its own.
    latency = createHistogram({ figures: 3 });
    return served;
  };
}

function answerQuestions(served: (() => Served) | null): void {
  const place = folder as string;
  const control = join(place, 'control');
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION });
  let last = '';
  const look = () => {
    try {
      const question = readFileSync(control, 'utf8').trim().split('\n').at(-1) ?? '';
      if (question === last || question === '') return;
      last = question;
      const answer = join(place, `${process.pid}-${question.replace(' ', '-')}`);
      writeFileSync(`${answer}.new`, JSON.stringify(answerOf(delay, served)));
      renameSync(`${answer}.new`, `${answer}.json`);
      // It costs a timer: it runs only where somebody will read it.
      delay.reset();
      if (question.startsWith('open')) delay.enable();
      else delay.disable();
    } catch {
      // The trial is over, or the program has made something unusable that it does not need: it is not to notice.
    }
  };
  closeSync(openSync(control, 'a'));
  try {
    const watcher = watch(control, look);
    watcher.on('error', () => {});
    watcher.unref();
  } catch {
    // No inotify to be had.
    let changed = 0;
    setInterval(() => {
      const { mtimeMs } = statSync(control, { throwIfNoEntry: false }) ?? { mtimeMs: 0 };
      if (mtimeMs !== changed) look();
      changed = mtimeMs;
    }, LOOK).unref();
  }
}

function answerOf(
  delay: { readonly count: number; percentile(part: number): number },
  served: (() => Served) | null,
): Answer {
  const { idle, active } = performance.eventLoopUtilization();
  return {
    pid: process.pid,
    idle,
    busy: active,
    delayP99: delay.count > 0 ? Math.max(1, delay.percentile(99) / 1e3 - RESOLUTION * 1e3) : null,
    memory: { ...process.memoryUsage() },
    tsloop: askTsloop(),
    served: served === null ? null : served(),
  };
}

/** Where this program has been preloaded with tsloop: nothing of it is loaded elsewhere. */
function askTsloop(): Answer['tsloop'] {
  if (process.env['TSLOOP'] === 'off') return null;
  try {
    const tsloop: typeof Tsloop = require('../../index.js');
    return { status: tsloop.status(), stats: tsloop.stats() };
  } catch {
    return null;
  }
}

if (folder !== undefined && folder !== '' && existsSync(folder)) {
  wrapListen();
  // A Worker listens as a process does; how the process is, its main thread says.
  if (isMainThread && threadId === 0) {
    say({ what: 'process', pid: process.pid });
    answerQuestions(process.env[COUNT] === '1' ? countRequests() : null);
  }
}
