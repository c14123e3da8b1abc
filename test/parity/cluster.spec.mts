/** cluster: both schedulers, every kind of address, workers that come and go, fleets of which some run on tsloop. */
import { fleet } from '../support/fleet.mjs';

/** Primary first, then workers: all on tsloop, the primary alone, the workers alone, one worker alone, none. */
const combinations = ['+++', '+--', '-++', '++-', '-+-', '---'];

for (const scheduler of ['rr', 'none'] as const) {
  describe(`parity: cluster, ${scheduler === 'rr' ? 'round robin' : 'shared handles'}`, () => {
    const options = { combinations, arguments: [scheduler] };

    fleet(
      'TCP on port 0, a path, and the same port by two servers; exclusive ports; workers disconnect',
      {
        async parent(f) {
          const { cluster, fork, request } = f.primary(process.argv[3] as string);
          const workers = [fork(0), fork(1)];
          await Promise.all(workers.map((worker) => f.once(worker, 'message')));
          const ask = async (what: string) => {
            for (const worker of workers) worker.send(what);
            return (await Promise.all(workers.map((worker) => f.once(worker, 'message')))).map(([answer]) => answer);
          };
          const [first, second] = await ask('tcp');
          f.say('primary', 'one port', first.port === second.port, first.port > 0);
          for (let count = 0; count < 8; count++)
            f.say('primary', await request({ port: first.port, host: '127.0.0.1' }));
          await ask('path');
          for (let count = 0; count < 4; count++) f.say('primary', await request({ path: f.file('cluster') }));
          const [one, other] = await ask('exclusive');
          f.say('primary', 'two ports', one.port !== other.port);
          for (const { port } of [one, other]) f.say('primary', await request({ port, host: '127.0.0.1' }));
          cluster.disconnect(() => f.say('end', 'all disconnected'));
          let gone = 0;
          cluster.on('exit', (worker, code, signal) => {
            f.say('exits', worker.exitedAfterDisconnect, code, signal);
            gone++;
          });
          await f.until(() => gone === 2);
          const left = require('node:net').connect(first.port, '127.0.0.1');
          left.on('error', (error: NodeJS.ErrnoException) => f.say('end', error.code));
          await f.once(left, 'close');
        },
        worker(f) {
          const http = require('node:http') as typeof import('node:http');
          process.on('message', async (what) => {
            const server = http.createServer((request, response) => {
              const own = f.rightful((request.socket as never as { _handle: object })._handle);
              response.end(`${what} ${request.url} ${own}`);
              // Nothing but its worker knows of it: it would keep the worker there.
              if (what === 'exclusive') server.close();
            });
            server.on('error', (error: NodeJS.ErrnoException) => process.send?.({ error: error.code }));
            if (what === 'path') process.send?.(await f.listen(server, { path: f.file('cluster') }));
            else
              process.send?.(await f.listen(server, { port: 0, host: '127.0.0.1', exclusive: what === 'exclusive' }));
          });
          process.send?.('up');
        },
      },
      options,
    );

    fleet(
      'workers are killed and replaced under load, and no request is answered wrongly',
      {
        async parent(f) {
          const { cluster, fork, request } = f.primary(process.argv[3] as string);
          const sockets = f.sockets();
          let number = 0;
          const start = async () => {
            const worker = fork(number++ % 2);
            return (await f.once(worker, 'listening'))[0].port as number;
          };
          const port = await start();
          await start();
          let wanted = true;
          let [answered, wrong, lost] = [0, 0, 0];
          const client = async (name: string) => {
            for (let count = 0; wanted; count++) {
              const path = `/${name}-${count}`;
              const answer = await request({ port, host: '127.0.0.1' }, path);
              if (answer === `answer to ${path}`) answered++;
              else if (answer.startsWith('error')) lost++;
              else wrong++;
            }
          };
          const clients = ['a', 'b', 'c', 'd'].map(client);
          for (const how of ['SIGKILL', 'disconnect', 'SIGKILL', 'disconnect']) {
            const [worker] = Object.values(cluster.workers ?? {});
            const before = answered;
            await f.until(() => answered > before + 20);
            if (worker === undefined) break;
            if (how === 'disconnect') worker.disconnect();
            else worker.process.kill('SIGKILL');
            await f.once(worker, 'exit');
            f.say('primary', how, worker.exitedAfterDisconnect, worker.isDead());
            await start();
          }
          wanted = false;
          await Promise.all(clients);
          // A killed worker takes with it the requests it was at: at most one of each client, each time.
          f.say('primary', 'wrong', wrong, 'lost few', lost <= 2 * clients.length);
          const last = Object.values(cluster.workers ?? {});
          for (const worker of last) worker?.disconnect();
          await Promise.all(last.map((worker) => f.once(worker, 'exit')));
          // What is on its way to a worker that is killed is lost in the primary too, where Node hands out round robin.
          if (process.argv[3] !== 'rr') {
            // The clients' sides of the last connections close when they hear of the end.
            const patience = Date.now() + 10_000;
            while (f.sockets() > sockets && Date.now() < patience) await new Promise((done) => setTimeout(done, 5));
            f.say('primary', 'sockets', f.sockets() > sockets);
          }
        },
        worker(f) {
          const http = require('node:http') as typeof import('node:http');
          const server = http.createServer((request, response) => response.end(`answer to ${request.url}`));
          f.listen(server);
        },
      },
      // Seconds of load each: the two that differ most from plain Node, and a fleet of both.
      { ...options, combinations: ['+++', '++-', '-+-'], timeout: 90_000 },
    );

    fleet(
      'TLS: a session of one worker is resumed on another',
      {
        async parent(f) {
          const tls = require('node:tls') as typeof import('node:tls');
          f.certificate();
          const { fork } = f.primary(process.argv[3] as string);
          const workers = [fork(0), fork(1)];
          const ports = await Promise.all(workers.map(async (worker) => (await f.once(worker, 'listening'))[0].port));
          let session: Buffer | undefined;
          const served = new Set<string>();
          const reused: boolean[] = [];
          for (let count = 0; count < 8; count++) {
            const client = tls.connect({
              port: ports[0],
              host: '127.0.0.1',
              rejectUnauthorized: false,
              maxVersion: 'TLSv1.2',
              ...(session === undefined ? {} : { session }),
            });
            let text = '';
            client.on('data', (data) => {
              text += data;
            });
            let resumed = false;
            client.on('secureConnect', () => {
              resumed = client.isSessionReused();
            });
            client.on('session', (made) => {
              session ??= made;
            });
            await f.once(client, 'close');
            if (resumed) served.add(text);
            reused.push(resumed);
          }
          f.say('primary', 'first', reused[0], 'all others', reused.slice(1).every(Boolean));
          // With shared handles the kernel alone decides who is next.
          if (process.argv[3] === 'rr') f.say('primary', 'on how many', served.size);
          for (const worker of workers) worker.disconnect();
          await Promise.all(workers.map((worker) => f.once(worker, 'exit')));
        },
        worker(f) {
          const { id } = require('node:cluster').worker as import('node:cluster').Worker;
          const { key, cert } = f.certificate();
          const server = (require('node:tls') as typeof import('node:tls')).createServer({ key, cert }, (socket) => {
            socket.end(String(id));
          });
          f.listen(server);
        },
      },
      options,
    );
  });
}

