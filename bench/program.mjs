// @ts-check
// One child process of the bench: started, listened to line by line, looked at in /proc, stopped by its id.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** How long a program may take to say what it should, in milliseconds. */
const PATIENCE = 30_000;

export class Program {
  /** @type {any[]} */
  #lines = [];
  /** @type {(() => void)[]} */
  #waiting = [];
  #errors = '';
  #over = false;

  /**
   * @param {string} command @param {string[]} args @param {NodeJS.ProcessEnv} env
   */
  constructor(command, args, env) {
    this.name = args.at(-1) ?? command;
    this.child = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    this.child.stderr.on('data', (chunk) => {
      this.#errors = (this.#errors + chunk).slice(-2000);
    });
    this.child.on('error', (error) => {
      this.#errors += error.message;
      this.#end();
    });
    this.child.stdin.on('error', () => {});
    this.exited = new Promise((resolve) => this.child.on('close', (code, signal) => resolve(code ?? signal)));
    this.exited.then(() => this.#end());
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      // A program may say what it likes as well: only its lines of JSON are for us.
      if (line.startsWith('{')) this.#lines.push(JSON.parse(line));
      this.#wake();
    });
  }

  get pid() {
    return this.child.pid ?? 0;
  }

  /** The next line of JSON; an error if the program ends or is silent for too long. @param {number} [patience] */
  async line(patience = PATIENCE) {
    const deadline = Date.now() + patience;
    while (this.#lines.length === 0) {
      if (this.#over) throw new Error(`${this.name} ended early: ${this.#reason()}`);
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`${this.name} said nothing for ${patience} ms: ${this.#reason()}`);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#waiting.push(() => {
          clearTimeout(timer);
          resolve(undefined);
        });
      });
    }
    return this.#lines.shift();
  }

  /** SIGTERM, and SIGKILL to what does not listen. Resolves when the process is gone. */
  async stop() {
    this.child.kill('SIGTERM');
    const impatient = setTimeout(() => this.child.kill('SIGKILL'), 3000);
    await this.exited;
    clearTimeout(impatient);
  }

  /** Highest and present resident memory, in kilobytes. */
  memory() {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    const field = (/** @type {string} */ name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]);
    return { peakKb: field('VmHWM'), residentKb: field('VmRSS') };
  }

  /** Whether the process has our addon in its memory, which is what makes it a run under tsloop. */
  hasAddon() {
    // A build beside a running bench replaces the file: its old pages are then marked as deleted.
    return /\/tsloop\.[^/\s]*\.node( \(deleted\))?$/m.test(readFileSync(`/proc/${this.pid}/maps`, 'utf8'));
  }

  /** User and system time in clock ticks: coarse, but enough to tell our work from that of others. */
  ticks() {
    const stat = readFileSync(`/proc/${this.pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(fields[11]) + Number(fields[12]);
  }

  /** The line of standard error that names an error, or the first one. */
  #reason() {
    const lines = this.#errors.trim().split('\n');
    return lines.find((line) => line.includes('Error:')) ?? (lines[0] || 'nothing on standard error');
  }

  #wake() {
    for (const waiting of this.#waiting.splice(0)) waiting();
  }

  #end() {
    this.#over = true;
    this.#wake();
  }
}

/** Ticks that any processor of the machine was busy, or was taken away by the host. */
export function machineTicks() {
  const [, user, nice, system, , , irq, softirq, steal] = (
    readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? ''
  ).split(/\s+/);
  return [user, nice, system, irq, softirq, steal].reduce((sum, field) => sum + Number(field), 0);
}

/** The kernel's ticks per second: 100 on every Linux that Node runs on, as seen by programs. */
export const TICKS_PER_SECOND = 100;

/** Resolves after a stretch in which the machine was nearly idle, or after so many seconds. @param {number} seconds */
export async function untilCalm(seconds) {
  const deadline = Date.now() + seconds * 1000;
  const stretch = 300;
  while (Date.now() < deadline) {
    const before = machineTicks();
    await new Promise((resolve) => setTimeout(resolve, stretch));
    const busyCores = (machineTicks() - before) / TICKS_PER_SECOND / (stretch / 1000);
    if (busyCores < 0.1) return;
  }
}
