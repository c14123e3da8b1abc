/** Unmodified packages that start processes: execa and tinypool; and the managers that run a program: pm2 and nodemon. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { root } from '../support/nodes.mjs';
import { twin } from '../support/twin.mjs';

describe('apps: processes', () => {
  // Their channels and pipes; no connection is made.
  const options = { traffic: false, timeout: 60_000 } as const;

  twin(
    'execa: output, input, errors, pipes between processes, lines, messages, the end of a process',
    options,
    async (t) => {
      const { execa, execaNode } = await import(t.require.resolve('execa'));
      const node = (script: string, more: object = {}) => execa(process.execPath, ['-e', script], more);

      const told = await node('console.log("out"); console.error("err"); process.exitCode = 0', { all: true });
      t.trace(told.exitCode, told.stdout, told.stderr, told.failed);
      const fed = await node('process.stdin.pipe(process.stdout)', { input: 'x'.repeat(300_000) });
      t.trace(fed.stdout.length);

      const failed = await node('console.log("before"); process.exit(3)').catch((error: unknown) => error);
      t.trace(failed.exitCode, failed.stdout, failed.isTerminated);
      const missing = await execa('no-such-program-of-tsloop').catch((error: unknown) => error);
      t.trace(missing.code, missing.failed);
      const tooMuch = await node('process.stdout.write("y".repeat(1e6))', { maxBuffer: 1000 }).catch(
        (error: unknown) => error,
      );
      t.trace(tooMuch.isMaxBuffer, tooMuch.stdout.length);
      const late = await node('setInterval(() => {}, 1000)', { timeout: 200 }).catch((error: unknown) => error);
      t.trace(late.timedOut, late.signal);
      const controller = new AbortController();
      const canceled = node('setInterval(() => {}, 1000)', { cancelSignal: controller.signal });
      canceled.once('spawn', () => controller.abort());
      t.trace((await canceled.catch((error: unknown) => error)).isCanceled);

      const piped = await node('console.log("a b c")').pipe(process.execPath, [
        '-e',
        'process.stdin.on("data", (d) => console.log(String(d).toUpperCase().trim()))',
      ]);
      t.trace(piped.stdout);
      const lines: string[] = [];
      for await (const line of node('for (let i = 0; i < 1000; i++) console.log(i)')) lines.push(line);
      t.trace(lines.length, lines.at(-1));
      const made = await node('console.log("one\\ntwo")', {
        stdout: function* (line: string) {
          yield `[${line}]`;
        },
      });
      t.trace(made.stdout);

      t.fs.writeFileSync(
        t.path('talk.mjs'),
        `process.on('message', (message) => { process.send({ got: message }); process.disconnect(); });
       process.send('up');`,
      );
      for (const serialization of ['json', 'advanced']) {
        const talker = execaNode(t.path('talk.mjs'), { ipc: true, serialization, nodeOptions: process.execArgv });
        t.trace(await talker.getOneMessage());
        await talker.sendMessage({ hello: [1, 2, 3] });
        t.trace(await talker.getOneMessage());
        t.trace((await talker).exitCode);
      }
    },
  );

  twin('tinypool: tasks in processes and in threads, errors, recycling, and the end', options, async (t) => {
    const { default: Tinypool } = await import(t.require.resolve('tinypool'));
    const filename = t.path('task.mjs');
    t.fs.writeFileSync(
      filename,
      `export default async ({ value, fail, socket }) => {
         if (fail) throw new Error('failed ' + value);
         if (!socket) return value * 2;
         const net = await import('node:net');
         return new Promise((done) => {
           const server = net.createServer((one) => one.end('from the pool')).listen(0, '127.0.0.1', () => {
             let text = '';
             net.connect(server.address().port, '127.0.0.1').on('data', (data) => { text += data; })
               .on('close', () => server.close(() => done(text)));
           });
         });
       };`,
    );
    for (const runtime of ['child_process', 'worker_threads']) {
      const pool = new Tinypool({ filename, runtime, minThreads: 1, maxThreads: 2, isolateWorkers: false });
      const numbers = await Promise.all(Array.from({ length: 40 }, (_, value) => pool.run({ value })));
      t.trace(runtime, numbers.join());
      t.trace(runtime, await pool.run({ value: 1, socket: true }));
      const error = await pool.run({ value: 7, fail: true }).catch((reason: unknown) => reason);
      t.trace(runtime, (error as Error).message);
      await pool.recycleWorkers();
      t.trace(runtime, await pool.run({ value: 21 }));
      await pool.destroy();
    }
  });
});

/** Where daemons of pm2 live that have been started here. */
const homes = new Set<string>();

