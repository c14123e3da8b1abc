/**
 * The built-ins that the rest of lib/ calls, taken before the program runs: what a program puts in their place later, or
 * on a prototype, is its own affair, as it is to Node's lib/. `npm run check` names the calls that go past this file.
 *
 * Names are Node's: `ArrayPrototypePush(list, item)` is `list.push(item)`. Maps and sets of ours are of the classes in
 * collections.ts. Syntax that asks a prototype
 * for an iterator (`for … of`, spread, array patterns) is not used where the program may run before. Globals themselves need
 * nothing here: scripts/bundle.mjs gives the modules those that were there at the start.
 */

// biome-ignore lint/suspicious/noExplicitAny: built-ins of many shapes
type AnyFunction = (this: any, ...args: any[]) => any;

type Uncurried<F extends AnyFunction> = (self: ThisParameterType<F>, ...args: Parameters<F>) => ReturnType<F>;

const { bind, call } = Function.prototype;

/** A method as a function whose first argument is `this`. */
export const uncurryThis = bind.bind(call) as <F extends AnyFunction>(method: F) => Uncurried<F>;

export const {
  create: ObjectCreate,
  defineProperty: ObjectDefineProperty,
  freeze: ObjectFreeze,
  getOwnPropertyDescriptor: ObjectGetOwnPropertyDescriptor,
  getOwnPropertySymbols: ObjectGetOwnPropertySymbols,
  getPrototypeOf: ObjectGetPrototypeOf,
  hasOwn: ObjectHasOwn,
  keys: ObjectKeys,
  setPrototypeOf: ObjectSetPrototypeOf,
} = Object;
export const {
  apply: ReflectApply,
  deleteProperty: ReflectDeleteProperty,
  ownKeys: ReflectOwnKeys,
  set: ReflectSet,
} = Reflect;
export const {
  abs: MathAbs,
  floor: MathFloor,
  imul: MathImul,
  max: MathMax,
  min: MathMin,
  random: MathRandom,
  trunc: MathTrunc,
} = Math;
export const { isArray: ArrayIsArray } = Array;
export const { isView: ArrayBufferIsView } = ArrayBuffer;
export const { isInteger: NumberIsInteger, isNaN: NumberIsNaN } = Number;
export const { parse: JSONParse } = JSON;

export const FunctionPrototype = Function.prototype;
export const FunctionPrototypeToString = uncurryThis(Function.prototype.toString);
export const FunctionPrototypeSymbolHasInstance = uncurryThis(Function.prototype[Symbol.hasInstance]);

export const ArrayPrototypeIncludes = uncurryThis(Array.prototype.includes) as <T>(
  list: readonly T[],
  item: T,
) => boolean;
export const ArrayPrototypeIndexOf = uncurryThis(Array.prototype.indexOf) as <T>(list: readonly T[], item: T) => number;
export const ArrayPrototypeJoin = uncurryThis(Array.prototype.join) as (
  list: readonly unknown[],
  between: string,
) => string;
export const ArrayPrototypePush = uncurryThis(Array.prototype.push) as <T>(list: T[], item: T) => number;
export const ArrayPrototypePop = uncurryThis(Array.prototype.pop) as <T>(list: T[]) => T | undefined;
export const ArrayPrototypeShift = uncurryThis(Array.prototype.shift) as <T>(list: T[]) => T | undefined;
export const ArrayPrototypeSlice = uncurryThis(Array.prototype.slice) as <T>(
  list: ArrayLike<T>,
  from?: number,
  to?: number,
) => T[];
export const ArrayPrototypeSort = uncurryThis(Array.prototype.sort) as <T>(
  list: T[],
  compare: (one: T, other: T) => number,
) => T[];
export const ArrayPrototypeSplice = uncurryThis(Array.prototype.splice) as <T>(
  list: T[],
  from: number,
  count?: number,
) => T[];
export const ArrayPrototypeUnshift = uncurryThis(Array.prototype.unshift) as <T>(list: T[], item: T) => number;
export const ArrayPrototypeMap = uncurryThis(Array.prototype.map) as <T, R>(
  list: readonly T[],
  make: (item: T, index: number) => R,
) => R[];
export const ArrayPrototypeFilter = uncurryThis(Array.prototype.filter) as <T>(
  list: readonly T[],
  keep: (item: T, index: number) => boolean,
) => T[];
export const ArrayPrototypeFind = uncurryThis(Array.prototype.find) as <T>(
  list: readonly T[],
  test: (item: T, index: number) => boolean,
) => T | undefined;
export const ArrayPrototypeForEach = uncurryThis(Array.prototype.forEach) as <T>(
  list: readonly T[],
  job: (item: T, index: number) => void,
) => void;
export const ArrayPrototypeSome = uncurryThis(Array.prototype.some) as <T>(
  list: readonly T[],
  test: (item: T, index: number) => boolean,
) => boolean;

