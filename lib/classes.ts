/**
 * Our handle classes and everything that only matters once there is one. Loaded when lib/ first reads a class: a program
 * that never touches `net` pays for none of it.
 */

import { chooser } from './bindings/choice';
import { type Leaving, leaving } from './bindings/leaving';
import { hookConsume } from './bindings/parser-consume';
import { definePipe } from './bindings/pipe-wrap';
import { defineProcess, isCapable, takeOverSpawn } from './bindings/process-wrap';
import { wrapSpawnSync } from './bindings/spawn-sync';
import { defineStreamHandle } from './bindings/stream-handle';
import { defineTcp } from './bindings/tcp-wrap';
import { wrapWrap } from './bindings/tls-wrap';
import { defineUdp } from './bindings/udp-wrap';
import { type Config, runs } from './boot/config';
import type { Found } from './boot/found';
import { load, loadedAddon, openEnvironment } from './context/environment';
import { adoptChildsChannel, adoptLateChannels } from './crossing/channels';
import { wrapSpawn } from './crossing/native-spawn';
import { acceptBoth, type Pair, Pairs } from './crossing/pairs';
import { hookThreads } from './crossing/threads';
import { createDispatcher } from './dispatch';
import { messageOf, Obstacle, type Reason, reason } from './errors';
import { hookLateDgram } from './patches/late-dgram';
import { hookLateNet } from './patches/late-net';
import { ArrayPrototypeFilter, ArrayPrototypeIncludes, ObjectHasOwn } from './primordials';
import { type Doors, fetchSeam, put, type Seam, swap } from './seam';
import type { NativeClass } from './shapes';

export interface Classes {
  readonly TCP: NativeClass;
  readonly Pipe: NativeClass;
  readonly UDP: NativeClass;
  readonly Process: NativeClass;
  /** Whether an async resource is the base of one of our handles. */
  isHandle(resource: object): boolean;
  /** What is to be done before the process ends: as long as it lives, from the first handle on. */
  readonly leaving: Leaving;
  /** Replaces the method that starts children without a handle; `restore` of the seam takes it back. */
  attach(): void;
  /** Comes into modules that were loaded first; returns how to leave them. */
  attachLate(late: Late): () => void;
}

/** The modules of lib/ that had read Node's classes before us and are to run on ours. */
export interface Late {
  readonly net: boolean;
  readonly dgram: boolean;
  readonly children: boolean;
}

/**
 * Defines them. What only the first handle finds out is reported there and told to `unavailable`.
 *
 * @throws Obstacle why this environment can have none.
 */
export function defineClasses(config: Config, doors: Doors, addon: Found, unavailable: (why: Reason) => void): Classes {
  // Strict mode wants to know at once what the first handle would find out.
  const why = config.strict ? load(config, addon).reason : null;
  if (why !== null) throw new Obstacle(why);
  try {
    return define(config, doors, addon, fetchSeam(), unavailable);
  } catch (error) {
    throw new Obstacle(reason('ERR_TSLOOP_SEAM', messageOf(error)));
  }
}

/** Why the environment did not open: its native part, or the system. */
function whyNone(): Reason {
  const loaded = loadedAddon();
  return loaded?.reason ?? reason('ERR_TSLOOP_REACTOR', '', true);
}

function define(
  config: Config,
  { NativeTCP, NativePipe, NativeUDP, NativeProcess }: Doors,
  addon: Found,
  seam: Seam,
  unavailable: (why: Reason) => void,
): Classes {
  let opened: boolean | undefined;
  // The first handle asks, which the program makes: a reason, whatever happens.
  const open = (): boolean => {
    try {
      if (openEnvironment(config, addon, (memory) => createDispatcher(seam.tick, memory)) === null) {
        unavailable(whyNone());
        return false;
      }
      hookThreads(converted);
      hookConsume();
      return true;
    } catch (error) {
      unavailable(reason('ERR_TSLOOP_INTERNAL', messageOf(error)));
      return false;
    }
  };
  const mustBeNative = chooser(() => {
    opened ??= open();
    return opened;
  });
  const Handle = defineStreamHandle(seam.jsStream.JSStream, () => !runs(config, 'child_process') || !isCapable(), {
    pendingRead: 'hasPendingRead' in NativeTCP.prototype,
  });
  const TCP = defineTcp(Handle, NativeTCP, mustBeNative, {
    typeOfService: ObjectHasOwn(NativeTCP.prototype, 'setTypeOfService'),
  });
  const Pipe = definePipe(
    Handle,
    NativePipe,
    mustBeNative,
    (channel) => adoptChildsChannel(channel, converted),
    ArrayPrototypeIncludes(config.disabled, 'net'),
  );
  const UDP = defineUdp(NativeUDP, mustBeNative);
  const Process = defineProcess(NativeProcess, mustBeNative);
  const pairs: Pair[] = [
    { Native: NativeTCP, Ours: TCP, adopts: true },
    { Native: NativePipe, Ours: Pipe, adopts: true },
    // Those who share a datagram socket must take one message at a time, lest one takes what another is to have.
    { Native: NativeUDP, Ours: UDP, adopts: false },
  ];
  // What arrives from another process becomes ours only where lib/ works with our class.
  const isOurs = ({ Ours }: { Ours: NativeClass }) =>
    !ArrayPrototypeIncludes(config.disabled, Ours === UDP ? 'dgram' : 'net');
  const converted = new Pairs(ArrayPrototypeFilter(pairs, isOurs));
  for (let index = 0; index < pairs.length; index += 1) acceptBoth(pairs[index] as Pair, () => hookThreads(converted));
  // Methods of Node's that meet handles of ours: those that are open go on after `uninstall()`.
  put(NativeProcess.prototype, 'spawn', wrapSpawn(NativeProcess.prototype.spawn, NativePipe));
  put(seam.tls, 'wrap', wrapWrap(seam.tls.wrap));
  return {
    TCP,
    Pipe,
    UDP,
    Process,
    isHandle: (resource) => resource instanceof Handle,
    leaving,
    attach() {
      if (runs(config, 'child_process') && typeof seam.sync.spawn === 'function')
        swap(seam.sync, 'spawn', wrapSpawnSync(seam.sync.spawn, mustBeNative));
    },
    attachLate(late) {
      const { prototype } = NativeProcess;
      if (late.children) swap(prototype, 'spawn', takeOverSpawn(prototype.spawn, Pipe, mustBeNative));
      const leaveNet = late.net ? hookLateNet(TCP, Pipe) : null;
      const leaveDgram = late.dgram ? hookLateDgram(NativeUDP, UDP) : null;
      adoptLateChannels(converted);
      return () => {
        leaveNet?.();
        leaveDgram?.();
      };
    },
  };
}
