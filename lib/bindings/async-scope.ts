/**
 * Async context of handles and requests: each has a resource of the native type name, made when Node's C++ would make
 * it, and its callbacks run inside it with exceptions reported from within (contract 14).
 */

import { AsyncResource } from 'node:async_hooks';
import type { Native } from '../native';

/** Node's provider names. */
export type Provider =
  | 'TCPWRAP'
  | 'TCPSERVERWRAP'
  | 'PIPEWRAP'
  | 'PIPESERVERWRAP'
  | 'TCPCONNECTWRAP'
  | 'PIPECONNECTWRAP'
  | 'WRITEWRAP'
  | 'SHUTDOWNWRAP';

export type Scope = AsyncResource;

/** We say when a resource ends; no finalizer is registered. */
const byHand = { requireManualDestroy: true };

/** A resource in the current context. */
export function createScope(type: Provider): Scope {
  return new AsyncResource(type, byHand);
}

/** A resource that another handle's callback brings into being: an accepted connection. */
export function createTriggeredScope(type: Provider, triggerAsyncId: number): Scope {
  return new AsyncResource(type, { requireManualDestroy: true, triggerAsyncId });
}

let fatal: (error: unknown) => void = (error) => {
  throw error;
};

/** Set when the environment opens. */
export function reportTo(native: Native): void {
  fatal = (error) => native.fatalException(error);
}

/** Reports an exception of user code as libuv's own callbacks would. */
export function reportException(error: unknown): void {
  fatal(error);
}

/** The callbacks of handles and requests, by name; looked up at call time, skipped if gone. */
// biome-ignore lint/suspicious/noExplicitAny: Node's lib/ puts functions of many shapes there
type Callable = Record<string, ((...args: any[]) => void) | null | undefined>;

function invoke(this: Callable, name: string, args: readonly unknown[]): void {
  try {
    const callback = this[name];
    if (typeof callback === 'function') callback.apply(this, args as unknown[]);
  } catch (error) {
    fatal(error);
  }
}

/** Calls `target[name](...args)` in a resource. */
export function callIn(scope: Scope, target: object, name: string, ...args: unknown[]): void {
  scope.runInAsyncScope(invoke as never, target, name, args);
}

function invokeOnread(
  this: { onread: (data: ArrayBuffer | undefined) => unknown },
  data: ArrayBuffer | undefined,
): unknown {
  try {
    return this.onread(data);
  } catch (error) {
    fatal(error);
    return undefined;
  }
}

/** Calls `target.onread(data)` in a resource: exactly one argument, as Node's tests count. */
export function readIn(scope: Scope, target: object, data: ArrayBuffer | undefined): unknown {
  return scope.runInAsyncScope(invokeOnread as never, target, data);
}

function invokeFunction(this: unknown, callback: (...args: unknown[]) => void, args: unknown[]): void {
  try {
    callback.apply(this, args);
  } catch (error) {
    fatal(error);
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
    (method as (...args: unknown[]) => void).apply(target, args);
  } catch (error) {
    fatal(error);
  }
}
