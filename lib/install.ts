/**
 * Puts tsloop in, and takes it out again; remembers which, and why not.
 *
 * While a program starts, two accessors stand where lib/ reads its handle classes from, and that is nearly all: the
 * classes, and the modules they are made of, come with the first reading. Where `net` was loaded before us, and in
 * strict mode, they come at once.
 */

import { type Config, type Part, runs } from './boot/config';
import { type Found, findAddon } from './boot/found';
import { keepRest } from './boot/rest';
import type { Classes, Late } from './classes';
import { hookCreateHook } from './context/create-hook';
import { debug } from './debug';
import type { Code, Reason } from './errors';
import { hookEnds } from './patches/ends';
import { hookResources } from './patches/resources';
import { hookStdio } from './patches/stdio';
import { type Doors, fetchDoors, fetchSeam, isLoaded, restore, swapOnRead } from './seam';
import { begin, leave, standing, stepBack } from './standing';

/** Defined once; a second `install()` attaches the same. */
let classes: Classes | null = null;
let doors: Doors | null = null;
let addon: Found | null = null;
/** The classes are in force: set before they are, lest what their modules load asks for them again. */
let attached = false;
/** Where lib/ had read Node's classes before us. (Asked in time: a module that loads, and asks for ours, counts as loaded.) */
let late: Late = { net: false, dgram: false, children: false };
let detachLate: (() => void) | null = null;
let detachTimers: (() => void) | null = null;

/** Loaded only where the part is to run. */
const timers = (): typeof import('./timers/public') => require('./timers/public');

/** Loaded only where something is in the way. */
const errors = (): typeof import('./errors') => require('./errors');

/** What a caught value says of what is in the way; `code` where it is not known for itself. */
function reasonOf(error: unknown, code: Code): Reason {
  const { messageOf, Obstacle, reason } = errors();
  return error instanceof Obstacle ? error.why : reason(code, messageOf(error));
}

/** Attaches tsloop to Node in this thread. A reason not to is reported once and kept in `standing`. */
export function install(config: Config): void {
  if (standing().active) return;
  begin(config);
  try {
    if (hasHandles()) {
      if (doors === null) hookProcess();
      doors ??= fetchDoors();
      addon ??= findAddon(config);
      keepRest();
      if (has('net')) swapOnRead(doors.tcp, 'TCP', () => ready()?.TCP ?? doors?.NativeTCP);
      // Also without `net`: datagram sockets may be sent over a channel, which is a pipe.
      swapOnRead(doors.pipe, 'Pipe', () => ready()?.Pipe ?? doors?.NativePipe);
      if (has('dgram')) swapOnRead(doors.udp, 'UDP', () => ready()?.UDP ?? doors?.NativeUDP);
      // In a child with a channel Node's part of child_process was loaded first: see `attachLate`.
      if (has('child_process') && !isLoaded('internal/child_process'))
        swapOnRead(doors.process, 'Process', () => ready()?.Process ?? doors?.NativeProcess);
    }
    if (has('timers')) detachTimers = timers().hookTimers();
  } catch (error) {
    stepAside(reasonOf(error, 'ERR_TSLOOP_SEAM'));
    return;
  }
  late = {
    net: has('net') && isLoaded('net'),
    dgram: has('dgram') && isLoaded('dgram'),
    children: has('child_process') && isLoaded('internal/child_process'),
  };
  if (classes !== null || late.net || late.dgram || late.children || config.strict) ready();
  if (standing().active) debug(`attached, driver ${config.driver}`);
}

/** Whether a part is to run in this thread. */
function has(part: Part): boolean {
  const { config } = standing();
  return config !== null && runs(config, part);
}

function hasHandles(): boolean {
  return has('net') || has('dgram') || has('child_process');
}

/** Detaches: handles made from here on are Node's; those that are open go on as they are. */
export function uninstall(): void {
  if (!standing().active) return;
  detach();
  leave();
}

/** Whatever could not be known while starting is known after this: for those who ask how things stand. */
export function settleStanding(): void {
  if (standing().active) ready();
}

/** True once there is a class, so that there may be handles. */
export function hasClasses(): boolean {
  return classes !== null;
}

/**
 * The classes, defined and attached by whoever comes first; null when there can be none. It runs below the program's own
 * `require` or `spawn`, so nothing may be thrown here.
 */
function ready(): Classes | null {
  if (!standing().active || !hasHandles()) return null;
  if (attached) return classes;
  attached = true;
  try {
    classes ??= define();
    classes.attach();
    if (late.net || late.dgram || late.children) detachLate = classes.attachLate(late);
    return classes;
  } catch (error) {
    stepAside(reasonOf(error, 'ERR_TSLOOP_INTERNAL'));
    return null;
  }
}

/** @throws Obstacle why there can be none. */
function define(): Classes {
  const { whyMissing }: typeof import('./boot/addon') = require('./boot/addon');
  const missing = whyMissing(addon as Found);
  if (missing !== null) throw new (errors().Obstacle)(missing);
  try {
    // What the modules of the classes are made with as they load.
    fetchSeam();
  } catch (error) {
    throw new (errors().Obstacle)(reasonOf(error, 'ERR_TSLOOP_SEAM'));
  }
  const { defineClasses }: typeof import('./classes') = require('./classes');
  return defineClasses(standing().config as Config, doors as Doors, addon as Found, (why) => {
    // The classes stay where lib/ has read them and answer with Node's handles; the reason is reported already.
    detach();
    stepBack(standing().config, why);
  });
}

function detach(): void {
  restore();
  detachTimers?.();
  detachTimers = null;
  detachLate?.();
  detachLate = null;
  attached = false;
}

function stepAside(why: Reason): void {
  detach();
  stepBack(standing().config, why);
  try {
    const { report }: typeof import('./boot/report') = require('./boot/report');
    report(why, standing().config as Config);
  } catch {
    // What cannot be said is asked for by `status()`.
  }
}

/** What stays in place once it is there, and does nothing as long as there are no handles of ours. */
function hookProcess(): void {
  hookEnds(() => classes?.leaving ?? null);
  hookStdio();
  hookResources(hasClasses);
  hookCreateHook((original, hooks, current) => {
    const { createHooks }: typeof import('./context/async-hooks') = require('./context/async-hooks');
    return createHooks(original, hooks, current, (resource) => classes?.isHandle(resource) ?? false);
  });
}
