/**
 * Async context of handles and requests: each has a resource of the native type name, made when Node's C++ would make
 * it, and its callbacks run inside it with exceptions reported from within (docs/seams.md, "Callbacks and their context").
 */

import { ReflectApply } from '../primordials';
import { createResource, passOn, type Scope } from './async-hooks';
import { findEnvironment } from './environment';

/** Node's provider names. */
export type Provider =
  | 'TCPWRAP'
  | 'TCPSERVERWRAP'
  | 'PIPEWRAP'
  | 'PIPESERVERWRAP'
  | 'TCPCONNECTWRAP'
  | 'PIPECONNECTWRAP'
  | 'WRITEWRAP'
  | 'SHUTDOWNWRAP'
  | 'UDPWRAP'
  | 'UDPSENDWRAP'
  | 'PROCESSWRAP';

export type { Scope };

/** A resource in the current context, which hooks see as its owner. */
export function createScope(type: Provider, owner: object): Scope {
  return createResource(type, owner, null);
}

/** A resource that another handle's callback brings into being: an accepted connection. */
export function createTriggeredScope(type: Provider, owner: object, triggerAsyncId: number): Scope {
  return createResource(type, owner, triggerAsyncId);
}

/**
 * A resource that is made when it is first used, and takes its own place in `holder` then. For a handle that lib/ makes
 * and that another replaces before anything happened to it: hooks must not hear of the first.
 */
export class LazyScope implements Scope {
  holder: { scope: Scope } | null = null;
  readonly #type: Provider;
  readonly #owner: object;

  constructor(type: Provider, owner: object) {
    this.#type = type;
    this.#owner = owner;
  }

  #made(): Scope {
    const scope = createScope(this.#type, this.#owner);
    if (this.holder !== null) this.holder.scope = scope;
    return scope;
  }

  asyncId(): number {
    return this.#made().asyncId();
  }

  // biome-ignore lint/suspicious/noExplicitAny: as AsyncResource has it
  runInAsyncScope<This, Result>(fn: (this: This, ...args: any[]) => Result, thisArg?: This, ...args: any[]): Result {
    const scope = this.#made();
    return ReflectApply(scope.runInAsyncScope, scope, passOn(fn, thisArg, args)) as Result;
  }

  /** Nobody heard of it. */
  emitDestroy(): void {}
}

let reported = false;

/** Reports an exception of user code as libuv's own callbacks would. */
export function reportException(error: unknown): void {
  reported = true;
  const environment = findEnvironment();
  if (environment === null) throw error;
  environment.native.fatalException(error);
}

/**
 * Whether a callback threw since this was asked last. After one that did Node's C++ drains nothing: its ticks wait for the end
 * of the next callback, or for the check phase.
 */
export function hasThrown(): boolean {
  const threw = reported;
  reported = false;
  return threw;
}

/** The callbacks of handles and requests, by name; looked up at call time, skipped if gone. */
// biome-ignore lint/suspicious/noExplicitAny: Node's lib/ puts functions of many shapes there
type Callable = Record<string, ((...args: any[]) => void) | null | undefined>;

function invoke(this: Callable, name: string, args: readonly unknown[]): void {
  try {
    const callback = this[name];
    if (typeof callback === 'function') ReflectApply(callback, this, args);
  } catch (error) {
    reportException(error);
  }
}

/** Calls `target[name](...args)` in a resource. */
export function callIn(scope: Scope, target: object, name: string, ...args: unknown[]): void {
  scope.runInAsyncScope(invoke as never, target, name, args);
}

function invokeOnread(
  this: { onread: (data: ArrayBuffer | Uint8Array | undefined) => unknown },
  data: ArrayBuffer | Uint8Array | undefined,
): unknown {
  try {
    return this.onread(data);
  } catch (error) {
    reportException(error);
    return undefined;
  }
}

/** Calls `target.onread(data)` in a resource: exactly one argument, as Node's tests count. */
export function readIn(scope: Scope, target: object, data: ArrayBuffer | Uint8Array | undefined): unknown {
  return scope.runInAsyncScope(invokeOnread as never, target, data);
}

function invokeOnconnection(
  this: { onconnection?: ((status: number, handle: object | undefined) => void) | null },
  status: number,
  handle: object | undefined,
): void {
  try {
    if (typeof this.onconnection === 'function') this.onconnection(status, handle);
  } catch (error) {
    reportException(error);
  }
}

/** Calls `target.onconnection(status, handle)` in a resource. */
export function connectionIn(scope: Scope, target: object, status: number, handle: object | undefined): void {
  scope.runInAsyncScope(invokeOnconnection as never, target, status, handle);
}

type OnMessage = (length: number, handle: object, message?: Buffer, peer?: object) => void;

function invokeOnmessage(
  this: { onmessage?: OnMessage },
  length: number,
  message: Buffer | undefined,
  peer: object | undefined,
): void {
  try {
    this.onmessage?.(length, this, message, peer);
  } catch (error) {
    reportException(error);
  }
}

/** Calls `target.onmessage(length, target, message, peer)` in a resource. */
export function messageIn(
  scope: Scope,
  target: object,
  length: number,
  message: Buffer | undefined,
  peer: object | undefined,
): void {
  scope.runInAsyncScope(invokeOnmessage as never, target, length, message, peer);
}

function invokeFunction(this: unknown, callback: (...args: unknown[]) => void, args: unknown[]): void {
  try {
    ReflectApply(callback, this, args);
  } catch (error) {
    reportException(error);
  }
}

/** Calls any function in a resource. */
export function runIn(scope: Scope, target: unknown, callback: (...args: never[]) => void, ...args: unknown[]): void {
  scope.runInAsyncScope(invokeFunction as never, target, callback, args);
}

/**
 * Calls a native method that runs its own callbacks in its own resource: outside ours, since Node's C++ asserts that
 * nothing is entered where it drains ticks.
 */
export function callNative(target: object, method: (...args: never[]) => void, ...args: unknown[]): void {
  try {
    ReflectApply(method, target, args);
  } catch (error) {
    reportException(error);
  }
}
