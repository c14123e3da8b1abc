/**
 * Our handle classes and everything that only matters once there is one. Loaded when lib/ first reads a class: a program
 * that never touches `net` pays for none of it.
 */

import { type Found, whyMissing } from '../boot/addon';
import { type Config, runs } from '../boot/config';
import { createDispatcher } from '../dispatch';
import { load, loadedAddon, prepare } from '../environment';
import { messageOf, Obstacle, type Reason, reason } from '../errors';
import { announceWith } from '../hooks/async-hooks';
import { hookLateDgram } from '../hooks/late-dgram';
import { hookLateNet } from '../hooks/late-net';
import { hookThreads } from '../hooks/threads';
import {
  acceptBoth,
  adoptChildsChannel,
  adoptLateChannels,
  attachPairs,
  type Pair,
  wrapSpawn,
} from '../hooks/transfer';
import { ArrayPrototypeFilter, ArrayPrototypeIncludes, ObjectHasOwn } from '../primordials';
import { hookConsume } from './parser-consume';
import { definePipe } from './pipe-wrap';
import { defineProcess, isCapable, takeOverSpawn } from './process-wrap';
import { type Doors, fetchSeam, type NativeClass, put, type Seam, swap } from './seam';
import { wrapSpawnSync } from './spawn-sync';
import type { Stream } from './stream';
import { defineStreamHandle } from './stream-handle';
import { attachReadState } from './stream-read';
import { attachWriteState } from './stream-write';
import { defineTcp } from './tcp-wrap';
import { wrapWrap } from './tls-wrap';
import { defineUdp } from './udp-wrap';

export interface Classes {
  readonly TCP: NativeClass;
  readonly Pipe: NativeClass;
  readonly UDP: NativeClass;
  readonly Process: NativeClass;
  /** Whether an async resource is the base of one of our handles. */
  isHandle(resource: object): boolean;
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
  const why = whyMissing(addon) ?? (config.strict ? load(config, addon).reason : null);
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
  attachReadState(seam.stream.streamBaseState);
  attachWriteState(seam.stream.streamBaseState);
  const dispatcher = createDispatcher(seam.tick);
  // The first handle asks, which the program makes: a reason, whatever happens.
  prepare<Stream>(config, addon, (create) => {
    try {
      const made = create(dispatcher);
      if (made === null) {
        unavailable(whyNone());
        return null;
      }
      dispatcher.setUp(made);
      hookThreads();
      hookConsume();
      return made;
    } catch (error) {
      unavailable(reason('ERR_TSLOOP_INTERNAL', messageOf(error)));
      return null;
    }
  });
  announceWith(seam.jsStream.JSStream);
  const Handle = defineStreamHandle(seam.jsStream.JSStream, () => !runs(config, 'child_process') || !isCapable());
  const TCP = defineTcp(Handle, NativeTCP, { typeOfService: ObjectHasOwn(NativeTCP.prototype, 'setTypeOfService') });
  const Pipe = definePipe(Handle, NativePipe, adoptChildsChannel, ArrayPrototypeIncludes(config.disabled, 'net'));
  const UDP = defineUdp(NativeUDP);
  const Process = defineProcess(NativeProcess);
  const pairs: Pair[] = [
    { Native: NativeTCP, Ours: TCP, adopts: true },
    { Native: NativePipe, Ours: Pipe, adopts: true },
    // Those who share a datagram socket must take one message at a time, lest one takes what another is to have.
    { Native: NativeUDP, Ours: UDP, adopts: false },
  ];
  // What arrives from another process becomes ours only where lib/ works with our class.
  const isOurs = ({ Ours }: { Ours: NativeClass }) =>
    !ArrayPrototypeIncludes(config.disabled, Ours === UDP ? 'dgram' : 'net');
  attachPairs(ArrayPrototypeFilter(pairs, isOurs));
  for (let index = 0; index < pairs.length; index += 1) acceptBoth(pairs[index] as Pair, hookThreads);
  // Methods of Node's that meet handles of ours: those that are open go on after `uninstall()`.
  put(NativeProcess.prototype, 'spawn', wrapSpawn(NativeProcess.prototype.spawn, NativePipe));
  put(seam.tls, 'wrap', wrapWrap(seam.tls.wrap));
  return {
    TCP,
    Pipe,
    UDP,
    Process,
    isHandle: (resource) => resource instanceof Handle,
    attach() {
      if (runs(config, 'child_process') && typeof seam.sync.spawn === 'function')
        swap(seam.sync, 'spawn', wrapSpawnSync(seam.sync.spawn));
    },
    attachLate(late) {
      const { prototype } = NativeProcess;
      if (late.children) swap(prototype, 'spawn', takeOverSpawn(prototype.spawn, Pipe));
      const leaveNet = late.net ? hookLateNet(TCP, Pipe) : null;
      const leaveDgram = late.dgram ? hookLateDgram(NativeUDP, UDP) : null;
      adoptLateChannels();
      return () => {
        leaveNet?.();
        leaveDgram?.();
      };
    },
  };
}