export const StringPrototypeCharCodeAt = uncurryThis(String.prototype.charCodeAt);
export const StringPrototypeIncludes = uncurryThis(String.prototype.includes) as (
  text: string,
  part: string,
) => boolean;
export const StringPrototypeReplaceAll = uncurryThis(String.prototype.replaceAll as AnyFunction) as (
  text: string,
  part: string,
  by: string,
) => string;
export const StringPrototypeIndexOf = uncurryThis(String.prototype.indexOf) as (text: string, part: string) => number;
export const StringPrototypeRepeat = uncurryThis(String.prototype.repeat);
export const StringPrototypeSlice = uncurryThis(String.prototype.slice) as (
  text: string,
  from: number,
  to?: number,
) => string;
export const StringPrototypeSplit = uncurryThis(String.prototype.split as AnyFunction) as (
  text: string,
  between: string,
) => string[];

const TypedArrayPrototype = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array;
export const TypedArrayPrototypeSet = uncurryThis(TypedArrayPrototype.set) as (
  into: ArrayBufferView,
  from: ArrayLike<number>,
  at?: number,
) => void;
export const TypedArrayPrototypeSlice = uncurryThis(TypedArrayPrototype.slice) as (
  bytes: Uint8Array,
  from?: number,
  to?: number,
) => Uint8Array<ArrayBuffer>;
export const TypedArrayPrototypeSubarray = uncurryThis(TypedArrayPrototype.subarray) as <T>(
  view: T,
  from?: number,
  to?: number,
) => T;
export const ArrayBufferPrototypeSlice = uncurryThis(ArrayBuffer.prototype.slice) as (
  buffer: ArrayBuffer,
  from: number,
  to?: number,
) => ArrayBuffer;

/** Latin-1 and UTF-8 writers straight into memory, which every line has on Buffer's prototype. */
interface Writers {
  latin1Write(this: Uint8Array, text: string, offset: number, length?: number): number;
  utf8Write(this: Uint8Array, text: string, offset: number, length?: number): number;
  ucs2Write(this: Uint8Array, text: string, offset: number, length?: number): number;
  latin1Slice(this: Uint8Array, from: number, to: number): string;
  utf8Slice(this: Uint8Array, from: number, to: number): string;
}

const BufferPrototype = Buffer.prototype as unknown as Writers;
export const BufferPrototypeLatin1Write = uncurryThis(BufferPrototype.latin1Write);
export const BufferPrototypeUtf8Write = uncurryThis(BufferPrototype.utf8Write);
export const BufferPrototypeUcs2Write = uncurryThis(BufferPrototype.ucs2Write);
export const BufferPrototypeLatin1Slice = uncurryThis(BufferPrototype.latin1Slice);
export const BufferPrototypeUtf8Slice = uncurryThis(BufferPrototype.utf8Slice);
export const BufferFrom = Buffer.from as (text: string, encoding?: BufferEncoding) => Buffer;
export const BufferFromMemory = Buffer.from as unknown as (memory: ArrayBuffer) => Buffer;
export const { allocUnsafeSlow: BufferAllocUnsafeSlow, byteLength: BufferByteLength } = Buffer;

/** What the classes of collections.ts are made of. */
export const methodsOfMap = Object.getOwnPropertyDescriptors(Map.prototype);
export const methodsOfSet = Object.getOwnPropertyDescriptors(Set.prototype);
export const methodsOfWeakMap = Object.getOwnPropertyDescriptors(WeakMap.prototype);
export const methodsOfWeakSet = Object.getOwnPropertyDescriptors(WeakSet.prototype);