/** Ends what is left of a daemon, with all that it started, by the id of its group. */
function endDaemon(home: string): void {
  try {
    const pid = Number(readFileSync(join(home, 'pm2.pid'), 'utf8'));
    // Its number may be somebody else's by now.
    if (readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`PM2_HOME=${home}\0`)) process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended, or never began.
  }
  rmSync(home, { recursive: true, force: true });
  homes.delete(home);
}

describe('apps: managers of processes', () => {
  const tools = resolve(root, 'build', 'support', 'fleet.cjs');
  const endAll = () => homes.forEach(endDaemon);
  process.on('exit', endAll);
  afterEach(endAll);

  twin(
    'pm2: a cluster of two, messages, a reload under load, a stop',
    {
      timeout: 60_000,
      env: { PM2_DISCRETE_MODE: 'true', PM2_NO_INTERACTION: 'true', PM2_DISABLE_VERSION_CHECK: 'true' },
      given: () => {
        const home = mkdtempSync(join(tmpdir(), 'tsloop-pm2-'));
        homes.add(home);
        return { home, tools };
      },
    },
    async (t, given) => {
      // The daemon's arguments, and those of its workers below.
      Object.assign(process.env, { PM2_HOME: given.home, PM2_NODE_OPTIONS: process.execArgv.join(' ') });
      const pm2 = t.require('pm2');
      const call = (name: string, ...args: unknown[]) =>
        new Promise<never>((fulfil, reject) => {
          pm2[name](...args, (error: unknown, result: never) => (error ? reject(error) : fulfil(result)));
        });
      const app = t.path('app.cjs');
      t.fs.writeFileSync(
        app,
        `const [fs, http, net] = ['fs', 'http', 'net'].map(require);
         const f = require(${JSON.stringify(given.tools)});
         const server = http.createServer((request, response) => {
           response.end(JSON.stringify([request.url, f.rightful(request.socket._handle), process.execArgv.length]));
         });
         server.listen(0, '127.0.0.1', () => {
           fs.writeFileSync(${JSON.stringify(t.path('port'))}, String(server.address().port));
           console.log('up');
           process.send('up');
         });
         process.on('message', ({ topic, data }) => topic === 'ask' && process.send('heard ' + data));
         process.on('SIGINT', () => {
           console.error('asked to go');
           // Answered by the primary when it has heard that we serve no longer: what it gave us before is here by then, or back.
           server.close(() => net.createServer().listen('\\0drained-' + process.pid, () => process.disconnect()).unref());
         });`,
      );

      await call('connect');
      const daemon = Number(t.fs.readFileSync(`${given.home}/pm2.pid`, 'utf8'));
      const maps = () => t.fs.readFileSync(`/proc/${daemon}/maps`, 'utf8');
      const told: string[] = [];
      const bus = await new Promise<NodeJS.EventEmitter & { close(): void }>((fulfil) => {
        pm2.launchBus((_: unknown, messages: NodeJS.EventEmitter, socket: never) => {
          messages.on('process:msg', ({ raw }) => told.push(raw));
          fulfil(socket);
        });
      });
      await call('start', {
        name: 'app',
        script: app,
        exec_mode: 'cluster',
        instances: 2,
        node_args: process.execArgv,
        merge_logs: true,
        out_file: t.path('out'),
        error_file: t.path('err'),
        pmx: false,
        vizion: false,
        treekill: false,
      });
      await t.until(() => told.length === 2);
      t.trace('the daemon has its arguments', maps().includes('tsloop') === process.execArgv.includes('-r'));

      const port = Number(t.fs.readFileSync(t.path('port'), 'utf8'));
      const ask = (path: string) =>
        new Promise<string>((fulfil) => {
          const request = t.http.get({ port, host: '127.0.0.1', path, agent: false }, async (response) => {
            let text = '';
            for await (const chunk of response) text += chunk;
            fulfil(text);
          });
          request.on('error', (error: NodeJS.ErrnoException) => fulfil(String(error.code)));
        });
      const right = (path: string) => JSON.stringify([path, true, process.execArgv.length]);
      t.trace('answers', (await ask('/first')) === right('/first'), (await ask('/second')) === right('/second'));

      interface Listed {
        pid: number;
        pm_id: number;
        pm2_env: Record<string, unknown>;
      }
      const list = async () => {
        const all = (await call('list')) as Listed[];
        for (const { pm_id, pm2_env } of all)
          t.trace('listed', pm_id, pm2_env['status'], pm2_env['exec_mode'], pm2_env['restart_time']);
        return all;
      };
      const first = await list();
      for (const { pm_id } of first)
        await call('sendDataToProcessId', pm_id, { topic: 'ask', data: `by ${pm_id}`, id: pm_id });
      await t.until(() => told.length === 4);
      t.trace(told.slice(2).sort());

      let wanted = true;
      let answered = 0;
      const wrong: string[] = [];
      const client = async (name: string) => {
        for (let count = 0; wanted; count++) {
          const path = `/${name}/${count}`;
          const answer = await ask(path);
          if (answer === right(path)) answered++;
          else wrong.push(answer);
        }
      };
      const clients = ['a', 'b'].map(client);
      await t.until(() => answered > 20);
      await call('reload', 'app');
      const before = answered;
      await t.until(() => answered > before + 20);
      wanted = false;
      await Promise.all(clients);
      t.trace('wrong while reloading', wrong);
      const second = await list();
      const alive = (all: Listed[]) => all.filter(({ pid }) => t.fs.existsSync(`/proc/${pid}`)).length;
      t.trace('of the first', alive(first), 'of the second', alive(second));

      await call('stop', 'app');
      t.trace('of the second', alive(second), await ask('/stopped'));
      await list();
      for (const name of ['out', 'err']) t.trace(name, t.fs.readFileSync(t.path(name), 'utf8').split('\n'));
      await call('delete', 'app');
      bus.close();
      await t.once(bus, 'close');
      await new Promise((done) => pm2.disconnect(done));
      // As a service manager ends it; killed by its client, it leaves that one trying to reach it for ever.
      process.kill(daemon);
      await t.until(() => !t.fs.existsSync(`/proc/${daemon}`));
      t.trace(
        'left',
        t.fs.readdirSync(given.home).filter((name) => /sock|pid$/.test(name)),
      );
    },
  );

  twin(
    'nodemon: restarts on a change, when told to, and after a crash; input, output, and the end',
    { timeout: 60_000, given: tools },
    async (t, tools) => {
      const [app, up, watched] = [t.path('app.cjs'), t.path('up'), t.path('watched.cjs')];
      t.fs.writeFileSync(watched, `module.exports = require('node:fs').statSync(__filename).size;`);
      t.fs.writeFileSync(
        app,
        `const http = require('node:http');
         const f = require(${JSON.stringify(tools)});
         const value = require(${JSON.stringify(watched)});
         process.stdin.on('data', (text) => String(text) === 'rs\\n' || console.log('heard', String(text)));
         const server = http.createServer((request, response) => {
           response.end([request.url, value, f.rightful(request.socket._handle), process.execArgv.length].join());
           if (request.url === '/crash') response.on('close', () => { throw new Error('asked to'); });
         });
         server.listen(0, '127.0.0.1', () => {
           require('node:fs').appendFileSync(${JSON.stringify(up)}, process.pid + ' ' + server.address().port + ';');
           console.error('to stderr');
         });`,
      );
      const nodemon = t.require.resolve('nodemon/bin/nodemon.js');
      const options = ['--no-update-notifier', '--verbose', '--delay', '0.05', '--watch', watched];
      const manager = t.cp.spawn(process.execPath, [...process.execArgv, nodemon, ...options, app], { stdio: 'pipe' });
      let [out, err] = ['', ''];
      manager.stdout.on('data', (text) => {
        out += text;
      });
      manager.stderr.on('data', (text) => {
        err += text;
      });
      const runs = () => (t.fs.existsSync(up) ? t.fs.readFileSync(up, 'utf8').split(';').slice(0, -1) : []);
      const ask = async (run: number, path: string) => {
        await t.until(() => runs().length === run);
        const port = Number(runs().at(-1)?.split(' ')[1]);
        const [response] = await t.once(t.http.get({ port, host: '127.0.0.1', path, agent: false }), 'response');
        let text = '';
        for await (const chunk of response) text += chunk;
        t.trace(text === [path, t.fs.statSync(watched).size, true, process.execArgv.length].join());
      };

      await ask(1, '/started');
      manager.stdin.write('hello');
      await t.until(() => out.includes('heard hello') && out.includes('watching 1 file'));
      t.fs.appendFileSync(watched, ' ');
      await ask(2, '/changed');
      manager.stdin.write('rs\n');
      await ask(3, '/told');
      await ask(3, '/crash');
      await t.until(() => out.includes('app crashed'));
      t.fs.appendFileSync(watched, ' ');
      await ask(4, '/mended');
      manager.kill('SIGINT');
      t.trace(await t.once(manager, 'close'));
      t.trace(runs().map((run) => t.fs.existsSync(`/proc/${run.split(' ')[0]}`)));
      // The manager and its children write to the same pipes, in no order among them.
      const lines = `${out}\n${err}`.split('\n').filter((line) => !/pid|SIGHUP|^\s*at |^\/|^\s*\^?$/.test(line));
      for (const line of lines) t.lane(line.includes('[nodemon]') ? 'nodemon' : 'app')(line);
    },
  );
});
