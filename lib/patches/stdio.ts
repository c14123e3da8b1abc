/**
 * Standard input, output and error keep Node's own handles: nothing is to be gained there, and what is written to them
 * before `process.exit` follows libuv's rules. The three getters are lazy; handles made inside them are Node's.
 */

import { ObjectDefineProperty, ObjectGetOwnPropertyDescriptor } from '../primordials';
import { makeStdio } from '../standing';

/** Wraps the getters that make the standard streams. */
export function hookStdio(): void {
  hookGetter('stdin');
  hookGetter('stdout');
  hookGetter('stderr');
}

function hookGetter(name: 'stdin' | 'stdout' | 'stderr'): void {
  const descriptor = ObjectGetOwnPropertyDescriptor(process, name);
  const make = descriptor?.get;
  if (descriptor === undefined || make === undefined || descriptor.configurable !== true) return;
  ObjectDefineProperty(process, name, {
    __proto__: null,
    ...descriptor,
    get() {
      return makeStdio(make);
    },
  } as PropertyDescriptor);
}
