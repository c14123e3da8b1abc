/**
 * Runs inside the child: gives a body its tools, writes its trace, and closes with the ledger.
 *
 * The trace goes to a file with synchronous writes, so that nothing here makes a handle of its own
 * and nothing is lost when the process dies. It holds one JSON value per line.
 */
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

// Node's private bindings and replies of untyped packages: no types exist for them.
// biome-ignore lint/suspicious/noExplicitAny: see above
export type Loose = any;

export type Trace = (...items: unknown[]) => void;

export interface Ledger {
  readonly active: boolean;
  readonly reason: unknown;
  readonly driver: unknown;
  readonly sockets: number;
  readonly open: number;
  readonly accepted: number;
  readonly connected: number;
  readonly datagrams: number;
  /** Children that tsloop started, and those of them that still run. */
  readonly spawned: number;
  readonly running: number;
  /** Bytes and closed sockets that still wait for the kernel. */
  readonly waiting: number;
  readonly panics: number;
}

interface Settings {
  readonly dir: string;
  readonly trace: string;
  /** Path of tsloop's public entry, or empty on plain Node. */
  readonly entry: string;
  /** Whether everything is to be closed at the end. */
  readonly balanced: boolean;
}

/** Longer strings and buffers are traced as length and digest. */
const LONGEST_TEXT = 200;
/** How long the ledger waits for descriptors that another thread is about to close. */
const LEDGER_PATIENCE = 5_000;

export class Bench {
  readonly dir: string;
  readonly require: NodeJS.Require = require;
  readonly trace: Trace;
  readonly #file: number;
  readonly #settings: Settings;
  readonly #labels = new Map<string, string>();
  readonly #socketsAtStart: number;

  constructor(settings: Settings) {
    this.dir = settings.dir;
    this.#settings = settings;
    this.#file = fs.openSync(settings.trace, 'a');
    this.#socketsAtStart = countSockets();
    this.trace = this.lane('main');
    this.#label('DIR', settings.dir);
    this.#label('PID', String(process.pid));
  }

  get net(): typeof import('node:net') {
    return require('node:net');
  }
  get dgram(): typeof import('node:dgram') {
    return require('node:dgram');
  }
  get http(): typeof import('node:http') {
    return require('node:http');
  }
  get http2(): typeof import('node:http2') {
    return require('node:http2');
  }
  get https(): typeof import('node:https') {
    return require('node:https');
  }
  get tls(): typeof import('node:tls') {
    return require('node:tls');
  }
  get hooks(): typeof import('node:async_hooks') {
    return require('node:async_hooks');
  }
  get stream(): typeof import('node:stream') {
    return require('node:stream');
  }
  get cp(): typeof import('node:child_process') {
    return require('node:child_process');
  }
  get fs(): typeof import('node:fs') {
    return fs;
  }

  /** One of Node's private bindings; the same object tsloop replaces classes on. */
  binding(name: string): Loose {
    return (process as Loose).binding(name);
  }

