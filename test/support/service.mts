/** Servers that the app specs need beside them: found, started on a free port, stopped by their own id. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Service {
  readonly port: number;
  /** Where its unix-domain socket lies. */
  readonly socket: string;
  stop(): Promise<void>;
}

/** How long a server may take until it answers. */
const START_PATIENCE = 30_000;

const started = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of started) child.kill('SIGKILL');
});

export function onPath(name: string, more: readonly string[] = []): string | null {
  const places = [...(process.env['PATH'] ?? '').split(':'), ...more];
  for (const place of places) if (existsSync(join(place, name))) return join(place, name);
  return null;
}

export function freePort(): Promise<number> {
  return new Promise((fulfil, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => fulfil(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

function answers(port: number): Promise<boolean> {
  return new Promise((fulfil) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      fulfil(true);
    });
    socket.on('error', () => fulfil(false));
  });
}

async function serve(
  command: string,
  args: readonly string[],
  port: number,
  dir: string,
  socket: string,
): Promise<Service> {
  const child = spawn(command, args, { stdio: 'ignore', cwd: dir });
  started.add(child);
  const gone = new Promise<void>((fulfil) => child.once('exit', () => fulfil()));
  const deadline = Date.now() + START_PATIENCE;
  while (!(await answers(port))) {
    if (Date.now() > deadline || child.exitCode !== null) throw new Error(`${command} did not start`);
    await new Promise((fulfil) => setTimeout(fulfil, 50));
  }
  return {
    port,
    socket,
    async stop() {
      // SIGINT is PostgreSQL's fast shutdown; redis knows it as well.
      child.kill('SIGINT');
      const late = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await gone;
      clearTimeout(late);
      started.delete(child);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A redis-server of our own, or null where none is installed. */
export async function redis(): Promise<Service | null> {
  const command = onPath('redis-server');
  if (command === null) return null;
  const dir = mkdtempSync(join(tmpdir(), 'tsloop-redis-'));
  const port = await freePort();
  const socket = join(dir, 'redis.sock');
  const args = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--unixsocket',
    socket,
    '--save',
    '',
    '--appendonly',
    'no',
    '--dir',
    dir,
  ];
  return serve(command, args, port, dir, socket);
}

/** A Prometheus that scrapes these addresses once a second, or null where none is installed. */
export async function prometheus(targets: Readonly<Record<string, string>>): Promise<Service | null> {
  const command = onPath('prometheus');
  if (command === null) return null;
  const dir = mkdtempSync(join(tmpdir(), 'tsloop-prometheus-'));
  const jobs = Object.entries(targets).map(([name, target]) => ({
    job_name: name,
    static_configs: [{ targets: [target] }],
  }));
  // YAML has JSON in it.
  const config = { global: { scrape_interval: '1s', scrape_timeout: '1s' }, scrape_configs: jobs };
  writeFileSync(join(dir, 'config.yml'), JSON.stringify(config));
  const port = await freePort();
  const args = [
    `--config.file=${join(dir, 'config.yml')}`,
    `--storage.tsdb.path=${join(dir, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];
  return serve(command, args, port, dir, '');
}

/** A PostgreSQL cluster made for this run, or null where none is installed. */
export async function postgres(): Promise<Service | null> {
  const base = '/usr/lib/postgresql';
  const places = existsSync(base) ? readdirSync(base).map((version) => join(base, version, 'bin')) : [];
  const initdb = onPath('initdb', places);
  const command = onPath('postgres', places);
  if (initdb === null || command === null) return null;
  const dir = mkdtempSync(join(tmpdir(), 'tsloop-pg-'));
  const data = join(dir, 'data');
  mkdirSync(data);
  const as = unprivileged(dir, data);
  if (as === null) return null;
  const made = spawnSync(
    as[0] ?? initdb,
    [...as.slice(1), ...(as.length > 0 ? [initdb] : []), '-D', data, '-A', 'trust', '-U', 'probe', '--no-sync'],
    { cwd: dir, encoding: 'utf8' },
  );
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`);
  const port = await freePort();
  const args = ['-D', data, '-h', '127.0.0.1', '-p', String(port), '-k', dir, '-F'];
  return serve(as[0] ?? command, [...as.slice(1), ...(as.length > 0 ? [command] : []), ...args], port, dir, dir);
}

/** The words that run PostgreSQL, which refuses root, as somebody else; null where that is impossible. */
function unprivileged(...paths: string[]): string[] | null {
  if (process.getuid?.() !== 0) return [];
  const setpriv = onPath('setpriv');
  if (setpriv === null) return null;
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = ['-u', '-g'].map((flag) => Number(spawnSync('id', [flag, name], { encoding: 'utf8' }).stdout));
    if (!Number.isInteger(uid) || uid === undefined || uid === 0 || gid === undefined) continue;
    for (const path of paths) {
      chownSync(path, uid, gid);
      chmodSync(path, 0o700);
    }
    // Unlike runuser, setpriv becomes the program: its id is the server's and a signal reaches it.
    return [setpriv, `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'];
  }
  return null;
}