describe('parity: cluster, the rest', () => {
  fleet(
    'settings: a program of its own, arguments, another environment, a serialization; messages both ways',
    {
      async parent(f) {
        const fs = require('node:fs') as typeof import('node:fs');
        const { cluster, fork } = f.primary('rr');
        const program = f.file(`settings-${process.pid}.cjs`);
        fs.writeFileSync(
          program,
          `process.on('message', (message) => {
             process.send({ message, argv: process.argv.slice(2), mark: process.env.MARK, hook: process.execArgv.length });
             process.disconnect();
           });`,
        );
        cluster.setupPrimary({ exec: program, args: ['one', 'two'], serialization: 'advanced', silent: true });
        f.say('primary', cluster.settings.args, cluster.settings.silent, cluster.settings.serialization);
        const worker = fork(0, { MARK: 'here' });
        worker.send({ map: new Map([[1, new Date(0)]]), big: 10n ** 20n } as never);
        const [answer] = await f.once(worker, 'message');
        f.say('primary', answer.argv, answer.mark, answer.message.map.get(1).getTime(), String(answer.message.big));
        f.say('primary', answer.hook === process.execArgv.length);
        f.say('primary', (await f.once(worker, 'exit'))[0]);
      },
    },
    { combinations: ['++', '+-', '-+', '--'] },
  );

  fleet(
    'a primary that goes leaves no worker behind',
    {
      async parent(f) {
        const { fork } = f.primary('rr');
        const workers = [fork(0), fork(1)];
        await Promise.all(workers.map((worker) => f.once(worker, 'listening')));
        require('node:fs').writeFileSync(f.file('pids'), workers.map((worker) => worker.process.pid).join());
        process.exit(3);
      },
      worker(f) {
        f.listen(require('node:net').createServer());
        process.on('exit', (code) => f.say('worker', 'exit', code));
      },
    },
    { combinations: ['+++', '-+-', '+--'] },
  );

  fleet(
    'a primary that is a child itself: as under --watch, a process manager, or a test pool',
    {
      async parent(f) {
        const manager = f.role('app', 0);
        manager.on('message', (message) => f.say('parent', message));
        f.say('parent', await f.once(manager, 'exit'));
      },
      async app(f) {
        const { cluster, fork, request } = f.primary('rr');
        cluster.setupPrimary({ args: ['worker'] });
        const workers = [fork(1), fork(2)];
        const ports = await Promise.all(workers.map(async (worker) => (await f.once(worker, 'listening'))[0].port));
        for (let count = 0; count < 4; count++) {
          process.send?.(await request({ port: ports[0], host: '127.0.0.1' }, `/${count}`));
        }
        for (const worker of workers) worker.disconnect();
        await Promise.all(workers.map((worker) => f.once(worker, 'exit')));
        process.disconnect();
      },
      worker(f) {
        const http = require('node:http') as typeof import('node:http');
        f.listen(http.createServer((request, response) => response.end(`answer to ${request.url}`)));
      },
    },
    { combinations: ['++++', '+++-', '-+--', '-+++', '--++'] },
  );
});
