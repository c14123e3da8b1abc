/** `tls_wrap`: Node's OpenSSL on top of our streams. Only `wrap` is ours, and only to know who consumes a stream. */

import { ReflectApply } from '../primordials';
import { streamOf } from './stream-handle';
import { Consumer } from './stream-state';

function ignore(): void {}

type Wrap = (handle: object, ...rest: unknown[]) => object;

/**
 * Tells a stream that OpenSSL reads it from here on. On the server lib/ reads the raw socket already, so OpenSSL, put
 * on top, never asks for a start. Read errors go to it as well: JSStream has an entry for the end only.
 */
export function wrapWrap(wrap: Wrap): Wrap {
  return function (this: unknown, ...given: Parameters<Wrap>) {
    const wrapped = ReflectApply(wrap, this, given) as object;
    const handle = given[0];
    const stream = streamOf(handle);
    if (stream !== null) {
      stream.consumer = Consumer.native;
      // A handle that OpenSSL alone uses never gets an `onread`; once OpenSSL has let go, what still comes falls
      // through to it, and the native side asserts that it is a function.
      if (typeof stream.handle.onread !== 'function') stream.handle.onread = ignore;
      stream.tls = wrapped as { onread(data?: ArrayBuffer): unknown };
    }
    return wrapped;
  };
}
