/**
 * Starts one program, bounded in time and output, and says how it ended.
 *
 * Every child leads its own process group, so that a program that hangs is ended with everything
 * it started, by the id of that group and nothing else.
 */
import { type ChildProcess, spawn } from 'node:child_process';

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
  readonly milliseconds: number;
}

export interface LaunchOptions {
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  /** Text for standard input over a pipe; without it standard input is empty. */
  readonly stdin?: string;
  readonly timeout?: number;
}

/** What a program may print before it is cut off: a loop that prints must not fill the disk. */
const OUTPUT_CAP = 4 * 1024 * 1024;
/** What hangs is ended here: no program of the specs takes a second where nothing else runs. */
const DEFAULT_TIMEOUT = 30_000;

const running = new Set<number>();

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The group is gone already.
  }
}

process.on('exit', () => {
  for (const pid of running) endGroup(pid);
});

function collect(child: ChildProcess, name: 'stdout' | 'stderr'): () => string {
  const chunks: Buffer[] = [];
  let size = 0;
  child[name]?.on('data', (chunk: Buffer) => {
    if (size < OUTPUT_CAP) chunks.push(chunk);
    size += chunk.length;
  });
  return () => Buffer.concat(chunks).toString('utf8');
}

export function launch(binary: string, args: readonly string[], options: LaunchOptions = {}): Promise<Ending> {
  return new Promise((fulfil, reject) => {
    const started = performance.now();
    const child = spawn(binary, args, {
      cwd: options.cwd,
      env: options.env ?? {},
      detached: true,
      stdio: [options.stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    const stdout = collect(child, 'stdout');
    const stderr = collect(child, 'stderr');
    let timedOut = false;
    const pid = child.pid;
    if (pid !== undefined) running.add(pid);
    const timer = setTimeout(() => {
      timedOut = true;
      if (pid !== undefined) endGroup(pid);
    }, options.timeout ?? DEFAULT_TIMEOUT);
    child.on('error', reject);
    // A grandchild that outlives its parent keeps the pipes open and so delays 'close': it shares the
    // group, so it goes with it.
    child.on('exit', () => {
      setTimeout(() => pid !== undefined && running.has(pid) && endGroup(pid), 2_000).unref();
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (pid !== undefined) running.delete(pid);
      fulfil({
        code,
        signal,
        stdout: stdout(),
        stderr: stderr(),
        timedOut,
        milliseconds: performance.now() - started,
      });
    });
    if (options.stdin !== undefined) {
      // The child may end without reading: that is its own affair.
      child.stdin?.on('error', () => {});
      child.stdin?.end(options.stdin);
    }
  });
}
