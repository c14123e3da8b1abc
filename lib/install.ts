/**
 * Puts tsloop in, and takes it out again; remembers which, and why not.
 *
 * While a program starts, two accessors stand where lib/ reads its handle classes from, and that is nearly all: the
 * classes, and the modules they are made of, come with the first reading. Where `net` was loaded before us, and in
 * strict mode, they come at once.
 */

import type { Classes, Late } from './bindings/classes';
import { setDetached } from './bindings/fallback';
import { type Doors, fetchDoors, isLoaded, restore, swapOnRead } from './bindings/seam';
import { type Found, findAddon } from './boot/addon';
import { type Config, type Part, runs } from './boot/config';
import { keepRest } from './boot/rest';
import { debug } from './debug';
import { messageOf, Obstacle, type Reason, reason } from './errors';
import { hookCreateHook } from './hooks/async-hooks';
import { hookEnds } from './hooks/ends';
import { hookResources } from './hooks/resources';
import { hookStdio } from './hooks/stdio';

/** How this thread stands. */
export interface Standing {
  active: boolean;
  reason: Reason | null;
  config: Config | null;
}

export const standing: Standing = { active: false, reason: null, config: null };

/** Defined once; a second `install()` attaches the same. */
let classes: Classes | null = null;
let doors: Doors | null = null;
let addon: Found | null = null;
/** The classes are in force: set before they are, lest what their modules load asks for them again. */
let attached = false;
/** Where lib/ had read Node's classes before us. (Asked in time: a module that loads, and asks for ours, counts as loaded.) */
let late: Late = { net: false, dgram: false, children: false };
let detachLate: (() => void) | null = null;

/** Loaded only where the part is to run. */
const timers = (): typeof import('./timers/public') => require('./timers/public');

/** Attaches tsloop to Node in this thread. A reason not to is reported once and kept in `standing`. */
export function install(config: Config): void {
  if (standing.active) return;
  standing.config = config;
  standing.reason = null;
  standing.active = true;
  setDetached(false);
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
    if (has('timers')) timers().attachTimers();
  } catch (error) {
    stepAside(reason('ERR_TSLOOP_SEAM', messageOf(error)));
    return;
  }
  late = {
    net: has('net') && isLoaded('net'),
    dgram: has('dgram') && isLoaded('dgram'),
    children: has('child_process') && isLoaded('internal/child_process'),
  };
  if (classes !== null || late.net || late.dgram || late.children || config.strict) ready();
  if (standing.active) debug(`attached, driver ${config.driver}`);
}

/** Whether a part is to run in this thread. */
function has(part: Part): boolean {
  return standing.config !== null && runs(standing.config, part);
}

function hasHandles(): boolean {
  return has('net') || has('dgram') || has('child_process');
}

/** Detaches: handles made from here on are Node's; those that are open go on as they are. */
export function uninstall(): void {
  if (!standing.active) return;
  detach();
  // lib/ may have read our classes for good: they answer with Node's handles from here on.
  setDetached(true);
}

/** Whatever could not be known while starting is known after this: for those who ask how things stand. */
export function settleStanding(): void {
  if (standing.active) ready();
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
  if (!standing.active || !hasHandles()) return null;
  if (attached) return classes;
  attached = true;
  try {
    classes ??= define();
    classes.attach();
    if (late.net || late.dgram || late.children) detachLate = classes.attachLate(late);
    return classes;
  } catch (error) {
    stepAside(error instanceof Obstacle ? error.why : reason('ERR_TSLOOP_INTERNAL', messageOf(error)));
    return null;
  }
}

function define(): Classes {
  const { defineClasses }: typeof import('./bindings/classes') = require('./bindings/classes');
  return defineClasses(standing.config as Config, doors as Doors, addon as Found, (why) => {
    // The classes stay where lib/ has read them and answer with Node's handles; the reason is reported already.
    detach();
    standing.reason = why;
  });
}

function detach(): void {
  restore();
  if (has('timers')) timers().detachTimers();
  detachLate?.();
  detachLate = null;
  attached = false;
  standing.active = false;
}

function stepAside(why: Reason): void {
  detach();
  standing.reason = why;
  try {
    const { report }: typeof import('./boot/report') = require('./boot/report');
    report(why, standing.config as Config);
  } catch {
    // What cannot be said is asked for by `status()`.
  }
}

/** What stays in place once it is there, and does nothing as long as there are no handles of ours. */
function hookProcess(): void {
  hookEnds();
  hookStdio();
  hookResources(hasClasses);
  hookCreateHook((resource) => classes?.isHandle(resource) ?? false);
}
