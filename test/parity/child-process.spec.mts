/** Children: every kind of stdio, what they are given, and how their end is told. */
import { twin } from '../support/twin.mjs';

describe('parity: child processes', () => {
  twin('three pipes, an exit code, and close after exit', async (t) => {
    const child = t.cp.spawn('sh', ['-c', 'cat; echo to stderr >&2; exit 3']);
    t.trace(child.pid !== undefined, child.spawnargs, child.spawnfile, child.connected);
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].on('data', (data) => t.lane(name)(String(data)));
      child[name].on('end', () => t.lane(name)('end')).on('close', () => t.lane(name)('close'));
    }
    for (const event of ['spawn', 'exit', 'close', 'error', 'disconnect'])
      child.on(event, (...args) => t.trace(event, args, child.exitCode, child.signalCode, child.killed));
    t.trace(child.stdin.writable, child.stdout.readable, child.stdin.writableLength);
    child.stdin.end('through cat\n');
    await t.closed(child);
    t.trace(child.stdin.destroyed, child.stdout.destroyed, child.stderr.destroyed, child.kill());
  });

  twin('what a child wrote is there when its exit is told', async (t) => {
    for (let round = 0; round < 10; round++) {
      let output = '';
      const child = t.cp.spawn('sh', ['-c', 'echo one; echo two; exit 0'], { stdio: ['ignore', 'pipe', 'ignore'] });
      child.stdout?.on('data', (data) => {
        output += data;
      });
      child.on('exit', () => t.trace(round, output));
      await t.closed(child);
    }
  });

  twin('the loop is busy while children end: output first, exit then', async (t) => {
    const children = Array.from({ length: 5 }, () => t.cp.spawn('sh', ['-c', 'echo words'], { stdio: 'pipe' }));
    const all = children.map((child, index) => {
      const trace = t.lane(`child ${index}`);
      child.stdout.on('data', (data) => trace(String(data)));
      child.on('exit', (code) => trace('exit', code)).on('close', (code) => trace('close', code));
      return t.closed(child);
    });
    // Until all of them are zombies.
    const state = (pid: number) => t.fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[2];
    while (children.some((child) => state(child.pid as number) !== 'Z'));
    t.trace('all ended');
    await Promise.all(all);
    for (const child of children) t.trace(t.fs.existsSync(`/proc/${child.pid}`));
  });

  twin('inherit, ignore, a descriptor, a file, streams, more than three, and pipes to read and write', async (t) => {
    const file = t.fs.openSync(t.path('file'), 'w+');
    const [zero, one] = [t.fs.createWriteStream(t.path('stream')), t.fs.openSync('/dev/null', 'r')];
    await t.once(zero, 'open');
    const script = 'echo out; echo err >&2; echo three >&3; read line <&4; echo got $line >&4; ls -l /proc/$$/fd/5';
    const child = t.cp.spawn('sh', ['-c', script], { stdio: [one, 'inherit', file, zero, 'overlapped', 'ignore'] });
    t.trace(child.stdio.map((stream) => stream?.constructor.name ?? null));
    const four = child.stdio[4] as import('node:net').Socket;
    four.on('data', (data) => t.lane('four')(String(data))).on('end', () => t.lane('four')('end'));
    four.write('a line\n');
    child.on('exit', (code) => t.trace('exit', code !== 0));
    await t.closed(child);
    t.trace(t.fs.readFileSync(t.path('file'), 'utf8').split('\n')[0], t.fs.readFileSync(t.path('stream'), 'utf8'));
    t.fs.closeSync(file);
    t.fs.closeSync(one);
    zero.close();
    await t.closed(zero);
  });

  twin('the output of one child is the input of the next, however late that is started', async (t) => {
    const asleep = new Int32Array(new SharedArrayBuffer(4));
    for (const milliseconds of [0, 5, 30]) {
      const first = t.cp.spawn('head', ['-c', '300000', '/dev/zero']);
      // Another thread has time to read what is not for us.
      Atomics.wait(asleep, 0, 0, milliseconds);
      const second = t.cp.spawn('wc', ['-c'], { stdio: [first.stdout, 'pipe', 'inherit'] });
      let text = '';
      second.stdout.on('data', (data) => {
        text += data;
      });
      await Promise.all([t.once(first, 'exit'), t.once(second, 'close')]);
      first.stdout.destroy();
      t.trace(text);
    }
  });

  twin('kinds of stdio by one word, by undefined, and those that are none', async (t) => {
    for (const stdio of ['pipe', 'ignore', 'inherit', 'overlapped', [], [undefined, null], ['ignore', 'pipe']]) {
      const child = t.cp.spawn('sh', ['-c', 'echo words; echo more >&2'], { stdio: stdio as 'pipe' });
      t.trace(
        stdio,
        child.stdio.map((stream) => stream !== null && stream !== undefined),
      );
      let text = '';
      child.stdout?.on('data', (data) => {
        text += data;
      });
      child.on('close', (code) => t.trace('close', code, text));
      await t.closed(child);
    }
    for (const stdio of ['nothing', [{}], [() => {}], ['ipc', 'ipc'], [-1], 'ipc']) {
      try {
        t.cp.spawn('true', [], { stdio: stdio as 'pipe' }).on('error', (error) => t.trace('late', error));
        t.trace('started');
      } catch (error) {
        t.trace(error);
      }
    }
  });

  twin('a descriptor that is none', { traffic: false }, async (t) => {
    for (const fd of [1000, 99999]) {
      try {
        t.cp.spawn('true', [], { stdio: ['ignore', 'ignore', 'ignore', fd] });
        t.trace('started');
      } catch (error) {
        t.trace(error);
      }
    }
  });

  twin('sockets of ours as stdio: TCP, unix, a server', async (t) => {
    const server = t.net.createServer({ pauseOnConnect: true }, (socket) => {
      const child = t.cp.spawn('cat', [], { stdio: [socket, socket, 'ignore'] });
      child.on('exit', (code) => t.lane('child')('exit', code));
      child.on('close', () => {
        socket.destroy();
        server.close();
      });
    });
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    client.on('data', (data) => t.trace(String(data))).on('end', () => t.trace('end'));
    client.end('through a child that has the socket');
    await Promise.all([t.closed(client), t.closed(server)]);

    const local = t.net.createServer();
    await t.listen(local, { path: t.path('local') });
    const listing = t.cp.spawn('sh', ['-c', 'readlink /proc/$$/fd/3 | cut -d: -f1'], {
      stdio: ['ignore', 'pipe', 'ignore', (local as unknown as { _handle: never })._handle],
    });
    listing.stdout?.on('data', (data) => t.lane('listing')(String(data)));
    await t.closed(listing);
    local.close();
    await t.closed(local);
  });

  twin('arguments, argv0, environment, directory', async (t) => {
    const cases: [string, string[], object][] = [
      ['sh', ['-c', 'echo "$0" "$@"', 'zero', 'a b', '', 'ü'], {}],
      ['sh', ['-c', 'tr "\\0" "|" < /proc/$$/cmdline'], { argv0: 'another name' }],
      ['sh', ['-c', 'echo $A-$B-$HOME-$PWD'], { env: { A: 'a', B: 'ü', PATH: process.env['PATH'] }, cwd: t.dir }],
      ['/bin/sh', ['-c', 'echo $A'], { env: { A: 'x'.repeat(5000) } }],
      ['sh', ['-c', 'pwd'], { cwd: '/' }],
      ['sh', ['-c', 'pwd'], { cwd: new URL('file:///tmp/') }],
      ['echo $0 shell', [], { shell: true }],
      ['echo "$0"', [], { shell: '/bin/sh' }],
    ];
    for (const [file, args, options] of cases) {
      const child = t.cp.spawn(file, args, { ...options, stdio: ['ignore', 'pipe', 'inherit'] });
      let text = '';
      child.stdout?.on('data', (data) => {
        text += data;
      });
      child.on('exit', (code, signal) => t.trace(file, code, signal));
      await t.closed(child);
      t.trace(text);
    }
  });

  twin('a name is looked for in the PATH of the child, from its directory', async (t) => {
    t.fs.mkdirSync(t.path('bin'));
    t.fs.mkdirSync(t.path('closed'));
    t.fs.writeFileSync(t.path('bin/program'), '#!/bin/sh\necho found $0', { mode: 0o755 });
    t.fs.writeFileSync(t.path('bin/noformat'), 'echo by the shell $0 $1', { mode: 0o755 });
    t.fs.writeFileSync(t.path('closed/program'), '#!/bin/sh\necho no', { mode: 0o644 });
    const paths = [
      t.path('bin'),
      'bin',
      `/nonexistent:closed:bin`,
      'closed',
      '/nonexistent',
      '',
      ':bin',
      'bin/program',
    ];
    for (const path of [...paths, undefined]) {
      for (const file of ['program', 'noformat', './bin/program', 'sh']) {
        const env = path === undefined ? { Path: 'bin' } : { PATH: path };
        try {
          const child = t.cp.spawn(file, file === 'sh' ? ['-c', 'echo sh'] : ['one'], { env, cwd: t.dir });
          child.stdout.on('data', (data) => t.trace(String(data)));
          child.on('error', (error) => t.trace(error));
          await new Promise((fulfil) => child.on('close', fulfil));
          t.trace(path, file, child.exitCode);
        } catch (error) {
          t.trace(path, file, error);
        }
      }
    }
  });

  twin('descriptors of the parent are not inherited', async (t) => {
    const server = t.net.createServer((socket) => socket.resume());
    const port = await t.listen(server);
    const socket = t.net.connect(port, '127.0.0.1');
    const udp = t.dgram.createSocket('udp4').bind(0, '127.0.0.1');
    await Promise.all([t.once(socket, 'connect'), t.once(udp, 'listening')]);
    const sleeper = t.cp.spawn('cat', [], { stdio: 'pipe' });
    const child = t.cp.spawn('ls', ['-l', '/proc/self/fd'], { stdio: ['ignore', 'pipe', 'ignore', 'pipe'] });
    let text = '';
    child.stdout?.on('data', (data) => {
      text += data;
    });
    await t.closed(child);
    // What whoever started this process has left open is no business of the test's.
    const own = new Set(t.fs.readdirSync('/proc/self/fd'));
    const names = [...text.matchAll(/ (\d+) -> (\w+|\/proc|\/dev\/null)/g)].map(([, fd, what]) => `${fd} ${what}`);
    t.trace(names.filter((name) => Number.parseInt(name, 10) < 5 && own.size > 0));
    t.trace([...text.matchAll(/ -> socket:/g)].length, /eventpoll|eventfd|pidfd/.test(text));
    sleeper.stdin.end();
    await t.closed(sleeper);
    socket.end();
    server.close();
    udp.close();
    await t.closed(server);
  });

  twin('signals: every one that ends a process, by number and by name', async (t) => {
    const { signals } = t.require('node:os').constants;
    const harmless = ['SIGCHLD', 'SIGURG', 'SIGWINCH', 'SIGCONT', 'SIGSTOP', 'SIGTSTP', 'SIGTTIN', 'SIGTTOU'];
    const seen = new Set(harmless.map((name) => signals[name]));
    for (const [name, number] of Object.entries(signals) as [NodeJS.Signals, number][]) {
      if (seen.has(number)) continue;
      seen.add(number);
      const child = t.cp.spawn('cat', [], { stdio: ['pipe', 'ignore', 'ignore'] });
      child.on('exit', (code, signal) => t.trace(name, code, signal, child.killed, child.signalCode));
      t.trace(child.kill(number % 2 === 0 ? name : number));
      await t.closed(child);
    }
    const child = t.cp.spawn('sh', ['-c', 'kill -35 $$'], { stdio: 'ignore' });
    child.on('exit', (code, signal) => t.trace('real-time', code, signal));
    await t.closed(child);
  });

  twin('a stopped child has not ended; killed early and late', async (t) => {
    const child = t.cp.spawn('sh', ['-c', 'kill -STOP $$; echo goes on; exit 4']);
    child.stdout.on('data', (data) => t.lane('stdout')(String(data)));
    child.on('exit', (code, signal) => t.trace('exit', code, signal));
    const state = () => t.fs.readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(' ')[2];
    await t.until(() => state() === 'T');
    t.trace(child.exitCode, child.kill(0));
    child.kill('SIGCONT');
    await t.closed(child);
    t.trace(child.kill(), child.kill('SIGKILL'), child.killed);
    for (let round = 0; round < 20; round++) {
      const early = t.cp.spawn('cat', [], { stdio: ['pipe', 'pipe', 'ignore'] });
      t.trace(early.kill('SIGKILL'));
      early.on('exit', (code, signal) => t.trace(code, signal));
      await t.closed(early);
    }
  });

  twin('pipes closed early by either side', async (t) => {
    const deaf = t.cp.spawn('sh', ['-c', 'exec 0<&-; echo ready; read line <&3'], {
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    });
    await t.once(deaf.stdout, 'data');
    deaf.stdin?.on('error', (error) => t.lane('stdin')(error)).on('close', () => t.lane('stdin')('close'));
    deaf.stdin?.write('nobody reads this');
    await t.closed(deaf.stdin);
    (deaf.stdio[3] as import('node:net').Socket).end();
    deaf.on('exit', (code) => t.trace('deaf', code));
    await t.closed(deaf);

    const loud = t.cp.spawn('sh', ['-c', 'while echo words; do :; done 2>/dev/null; exit 5'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await t.once(loud.stdout, 'data');
    loud.stdout?.destroy();
    loud.on('exit', (code, signal) => t.trace('loud', code === 5 || signal === 'SIGPIPE'));
    await t.closed(loud);
  });

  twin('a hundred at once: each is told once, no zombie and no descriptor stays', async (t) => {
    // What a child may leave: the loop's own descriptors may be more when the other thread has begun to work.
    const left = () => {
      const links = t.fs.readdirSync('/proc/self/fd').map((fd) => {
        try {
          return t.fs.readlinkSync(`/proc/self/fd/${fd}`);
        } catch {
          return '';
        }
      });
      return links.filter((link) => /^socket|pidfd/.test(link)).length;
    };
    await t.closed(t.cp.spawn('true', { stdio: 'pipe' }));
    const before = left();
    const children = Array.from({ length: 100 }, (_, index) =>
      t.cp.spawn('sh', ['-c', `echo ${index}; exit ${index}`]),
    );
    const told = new Map<number, number>();
    await Promise.all(
      children.map((child, index) => {
        let text = '';
        child.stdout.on('data', (data) => {
          text += data;
        });
        child.on('exit', () => told.set(index, (told.get(index) ?? 0) + 1));
        return new Promise<void>((fulfil) =>
          child.on('close', (code) => {
            t.lane(`child ${index}`)(text, code);
            fulfil();
          }),
        );
      }),
    );
    t.trace(
      told.size,
      [...told.values()].every((times) => times === 1),
    );
    await t.until(() => left() <= before);
    t.trace(children.some((child) => t.fs.existsSync(`/proc/${child.pid}`)));
  });
});
