/** What stands on spawn: exec, execFile, fork, timeouts, limits, aborts; and what keeps a process alive. */
import { twin } from '../support/twin.mjs';

describe('parity: calls that start children', () => {
  twin('exec and execFile: output, codes, signals, encodings', async (t) => {
    const { promisify } = t.require('node:util');
    const told = (name: string) => (error: unknown, stdout: unknown, stderr: unknown) => {
      const { code, signal, killed, cmd, message } = (error ?? {}) as Record<string, unknown>;
      t.lane(name)(error === null, { code, signal, killed, cmd, message }, stdout, stderr);
    };
    await Promise.all([
      t.closed(t.cp.exec('echo out; echo err >&2', told('both'))),
      t.closed(t.cp.exec('exit 7', told('code'))),
      t.closed(t.cp.exec('kill -9 $$', told('signal'))),
      t.closed(t.cp.exec('echo bytes', { encoding: 'buffer' }, told('bytes'))),
      t.closed(t.cp.execFile('sh', ['-c', 'echo "$0"', 'argument'], told('file'))),
      new Promise((fulfil) => t.cp.execFile('nonexistent-program', (...args) => fulfil(told('none')(...args)))),
    ]);
    t.trace(await promisify(t.cp.exec)('echo promised'));
    t.trace(
      await promisify(t.cp.execFile)('sh', ['-c', 'echo partly; exit 3']).catch((error: object) => ({ ...error })),
    );
  });

  twin('a timeout, a limit of output, and the signal to end by', async (t) => {
    const cases: [string, object][] = [
      ['exec cat', { timeout: 50 }],
      ['exec cat', { timeout: 50, killSignal: 'SIGKILL' }],
      ['trap "exit 5" TERM; echo x; while :; do read line || sleep 0.01; done', { timeout: 300 }],
      ['while echo 0123456789; do :; done 2>/dev/null', { maxBuffer: 100 }],
      ['while echo 0123456789 >&2; do :; done', { maxBuffer: 100, killSignal: 'SIGINT' }],
      ['printf 0123456789', { maxBuffer: 10 }],
      ['printf 0123456789', { maxBuffer: 9, encoding: 'latin1' }],
    ];
    for (const [index, [command, options]] of cases.entries()) {
      const trace = t.lane(`case ${index}`);
      const child = t.cp.exec(command, options, (error, stdout, stderr) => {
        const { code, signal, killed, message } = (error ?? {}) as NodeJS.ErrnoException & {
          signal?: string;
          killed?: boolean;
        };
        trace({ code, signal, killed, message }, String(stdout), String(stderr));
      });
      child.stdin?.on('error', () => {});
      await t.closed(child);
    }
  });

  twin('an abort before, during and after', async (t) => {
    const outcome = (child: import('node:child_process').ChildProcess, name: string) => {
      child.on('error', (error) => t.lane(name)(error.name, (error as NodeJS.ErrnoException).code, error.cause));
      child.on('exit', (code, signal) => t.lane(name)('exit', code, signal, child.killed));
      return t.closed(child);
    };
    const during = new AbortController();
    const child = t.cp.spawn('cat', [], { signal: during.signal, killSignal: 'SIGINT' });
    const ended = outcome(child, 'during');
    await t.once(child, 'spawn');
    during.abort(new Error('a reason'));
    await ended;
    await outcome(t.cp.spawn('cat', [], { signal: AbortSignal.abort() }), 'before');
    const after = new AbortController();
    await outcome(t.cp.spawn('true', [], { signal: after.signal }), 'after');
    after.abort();
    const called = new AbortController();
    const done = new Promise<void>((fulfil) => {
      const signal = called.signal;
      t.cp.execFile('cat', [], { signal }, (error) =>
        fulfil(t.trace(error?.name, (error as NodeJS.ErrnoException).code)),
      );
    });
    called.abort();
    await done;
  });

  twin('fork: messages both ways, plain and advanced', async (t) => {
    const text = `
      process.on('message', (message) => {
        if (message === 'leave') process.disconnect();
        else process.send({ got: message, type: Object.prototype.toString.call(message) });
      });
      process.send('ready');`;
    t.fs.writeFileSync(t.path('child.cjs'), text);
    for (const serialization of ['json', 'advanced'] as const) {
      const child = t.cp.fork(t.path('child.cjs'), ['argument'], {
        serialization,
        execArgv: [],
        stdio: ['pipe', 'pipe', 'pipe', 'ipc'],
      });
      const messages: unknown[] = [
        { a: [1, 'ü', null] },
        'x'.repeat(300_000),
        7,
        ...(serialization === 'advanced' ? [new Map([[1, 2n]])] : []),
      ];
      t.trace(
        child.connected,
        child.channel?.constructor.name,
        child.stdio.map((stream) => stream !== null && stream !== undefined),
      );
      child.on('message', (message) => {
        const { got, type } = message as { got: unknown; type: unknown };
        t.trace(typeof got === 'string' ? got.length : got instanceof Map ? [...got].length : got, type);
        child.send((messages.shift() ?? 'leave') as string, (error) => t.lane('sent')(error));
      });
      child.on('disconnect', () => t.trace('disconnect', child.connected));
      child.on('exit', (code, signal) => t.lane('exit')(code, signal));
      child.stdin?.end();
      await t.closed(child);
      child.send('too late', (error) => t.trace(error));
      await t.turn();
    }
  });

  twin('a megabyte each way', async (t) => {
    const child = t.cp.spawn('cat');
    const sent = Buffer.alloc(3_000_000, 'abcdefghi');
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk) => chunks.push(chunk));
    child.on('exit', (code) => t.trace('exit', code));
    child.stdin.write(sent.subarray(0, 70_000), () => t.lane('stdin')('written'));
    child.stdin.end(sent.subarray(70_000), () => t.lane('stdin')('finished'));
    await t.closed(child);
    t.trace(
      chunks.every((chunk) => chunk.length <= 65_536),
      Buffer.concat(chunks).equals(sent),
      child.stdin.writableFinished,
    );
  });

  twin('async context: the store of who spawned, types and ids', async (t) => {
    const { AsyncLocalStorage, createHook, executionAsyncResource } = t.hooks;
    const types: string[] = [];
    const hook = createHook({
      init: (_id, type) => {
        if (/PROCESS|PIPEWRAP/.test(type)) types.push(type);
      },
    }).enable();
    const storage = new AsyncLocalStorage();
    const child = storage.run('spawner', () => {
      const made = t.cp.spawn('sh', ['-c', 'echo words']);
      const handle = (made as unknown as { _handle: object })._handle;
      made.on('exit', () => t.trace('exit', storage.getStore(), executionAsyncResource() === handle));
      made.stdout.on('data', () => t.lane('stdout')('data', storage.getStore()));
      made.on('close', () => t.trace('close', storage.getStore()));
      return made;
    });
    await t.closed(child);
    hook.disable();
    t.trace(types);
  });

  twin('an exception in a listener of exit, and ticks before what follows', async (t) => {
    process.on('uncaughtException', (error) => t.trace('uncaught', error.message));
    const child = t.cp.spawn('true', [], { stdio: 'ignore' });
    child.on('exit', () => {
      process.nextTick(() => t.trace('tick'));
      Promise.resolve().then(() => t.trace('microtask'));
      throw new Error('in a listener');
    });
    child.on('close', () => t.trace('close'));
    await t.once(child, 'close').catch(() => {});
    await t.turn();
  });

  twin('what is listed while a child runs', async (t) => {
    const child = t.cp.spawn('cat', [], { stdio: ['pipe', 'ignore', 'ignore'] });
    const internals = process as unknown as { _getActiveHandles(): object[]; getActiveResourcesInfo(): string[] };
    const listed = () => {
      t.trace(internals._getActiveHandles().includes(child));
      t.trace(internals.getActiveResourcesInfo().filter((name) => /Process/.test(name)));
    };
    listed();
    child.unref();
    listed();
    child.ref();
    listed();
    child.stdin?.end();
    await t.closed(child);
    listed();
  });

  twin(
    'a child that runs keeps its parent, one that is let go does not',
    { ledger: false, traffic: false },
    async (t) => {
      const script = (rest: string) => `
      const child = require('child_process').spawn('sh', ['-c', 'read line; exit 6'], { stdio: ['pipe', 'ignore', 'ignore'] });
      child.on('exit', (code) => console.log('exit', code));
      process.on('exit', () => console.log('parent', child.exitCode));
      ${rest}`;
      const run = async (name: string, rest: string) => {
        const file = t.path(name);
        t.fs.writeFileSync(file, script(rest));
        const parent = t.cp.spawn(process.execPath, [...process.execArgv, file], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        let text = '';
        parent.stdout?.on('data', (data) => {
          text += data;
        });
        parent.on('exit', (code, signal) => t.lane(name)(code, signal));
        await t.closed(parent);
        t.lane(name)(text);
      };
      await run('kept', "setTimeout(() => child.stdin.end('line'), 100);");
      await run('let go', 'child.unref(); child.stdin.unref();');
      await run('exits', 'setTimeout(() => process.exit(8), 50);');
    },
  );

  twin('parent exit: detached children and others live on', { ledger: false }, async (t) => {
    const file = t.path('parent.cjs');
    t.fs.writeFileSync(
      file,
      `const { spawn } = require('child_process');
      for (const detached of [true, false]) {
        const child = spawn('sh', ['-c', 'read line; exit 0'], { detached, stdio: [0, 'ignore', 'ignore'] });
        child.unref();
        const [,,,, group, session] = require('fs').readFileSync('/proc/' + child.pid + '/stat', 'utf8').split(' ');
        console.log(child.pid, Number(group) === child.pid, Number(session) === child.pid);
      }`,
    );
    const parent = t.cp.spawn(process.execPath, [...process.execArgv, file], { stdio: ['pipe', 'pipe', 'inherit'] });
    let text = '';
    parent.stdout?.on('data', (data) => {
      text += data;
    });
    await t.once(parent, 'exit');
    const lines = text
      .trim()
      .split('\n')
      .map((line) => line.split(' '));
    const alive = () => lines.map(([pid]) => t.fs.existsSync(`/proc/${pid}`));
    t.trace(
      alive(),
      lines.map(([, ...rest]) => rest),
    );
    parent.stdin?.end();
    await t.until(() => alive().every((one) => !one));
  });

  twin('in a Worker: children start, end, and outlive it', { ledger: false, traffic: false }, async (t) => {
    const { Worker } = t.require('node:worker_threads');
    const text = `
      const { parentPort } = require('worker_threads');
      const { spawn } = require('child_process');
      const child = spawn('sh', ['-c', 'echo from a worker; exit 4']);
      child.stdout.on('data', (data) => parentPort.postMessage(String(data)));
      child.on('close', (code) => {
        const cat = spawn('cat', { stdio: ['pipe', 'ignore', 'ignore'] });
        parentPort.postMessage([code, cat.pid]);
      });`;
    const worker = new Worker(text, { eval: true });
    let pid = 0;
    worker.on('message', (message: string | number[]) => {
      if (typeof message === 'string') t.trace(message);
      else {
        pid = message[1] as number;
        t.trace(message[0], t.fs.existsSync(`/proc/${pid}`));
        worker.terminate();
      }
    });
    await t.once(worker, 'exit');
    // Its input has ended with the Worker.
    const state = () =>
      t.fs.existsSync(`/proc/${pid}`) ? t.fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[2] : 'gone';
    await t.until(() => state() !== 'S' && state() !== 'R');
    t.trace('ended');
  });

  twin('spawnSync beside children that run', async (t) => {
    const child = t.cp.spawn('cat');
    const chunks: string[] = [];
    child.stdout.on('data', (data) => chunks.push(String(data)));
    child.stdin.write('before ');
    const { status, signal, stdout, stderr, error } = t.cp.spawnSync('sh', ['-c', 'cat; echo err >&2; exit 3'], {
      input: 'input',
    });
    t.trace(status, signal, String(stdout), String(stderr), error);
    t.trace(t.cp.execFileSync('echo', ['words']).toString(), t.cp.spawnSync('nonexistent-program').error);
    child.stdin.end('after');
    child.on('exit', (code) => t.trace('exit', code));
    await t.closed(child);
    t.trace(chunks.join(''));
  });

  twin("the program's own listener for SIGCHLD", async (t) => {
    let signals = 0;
    process.on('SIGCHLD', () => {
      signals += 1;
    });
    const child = t.cp.spawn('true', [], { stdio: 'ignore' });
    child.on('exit', (code) => t.trace('exit', code));
    await t.closed(child);
    await t.until(() => signals > 0);
    t.trace('told');
    process.removeAllListeners('SIGCHLD');
  });
});
