/**
 * `process_wrap`: `Process` as Node's lib/ knows it (docs/architecture.md, "One child"). A plain class, as nothing native reads from it.
 */

import { env as environ } from '../boot/host';
import { createResource, UNBORN } from '../context/async-hooks';
import { getEnvironment } from '../context/environment';
import { errno } from '../native';
import { ChildPipe, LAYOUT_STDIO, SpawnFlag } from '../native/protocol';
import {
  ArrayPrototypeForEach,
  ArrayPrototypeJoin,
  ArrayPrototypeMap,
  ArrayPrototypePush,
  ArrayPrototypeSlice,
  ArrayPrototypeSome,
  ObjectDefineProperty,
  ObjectKeys,
  ReflectApply,
  TypedArrayPrototypeSet,
} from '../primordials';
import type { NativeClass, SpawnOptions, StdioEntry } from '../shapes';
import { SOCKET } from './accepted';
import { Child } from './child';
import type { MustBeNative } from './choice';
import { openNative, settleNumber } from './descriptors';
import { countFallback } from './fallback';
import { descriptorOf } from './inside';
import { providerNumber } from './provider';
import type { Stream } from './stream';
import { birthOf, streamOf } from './stream-handle';

/** `kProcessFlagDetached` of newer lines. */
const DETACHED = 1;

/** The async id of what has no native handle any more. */
const NO_ID = -1;

type Positional = [
  string,
  readonly string[] | undefined,
  string | undefined,
  readonly string[] | undefined,
  readonly StdioEntry[] | undefined,
  number | undefined,
  number | undefined,
  number | undefined,
];

/** Each by its own name, given or not: what somebody has put on `Object.prototype` is no option. */
function named([file, args, cwd, envPairs, stdio, flags = 0, uid, gid]: Positional): SpawnOptions {
  return { file, args, cwd, envPairs, stdio, detached: (flags & DETACHED) !== 0, uid, gid };
}

type Given = [SpawnOptions] | Positional;

function optionsOf(given: Given): SpawnOptions {
  const first = given[0];
  return typeof first === 'object' ? first : named(given as Positional);
}

const isPipe = ({ type }: StdioEntry): boolean => type === 'pipe' || type === 'overlapped';

/** The stream of ours that an end of a pipe is to be; null where it goes to a handle of Node's. */
function emptyStream(entry: StdioEntry): Stream | null {
  const stream = streamOf(entry.handle);
  return stream === null || stream.closed || stream.fd >= 0 ? null : stream;
}

/** The number that says what the child has in one place; undefined for a descriptor that is none. */
function numberOf(entry: StdioEntry): number | undefined {
  if (entry.type === 'ignore') return -1;
  if (isPipe(entry)) {
    if (emptyStream(entry) === null) return ChildPipe.given;
    return entry.readable === true ? ChildPipe.in : ChildPipe.out;
  }
  const fd = entry.type === 'wrap' ? descriptorOf(entry.handle) : entry.fd;
  if (typeof fd !== 'number' || fd < 0) return undefined;
  if (entry.type !== 'wrap') settleNumber(fd);
  return fd;
}

const numeric = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);

/** What crosses to the native part: the strings in one piece, numbers in another, those given last. */
export function layOut(
  options: SpawnOptions,
  numbers: readonly number[],
): { strings: string; layout: Int32Array<ArrayBuffer> } {
  const { file, args = [], cwd, detached, uid, gid } = options;
  const envPairs = options.envPairs ?? ArrayPrototypeMap(ObjectKeys(environ), (name) => `${name}=${environ[name]}`);
  const directory = typeof cwd === 'string' && cwd !== '' ? [cwd] : [];
  const user = numeric(uid);
  const group = numeric(gid);
  const flags =
    (detached ? SpawnFlag.detached : 0) |
    (directory.length > 0 ? SpawnFlag.directory : 0) |
    (user !== undefined ? SpawnFlag.user : 0) |
    (group !== undefined ? SpawnFlag.group : 0);
  const head = [args.length, envPairs.length, flags, user ?? 0, group ?? 0];
  const layout = new Int32Array(head.length + numbers.length);
  TypedArrayPrototypeSet(layout, head);
  TypedArrayPrototypeSet(layout, numbers, head.length);
  const strings = [file];
  const add = (text: string): void => {
    ArrayPrototypePush(strings, text);
  };
  ArrayPrototypeForEach(directory, add);
  ArrayPrototypeForEach(args, add);
  ArrayPrototypeForEach(envPairs, add);
  return { strings: ArrayPrototypeJoin(strings, '\0'), layout };
}

