/**
 * How a process ends without its environments being torn down: by `process.exit`, an exception that nobody catches,
 * another program in its place, an abort, a signal that it sends to itself. Bytes that count as written leave before, as
 * plain Node had given them to the kernel. (A natural end, and a Worker's, run the native part's own hook.)
 */

import { constants } from 'node:os';

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
  reallyExit(code?: number): never;
  /** Asked by Node's C++ about an exception that nobody caught; it has emitted 'exit' when it answers no. */
  _fatalException?(...args: unknown[]): boolean;
  /** On the lines that have it. Returns, by throwing, only where there is no such program or it is not allowed. */
  execve?(file: string, ...rest: unknown[]): never;
  /** Behind `process.kill`. */
  _kill?(pid: number, signal: number): number;
  /** A thread that is not the main one has a stand-in, which says that it is none. */
  abort: { (): never; disabled?: boolean };
}

const { SIGABRT, SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM } = constants.signals;

/** Signals that end a process which has no listener for them. The others' default may be an addon's to say, or Node's. */
const deadly = new Map(Object.entries({ SIGABRT, SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM }).map(([a, b]) => [b, a]));

/** Whether a signal to these is one to this process that ends it. The own group has no name in JavaScript but zero. */
function endsUs(pid: number, signal: number): boolean {
  if (pid !== 0 && Math.abs(pid) !== process.pid) return false;
  const name = deadly.get(signal);
  return name !== undefined && process.listenerCount(name) === 0;
}

/** Attaches to all of them, for as long as the process lives: handles of ours go on after `uninstall()`. */
export function leaveFirst({ settle, flush, leave }: Leaving): void {
  const ends = process as unknown as Ends;
  const { reallyExit: exit, _fatalException: judge, execve: replace, _kill: kill, abort: end } = ends;
  // Who listens for signals is the main thread's to know.
  const isMain = end.disabled !== true;
  ends.reallyExit = function reallyExit(code) {
    leave();
    return exit.call(process, code);
  };
  if (typeof judge === 'function') {
    ends._fatalException = function _fatalException(...args) {
      let handled = false;
      // A listener that throws in its turn ends the process as well.
      try {
        handled = judge.apply(process, args);
        return handled;
      } finally {
        if (!handled) leave();
      }
    };
  }
  if (typeof replace === 'function') {
    ends.execve = function execve(file, ...rest) {
      flush();
      return replace.call(process, file, ...rest);
    };
  }
  if (typeof kill === 'function') {
    ends._kill = function _kill(pid, signal) {
      // Whoever gets one may look at what was written to it before.
      if (isMain && endsUs(pid, signal)) leave();
      else if (signal !== 0) settle();
      return kill.call(process, pid, signal);
    };
  }
  if (isMain) {
    ends.abort = function abort() {
      leave();
      return end.call(process);
    };
  }
}
