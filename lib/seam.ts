/**
 * The only caller of `process.binding`: fetches the objects that Node's lib/ reads its handle classes from, swaps
 * classes on them, and undoes that softly (a class that someone else replaced since is left alone).
 *
 * While a program starts nothing but {@link fetchDoors} and {@link swapOnRead} run: the classes are made when lib/ first
 * reads them.
 */

import {
  ArrayIsArray,
  ArrayPrototypeIncludes,
  ArrayPrototypePop,
  ArrayPrototypePush,
  FunctionPrototype,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ObjectGetPrototypeOf,
} from './primordials';
import type { NativeClass, SpawnSync } from './shapes';

/** The binding objects that lib/ reads its handle classes from, and those classes. */
export interface Doors {
  readonly tcp: object;
  readonly pipe: object;
  readonly udp: object;
  readonly process: object;
  readonly NativeTCP: NativeClass;
  readonly NativePipe: NativeClass;
  readonly NativeUDP: NativeClass;
  readonly NativeProcess: NativeClass;
}

/** What else of Node's tsloop attaches to, fetched once the first class is read. */
export interface Seam {
  readonly stream: { streamBaseState: Int32Array };
  readonly jsStream: { JSStream: NativeClass };
  readonly sync: { spawn: SpawnSync };
  readonly tls: { wrap: (...args: unknown[]) => object };
  /** Drains ticks and microtasks, as between two of libuv's callbacks. */
  readonly tick: () => void;
}

type Binding = (name: string) => never;

interface ProcessInternals {
  binding: Binding;
  _tickCallback(): void;
  /** Grows as lib/ loads its modules. */
  moduleLoadList?: readonly string[];
}

/** Those of `process` that the classes are made with, which may be long after the program's start. */
const { binding: foundBinding, _tickCallback: foundTick, moduleLoadList } = process as unknown as ProcessInternals;

/**
 * The function under Node's deprecation wrapper, if it stands under one: `--pending-deprecation` wraps what we call
 * (DEP0111, DEP0134), and a warning about that would not be of the program's doing. `util.deprecate` makes the function
 * its wrapper's prototype, so the program's own use warns as ever.
 */
export function unwrapped<T extends (...args: never[]) => unknown>(found: T): T {
  const below: unknown = typeof found === 'function' ? ObjectGetPrototypeOf(found) : null;
  return typeof below === 'function' && below !== FunctionPrototype ? (below as T) : found;
}

function isClass(found: unknown): found is NativeClass {
  return typeof found === 'function';
}

/**
 * Fetches what lib/ reads its classes from.
 *
 * @throws Error when something is missing: this Node differs, the caller steps aside.
 */
export function fetchDoors(): Doors {
  const binding = unwrapped(foundBinding);
  const tcp: Record<string, unknown> = binding('tcp_wrap');
  const pipe: Record<string, unknown> = binding('pipe_wrap');
  const udp: Record<string, unknown> = binding('udp_wrap');
  const processes: Record<string, unknown> = binding('process_wrap');
  const { TCP: NativeTCP } = tcp;
  const { Pipe: NativePipe } = pipe;
  const { UDP: NativeUDP } = udp;
  const { Process: NativeProcess } = processes;
  if (!isClass(NativeTCP) || !isClass(NativePipe) || !isClass(NativeUDP) || !isClass(NativeProcess))
    throw new Error('a handle class is missing');
  return { tcp, pipe, udp, process: processes, NativeTCP, NativePipe, NativeUDP, NativeProcess };
}

let seam: Seam | null = null;

/**
 * The rest, fetched when it is first asked for.
 *
 * @throws Error as {@link fetchDoors}.
 */
export function fetchSeam(): Seam {
  seam ??= findSeam();
  return seam;
}

function findSeam(): Seam {
  const binding = unwrapped(foundBinding);
  const found: Seam = {
    stream: binding('stream_wrap'),
    jsStream: binding('js_stream'),
    sync: binding('spawn_sync'),
    tls: binding('tls_wrap'),
    tick: unwrapped(foundTick),
  };
  if (!isClass(found.jsStream.JSStream)) throw new Error('the base class is missing');
  if (!(found.stream.streamBaseState instanceof Int32Array)) throw new Error('the stream state is missing');
  if (typeof found.tick !== 'function') throw new Error('the tick callback is missing');
  return found;
}

/** True when a module of lib/'s has read Node's classes already, or is about to. */
export function isLoaded(
  module: 'net' | 'dgram' | 'child_process' | 'internal/child_process' | 'internal/cluster/child',
): boolean {
  return ArrayIsArray(moduleLoadList) && ArrayPrototypeIncludes(moduleLoadList, `NativeModule ${module}`);
}

interface Swap {
  readonly holder: object;
  readonly name: string;
  readonly before: PropertyDescriptor;
  /** Whether what stands there now is ours still. */
  isOurs(now: Own): boolean;
}

const swaps: Swap[] = [];

function descriptorOf(holder: object, name: string): PropertyDescriptor {
  const found = ObjectGetOwnPropertyDescriptor(holder, name);
  if (found === undefined) throw new Error(`${name} is missing`);
  return { __proto__: null, ...found } as PropertyDescriptor;
}

/** What a property has of its own: a descriptor inherits from whatever a program has put on `Object.prototype`. */
interface Own {
  readonly value?: unknown;
  readonly get?: unknown;
}

function ownOf(holder: object, name: string): Own {
  return { __proto__: null, ...ObjectGetOwnPropertyDescriptor(holder, name) } as Own;
}

/** Puts ours in the place of Node's, for good unless somebody remembers what was there. */
export function put(holder: object, name: PropertyKey, value: unknown): void {
  ObjectDefineProperty(holder, name, {
    __proto__: null,
    value,
    configurable: true,
    enumerable: true,
    writable: true,
  } as PropertyDescriptor);
}

/** Puts ours in the place of Node's and remembers how to undo it. */
export function swap(holder: object, name: string, ours: unknown): void {
  const before = descriptorOf(holder, name);
  put(holder, name, ours);
  ArrayPrototypePush(swaps, { holder, name, before, isOurs: (now) => now.value === ours });
}

/**
 * As {@link swap}, with ours made by whoever first reads it: a plain property from then on. Who reads is the program's own
 * `require`, so what `make` throws is not thrown on: Node's stays.
 */
export function swapOnRead(holder: object, name: string, make: () => unknown): void {
  const before = descriptorOf(holder, name);
  let ours: unknown;
  const get = (): unknown => {
    try {
      ours = make();
    } catch {
      ours = before.value;
    }
    // Unless `make` failed and took everything back.
    if (ownOf(holder, name).get === get) put(holder, name, ours);
    return ours;
  };
  ObjectDefineProperty(holder, name, {
    __proto__: null,
    configurable: true,
    enumerable: true,
    get,
    set: (value: unknown) => put(holder, name, value),
  } as PropertyDescriptor);
  ArrayPrototypePush(swaps, {
    holder,
    name,
    before,
    isOurs: (now) => now.get === get || (ours !== undefined && now.value === ours),
  });
}

/** Undoes every swap that nobody has built upon. */
export function restore(): void {
  while (swaps.length > 0) {
    const { holder, name, before, isOurs } = ArrayPrototypePop(swaps) as Swap;
    if (isOurs(ownOf(holder, name))) ObjectDefineProperty(holder, name, before);
  }
}
