/**
 * Our handle classes and everything that only matters once there is one. Loaded when lib/ first reads a class: a program
 * that never touches `net` pays for none of it.
 */

import { addonIsPresent } from '../boot/addon';
import { type Config, runs } from '../boot/config';
import { createDispatcher } from '../dispatch';
import { load, loadedAddon, prepare } from '../environment';
import { type Reason, reason } from '../errors';
import { announceWith } from '../hooks/async-hooks';
import { hookLateDgram } from '../hooks/late-dgram';
import { hookLateNet } from '../hooks/late-net';
import { hookThreads } from '../hooks/threads';
import { acceptBoth, adoptChildsChannel, adoptLateChannels, attachPairs, wrapSpawn } from '../hooks/transfer';
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
 * Defines them, or says why this environment can have none. What only the first handle finds out is reported there and
 * told to `unavailable`.
 */
export function defineClasses(config: Config, doors: Doors, unavailable: (why: Reason) => void): Classes | Reason {
  const why = addonIsPresent(config) ?? strictLoad(config);
  if (why !== null) return why;
  try {
    return define(config, doors, fetchSeam(), unavailable);
  } catch (error) {
    return reason('ERR_TSLOOP_SEAM', error instanceof Error ? error.message : String(error));
  }
}

/** Strict mode wants to know at once what the first handle would find out. */
function strictLoad(config: Config): Reason | null {
  if (!config.strict) return null;
  const loaded = load(config);
  return 'reason' in loaded ? loaded.reason : null;
}

/** Why the environment did not open: its native part, or the system. */
function whyNone(): Reason {
  const loaded = loadedAddon();
  return loaded !== undefined && 'reason' in loaded ? loaded.reason : reason('ERR_TSLOOP_REACTOR');
}

function define(
  config: Config,
  { NativeTCP, NativePipe, NativeUDP, NativeProcess }: Doors,
  seam: Seam,
  unavailable: (why: Reason) => void,
): Classes {
  attachReadState(seam.stream.streamBaseState);
  attachWriteState(seam.stream.streamBaseState);
  const dispatcher = createDispatcher(seam.tick);
  prepare<Stream>(config, (create) => {
    const made = create(dispatcher);
    if (made !== null) {
      dispatcher.setUp(made);
      hookThreads();
      hookConsume();
    } else unavailable(whyNone());
    return made;
  });
  announceWith(seam.jsStream.JSStream);
  const Handle = defineStreamHandle(seam.jsStream.JSStream, () => !runs(config, 'child_process') || !isCapable());
  const TCP = defineTcp(Handle, NativeTCP, { typeOfService: 'setTypeOfService' in NativeTCP.prototype });
  const Pipe = definePipe(Handle, NativePipe, adoptChildsChannel, config.disabled.includes('net'));
  const UDP = defineUdp(NativeUDP);
  const Process = defineProcess(NativeProcess);
  const pairs = [
    { Native: NativeTCP, Ours: TCP, adopts: true },
    { Native: NativePipe, Ours: Pipe, adopts: true },
    // Those who share a datagram socket must take one message at a time, lest one takes what another is to have.
    { Native: NativeUDP, Ours: UDP, adopts: false },
  ];
  // What arrives from another process becomes ours only where lib/ works with our class.
  const isOurs = ({ Ours }: { Ours: NativeClass }) => !config.disabled.includes(Ours === UDP ? 'dgram' : 'net');
  attachPairs(pairs.filter(isOurs));
  for (const pair of pairs) acceptBoth(pair, hookThreads);
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
      const undo = [late.net ? hookLateNet(TCP, Pipe) : null, late.dgram ? hookLateDgram(NativeUDP, UDP) : null];
      adoptLateChannels();
      return () => {
        for (const step of undo) step?.();
      };
    },
  };
}
