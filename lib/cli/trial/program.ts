/**
 * One program of the trial: the command as it is, with the agent in it, and for one of the three tsloop before that. It leads
 * a process group, so that what it starts ends with it.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Answer, COUNT, FOLDER, KEEP_PORTS, type Report } from './folder';
import type { Variant } from './measures';
import type { Options } from './options';
import type { Protocol, Target } from './requests';

/** Milliseconds: between two looks at the folder, for an answer of a program, for its end after SIGTERM, for what it said. */
const LOOK = 5;
const ANSWER = 1000;
const END = 3000;
const LAST_WORDS = 200;

/** What is kept of what a program prints: enough for the reason why it ended. */
const KEPT = 8192;

const root = join(__dirname, '..', '..', '..');

/** A program that did not do what a trial needs: the message says what, and what it said itself. */
export class ProgramError extends Error {
  readonly variant: Variant;

  constructor(message: string, variant: Variant) {
    super(message);
    this.variant = variant;
  }
}

const groups = new Set<number>();

/** Ends what is left, at once: for the end of the trial's own process. */
export function endAll(): void {
  for (const pid of groups) signal(-pid, 'SIGKILL');
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended.
  }
}

export class Program {
  readonly variant: Variant;
  readonly #folder: string;
  readonly #child: ChildProcess;
  #output = '';
  #code: string | null = null;
  #question = 0;

  constructor(variant: Variant, folder: string, options: Pick<Options, 'command' | 'restart' | 'load'>) {
    this.variant = variant;
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'control'), '');
    writeFileSync(join(folder, 'report'), '');
    const [command = '', ...args] = options.command;
    this.#child = spawn(command, args, {
      env: environment(variant, folder, options),
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    if (this.#child.pid !== undefined) groups.add(this.#child.pid);
    const keep = (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString('utf8')).slice(-KEPT);
    };
    this.#child.stdout?.on('data', keep);
    this.#child.stderr?.on('data', keep);
    this.#child.on('error', (error) => {
      this.#code = error.message;
    });
    // Once its last words are here; whoever it left behind may hold the pipes open.
    const ended = (code: number | null, name: string | null) => {
      this.#code ??= name ?? `code ${code}`;
    };
    this.#child.on('close', ended);
    this.#child.on('exit', (code, name) => setTimeout(ended, LAST_WORDS, code, name).unref());
  }

  get ended(): boolean {
    return this.#code !== null;
  }

  get output(): string {
    return this.#output;
  }

  /** The processes of the program that have the agent in them and live. */
  get pids(): number[] {
    const all = this.#reports().map(({ pid }) => pid);
    return [...new Set(all)].filter(isAlive);
  }

  /** The processes that listen: of a cluster its workers, of `npm start` not npm. */
  get listeners(): number[] {
    const all = this.#reports().filter(({ what }) => what === 'listening');
    return [...new Set(all.map(({ pid }) => pid))].filter(isAlive);
  }

  /** Where to send the load; null while nobody listens there. */
  target({ protocol, port }: Options['wanted']): Target | null {
    const all = this.#reports().filter((report) => report.what === 'listening');
    const fitting = all.filter(
      ({ asked, protocol: own, port: real }) =>
        (port === null || asked === port || real === port) && (protocol === 'tcp' || own !== 'tcp'),
    );
    const found = fitting.find(({ path }) => path === null) ?? fitting[0];
    if (found === undefined) return null;
    return {
      protocol: protocol ?? (found.protocol as Protocol),
      secure: found.secure,
      host: hostFor(found.host),
      port: found.port,
      path: found.path,
      asked: found.asked,
    };
  }

  /** What it listens on, by the names that it gave: ports and paths. */
  get places(): string[] {
    const all = this.#reports().filter((report) => report.what === 'listening');
    return [...new Set(all.map(({ asked, port, path }) => String(asked ?? port ?? path)))];
  }

  /** Throws once the program has ended: there is nothing more to wait for. */
  insist(): void {
    if (this.#code === null) return;
    const said = this.#output.trim().split('\n').slice(-12).join('\n');
    const where = this.variant === 'tsloop' ? 'on tsloop' : 'on plain Node';
    throw new ProgramError(
      `the program ended ${where} with ${this.#code}${said === '' ? '' : `, and said:\n${said}`}`,
      this.variant,
    );
  }

  /**
   * How its processes are, and "open" or "close" to those that measure in between. Whoever does not answer in time is left
   * out: a loop that is busy for so long says that by its silence.
   */
  async ask(what: 'open' | 'close'): Promise<Answer[]> {
    this.#question += 1;
    const question = `${what} ${this.#question}`;
    appendFileSync(join(this.#folder, 'control'), `${question}\n`);
    const files = this.pids.map((pid) => join(this.#folder, `${pid}-${question.replace(' ', '-')}.json`));
    const deadline = Date.now() + ANSWER;
    const found = new Map<string, Answer>();
    for (;;) {
      for (const file of files) {
        if (found.has(file)) continue;
        const answer = readAnswer(file);
        if (answer !== null) found.set(file, answer);
      }
      if (found.size === files.length || Date.now() > deadline) return [...found.values()];
      await pause(LOOK);
    }
  }

  async stop(): Promise<void> {
    const { pid } = this.#child;
    if (pid === undefined) return;
    signal(-pid, 'SIGTERM');
    const deadline = Date.now() + END;
    while (isAlive(-pid) && Date.now() < deadline) await pause(LOOK * 4);
    signal(-pid, 'SIGKILL');
    groups.delete(pid);
    this.#child.stdout?.destroy();
    this.#child.stderr?.destroy();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #reports(): Report[] {
    const lines = readFileSync(join(this.#folder, 'report'), 'utf8').split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line) as Report);
  }
}

/** Signal 0 asks for nothing but whether it would arrive; of a negative number, whether the group has a member left. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function readAnswer(file: string): Answer | null {
  try {
    const answer = JSON.parse(readFileSync(file, 'utf8')) as Answer;
    rmSync(file);
    return answer;
  } catch {
    return null;
  }
}

/** An address for those who listen to all. */
function hostFor(host: string | null): string {
  if (host === null || host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host;
}

/** A path as NODE_OPTIONS takes it, which splits at spaces. */
const quoted = (path: string): string => `"${path.replace(/["\\]/g, '\\$&')}"`;

function environment(
  variant: Variant,
  folder: string,
  { restart, load }: Pick<Options, 'restart' | 'load'>,
): NodeJS.ProcessEnv {
  const { TSLOOP: _, NODE_OPTIONS: given = '', ...env } = process.env;
  // tsloop before what the shell loads, as its own instructions say, and the agent behind both.
  const options = [
    ...(variant === 'tsloop' ? ['-r', quoted(join(root, 'register.js'))] : []),
    ...(given === '' ? [] : [given]),
    ...['-r', quoted(join(__dirname, 'agent.js'))],
  ];
  return {
    ...env,
    NODE_OPTIONS: options.join(' '),
    // A command that brings tsloop along by itself is to be plain all the same.
    ...(variant === 'tsloop' ? {} : { TSLOOP: 'off' }),
    [FOLDER]: folder,
    ...(restart ? { [KEEP_PORTS]: '1' } : {}),
    ...(load === null ? {} : { [COUNT]: '1' }),
  };
}
