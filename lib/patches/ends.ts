/**
 * How a process ends without its environments being torn down: by `process.exit`, an exception that nobody catches,
 * another program in its place, an abort, a signal that it sends to itself. Bytes that count as written leave before, as
 * plain Node had given them to the kernel. (A natural end, and a Worker's, run the native part's own hook.)
 */

import type { Leaving } from '../bindings/leaving';
import { listenerCount, pid as ownPid } from '../boot/host';
import { MathAbs, ReflectApply } from '../primordials';

interface Ends {
  /** Behind `process.exit`. */
  reallyExit(...args: unknown[]): never;
  /** Asked by Node's C++ about an exception that nobody caught; it has emitted 'exit' when it answers no. */
  _fatalException?(...args: unknown[]): boolean;
  /** On the lines that have it. Returns, by throwing, only where there is no such program or it is not allowed. */
  execve?(...args: unknown[]): never;
  /** Behind `process.kill`. */
  _kill?(...args: unknown[]): number;
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

/**
 * Attaches to all of them while the program starts: who keeps one of these functions, to call it or to put it back (as
 * signal-exit does, and what stands on that), keeps ours. `leaving` tells what is done first, from the first handle on and for as
 * long as the process lives: handles of ours go on after `uninstall()`.
 */
export function hookEnds(leaving: () => Leaving | null): void {
  const ends = process as unknown as Ends;
  const { reallyExit: exit, _fatalException: judge, execve: replace, _kill: kill, abort: end } = ends;
  // Who listens for signals is the main thread's to know.
  const isMain = end.disabled !== true;
  // Methods: Node's own cannot be constructed either, have no `prototype`, and name no parameter.
  const ours = {
    reallyExit(...args: unknown[]): never {
      leaving()?.leave();
      return ReflectApply(exit, process, args) as never;
    },
    _fatalException(...args: unknown[]): boolean {
      let handled = false;
      // A listener that throws in its turn ends the process as well.
      try {
        handled = ReflectApply(judge as (...args: unknown[]) => boolean, process, args);
        return handled;
      } finally {
        if (!handled) leaving()?.leave();
      }
    },
    execve(...args: unknown[]): never {
      leaving()?.flush();
      return ReflectApply(replace as (...args: unknown[]) => never, process, args) as never;
    },
    _kill(...args: unknown[]): number {
      // Whoever gets one may look at what was written to it before.
      const first = leaving();
      if (first !== null) {
        if (isMain && endsUs(args[0] as number, args[1] as number)) first.leave();
        else if (args[1] !== 0) first.settle();
      }
      return ReflectApply(kill as (...args: unknown[]) => number, process, args);
    },
    abort(): never {
      leaving()?.leave();
      return ReflectApply(end, process, []) as never;
    },
  };
  ends.reallyExit = ours.reallyExit;
  if (typeof judge === 'function') ends._fatalException = ours._fatalException;
  if (typeof replace === 'function') ends.execve = ours.execve;
  if (typeof kill === 'function') ends._kill = ours._kill;
  if (isMain) ends.abort = ours.abort;
}
