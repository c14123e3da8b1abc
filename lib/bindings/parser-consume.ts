/** http's parser put on a handle of ours: `consume` of Node's own class tells whose bytes they are from then on. */

import { ArrayPrototypeIncludes, ReflectApply } from '../primordials';
import { put, unwrapped } from '../seam';
import { streamOf } from './stream-handle';
import { Consumer } from './stream-state';

interface ParserClass {
  readonly prototype: { consume?: (this: object, handle: object) => unknown };
}

interface Internals {
  readonly moduleLoadList?: readonly string[];
  getBuiltinModule?(name: string): unknown;
  binding(name: string): unknown;
}

/** The class where somebody has loaded it: for a program without http it is not worth its time. */
function loadedParser(): ParserClass | null {
  const internals = process as unknown as Internals;
  const loaded = internals.moduleLoadList ?? [];
  let home: unknown;
  try {
    if (ArrayPrototypeIncludes(loaded, 'NativeModule _http_common'))
      home = internals.getBuiltinModule?.('_http_common');
    // Newer lines refuse the binding.
    else if (ArrayPrototypeIncludes(loaded, 'Internal Binding http_parser'))
      home = unwrapped(internals.binding)('http_parser' as never);
  } catch {
    return null;
  }
  return (home as { HTTPParser?: ParserClass } | undefined)?.HTTPParser ?? null;
}

/**
 * Hears of parsers that are put on our handles, by lib/'s http server or by a program itself. Stays: handles of ours that are open
 * go on after `uninstall()`. That a parser has let go is found out by `takeBack`.
 */
export function hookConsume(): void {
  const parser = loadedParser();
  const consume = parser?.prototype.consume;
  if (parser === null || typeof consume !== 'function') return;
  put(parser.prototype, 'consume', function (this: object, handle: object) {
    const stream = streamOf(handle);
    if (stream !== null) stream.consumer = Consumer.parser;
    return ReflectApply(consume, this, [handle]);
  });
}
