/**
 * How a process ends without its environments being torn down: by `process.exit`, an exception that nobody catches,
 * another program in its place, an abort, a signal that it sends to itself. Bytes that count as written leave before, as
 * plain Node had given them to the kernel. (A natural end, and a Worker's, run the native part's own hook.)
 */

import { listenerCount, pid as ownPid } from '../boot/host';
import { MathAbs, ReflectApply } from '../primordials';

/** What this thread's environment does before an end. */
export interface Leaving {
  /** What was asked for is carried out: the kernel has been offered every byte that counts as written. */
  settle(): void;
  /** Waits, for a bounded time, until the kernel has taken them; the process may live on. */
  flush(): void;
  /** As `flush`, and offers the kernel what lib/ held back too: lib/ must not go on and write it again. */
  leave(): void;
}

interface Ends {
  /** Behind `process.exit`. */
  reallyExit(...args: unknown[]): never;
  /** Asked by Node's C++ about an exception that nobody caught; it has emitted 'exit' when it answers no. */
  _fatalException?(...args: unknown[]): boolean;
  /** On the lines that have it. Returns, by throwing, only where there is no such program or it is not allowed. */
  execve?(...args: unknown[]): never;
  /** Behind `process.kill`. */
  _kill?(pid: number, signal: number): number;
  /** A thread that is not the main one has a stand-in, which says that it is none. */
  abort: { (): never; disabled?: boolean };
}

/**
 * Signals that end a process which has no listener for them, by the numbers that POSIX gives them. The others' default may
 * be an addon's to say, or Node's.
 */
const deadly = {
  __proto__: null,
  1: 'SIGHUP',
  2: 'SIGINT',
  3: 'SIGQUIT',
  6: 'SIGABRT',
  9: 'SIGKILL',
  15: 'SIGTERM',
} as unknown as Readonly<Record<number, string | undefined>>;

/** Whether a signal to these is one to this process that ends it. The own group has no name in JavaScript but zero. */
function endsUs(pid: number, signal: number): boolean {
  if (pid !== 0 && MathAbs(pid) !== ownPid) return false;
  const name = deadly[signal];
  return name !== undefined && listenerCount(name) === 0;
}

/** What is done first: nothing before there is an environment. */
let first: Leaving | null = null;

/** From the first handle on, for as long as the process lives: handles of ours go on after `uninstall()`. */
export function leaveFirst(leaving: Leaving): void {
  first = leaving;
}

/**
 * Attaches to all of them while the program starts: who keeps one of these functions, to call it or to put it back (as
 * signal-exit does, and what stands on that), keeps ours.
 */
export function hookEnds(): void {
  const ends = process as unknown as Ends;
  const { reallyExit: exit, _fatalException: judge, execve: replace, _kill: kill, abort: end } = ends;
  // Who listens for signals is the main thread's to know.
  const isMain = end.disabled !== true;
  ends.reallyExit = function reallyExit(...args) {
    first?.leave();
    return ReflectApply(exit, process, args);
  };
  if (typeof judge === 'function') {
    ends._fatalException = function _fatalException(...args) {
      let handled = false;
      // A listener that throws in its turn ends the process as well.
      try {
        handled = ReflectApply(judge, process, args);
        return handled;
      } finally {
        if (!handled) first?.leave();
      }
    };
  }
  if (typeof replace === 'function') {
    ends.execve = function execve(...args) {
      first?.flush();
      return ReflectApply(replace, process, args);
    };
  }
  if (typeof kill === 'function') {
    ends._kill = function _kill(pid, signal) {
      // Whoever gets one may look at what was written to it before.
      if (first !== null) {
        if (isMain && endsUs(pid, signal)) first.leave();
        else if (signal !== 0) first.settle();
      }
      return ReflectApply(kill, process, [pid, signal]);
    };
  }
  if (isMain) {
    ends.abort = function abort() {
      first?.leave();
      return ReflectApply(end, process, []);
    };
  }
}
