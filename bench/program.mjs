// @ts-check
// One child process of the bench: started, listened to line by line, looked at in /proc, stopped by its id.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
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

  /**
   * Processor time in nanoseconds, added up over the threads that live: enough to tell our work from that of others.
   * @param {number[]} [pids] its processes, where it has others than its own
   */
  nanos(pids = [this.pid]) {
    let sum = 0;
    for (const pid of pids) {
      for (const thread of readdirSync(`/proc/${pid}/task`)) {
        try {
          sum += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
        } catch {
          // It has ended since it was listed.
        }
      }
    }
    return sum;
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
