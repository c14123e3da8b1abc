/**
 * The process as it was when tsloop was loaded: tests fake `process.platform`, stubs take `process.memoryUsage` away, mocks
 * stand in for the file system. Whatever of this is asked for while the program runs is asked for here.
 */

import { accessSync, closeSync, constants, existsSync, openSync, readFileSync, readSync } from 'node:fs';
import { uncurryThis } from '../primordials';

interface Internals {
  _rawDebug(...parts: unknown[]): void;
}

const { argv, env, execArgv, execPath, hrtime, pid } = process;

export { argv, env, execArgv, execPath, hrtime, pid };
export const platform: string = process.platform;
export const arch: string = process.arch;
export const { rss } = process.memoryUsage;

const rawDebug = uncurryThis((process as unknown as Internals)._rawDebug);
const dlopenOf = uncurryThis(process.dlopen);
const emitWarningOf = uncurryThis(process.emitWarning as (text: string, type: string, code: string) => void);
const exitOf = uncurryThis(process.exit);
const nextTickOf = uncurryThis(process.nextTick as (job: (given: object) => void, given: object) => void);
const listenerCountOf = uncurryThis(process.listenerCount as (name: string) => number);

/** A clock that only goes forward, in milliseconds with their fraction. */
export function milliseconds(): number {
  const now = hrtime();
  return now[0] * 1e3 + now[1] / 1e6;
}

/** Writes a line to descriptor 2 at once. The '%s' keeps a percent sign in it from being taken as a format. */
export const writeError = (text: string): void => rawDebug(process, '%s', text);
export const dlopen = (module: { exports: unknown }, path: string): void => dlopenOf(process, module, path);
export const emitWarning = (text: string, type: string, code: string): void => emitWarningOf(process, text, type, code);
export const exit = (code: number): never => exitOf(process, code) as never;
export const nextTick = (job: (given: object) => void, given: object): void => nextTickOf(process, job, given);
export const listenerCount = (name: string): number => listenerCountOf(process, name);

/** What finding the native part needs of the file system. */
export const fs = { __proto__: null, accessSync, closeSync, constants, existsSync, openSync, readFileSync, readSync };
