/**
 * Serves the metrics where `TSLOOP_METRICS` says, in a program that knows nothing of it. Loaded only where that is set; the server
 * comes once the program itself has been loaded, and neither it nor who is connected to it keeps the process alive.
 *
 * One process serves an address. Where another has it, this one says so once and tries again from time to time, as that may be
 * the one that it replaces; a path may have `%p` in it, which becomes the process's number.
 */

import type { Server, ServerResponse } from 'node:http';
import type { ListenOptions } from 'node:net';
import { argv, emitWarning, pid } from '../boot/host';
import { reason } from '../errors';
import {
  ArrayPrototypeIncludes,
  StringPrototypeIndexOf,
  StringPrototypeReplaceAll,
  StringPrototypeSlice,
  StringPrototypeSplit,
} from '../primordials';
import { CONTENT_TYPE, prometheus } from './prometheus';

/** Milliseconds until an address that is taken is tried again. */
const RETRY_MS = 5_000;

/** Connections at a time: scrapers are few, and whoever else comes must not use up the program's descriptors. */
const MOST_CONNECTIONS = 16;

/** Programs that only start others, and pass their environment on: the address is meant for those. */
const launchers = [
  ...['npm', 'npx', 'npm-cli.js', 'npx-cli.js', 'pnpm', 'pnpx', 'pnpm.cjs', 'pnpx.cjs'],
  ...['yarn', 'yarnpkg', 'yarn.js', 'corepack', 'corepack.js'],
];

/** Whether a program is one of them. */
export function startsOthers(program: string): boolean {
  const names = StringPrototypeSplit(program, '/');
  return ArrayPrototypeIncludes(launchers, names[names.length - 1] as string);
}

/** What `TSLOOP_METRICS` means, whose form `boot/config.ts` has seen to. */
export function placeOf(text: string): ListenOptions {
  // A worker of a cluster would otherwise be given its primary's socket, and a scrape anybody's numbers.
  const exclusive = true;
  if (StringPrototypeIndexOf(text, 'unix:') === 0)
    return { path: StringPrototypeReplaceAll(StringPrototypeSlice(text, 5), '%p', `${pid}`), exclusive };
  let at = text.length - 1;
  while (text[at] !== ':') at -= 1;
  const port = +StringPrototypeSlice(text, at + 1);
  const bracketed = text[0] === '[';
  const host = bracketed ? StringPrototypeSlice(text, 1, at - 1) : StringPrototypeSlice(text, 0, at);
  return host === '' ? { port, exclusive } : { port, host, exclusive };
}

function answer(url: string | undefined, response: ServerResponse): void {
  const found = url === '/metrics' || url === '/';
  try {
    response.statusCode = found ? 200 : 404;
    response.setHeader('Content-Type', CONTENT_TYPE);
    response.end(found ? prometheus() : 'not found: ask for /metrics\n');
  } catch {
    // The program is not to learn of it by an exception of ours.
    response.destroy();
  }
}

function listen(place: ListenOptions, text: string): void {
  const http: typeof import('node:http') = require('node:http');
  const server: Server = http.createServer((request, response) => answer(request.url, response));
  server.maxConnections = MOST_CONNECTIONS;
  server.on('connection', (socket) => socket.unref());
  let told = false;
  server.on('error', (error: NodeJS.ErrnoException) => {
    if (!told) {
      told = true;
      const { code, message } = reason('ERR_TSLOOP_METRICS', `${text}: ${error.code ?? error.message}`);
      emitWarning(`tsloop: ${message}`, 'TsloopWarning', code);
    }
    setTimeout(() => server.listen(place), RETRY_MS).unref();
  });
  server.listen(place);
  // Also while it is still finding out whether it may.
  server.unref();
}

/** Serves them once the program has been loaded, in its main thread. */
export function serve(text: string): void {
  const { isMainThread }: typeof import('node:worker_threads') = require('node:worker_threads');
  if (!isMainThread || startsOthers(argv[1] ?? '')) return;
  setImmediate(() => listen(placeOf(text), text)).unref();
}
