/**
 * What a stream remembers, in little memory: ten thousand connections that never speak must not weigh more than
 * Node's. Answers of yes and no share one word; what few streams ever have stands in an object of its own.
 */

import type { Provider } from '../context/async-scope';
import { ArrayPrototypeForEach, ArrayPrototypeIndexOf, ObjectDefineProperty, ObjectKeys } from '../primordials';
import type { Request } from './requests';

/** Bytes, or the end with its number, that came between `readStop` and the next `readStart`. */
export type HeldRead = ArrayBuffer | number;

/** Who takes the bytes: lib/ through `onread`, or a native consumer (http's parser, http2, TLS) through the handle. */
export const Consumer = { lib: 0, parser: 1, native: 2 } as const;

/** Node's names for our handles. */
const types = ['TCPWRAP', 'TCPSERVERWRAP', 'PIPEWRAP', 'PIPESERVERWRAP'] as const satisfies readonly Provider[];
export type StreamType = (typeof types)[number];

const flags = {
  closed: 1 << 0,
  gone: 1 << 1,
  listening: 1 << 2,
  open: 1 << 3,
  referenced: 1 << 4,
  reading: 1 << 5,
  ended: 1 << 6,
  nativeReads: 1 << 7,
  pressed: 1 << 8,
  ending: 1 << 9,
  lazy: 1 << 10,
  alive: 1 << 11,
  copies: 1 << 12,
  shared: 1 << 13,
  deserted: 1 << 14,
  dead: 1 << 15,
  broken: 1 << 16,
  asks: 1 << 17,
} as const;

/** Above the flags, two bits. */
const TYPE = 18;
const TYPE_BITS = 3;

class Rare {
  held: HeldRead[] | null = null;
  userBuffer: Uint8Array | null = null;
  tls: { onread(data?: ArrayBuffer): unknown } | null = null;
  shutdownRequest: Request | null = null;
  shutdownNative: object | null = null;
  connectRequest: Request | null = null;
  closeCallback: ((this: unknown) => void) | null = null;
  delayedError = 0;
  path: string | null = null;
  standard = -1;
}

const nothingRare = new Rare();

export class StreamState {
  /** `close` was called. */
  declare closed: boolean;
  /** The close callback ran. */
  declare gone: boolean;
  /** It has returned: Node's native handle is no more, and its methods find none behind them. */
  declare dead: boolean;
  declare listening: boolean;
  /** Connected or opened: reads and writes make sense. */
  declare open: boolean;
  declare referenced: boolean;
  declare reading: boolean;
  /** The end of reading, or its error, was delivered or waits to be. */
  declare ended: boolean;
  /** A native consumer has started reading by itself. */
  declare nativeReads: boolean;
  /** The kernel's buffer is full (offload). */
  declare pressed: boolean;
  /** Both directions are at an end: nothing that waits will ever leave. */
  declare broken: boolean;
  /** `shutdown` was called. */
  declare ending: boolean;
  /** An adopted descriptor that is not in the reactor yet: it may still become a listener or connect. */
  declare lazy: boolean;
  /** The reactor will be asked to read, early in the next turn of the loop. */
  declare asks: boolean;
  /** Holds the event loop. */
  declare alive: boolean;
  /** `onread` is lib/'s own, which copies what it is shown (`makesBuffers`). */
  declare copies: boolean;
  /** The descriptor came by its number, from another process or from a thread: others may accept from it as well. */
  declare shared: boolean;
  /** The end of a pipe whose child could not be started: there is no peer, and never was. */
  declare deserted: boolean;

  /** Bytes that came while nobody was reading; null unless `rare` is there. */
  declare held: HeldRead[] | null;
  /** The program's memory to read into; null unless `rare` is there. */
  declare userBuffer: Uint8Array | null;
  /** OpenSSL on top of us, if any: where a read error goes. */
  declare tls: { onread(data?: ArrayBuffer): unknown } | null;
  declare shutdownRequest: Request | null;
  declare shutdownNative: object | null;
  declare connectRequest: Request | null;
  declare closeCallback: ((this: unknown) => void) | null;
  /** An error of `bind` that a later call answers with, as libuv has it. */
  declare delayedError: number;
  /** A bound path, unlinked at close. */
  declare path: string | null;
  /** The standard stream of which we have a duplicate; −1 for none. */
  declare standard: number;

  bits: number;
  rare: Rare | null = null;
  /** One of `Consumer`: a field of its own, as it is asked for at every event. */
  consumer: number = Consumer.lib;

  constructor(type: StreamType) {
    this.bits = flags.referenced | (ArrayPrototypeIndexOf<string>(types, type) << TYPE);
  }

  get type(): StreamType {
    return types[(this.bits >> TYPE) & TYPE_BITS] as StreamType;
  }
}

type Bits = { bits: number };

ArrayPrototypeForEach(ObjectKeys(flags) as (keyof typeof flags)[], (name) => {
  const bit = flags[name];
  ObjectDefineProperty(StreamState.prototype, name, {
    __proto__: null,
    get(this: Bits) {
      return (this.bits & bit) !== 0;
    },
    set(this: Bits, on: boolean) {
      this.bits = on ? this.bits | bit : this.bits & ~bit;
    },
  } as PropertyDescriptor);
});

ArrayPrototypeForEach(ObjectKeys(nothingRare) as (keyof Rare)[], (name) => {
  ObjectDefineProperty(StreamState.prototype, name, {
    __proto__: null,
    get(this: StreamState) {
      return (this.rare ?? nothingRare)[name];
    },
    set(this: StreamState, value: never) {
      if (this.rare === null) {
        if (value === nothingRare[name]) return;
        this.rare = new Rare();
      }
      this.rare[name] = value;
    },
  } as PropertyDescriptor);
});
