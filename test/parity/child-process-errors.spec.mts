/** Children that cannot start, and what is asked of handles that have none. */
import { twin } from '../support/twin.mjs';

describe('parity: children that cannot start', () => {
  twin('a missing program, a missing directory, one that may not run: events in order', async (t) => {
    t.fs.writeFileSync(t.path('plain'), 'echo no', { mode: 0o644 });
    t.fs.writeFileSync(t.path('broken'), '#!/nonexistent/interpreter\n', { mode: 0o755 });
    const cases: [string, object][] = [
      ['nonexistent-program', {}],
      ['nonexistent-program', { stdio: 'ignore' }],
      ['nonexistent-program', { stdio: ['pipe', 'pipe', 'inherit', 'pipe', 'ipc'] }],
      ['nonexistent-program', { shell: true, stdio: 'ignore' }],
      ['true', { cwd: t.path('nonexistent') }],
      [t.path('plain'), {}],
      [t.path('broken'), {}],
      ['/', {}],
    ];
    for (const [index, [file, options]] of cases.entries()) {
      const trace = t.lane(`case ${index}`);
      const child = t.cp.spawn(file, ['argument'], options);
      trace(
        child.pid === undefined,
        child.exitCode,
        child.stdio?.map((stream) => stream !== null),
      );
      for (const event of ['spawn', 'exit', 'close', 'error']) child.on(event, (...args) => trace(event, args));
      // Streams end and close in an order of their own.
      const stdout = t.lane(`case ${index}, stdout`);
      child.stdout
        ?.on('data', () => stdout('data'))
        .on('end', () => stdout('end'))
        .on('close', () => stdout('closed'));
      const stdin = t.lane(`case ${index}, stdin`);
      child.stdin?.on('error', (error) => stdin(error)).on('close', () => stdin('closed'));
      await Promise.all([new Promise((fulfil) => child.on('close', fulfil)), child.stdin && t.closed(child.stdin)]);
      await t.turn();
    }
  });

  twin('what is thrown: too long, not a directory, not a string, zeros', { traffic: false }, async (t) => {
    t.fs.writeFileSync(t.path('plain'), '', { mode: 0o644 });
    const cases: [string, string[], object][] = [
      ['true', ['x'.repeat(200_000)], {}],
      ['true', [], { env: { A: 'x'.repeat(200_000) } }],
      ['true', [], { cwd: t.path('plain') }],
      [t.path('plain/inside'), [], {}],
      ['x'.repeat(300), [], {}],
      ['x'.repeat(300), [], { stdio: ['pipe', 'pipe', 'ipc'] }],
      ['a\0b', [], {}],
      ['true', ['a\0b'], {}],
      ['true', [], { env: { A: 'a\0b' } }],
      ['', [], {}],
    ];
    for (const [file, args, options] of cases) {
      try {
        const child = t.cp.spawn(file, args, options);
        child.on('error', (error) => t.trace('late', error));
        await new Promise((fulfil) => child.on('close', fulfil));
      } catch (error) {
        const { code, errno, syscall, path, spawnargs } = error as NodeJS.ErrnoException & { spawnargs?: string[] };
        t.trace(file.length, code, errno, syscall, path?.length, spawnargs?.length);
      }
    }
  });

  twin('descriptors run out', { traffic: false, ledger: false, stderr: false }, async (t) => {
    // Of what starts with few, all but a handful are taken.
    const files: number[] = [];
    const take = () => {
      try {
        while (true) files.push(t.fs.openSync('/dev/null', 'r'));
      } catch (error) {
        t.trace((error as NodeJS.ErrnoException).code);
      }
    };
    const limited = t.cp.spawn('sh', ['-c', 'exit 0'], { stdio: 'pipe' });
    await t.closed(limited);
    t.cp.execFileSync('prlimit', [`--pid=${process.pid}`, '--nofile=400:400']);
    take();
    for (const spare of [0, 1, 3, 5]) {
      for (const fd of files.splice(0, spare)) t.fs.closeSync(fd);
      const child = t.cp.spawn('true', [], { stdio: 'pipe' });
      child.on('error', (error) => t.trace(spare, 'error', (error as NodeJS.ErrnoException).code, child.pid));
      t.trace(spare, child.stdout === undefined, child.pid === undefined);
      await t.once(child, 'error').catch(() => {});
      take();
    }
    for (const fd of files.splice(0)) t.fs.closeSync(fd);
    const child = t.cp.spawn('true', [], { stdio: 'pipe' });
    child.on('exit', (code) => t.trace('exit', code));
    await t.closed(child);
  });

  twin('no more processes', { traffic: false }, async (t) => {
    const script = `
      const { spawn } = require('child_process');
      const child = spawn('true');
      console.log(child.pid === undefined);
      child.on('error', (error) => console.log(error.code, error.syscall));
      child.on('close', (...args) => console.log('close', args));`;
    // The limit holds for whoever is not root.
    const options = process.getuid?.() === 0 ? { uid: 65_533, gid: 65_533 } : {};
    const file = '/tmp';
    const child = t.cp.spawn('prlimit', ['--nproc=1', process.execPath, '-e', script], { ...options, cwd: file });
    let text = '';
    child.stdout.on('data', (data) => {
      text += data;
    });
    child.on('exit', (code) => t.trace('exit', code));
    await t.closed(child);
    t.trace(text);
  });

  twin('handles by themselves: before, without and after a child', async (t) => {
    const { Process } = t.binding('process_wrap');
    const fresh = new Process();
    // Not what `kill` answers without a child: libuv's takes 0, or the number of one that failed, for the child's.
    t.trace(Process.name, fresh.hasRef(), fresh.pid, Object.keys(fresh), typeof fresh.getAsyncId());
    t.trace(fresh.ref(), fresh.unref(), fresh.hasRef());
    fresh.close(() => t.trace('never told'));

    const child = t.cp.spawn('nonexistent-program');
    const { _handle: handle } = child as unknown as { _handle: typeof fresh };
    child.on('error', () => {});
    t.trace(handle.hasRef(), Object.keys(handle), handle.pid);
    await new Promise((fulfil) => child.on('close', fulfil));

    const running = t.cp.spawn('cat', [], { stdio: ['pipe', 'ignore', 'ignore'] });
    const { _handle: live } = running as unknown as { _handle: typeof fresh };
    t.trace(live.hasRef(), live.unref(), live.hasRef(), live.ref(), live.hasRef(), live.pid === running.pid);
    t.trace(live.kill(0), live.kill(1000), live.kill(-1));
    running.stdin?.end();
    await t.closed(running);
    t.trace(live.hasRef(), live.kill(0));
  });

  twin('another user: allowed, refused, and no user at all', { stderr: false }, async (t) => {
    const root = process.getuid?.() === 0;
    const own = { uid: process.getuid?.(), gid: process.getgid?.() };
    const cases = [
      own,
      { uid: own.uid },
      { gid: own.gid },
      { uid: 65_533, gid: 65_533 },
      { uid: 65_533 },
      { gid: 65_533 },
    ];
    for (const options of cases) {
      try {
        const child = t.cp.spawn('sh', ['-c', 'id -u; id -g; id -G; exit 0'], { ...options, cwd: '/' } as object);
        let text = '';
        child.stdout.on('data', (data) => {
          text += data;
        });
        child.on('exit', (code) => t.trace(root, 'exit', code));
        await t.closed(child);
        t.trace(text);
      } catch (error) {
        t.trace(error);
      }
    }
    for (const options of [{ uid: -1 }, { uid: 1.5 }, { gid: 'wheel' }]) {
      try {
        t.cp.spawn('true', [], options as object).on('error', (error) => t.trace(error));
      } catch (error) {
        t.trace(error);
      }
    }
  });
});
