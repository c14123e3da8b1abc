/** What leaves before the process does: see patches/ends.ts. */

import { findEnvironment } from '../context/environment';
import { writeHeldBack } from './stream-write';

/** What this thread's environment does before an end; nothing where there is none. */
export interface Leaving {
  /** What was asked for is carried out: the kernel has been offered every byte that counts as written. */
  settle(): void;
  /** Waits, for a bounded time, until the kernel has taken them; the process may live on. */
  flush(): void;
  /** As `flush`, and offers the kernel what lib/ held back too: lib/ must not go on and write it again. */
  leave(): void;
}

export const leaving: Leaving = {
  settle() {
    findEnvironment()?.settle();
  },
  flush() {
    const environment = findEnvironment();
    environment?.submit();
    environment?.native.flush();
  },
  leave() {
    const environment = findEnvironment();
    if (environment === null) return;
    environment.submit();
    environment.native.takeSeat();
    writeHeldBack();
    environment.native.flush();
  },
};
