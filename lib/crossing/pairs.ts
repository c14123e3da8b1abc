/**
 * Handles that cross a border, of the process or of the thread: Node's own code sends and receives native ones, so ours become
 * native on a duplicate of the descriptor when they leave, and native ones become ours when they arrive.
 */

import { SOCKET } from '../bindings/accepted';
import { openNative, settledDescriptor } from '../bindings/descriptors';
import { insideOf } from '../bindings/inside';
import { streamOf } from '../bindings/stream-handle';
import { getEnvironment } from '../context/environment';
import {
  ArrayPrototypeFind,
  FunctionPrototypeSymbolHasInstance,
  ObjectDefineProperty,
  ObjectGetPrototypeOf,
} from '../primordials';
import type { NativeClass, NativeHandle } from '../shapes';

/** Both sides of one handle class. */
export interface Pair {
  readonly Native: NativeClass;
  readonly Ours: NativeClass;
  /** What arrives from another process becomes ours. */
  readonly adopts: boolean;
}

/** The classes whose handles are converted. */
export class Pairs {
  readonly #pairs: readonly Pair[];

  constructor(pairs: readonly Pair[]) {
    this.#pairs = pairs;
  }

  /** A native handle on a duplicate of ours; null if the descriptor cannot be duplicated (`EMFILE`). */
  toNative(handle: object): NativeHandle | null {
    const inside = insideOf(handle);
    const pair = ArrayPrototypeFind(this.#pairs, ({ Ours }) => ObjectGetPrototypeOf(handle) === Ours.prototype);
    if (inside === null || pair === undefined || inside.fd < 0) return null;
    const copy = getEnvironment().native.duplicate(settledDescriptor(inside));
    if (copy < 0) return null;
    const native = new pair.Native(SOCKET) as NativeHandle;
    if (openNative(native, copy) !== 0) {
      native.close();
      return null;
    }
    return native;
  }

  /** One of our handles on a duplicate of a native one, which is closed; the native one itself if that fails. */
  toOurs(handle: unknown): unknown {
    const native = handle as NativeHandle;
    if (handle === null || typeof handle !== 'object' || insideOf(handle) !== null) return handle;
    const pair = ArrayPrototypeFind(this.#pairs, ({ Native }) => ObjectGetPrototypeOf(handle) === Native.prototype);
    if (pair === undefined || !pair.adopts) return handle;
    const ours = new pair.Ours(SOCKET) as NativeHandle;
    if (insideOf(ours) === null) {
      ours.close();
      return handle;
    }
    const copy = getEnvironment().native.duplicate(native.fd);
    if (copy < 0) {
      ours.close();
      return handle;
    }
    // A new number, so nothing of ours can be on it: not by `open`, which would look.
    streamOf(ours)?.openDescriptor(copy);
    native.close();
    return ours;
  }
}

/**
 * Makes `instanceof` on a class answer for both kinds: lib/ may have captured either. `asked` hears of each question:
 * lib/ asks it of a handle that comes from another thread, before anything else.
 */
export function acceptBoth({ Native, Ours }: Pair, asked: () => void): void {
  const accept = (target: NativeClass): void => {
    ObjectDefineProperty(target, Symbol.hasInstance, {
      __proto__: null,
      configurable: true,
      value(this: unknown, value: unknown) {
        // A subclass of somebody else's asks for itself.
        if (this !== target) return FunctionPrototypeSymbolHasInstance(this as never, value);
        asked();
        return FunctionPrototypeSymbolHasInstance(Native, value) || FunctionPrototypeSymbolHasInstance(Ours, value);
      },
    } as PropertyDescriptor);
  };
  accept(Native);
  accept(Ours);
}
