/** Node's numbers of its handle types, by `getProviderType`. They differ from line to line, and only a handle knows its own. */

import { SafeMap } from '../collections';
import { unheard } from '../context/async-hooks';
import type { Provider } from '../context/async-scope';

interface NativeHandle {
  getProviderType(): number;
  close(): void;
}

const numbers = new SafeMap<Provider, number>();

/** The number of a type: of Node's own handle, made once for each, of which hooks do not hear. */
export function providerNumber(type: Provider, make: () => NativeHandle): number {
  let number = numbers.get(type);
  if (number === undefined) {
    const probe = unheard(make);
    number = probe.getProviderType();
    probe.close();
    numbers.set(type, number);
  }
  return number;
}
