/**
 * One child process on our side of a handle. `process-wrap` is the shell around it; the native part starts it, the
 * reactor says when it has ended, and its status is taken here, on JavaScript's thread: until then its number is its own.
 */

import { constants } from 'node:os';
import { SafeMap, SafeSet } from '../collections';
import { callIn, runIn, type Scope } from '../context/async-scope';
import { getEnvironment } from '../context/environment';
import { waitForClosing } from '../context/phases';
import { errno } from '../native';
import { Command, Control } from '../native/protocol';
import { ArrayPrototypeForEach, ArrayPrototypePush, MathMax, ObjectKeys } from '../primordials';
import { NOTHING } from './closed';

/** Children of the reactor by slot. */
const table: (Child | undefined)[] = [];
/** Started, or tried to, and not closed: Node's introspection lists them. */
const live = new SafeSet<Child>();

/** The child of an event; a stale id finds none. */
export function childAt(slot: number, generation: number): Child | undefined {
  const found = table[slot];
  return found !== undefined && found.generation === generation ? found : undefined;
}

/** Handles of children whose spawning was tried, until their close callback ran. */
export function liveChildren(): readonly Child[] {
  const all: Child[] = [];
  live.forEach((child) => {
    ArrayPrototypePush(all, child);
  });
  return all;
}

/** How often a child is looked at that the kernel would not watch (it has no memory for it, or a limit is reached). */
const UNWATCHED_MS = 50;

const signalNames = new SafeMap<number, string>();
ArrayPrototypeForEach(ObjectKeys(constants.signals) as NodeJS.Signals[], (name) => {
  const number = constants.signals[name];
  if (!signalNames.has(number)) signalNames.set(number, name);
});

/** Node's name of a signal: of several for one number, the first; empty for what has none. */
export function signalName(number: number): string {
  return signalNames.get(number) ?? '';
}

export class Child {
  readonly handle: object;
  scope: Scope;
  slot = -1;
  generation = 0;
  /** Descriptor of the process, −1 without one; the reactor's to close. */
  fd = -1;
  /** A spawn was tried: before that Node's handle is as good as closed. */
  tried = false;
  running = false;
  referenced = true;
  closed = false;
  /** Its end was told, and is to be told once more. */
  #asked = false;
  /** The close callback ran. */
  gone = false;
  /** It has returned: there is nothing behind the handle any more. */
  dead = false;
  /** Where Node's introspection lists it: behind the pipes that were made for it. */
  place = 0;
  #pid = 0;
  #alive = false;
  #closeCallback: ((this: unknown) => void) | null = null;

  constructor(handle: object, scope: Scope) {
    this.handle = handle;
    this.scope = scope;
  }

  /** Keeps the event loop alive exactly when libuv would (docs/seams.md, "What holds the loop"). */
  #updateLiveness(): void {
    const alive = this.running && this.referenced && !this.closed;
    if (alive === this.#alive) return;
    this.#alive = alive;
    if (alive) getEnvironment().hold();
    else getEnvironment().release();
  }

  /** A spawn is under way, whatever comes of it; `pipes` says when its pipes were made. */
  try(pipes: readonly number[]): void {
    this.tried = true;
    this.place = this.scope.asyncId();
    for (let index = 0; index < pipes.length; index += 1) this.place = MathMax(this.place, pipes[index] as number);
    live.add(this);
  }

  /** It runs, and is in the reactor. */
  start(pid: number, fd: number, slot: number, generation: number): void {
    this.#pid = pid;
    this.fd = fd;
    this.slot = slot;
    this.generation = generation;
    this.running = true;
    table[slot] = this;
    this.#updateLiveness();
  }

  get hasRef(): boolean {
    if (this.dead) return NOTHING as never;
    return this.tried && !this.gone && this.referenced;
  }

  setReferenced(on: boolean): void {
    if (!this.tried || this.gone) return;
    this.referenced = on;
    this.#updateLiveness();
  }

  kill(signal: number): number {
    if (this.dead) return NOTHING;
    // One that was reaped has no number any more: somebody else may have it.
    if (!this.running) return errno.ESRCH;
    // What counts as written to it is there before the signal.
    getEnvironment().settle();
    return getEnvironment().native.kill(this.#pid, signal);
  }

  /** The reactor says that it has ended, or that it cannot say. */
  onExited(): void {
    if (!this.running || this.closed) return;
    const environment = getEnvironment();
    const { native, control } = environment;
    // It may have been seen before we asked for what the child wrote, which is to come first: libuv looks for ended children
    // when it has read everything else. So we ask again, behind that.
    if (!this.#asked) {
      this.#asked = true;
      environment.command(Command.tellAgain, this);
      return;
    }
    const status = native.reap(this.fd);
    if (status === 0) setTimeout(() => this.onExited(), UNWATCHED_MS);
    // Somebody else has taken the status (an addon that waits for any child): nobody will ever know it, as with libuv.
    if (status <= 0) return;
    this.running = false;
    this.#updateLiveness();
    const name = signalName(control[Control.out2] as number);
    callIn(this.scope, this.handle, 'onexit', control[Control.out] as number, name);
  }

  /** Begins to close; the callback comes in libuv's closing phase. A child that runs goes on, and is reaped later. */
  close(callback: ((this: unknown) => void) | null): void {
    if (!this.tried || this.closed) return;
    this.closed = true;
    this.#closeCallback = callback;
    if (this.slot >= 0) {
      table[this.slot] = undefined;
      getEnvironment().command(Command.close, this);
    }
    this.#updateLiveness();
    waitForClosing(this);
  }

  /** The closing phase. */
  finishClosing(): void {
    this.gone = true;
    live.delete(this);
    const callback = this.#closeCallback;
    this.#closeCallback = null;
    if (callback !== null) runIn(this.scope, this.handle, callback as never);
    this.dead = true;
    this.scope.emitDestroy();
  }
}
