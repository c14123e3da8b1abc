/**
 * `spawn_sync`: children that their caller waits for (docs/seams.md, the row of `spawn_sync`). Node's own copies the page tables of the process for
 * each; where these are large, or a reactor runs anyway, ours starts the child and does what libuv's loop would.
 */

import { constants } from 'node:os';
import { rss } from '../boot/host';
import { findEnvironment, getEnvironment } from '../context/environment';
import { ChildPipe } from '../native/protocol';
import {
  ArrayBufferIsView,
  ArrayPrototypeForEach,
  ArrayPrototypeMap,
  ArrayPrototypePush,
  ArrayPrototypeSlice,
  ArrayPrototypeSome,
  BufferAllocUnsafeSlow,
  ReflectApply,
  TypedArrayPrototypeSet,
} from '../primordials';
import type { SpawnOptions, SpawnSync, SyncOptions, SyncResult, SyncStdio } from '../shapes';
import { signalName } from './child';
import type { MustBeNative } from './choice';
import { settleNumber } from './descriptors';
import { isCapable, layOut } from './process-wrap';
import { totalOf } from './stream-write';

/**
 * Bytes resident from which on a start of ours pays for reading the native part, which a program without sockets has not
 * done: some milliseconds, what a copy of the page tables takes from about here on.
 */
const LARGE = 128 * 1024 * 1024;

/** The number for one place; undefined for what is left to Node. */
function numberOf({ type, readable, writable, fd }: SyncStdio): number | undefined {
  if (type === 'ignore') return -1;
  if (type === 'pipe' || type === 'overlapped') {
    if (readable && writable) return ChildPipe.both;
    if (readable) return ChildPipe.in;
    return writable ? ChildPipe.out : undefined;
  }
  return (type === 'inherit' || type === 'fd') && typeof fd === 'number' && fd >= 0 ? fd : undefined;
}

function bytesOf({ type, readable, input }: SyncStdio): Uint8Array {
  if (type !== 'pipe' || !readable || !ArrayBufferIsView(input)) return new Uint8Array(0);
  return new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
}

function wanted(mustBeNative: MustBeNative): boolean {
  if (findEnvironment() === null && rss() < LARGE) return false;
  return !mustBeNative() && isCapable();
}

/** All inputs in one piece. Node's own `concat` calls what a program may have replaced. */
function joined(inputs: readonly Uint8Array[]): Uint8Array {
  const all = BufferAllocUnsafeSlow(totalOf(inputs));
  let at = 0;
  for (let index = 0; index < inputs.length; index += 1) {
    const input = inputs[index] as Uint8Array;
    TypedArrayPrototypeSet(all, input, at);
    at += input.length;
  }
  return all;
}

/** Wraps `spawn` of the binding: lib/ looks it up at each call. */
export function wrapSpawnSync(native: SpawnSync, mustBeNative: MustBeNative): SpawnSync {
  return function spawn(this: unknown, options: SyncOptions): SyncResult {
    const numbers = ArrayPrototypeMap(options.stdio, numberOf) as number[];
    const isUnknown = (number: number | undefined): boolean => number === undefined;
    if (ArrayPrototypeSome(numbers, isUnknown) || !wanted(mustBeNative))
      return ReflectApply(native, this, [options]) as SyncResult;
    const inputs = ArrayPrototypeMap(options.stdio, bytesOf);
    const places = ArrayPrototypeSlice(numbers);
    ArrayPrototypeForEach(inputs, (input) => {
      ArrayPrototypePush(places, input.length);
    });
    const { strings, layout } = layOut(options as unknown as SpawnOptions, places);
    const bounds = Float64Array.of(
      options.timeout ?? 0,
      options.maxBuffer ?? 0,
      options.killSignal || constants.signals.SIGTERM,
    );
    const environment = getEnvironment();
    // What counts as written is there before the child is.
    environment.settle();
    for (let index = 0; index < numbers.length; index += 1) settleNumber(numbers[index] as number);
    const output = environment.native.spawnSync(strings, layout.buffer, joined(inputs), bounds.buffer);
    if (typeof output === 'number') return ReflectApply(native, this, [options]) as SyncResult;
    const { 0: pid = 0, 1: ran, 2: code = 0, 3: signal = 0, 4: error = 0 } = layout;
    return {
      ...(error === 0 ? {} : { error }),
      status: ran === 1 && signal === 0 ? code : null,
      signal: signal === 0 ? null : signalName(signal),
      output: ran === 1 ? output : null,
      pid,
    };
  };
}
