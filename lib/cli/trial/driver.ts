/** The trial's end of the line to the process that makes the load. */

import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import type { Received } from './bodies';
import type { Order, Result, Word } from './generator';
import type { Plan } from './load';
import type { Request, Target } from './requests';

/** How much longer than its own time a slice may take, in seconds: a program may be busy with something else for a while. */
const SLACK = 30;

export class Driver {
  readonly #child: ChildProcess;
  #hear: ((word: Word) => void) | null = null;

  constructor() {
    // On plain Node whatever the shell has set: the load must be the same for all.
    const { NODE_OPTIONS: _, ...env } = process.env;
    this.#child = fork(join(__dirname, 'generator.js'), [], {
      env: { ...env, TSLOOP: 'off' },
      execArgv: [],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#child.on('message', (word) => this.#hear?.(word as Word));
    this.#child.on('exit', () => this.#hear?.({ what: 'failed', message: 'the load generator ended' }));
  }

  /** One answer to one request. */
  async ask(target: Target, request: Request, seconds: number): Promise<Received> {
    const word = await this.#order({ what: 'ask', target, request, seconds }, seconds);
    return (word as Extract<Word, { what: 'answer' }>).received;
  }

  /** A slice of load; `opened` is called as its window opens. */
  async slice(plan: Plan, pids: readonly number[], folder: string | null, opened: () => void): Promise<Result> {
    const word = await this.#order({ what: 'slice', plan, pids, folder }, plan.lead + plan.seconds, opened);
    return (word as Extract<Word, { what: 'slice' }>).result;
  }

  stop(): void {
    this.#hear = null;
    if (this.#child.connected) this.#child.disconnect();
    this.#child.kill('SIGKILL');
  }

  #order(order: Order, seconds: number, opened?: () => void): Promise<Word> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(
        () => {
          this.#hear = null;
          reject(new Error('the load generator did not come back'));
        },
        (seconds + SLACK) * 1000,
      );
      this.#hear = (word) => {
        if (word.what === 'opened') return opened?.();
        clearTimeout(late);
        this.#hear = null;
        if (word.what === 'failed') reject(new Error(word.message));
        else resolve(word);
      };
      this.#child.send(order);
    });
  }
}
