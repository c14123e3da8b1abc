/**
 * What the specs of IPC and cluster run in their processes: a sender and a receiver, each with or without tsloop, which
 * say what they see on standard output, one JSON line each. Plain JavaScript that Node runs as it is.
 */
import childProcess from 'node:child_process';
import cluster from 'node:cluster';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';

// Node's private parts have no types.
// biome-ignore lint/suspicious/noExplicitAny: see above
type Loose = any;

/** A client that hears nothing for so long, in milliseconds, asks anew. */
const GIVE_UP = 5_000;

/** Says something in a lane of its own: the parent traces it there. */
export function say(lane: string, ...line: unknown[]): void {
  fs.writeSync(1, `${JSON.stringify({ lane, line })}\n`);
}

/** Whether a process that got the hook is to run on tsloop, and does: true on plain Node too, where neither holds. */
export function asAsked(): boolean {
  const hook = process.execArgv[process.execArgv.indexOf('-r') + 1];
  if (!process.execArgv.includes('-r') || hook === undefined) return true;
  const tsloop = require(path.join(path.dirname(hook), 'dist', 'index.js'));
  return tsloop.status().active === (process.env['TSLOOP'] !== 'off');
}

/** Whether a handle is Node's own exactly where this process runs without tsloop. */
export function rightful(handle: Loose): boolean {
  const native = /\[native code\]/.test(Function.prototype.toString.call(handle.constructor));
  return native === (!process.execArgv.includes('-r') || process.env['TSLOOP'] === 'off');
}

/** How many sockets this process has open. */
export function sockets(): number {
  return fs.readdirSync('/proc/self/fd').filter((name) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${name}`).startsWith('socket:');
    } catch {
      return false;
    }
  }).length;
}

export async function until(isSo: () => unknown): Promise<void> {
  while (!isSo()) await new Promise((fulfil) => setTimeout(fulfil, 5));
}

/** A path for a unix-domain socket or a file. */
export function file(name: string): string {
  return path.join(process.env['FLEET_DIR'] ?? '.', name);
}

/** The environment of a process that runs with tsloop, where there is one, or without. */
export function environment(on: boolean): NodeJS.ProcessEnv {
  const env = { ...process.env };
  if (on) delete env['TSLOOP'];
  else env['TSLOOP'] = 'off';
  return env;
}

/** Reads a socket to its end, answers, and says so. */
export function serve(lane: string, socket: net.Socket): void {
  let text = '';
  socket.on('data', (data) => {
    text += data;
  });
  socket.on('error', (error) => say(lane, 'error', (error as NodeJS.ErrnoException).code));
  socket.on('end', () => {
    say(lane, 'read', text);
    socket.end(`answer to ${text}`);
  });
}

/** A connection to a server, what it gets, and its end, which may come before anybody waits for it. */
export function connect(lane: string, where: Loose): net.Socket & { over: Promise<unknown> } {
  const client = net.connect(where);
  let text = '';
  client.on('data', (data) => {
    text += data;
  });
  client.on('error', (error) => say(lane, 'error', (error as NodeJS.ErrnoException).code));
  client.on('close', () => say(lane, 'closed with', text));
  return Object.assign(client, { over: once(client, 'close') });
}

export function listen(server: net.Server, where: Loose = { port: 0, host: '127.0.0.1' }): Promise<Loose> {
  return new Promise((fulfil) => {
    server.listen(where, () => {
      const address = server.address();
      fulfil(
        typeof address === 'string'
          ? { path: address }
          : { port: (address as net.AddressInfo).port, host: '127.0.0.1' },
      );
    });
  });
}

export function once(emitter: Loose, event: string): Promise<Loose[]> {
  return new Promise((fulfil) => emitter.once(event, (...all: Loose[]) => fulfil(all)));
}

/** Starts another role of the running program; whether it runs on tsloop is the combination's letter of that number. */
export function role(name: string, number = 0, options: childProcess.ForkOptions = {}): childProcess.ChildProcess {
  const letters = process.env['FLEET_CHILDREN'] ?? '';
  const on = (letters[number] ?? letters.at(-1)) === '+';
  const child = [name, ...process.argv.slice(3)];
  return childProcess.fork(process.argv[1] as string, child, { env: environment(on), ...options });
}

/** The role `child`, once it has said that it hears; by the serialization of the first argument, if there is one. */
export async function receiver(): Promise<childProcess.ChildProcess> {
  const serialization = process.argv[3] as childProcess.SerializationType | undefined;
  const child = role('child', 0, serialization === undefined ? {} : { serialization });
  await once(child, 'message');
  return child;
}

/** What a cluster's primary needs: its module, workers by number, requests with an answer or the word of an error. */
export function primary(scheduler: string): {
  cluster: typeof cluster;
  fork(number: number, env?: Record<string, string>): import('node:cluster').Worker;
  request(where: { port?: number; host?: string; path?: string }, url?: string): Promise<string>;
} {
  cluster.schedulingPolicy = scheduler === 'none' ? cluster.SCHED_NONE : cluster.SCHED_RR;
  cluster.setupPrimary({ exec: process.argv[1] as string, args: ['worker', ...process.argv.slice(3)] });
  const letters = process.env['FLEET_CHILDREN'] ?? '';
  const request = ({ path: socketPath, ...where }: { path?: string }, url = '/'): Promise<string> =>
    new Promise((fulfil) => {
      const options = { ...where, ...(socketPath === undefined ? {} : { socketPath }), path: url, agent: false };
      // What was on its way to a worker that is killed is answered by nobody, on plain Node as well.
      http
        .get({ ...options, timeout: GIVE_UP }, (response) => {
          let text = '';
          response.on('data', (data) => {
            text += data;
          });
          response.on('end', () => fulfil(text));
          response.on('error', (error: NodeJS.ErrnoException) => fulfil(`error ${error.code}`));
        })
        .on('error', (error: NodeJS.ErrnoException) => fulfil(`error ${error.code}`))
        .on('timeout', function abandon(this: http.ClientRequest) {
          this.destroy();
        });
    });
  return {
    cluster,
    // A worker takes the environment of its primary; what is to be unset there is set to nothing.
    fork: (number, env = {}) =>
      cluster.fork({ ...env, TSLOOP: (letters[number] ?? letters.at(-1)) === '+' ? '' : 'off' }),
    request,
  };
}

/** A key and a certificate for localhost: made by whoever asks first, which is to be the parent. */
export function certificate(): { key: Buffer; cert: Buffer } {
  const [key, cert] = [file('key'), file('cert')];
  if (!fs.existsSync(cert)) {
    const subject = ['-days', '2', '-subj', '/CN=localhost', '-nodes'];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
    const args = ['req', '-x509', ...curve, ...subject, '-keyout', key, '-out', cert];
    childProcess.execFileSync('openssl', args, { stdio: 'ignore' });
  }
  return { key: fs.readFileSync(key), cert: fs.readFileSync(cert) };
}
