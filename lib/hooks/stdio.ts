/**
 * Standard input, output and error keep Node's own handles: nothing is to be gained there, and what is written to them
 * before `process.exit` follows libuv's rules. The three getters are lazy; handles made inside them are Node's.
 */

let depth = 0;

/** True while Node makes a standard stream. */
export function isMakingStdio(): boolean {
  return depth > 0;
}

/** Wraps the getters that make the standard streams. */
export function hookStdio(): void {
  for (const name of ['stdin', 'stdout', 'stderr'] as const) {
    const descriptor = Object.getOwnPropertyDescriptor(process, name);
    const make = descriptor?.get;
    if (descriptor === undefined || make === undefined || descriptor.configurable !== true) continue;
    Object.defineProperty(process, name, {
      ...descriptor,
      get() {
        depth += 1;
        try {
          return make.call(process);
        } finally {
          depth -= 1;
        }
      },
    });
  }
}