  /** A trace of its own, compared by itself: for events whose order among lanes is nobody's promise. */
  lane(name: string): Trace {
    return (...items) => {
      const line = items.map((item) => this.#plain(item, 0));
      this.#write({ lane: name, line });
    };
  }

  /** Registers a value that differs between runs; every later occurrence is traced as its label. */
  port(value: number | undefined | null): string {
    return this.#label('PORT', String(value));
  }
  pid(value: number | undefined): string {
    return this.#label('PID', String(value));
  }

  path(name: string): string {
    return path.join(this.dir, name);
  }

  once(emitter: Loose, event: string): Promise<Loose[]> {
    return require('node:events').once(emitter, event);
  }

  /** So long at least and, lest a machine that stalls use it up at once, a turn of the loop for every few milliseconds. */
  async sleep(milliseconds: number): Promise<void> {
    const turns = Math.ceil(milliseconds / 5);
    for (let turn = 0; turn < turns; turn++) {
      await new Promise((fulfil) => setTimeout(fulfil, Math.ceil(milliseconds / turns)));
    }
  }

  /** Until it is so; what never becomes so ends with the time of the run. */
  async until(isSo: () => unknown): Promise<void> {
    while (!isSo()) await this.sleep(5);
  }

  /** The next turn of the loop, after its I/O. */
  turn(): Promise<void> {
    return new Promise((fulfil) => setImmediate(fulfil));
  }

  /** Listens where the kernel likes and answers the port, known by its label from now on. */
  listen(server: Loose, options: object = { port: 0, host: '127.0.0.1' }): Promise<number> {
    return new Promise((fulfil, reject) => {
      server.once('error', reject);
      server.listen(options, () => {
        server.removeListener('error', reject);
        const address = server.address();
        if (typeof address !== 'string') this.port(address.port);
        fulfil(typeof address === 'string' ? 0 : address.port);
      });
    });
  }

  /** A client that gets back what it sends: how many bytes did so far, and the end of it and its server. */
  async echo(): Promise<{ client: import('node:net').Socket; returned(): number; end(): Promise<void> }> {
    const server = this.net.createServer((socket) => socket.pipe(socket));
    const client = this.net.connect(await this.listen(server), '127.0.0.1');
    let bytes = 0;
    client.on('data', (data) => {
      bytes += data.length;
    });
    const end = async (): Promise<void> => {
      client.end();
      await this.closed(client);
      server.close();
    };
    return { client, returned: () => bytes, end };
  }

  /** So many connections, both ends of which are in this process. */
  async connections(count: number): Promise<{
    clients: import('node:net').Socket[];
    peers: import('node:net').Socket[];
    end(): void;
  }> {
    const peers: import('node:net').Socket[] = [];
    const server = this.net.createServer((socket) => peers.push(socket));
    const port = await this.listen(server);
    const clients: import('node:net').Socket[] = [];
    for (let index = 0; index < count; index++) {
      const client = this.net.connect(port, '127.0.0.1');
      await this.once(client, 'connect');
      clients.push(client);
    }
    while (peers.length < count) await this.turn();
    const end = (): void => {
      for (const socket of [...peers, ...clients]) socket.destroy();
      server.close();
    };
    return { clients, peers, end };
  }

  /**
   * Two ends in this process, after so many messages forth and back, one at a time: each end has been alone in turn after turn
   * of the loop. Nobody listens to them any more.
   */
  async talked(times = 200): Promise<{ here: import('node:net').Socket; there: import('node:net').Socket }> {
    const server = this.net.createServer();
    const here = this.net.connect(await this.listen(server), '127.0.0.1');
    const [there] = (await this.once(server, 'connection')) as [import('node:net').Socket];
    server.close();
    const answer = (data: Buffer): boolean => there.write(data);
    there.on('data', answer);
    let left = times;
    await new Promise<void>((done) => {
      const next = (): void => {
        left--;
        if (left > 0) here.write('x');
        else {
          here.removeListener('data', next);
          done();
        }
      };
      here.on('data', next);
      here.write('x');
    });
    there.removeListener('data', answer);
    return { here, there };
  }

  /**
   * Another thread and its program, once that has said its first word. What it posts is words for a lane of its own; how often
   * the first of them was a certain one is known.
   */
  async thread(source: string): Promise<{ worker: import('node:worker_threads').Worker; said(word: string): number }> {
    const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads');
    const worker = new Worker(source, { eval: true });
    const first: unknown[] = [];
    worker.on('message', (words: unknown[]) => {
      this.lane('peer')(...words);
      first.push(words[0]);
    });
    await this.once(worker, 'message');
    return { worker, said: (word) => first.filter((one) => one === word).length };
  }

  /** A key and a self-signed certificate for localhost, made for this run. */
  certificate(): { key: Buffer; cert: Buffer } {
    const subject = ['-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    const files = ['-keyout', this.path('key'), '-out', this.path('cert')];
    this.cp.execFileSync('openssl', ['req', '-x509', ...curve, ...subject, ...files], { stdio: 'ignore' });
    return { key: fs.readFileSync(this.path('key')), cert: fs.readFileSync(this.path('cert')) };
  }

  /** How many sockets this process has open that it did not start with. */
  sockets(): number {
    return countSockets() - this.#socketsAtStart;
  }

  /** How many descriptors of sockets, pipes and files there are; what loops wait with comes when it is first needed. */
  descriptors(): number {
    return countDescriptors((target) => !target.startsWith('anon_inode:'));
  }

  closed(emitter: Loose): Promise<void> {
    return new Promise((fulfil) => emitter.once('close', () => fulfil()));
  }

  ledger(): void {
    const deadline = Date.now() + (this.#settings.balanced ? LEDGER_PATIENCE : 0);
    const tsloop = this.#settings.entry === '' ? undefined : require(this.#settings.entry);
    const open = (): number => tsloop?.stats().connections.open ?? 0;
    const waiting = (): number => {
      const queues = tsloop?.stats().queues;
      return queues === undefined ? 0 : queues.writeBytes + queues.lingering;
    };
    while ((this.sockets() > 0 || open() > 0 || waiting() > 0) && Date.now() < deadline && tsloop !== undefined) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
    const status = tsloop?.status();
    const connections = tsloop?.stats().connections;
    const ledger: Ledger = {
      active: status?.active ?? false,
      reason: status?.reason ?? null,
      driver: status?.driver ?? null,
      sockets: this.sockets(),
      open: open(),
      accepted: connections?.accepted ?? 0,
      connected: connections?.connected ?? 0,
      datagrams: tsloop?.stats().datagrams.received ?? 0,
      spawned: tsloop?.stats().children.spawned ?? 0,
      running: tsloop?.stats().children.running ?? 0,
      waiting: waiting(),
      panics: tsloop?.stats().panics ?? 0,
    };
    this.#write({ ledger });
  }

  #label(kind: string, value: string): string {
    const known = this.#labels.get(value);
    if (known !== undefined) return known;
    let count = 1;
    for (const label of this.#labels.values()) if (label.startsWith(kind)) count++;
    const label = `${kind}${count}`;
    this.#labels.set(value, label);
    this.#write({ label, value });
    return label;
  }

  #write(value: object): void {
    fs.writeSync(this.#file, `${JSON.stringify(value)}\n`);
  }

  #plain(item: unknown, depth: number): unknown {
    if (item === undefined) return '(undefined)';
    if (item === null || typeof item === 'boolean') return item;
    if (typeof item === 'number') return this.#labels.get(String(item)) ?? item;
    if (typeof item === 'bigint' || typeof item === 'symbol') return String(item);
    if (typeof item === 'function') return '(function)';
    if (typeof item === 'string') return this.#text(item);
    if (item instanceof Error) return this.#error(item as Loose, depth);
    if (item instanceof Uint8Array) return `bytes ${this.#text(Buffer.from(item).toString('latin1'))}`;
    if (depth > 4) return '(deep)';
    if (Array.isArray(item)) return item.map((value) => this.#plain(value, depth + 1));
    const plain: Record<string, unknown> = {};
    for (const key of Object.keys(item)) plain[key] = this.#plain((item as Loose)[key], depth + 1);
    return plain;
  }

  #text(text: string): string {
    let known = text;
    for (const [value, label] of this.#labels) known = replaceWhole(known, value, label);
    if (known.length <= LONGEST_TEXT) return known;
    const digest = crypto.createHash('sha1').update(known, 'latin1').digest('hex').slice(0, 12);
    return `length ${known.length} sha1 ${digest}`;
  }

  #error(error: Loose, depth: number): unknown {
    const plain: Record<string, unknown> = { name: error.name, message: this.#text(String(error.message)) };
    for (const key of ['code', 'errno', 'syscall', 'address', 'port', 'localAddress', 'localPort']) {
      if (error[key] !== undefined) plain[key] = this.#plain(error[key], depth + 1);
    }
    if (Array.isArray(error.errors)) plain['errors'] = this.#plain(error.errors, depth + 1);
    if (error.cause !== undefined) plain['cause'] = this.#plain(error.cause, depth + 1);
    return plain;
  }
}

/** Replaces `value` where it is not part of a longer word. */
function replaceWhole(text: string, value: string, label: string): string {
  const escaped = value.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return text.replace(new RegExp(`(?<![0-9A-Za-z])${escaped}(?![0-9A-Za-z])`, 'g'), label);
}

/** Open descriptors of which what they are answers. */
function countDescriptors(isOne: (target: string) => boolean): number {
  return fs.readdirSync('/proc/self/fd').filter((name) => {
    try {
      return isOne(fs.readlinkSync(`/proc/self/fd/${name}`));
    } catch {
      // The descriptor of the listing itself.
      return false;
    }
  }).length;
}

const countSockets = (): number => countDescriptors((target) => target.startsWith('socket:'));

export function run(body: (bench: Bench, given: unknown) => unknown, given: unknown): void {
  const settings: Settings = JSON.parse(process.env['TWIN_SETTINGS'] ?? '{}');
  delete process.env['TWIN_SETTINGS'];
  const bench = new Bench(settings);
  process.on('exit', () => bench.ledger());
  Promise.resolve(body(bench, given)).then(
    () => bench.lane('body')('returned'),
    (error: unknown) => {
      bench.lane('body')('rejected', error);
      process.stderr.write(`body rejected: ${(error as Loose)?.stack ?? error}\n`);
      process.exit(97);
    },
  );
}
