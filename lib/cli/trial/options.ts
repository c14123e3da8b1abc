/** The words of the command line. */

import { closeSync, openSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Request, readHar } from './requests';

export interface Options {
  readonly command: readonly string[];
  /** A command that makes the load, instead of the built-in one. */
  readonly load: string | null;
  /** What `--url` named beside the path: which listener is meant. */
  readonly wanted: { readonly protocol: 'ws' | 'tcp' | null; readonly port: number | null };
  readonly requests: readonly Request[];
  readonly connections: number;
  readonly rate: number | null;
  /** False: the small generator of our own, in any case. */
  readonly autocannon: boolean;
  /** Null: until it is decided, or the time is over. */
  readonly pairs: number | null;
  readonly time: number;
  readonly slice: number;
  readonly warmup: number;
  readonly restart: boolean;
  /** A path to ask for, or a text to wait for. */
  readonly ready: string | null;
  readonly json: boolean;
  readonly html: string | null;
}

/** What was called wrongly, in one sentence. */
export class UsageError extends Error {}

const flags = {
  load: { type: 'string' },
  url: { type: 'string', multiple: true },
  method: { type: 'string' },
  header: { type: 'string', multiple: true },
  body: { type: 'string' },
  har: { type: 'string' },
  connections: { type: 'string' },
  rate: { type: 'string' },
  generator: { type: 'string' },
  pairs: { type: 'string' },
  time: { type: 'string' },
  slice: { type: 'string' },
  warmup: { type: 'string' },
  restart: { type: 'boolean' },
  ready: { type: 'string' },
  json: { type: 'boolean' },
  html: { type: 'string' },
} as const;

export function readOptions(args: readonly string[]): Options {
  const at = args.indexOf('--');
  const command = at < 0 ? [] : args.slice(at + 1);
  const { values } = parse(at < 0 ? args : args.slice(0, at));
  if (command.length === 0) throw new UsageError('the program is missing: tsloop trial -- node server.js');
  const number = (name: keyof typeof flags, fallback: number, least: number): number => {
    const text = values[name];
    if (typeof text !== 'string') return fallback;
    const value = Number(text);
    if (!(value >= least)) throw new UsageError(`--${name} takes a number from ${least} on, not ${text}`);
    return value;
  };
  const generator = values.generator ?? 'auto';
  if (!['auto', 'own'].includes(generator)) throw new UsageError('--generator is auto or own');
  if (values.load !== undefined && (values.url ?? values.har) !== undefined)
    throw new UsageError('--load is a load of its own: it goes with neither --url nor --har');
  const { pairs } = values;
  return {
    command,
    load: values.load ?? null,
    ...whatToSend(values),
    connections: Math.floor(number('connections', 32, 1)),
    rate: values.rate === undefined ? null : number('rate', 0, 1),
    autocannon: generator === 'auto',
    pairs: pairs === undefined || pairs === 'auto' ? null : Math.floor(number('pairs', 0, 1)),
    time: number('time', 300, 1),
    slice: number('slice', 1, 0.05),
    warmup: number('warmup', 2, 0),
    restart: values.restart ?? false,
    ready: values.ready ?? null,
    json: values.json ?? false,
    html: values.html === undefined ? null : writable(values.html),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: flags, strict: true, allowPositionals: false });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** A page that cannot be written is said so before the five minutes, not behind them. */
function writable(file: string): string {
  try {
    closeSync(openSync(file, 'a'));
    return file;
  } catch (error) {
    throw new UsageError(`--html: ${(error as Error).message}`);
  }
}

type Values = ReturnType<typeof parse>['values'];

function whatToSend(values: Values): Pick<Options, 'wanted' | 'requests'> {
  const headers = (values.header ?? []).map((line) => {
    const colon = line.indexOf(':');
    if (colon < 1) throw new UsageError(`--header takes "name: value", not ${line}`);
    return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()] as const;
  });
  const body = bodyOf(values.body);
  const method = values.method?.toUpperCase() ?? (values.body === undefined ? 'GET' : 'POST');
  const urls = (values.url ?? ['/']).map(readUrl);
  const named = urls.find(({ port }) => port !== null);
  const protocol = urls[0]?.protocol ?? null;
  const message = protocol !== null && values.body === undefined ? 'hello from tsloop trial' : body;
  const requests = urls.map(({ path }) => ({ method, path, headers, body: message }));
  try {
    return {
      wanted: { protocol, port: named?.port ?? null },
      requests: values.har === undefined ? requests : readHar(values.har),
    };
  } catch (error) {
    throw new UsageError(`--har: ${(error as Error).message}`);
  }
}

/** A text, or `@file` as curl has it. */
function bodyOf(text: string | undefined): string {
  if (!text?.startsWith('@')) return text ?? '';
  try {
    return readFileSync(text.slice(1), 'utf8');
  } catch (error) {
    throw new UsageError(`--body: ${(error as Error).message}`);
  }
}

/** A path, or a whole address, whose port is the one that the program asks for. */
function readUrl(text: string): { path: string; port: number | null; protocol: 'ws' | 'tcp' | null } {
  if (text.startsWith('/')) return { path: text, port: null, protocol: null };
  if (!URL.canParse(text)) throw new UsageError(`--url takes a path or an address, not ${text}`);
  const { protocol, port, pathname, search } = new URL(text);
  if (!Object.hasOwn(protocols, protocol)) throw new UsageError(`--url does not know ${protocol}//`);
  return {
    path: pathname === '' ? '/' : pathname + search,
    port: port === '' ? null : Number(port),
    protocol: protocols[protocol as keyof typeof protocols],
  };
}

/** What an address says of the exchange; of http the listener itself says whether it is HTTP/2. */
const protocols = { 'http:': null, 'https:': null, 'ws:': 'ws', 'wss:': 'ws', 'tcp:': 'tcp', 'tls:': 'tcp' } as const;
