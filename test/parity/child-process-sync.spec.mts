/** Children that their caller waits for, with a reactor open, so that tsloop starts them; and what runs beside them. */
import { twin } from '../support/twin.mjs';

describe('parity: children waited for', () => {
  twin('results: codes, signals, output, errors, in order', async (t) => {
    // A reactor is open from the first handle on.
    await t.closed(t.cp.spawn('true', { stdio: 'ignore' }));
    t.fs.writeFileSync(t.path('plain'), '', { mode: 0o644 });
    const big = Buffer.alloc(1_000_000, 'abcdefg');
    const cases: [string, string[], object][] = [
      ['sh', ['-c', 'cat; echo err >&2; exit 3'], { input: 'some input' }],
      ['cat', [], { input: big, maxBuffer: 2_000_000 }],
      ['cat', [], { input: new DataView(new ArrayBuffer(5)) }],
      ['cat', [], { input: '' }],
      ['cat', [], {}],
      ['sh', ['-c', 'kill -9 $$'], {}],
      ['sh', ['-c', 'kill -USR1 $$'], { encoding: 'utf8' }],
      ['sh', ['-c', 'echo ü; echo ö >&2'], { encoding: 'latin1' }],
      ['sh', ['-c', 'exec sleep 60'], { timeout: 50 }],
      ['sh', ['-c', 'exec sleep 60'], { timeout: 50, killSignal: 'SIGKILL' }],
      [
        'sh',
        ['-c', 'trap "sleep 0.5; echo nobody listens; exit 9" TERM; while :; do sleep 0.01; done'],
        { timeout: 200 },
      ],
      ['sh', ['-c', 'echo enough'], { timeout: 20_000 }],
      ['sh', ['-c', 'printf 0123456789'], { maxBuffer: 10 }],
      ['sh', ['-c', 'printf 0123456789; exec sleep 60'], { maxBuffer: 9 }],
      [
        'sh',
        ['-c', 'printf 01234 >&2; sleep 0.05; printf 56789; exec sleep 60'],
        { maxBuffer: 9, killSignal: 'SIGINT' },
      ],
      ['sh', ['-c', 'echo to three >&3; cat <&4'], { stdio: ['ignore', 'pipe', 'inherit', 'pipe', { type: 'pipe' }] }],
      [
        'sh',
        ['-c', 'echo $A; pwd; echo "$0"'],
        { argv0: 'zero', env: { A: 'a', PATH: process.env['PATH'] }, cwd: t.dir },
      ],
      ['sh', ['-c', '(sleep 0.2; echo late) & echo early'], {}],
      ['sh', ['-c', 'exit 5'], { stdio: 'ignore' }],
      ['echo words | tr a-z A-Z', [], { shell: true }],
      ['nonexistent-program', ['argument'], {}],
      ['nonexistent-program', [], { stdio: 'ignore' }],
      ['true', [], { cwd: t.path('nonexistent') }],
      [t.path('plain'), [], {}],
      ['true', ['x'.repeat(200_000)], {}],
    ];
    for (const [file, args, options] of cases) {
      try {
        const result = t.cp.spawnSync(file, args, options as { encoding: 'buffer' });
        const { pid, error, ...rest } = result;
        const { code, errno, syscall, path } = (error ?? {}) as NodeJS.ErrnoException;
        t.trace(Object.keys(result), pid > 0, rest, error instanceof Error, {
          code,
          errno,
          syscall,
          path: path?.length,
        });
        t.trace(Buffer.isBuffer(rest.stdout), Array.isArray(rest.output) ? rest.output.length : rest.output);
      } catch (error) {
        t.trace('threw', error);
      }
    }
  });

  twin('execSync and execFileSync: what is returned and what is thrown', async (t) => {
    await t.closed(t.cp.spawn('true', { stdio: 'ignore' }));
    const attempt = (call: () => unknown) => {
      try {
        t.trace(call());
      } catch (error) {
        const { status, signal, stdout, stderr, code, message } = error as Record<string, unknown>;
        t.trace('threw', { status, signal, stdout, stderr, code, message });
      }
    };
    attempt(() => t.cp.execSync('echo words'));
    attempt(() => t.cp.execSync('echo words', { encoding: 'utf8' }));
    attempt(() => t.cp.execSync('echo partly; echo err >&2; exit 4', { stdio: 'pipe' }));
    attempt(() => t.cp.execFileSync('cat', { input: 'input', encoding: 'utf8' }));
    attempt(() => t.cp.execFileSync('nonexistent-program', ['argument']));
    attempt(() => t.cp.execSync('exec sleep 60', { timeout: 50 }));
    attempt(() => t.cp.execSync('kill -TERM $$'));
  });

  twin('beside sockets and children that live on', async (t) => {
    const server = t.net.createServer((socket) => socket.pipe(socket));
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    await t.once(client, 'connect');
    const child = t.cp.spawn('cat');
    let text = '';
    child.stdout.on('data', (data) => {
      text += data;
    });
    child.stdin.write('before, ');
    client.write('through the server');
    for (let round = 0; round < 20; round++) {
      const { status, stdout } = t.cp.spawnSync('sh', ['-c', `echo ${round}; exit ${round}`]);
      t.trace(status, String(stdout));
    }
    const [echoed] = await t.once(client, 'data');
    t.trace(String(echoed));
    child.stdin.end('after');
    child.on('exit', (code) => t.trace('exit', code));
    await t.closed(child);
    t.trace(text);
    client.end();
    await t.closed(client);
    server.close();
    await t.closed(server);
  });

  twin('what was written to a child is there before another one starts', async (t) => {
    const child = t.cp.spawn('sh', ['-c', 'read line; echo $line > read; exec cat'], { cwd: t.dir });
    child.stdin.write('a line\n');
    const wait = 'while ! [ -s read ]; do sleep 0.01; done; cat read';
    t.trace(String(t.cp.spawnSync('sh', ['-c', wait], { cwd: t.dir, timeout: 20_000 }).stdout));
    child.stdin.end();
    child.stdout.resume();
    await t.closed(child);
  });

  twin('nothing stays behind', async (t) => {
    await t.closed(t.cp.spawn('true', { stdio: 'ignore' }));
    const sockets = t.sockets();
    const pids: number[] = [];
    for (let round = 0; round < 100; round++) pids.push(t.cp.spawnSync('true').pid, t.cp.spawnSync('no-such').pid);
    t.trace(
      t.sockets() - sockets,
      pids.some((pid) => pid > 0 && t.fs.existsSync(`/proc/${pid}`)),
    );
  });
});