function spawn(child: Child, handle: object, options: SpawnOptions): number {
  const { stdio = [] } = options;
  child.try(ArrayPrototypeMap(stdio, (entry) => birthOf(entry.handle)));
  const numbers = ArrayPrototypeMap(stdio, numberOf) as number[];
  if (ArrayPrototypeSome(numbers, (number) => number === undefined)) return errno.EINVAL;
  const count = numbers.length;
  // Room for slots and generations.
  const places = ArrayPrototypeSlice(numbers);
  for (let index = 0; index < 2 * count; index += 1) ArrayPrototypePush(places, 0);
  const { strings, layout } = layOut(options, places);
  const { native } = getEnvironment();
  const result = native.spawn(strings, layout.buffer);
  const word = (index: number): number => layout[index] as number;
  ArrayPrototypeForEach(stdio, (entry, index) => {
    const at = LAYOUT_STDIO + index;
    const fd = word(at);
    if (!isPipe(entry) || fd < 0) return;
    // Also when the program could not be started: lib/ waits for their end.
    if (numbers[index] !== ChildPipe.given) emptyStream(entry)?.adoptPipe(word(at + count), word(at + 2 * count), fd);
    else if (entry.handle === undefined) native.closeDescriptor(fd);
    else openNative(entry.handle, fd);
  });
  if (result < 0) {
    // What is written there fails, rather than counting as written.
    ArrayPrototypeForEach(stdio, (entry) => {
      const stream = streamOf(entry.handle);
      if (isPipe(entry) && stream !== null && !stream.closed) stream.deserted = true;
    });
    return result;
  }
  (handle as { pid?: number }).pid = result;
  child.start(result, word(0), word(1), word(2));
  return 0;
}

/** Whether the kernel has what we need, asked once. */
let capable: boolean | undefined;

export function isCapable(): boolean {
  capable ??= getEnvironment().native.canSpawn() === 1;
  if (!capable) countFallback('no-pidfd');
  return capable;
}

export function defineProcess(Native: NativeClass, mustBeNative: MustBeNative): NativeClass {
  class Process {
    /** Private, as a program that looks at a handle's properties sees none of ours. */
    readonly #child!: Child;

    constructor() {
      // biome-ignore lint/correctness/noConstructorReturn: where Node's own handle is the answer there is none of ours
      if (mustBeNative() || !isCapable()) return new Native();
      this.#child = new Child(this, UNBORN);
      this.#child.scope = createResource('PROCESSWRAP', this, null, this.#child);
    }

    spawn(...given: Given): number {
      return spawn(this.#child, this, optionsOf(given));
    }

    kill(signal: number): number {
      return this.#child.kill(signal | 0);
    }

    close(callback?: (this: unknown) => void): void {
      this.#child.close(typeof callback === 'function' ? callback : null);
    }

    ref(): void {
      this.#child.setReferenced(true);
    }

    unref(): void {
      this.#child.setReferenced(false);
    }

    hasRef(): boolean {
      return this.#child.hasRef;
    }

    getAsyncId(): number {
      return this.#child.dead ? NO_ID : this.#child.scope.asyncId();
    }

    getProviderType(): number {
      return this.#child.dead ? 0 : providerNumber('PROCESSWRAP', () => new Native());
    }
  }
  return Process;
}

/**
 * `spawn` of Node's own class where lib/ had read that before us: the child is ours, the handle stays Node's and passes on
 * what it is asked. Pipes are replaced in place, as lib/ makes its sockets from these very entries afterwards.
 */
export function takeOverSpawn(
  native: (...args: unknown[]) => number,
  Pipe: NativeClass,
  mustBeNative: MustBeNative,
): (...args: unknown[]) => number {
  return function (this: unknown, ...given: unknown[]): number {
    if (mustBeNative() || !isCapable()) return ReflectApply(native, this, given) as number;
    const handle = this as object;
    const child = new Child(handle, createResource('PROCESSWRAP', handle, null));
    const methods = {
      kill: (signal: number) => child.kill(signal | 0),
      close: (callback?: () => void) => child.close(typeof callback === 'function' ? callback : null),
      ref: () => child.setReferenced(true),
      unref: () => child.setReferenced(false),
      hasRef: () => child.hasRef,
    };
    ArrayPrototypeForEach(ObjectKeys(methods) as (keyof typeof methods)[], (name) => {
      ObjectDefineProperty(handle, name, {
        __proto__: null,
        value: methods[name],
        configurable: true,
        writable: true,
        enumerable: false,
      } as PropertyDescriptor);
    });
    const options = optionsOf(given as Given);
    ArrayPrototypeForEach(options.stdio ?? [], (entry) => {
      if (!isPipe(entry) || entry.ipc === true || streamOf(entry.handle) !== null) return;
      (entry.handle as { close(): void } | undefined)?.close();
      entry.handle = new Pipe(SOCKET);
    });
    return spawn(child, handle, options);
  };
}
